package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/goccy/go-json"
	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/boot"
	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/cases/guest"
	"github.com/omniroute/omniroute/core/doc"
)

// maxDocument bounds one document on standard input.
const maxDocument = 256 << 20

func (a *app) translateVerb() *cobra.Command {
	return group("translate", "The translator laboratory: documents through the plugins, without serving",
		a.translateOne(cases.KindRequest, "Translate a client's request for a provider",
			"  omniroute translate request --from claude --to openai < request.json"),
		a.translateOne(cases.KindResponse, "Translate a provider's answer for a client",
			"  omniroute translate response --from openai --to claude --ctx '{\"status\": 429}' < answer.json"),
		a.translateOne(cases.KindStream, "Translate a provider's stream (wire bytes, or a JSON array of events) for a client",
			"  omniroute translate stream --from openai --to claude < upstream.sse"),
		a.translateCases(), a.translateBatch())
}

// withLab runs f with the plugins loaded.
func (a *app) withLab(cmd *cobra.Command, f func(context.Context, *guest.Translator) error) error {
	ctx := cmd.Context()
	h, release, err := boot.OpenPlugins(ctx, a.quiet())
	if err != nil {
		return a.configError(err)
	}
	return errors.Join(f(ctx, guest.New(h)), release())
}

func (a *app) translateOne(kind, short, example string) *cobra.Command {
	var from, to, about string
	c := &cobra.Command{
		Use: kind, Short: short, Example: example, Args: cobra.NoArgs,
		Long: short + ". The document is read from standard input. What the translation could not carry is named on standard error; an error answer goes to standard output with exit code 1.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			j := cases.Job{From: from, To: to}
			if about != "" {
				var err error
				if j.Ctx, err = cases.ParseCtx([]byte(about)); err != nil {
					return usagef("--ctx: %w", err)
				}
			}
			input, err := io.ReadAll(io.LimitReader(a.in, maxDocument))
			if err != nil {
				return err
			}
			return a.withLab(cmd, func(ctx context.Context, tr *guest.Translator) error {
				tr.Degraded = func(fields []string) { fmt.Fprintf(a.err, "degraded: %s\n", strings.Join(fields, ", ")) }
				return a.translate(ctx, tr, kind, j, input)
			})
		},
	}
	c.Flags().StringVar(&from, "from", "", "`dialect` the document is in")
	c.Flags().StringVar(&to, "to", "", "`dialect` it shall be in")
	c.Flags().StringVar(&about, "ctx", "", "what is known beside the document, as `JSON`: model, provider, project, status, request, collect")
	_ = c.MarkFlagRequired("from")
	_ = c.MarkFlagRequired("to")
	return c
}

func (a *app) translate(ctx context.Context, tr *guest.Translator, kind string, j cases.Job, input []byte) error {
	var body []byte
	var err error
	switch {
	case kind == cases.KindRequest:
		j.Body = input
		body, err = tr.Request(ctx, j)
	case kind == cases.KindResponse:
		j.Body = input
		body, err = tr.Response(ctx, j)
	default:
		if j.Events, err = streamInput(j.From, input); err != nil {
			return usagef("standard input: %w", err)
		}
		if j.Ctx.Collect {
			body, err = tr.Collect(ctx, j)
			break
		}
		var events []cases.Event
		if events, err = tr.Stream(ctx, j); err == nil {
			body = bytes.TrimSuffix(cases.AppendWire(nil, j.To, events), []byte("\n"))
		}
	}
	var failed *cases.Failure
	if errors.As(err, &failed) {
		fmt.Fprintf(a.err, "status %d\n", failed.Status)
		for name, value := range failed.Headers {
			fmt.Fprintf(a.err, "%s: %s\n", name, value)
		}
		body, err = failed.Body, errNo
	}
	if body != nil {
		if _, werr := fmt.Fprintf(a.out, "%s\n", body); werr != nil {
			return werr
		}
	}
	return err
}

// streamInput reads a stream: a JSON array of events, or the bytes of the wire.
func streamInput(format string, input []byte) ([]cases.Event, error) {
	if text := bytes.TrimSpace(input); len(text) > 0 && text[0] == '[' {
		return cases.ParseEvents(text)
	}
	if !cases.HasWire(format) {
		return nil, fmt.Errorf("%s streams are given as a JSON array of events", format)
	}
	return cases.ParseWire(format, input), nil
}

func (a *app) translateCases() *cobra.Command {
	var show string
	var rechunk bool
	var seed uint64
	c := &cobra.Command{
		Use: "cases FILE.jsonl...", Short: "Run translation vectors", Args: cobra.MinimumNArgs(1),
		Long: "Run translation vectors and print `N passed, M failed`, with a line for each case that failed and what differed. Exit code 1 if one did.",
		RunE: func(cmd *cobra.Command, args []string) error {
			if !strings.EqualFold(show, "failed") && !strings.EqualFold(show, "all") {
				return usagef("--show is failed or all")
			}
			var list []*cases.Case
			for _, path := range args {
				more, err := cases.LoadFile(path)
				if err != nil {
					return err
				}
				list = append(list, more...)
			}
			return a.withLab(cmd, func(ctx context.Context, tr *guest.Translator) error {
				return a.runCases(ctx, tr, list, strings.EqualFold(show, "all"), cases.RunOptions{Rechunk: rechunk, Seed: seed})
			})
		},
	}
	c.Flags().StringVar(&show, "show", "failed", "`which` cases to print: failed or all")
	c.Flags().BoolVar(&rechunk, "rechunk", false, "deliver streams as wire bytes cut at random places")
	c.Flags().Uint64Var(&seed, "seed", 1, "`number` that makes the cuts repeatable")
	return c
}

// caseResult is a case as --json prints it.
type caseResult struct {
	ID       string          `json:"id"`
	Result   string          `json:"result"` // passed, failed, skipped
	Problems []string        `json:"problems,omitempty"`
	Body     json.RawMessage `json:"body,omitempty"`
	Events   []outEvent      `json:"events,omitempty"`
	Error    *outError       `json:"error,omitempty"`
}

func (a *app) runCases(ctx context.Context, tr *guest.Translator, list []*cases.Case, all bool, opt cases.RunOptions) error {
	var sum cases.Summary
	results := []caseResult{}
	for _, c := range list {
		r := cases.RunWith(ctx, c, tr, opt)
		sum.Add(r)
		if r.Passed() && !all {
			continue
		}
		if a.json {
			results = append(results, resultOf(r))
			continue
		}
		fmt.Fprintln(a.out, r)
		if all {
			if err := a.printOutcome(r.Outcome); err != nil {
				return err
			}
		}
	}
	if a.json {
		if err := a.printJSON(map[string]any{
			"passed": sum.Passed, "failed": sum.Failed, "skipped": sum.Skipped, "pairs": sum.Pairs, "cases": results,
		}); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(a.out, sum)
	}
	if sum.Failed > 0 {
		return errNo
	}
	return nil
}

func resultOf(r cases.Result) caseResult {
	out := caseResult{ID: r.Case.ID, Result: "passed", Problems: r.Problems}
	switch {
	case r.Skipped:
		out.Result = "skipped"
	case !r.Passed():
		out.Result = "failed"
	}
	out.Body, out.Events, out.Error = outcome(r.Outcome)
	return out
}

func (a *app) printOutcome(o cases.Outcome) error {
	body, events, failed := outcome(o)
	line := struct {
		Body   json.RawMessage `json:"body,omitempty"`
		Events []outEvent      `json:"events,omitempty"`
		Error  *outError       `json:"error,omitempty"`
	}{body, events, failed}
	text, err := json.MarshalWithOption(line, json.DisableHTMLEscape())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "    %s\n", text)
	return err
}

// outEvent and outError are results as batch and --json write them.
type outEvent struct {
	Event string          `json:"event,omitempty"`
	Data  json.RawMessage `json:"data"`
}

type outError struct {
	Status  int               `json:"status"`
	Body    json.RawMessage   `json:"body"`
	Headers map[string]string `json:"headers"`
}

func outcome(o cases.Outcome) (body json.RawMessage, events []outEvent, failed *outError) {
	if o.Failure != nil {
		return nil, nil, &outError{Status: o.Failure.Status, Body: asJSON(o.Failure.Body), Headers: o.Failure.Headers}
	}
	if o.Body != nil {
		body = asJSON(o.Body)
	}
	for _, e := range o.Events {
		events = append(events, outEvent{Event: e.Name, Data: json.RawMessage(e.Data)})
	}
	return body, events, nil
}

func (a *app) translateBatch() *cobra.Command {
	return &cobra.Command{
		Use: "batch", Short: "Translate JSON Lines from standard input", Args: cobra.NoArgs,
		Long: `Translate JSON Lines from standard input, in order: {"id", "kind", "from", "to", "input", "ctx"} becomes
{"id", "body"}, {"id", "events": [...]} or {"id", "error": {"status", "body", "headers"}}. Nothing is compared.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withLab(cmd, a.batch)
		},
	}
}

// batchLine is one result of translate batch.
type batchLine struct {
	ID     string          `json:"id"`
	Body   json.RawMessage `json:"body,omitempty"`
	Events *[]outEvent     `json:"events,omitempty"` // an empty stream is [] and not left out
	Error  *outError       `json:"error,omitempty"`
}

func (a *app) batch(ctx context.Context, tr *guest.Translator) error {
	in := bufio.NewReaderSize(a.in, 1<<20)
	out := bufio.NewWriter(a.out)
	bad := false
	for n := 1; ; n++ {
		line, end := in.ReadBytes('\n')
		if text := bytes.TrimSpace(line); len(text) > 0 {
			answer, failed := batchOne(ctx, tr, text)
			if failed != nil { // an answer all the same: there are as many lines out as in
				bad = true
				fmt.Fprintf(a.err, "line %d: %v\n", n, failed)
				answer = unusable(text, failed)
			}
			text, err := json.MarshalWithOption(answer, json.DisableHTMLEscape())
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(out, "%s\n", text); err != nil {
				return err
			}
		}
		if errors.Is(end, io.EOF) {
			break
		} else if end != nil {
			return end
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if bad {
		return errNo
	}
	return nil
}

// batchOne runs one line. An error means that there was nothing to translate; a translation that fails is an answer.
func batchOne(ctx context.Context, tr *guest.Translator, line []byte) (batchLine, error) {
	c, err := cases.ParseCase(withExpect(line))
	if err != nil {
		return batchLine{}, err
	}
	r := cases.Run(ctx, c, tr)
	if r.Skipped {
		return batchLine{}, fmt.Errorf("case %q: %w", c.ID, cases.ErrSkip)
	}
	answer := batchLine{ID: c.ID}
	var events []outEvent
	answer.Body, events, answer.Error = outcome(r.Outcome)
	switch {
	case answer.Error != nil, answer.Body != nil:
	case r.Outcome.Events != nil:
		if events == nil {
			events = []outEvent{}
		}
		answer.Events = &events
	default:
		return batchLine{}, fmt.Errorf("case %q: %s", c.ID, strings.Join(r.Problems, "; "))
	}
	return answer, nil
}

// unusable is the answer to a line that is no case.
func unusable(line []byte, err error) batchLine {
	id, _ := doc.String(line, "id")
	message := doc.Quote(nil, err.Error())
	return batchLine{ID: id, Error: &outError{
		Status: 400, Body: fmt.Appendf(nil, `{"error":{"message":%s}}`, message), Headers: map[string]string{},
	}}
}

// withExpect makes a batch line a case with nothing to expect.
func withExpect(line []byte) []byte {
	if out, ok := doc.Set(nil, line, []byte("{}"), "expect"); ok {
		return out
	}
	return line
}

// asJSON is text as a JSON value: itself, or a string when it is none.
func asJSON(text []byte) []byte {
	if json.Valid(text) {
		return text
	}
	return doc.Quote(nil, string(text))
}
