package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/omniroute/omniroute/core/fake"
)

// lookEvery is how often dev fake looks for its end while no request comes.
const lookEvery = 200 * time.Millisecond

func (a *app) devFake() *cobra.Command {
	var opt fake.Options
	var auth bool
	c := &cobra.Command{
		Use:   "fake",
		Short: "Serve a provider on this machine that checks every request and answers without a model",
		Long: "The fake speaks all the wire formats of the built-in providers, on one port: chat in each of them, embeddings, images,\n" +
			"speech, transcriptions, reranking and moderations. It refuses what the real service would refuse and says why.\n" +
			"Every request is printed. The command runs until it is interrupted.",
		Example: "  omniroute dev fake --listen 127.0.0.1:20199\n  omniroute dev fake --key sk-test --model gpt-5 --lenient",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := onLoopback(opt.Addr); err != nil {
				return err
			}
			return a.serveFake(cmd.Context(), opt, auth)
		},
	}
	c.Flags().StringVar(&opt.Addr, "listen", "127.0.0.1:20199", "`address` on this machine; port 0 = any that is free")
	c.Flags().StringSliceVar(&opt.Keys, "key", nil, "accept this `key` only (repeatable); without it every key serves")
	c.Flags().StringSliceVar(&opt.Models, "model", nil, "list this `model` (repeatable)")
	c.Flags().BoolVar(&opt.Lenient, "lenient", false, "answer requests that break the rules too")
	c.Flags().BoolVar(&auth, "auth", false, "serve the authorization servers of the providers too, on another port")
	return c
}

// onLoopback refuses addresses that others could reach, and those in use.
func onLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--listen %s: the fake is served on this machine only, such as 127.0.0.1:20199", addr)
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	return l.Close()
}

func (a *app) serveFake(ctx context.Context, opt fake.Options, auth bool) error {
	s := fake.Start(opt)
	defer s.Close()
	fmt.Fprintf(a.out, "Fake provider at %s\n\n", s.URL)
	for _, line := range [...][2]string{
		{"openai, openai-responses", s.OpenAIBase()}, {"claude", s.URL + "/v1"}, {"gemini", s.GeminiBase()},
		{"ollama, gemini-cli, antigravity", s.URL},
	} {
		fmt.Fprintf(a.out, "  %-32s %s\n", line[0], line[1])
	}
	fmt.Fprintf(a.out, "\nproviders:\n  lab: {dialect: openai, base_urls: [%q], allow_private: true, accounts: [{name: a, api_key: sk-test}]}\n\n", s.OpenAIBase())
	if auth {
		servers := fake.StartAuth()
		defer servers.Close()
		fmt.Fprintf(a.out, "Authorization servers at %s/<provider>\n\n", servers.URL)
	}
	for n := 0; ctx.Err() == nil; {
		r := s.Wait(n, lookEvery)
		if r == nil {
			continue
		}
		n++
		a.tellRequest(r)
	}
	return nil
}

func (a *app) tellRequest(r *fake.Request) {
	what := r.Kind
	if what == "" {
		what = http.StatusText(http.StatusNotFound)
	}
	fmt.Fprintf(a.out, "%s %s  %s %s %s", r.Method, r.Path, r.Dialect, what, r.Model)
	if r.Stream {
		fmt.Fprint(a.out, " (stream)")
	}
	fmt.Fprintln(a.out)
	for _, v := range r.Violations {
		fmt.Fprintf(a.out, "  refused: %s\n", v)
	}
}
