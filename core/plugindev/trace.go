package plugindev

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/fixture"
)

// TraceSuffix ends the names of recordings: files with a JSON document per
// call.
const TraceSuffix = ".omr"

// Call is one line of a recording.
type Call struct {
	host.Trace
	Redacted bool `json:"redacted,omitempty"` // long texts were replaced
}

// Redact replaces the long texts that the plugin looked at by as many x.
func (c *Call) Redact() {
	for id, text := range c.Blobs {
		c.Blobs[id] = bytes.Repeat([]byte{'x'}, len(text))
		c.Redacted = true
	}
}

// ReadTrace reads a recording.
func ReadTrace(r io.Reader) ([]Call, error) {
	const longest = 64 << 20
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, longest)
	var calls []Call
	for n := 1; lines.Scan(); n++ {
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var c Call
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return nil, fmt.Errorf("line %d is no recorded call: %w", n, err)
		}
		calls = append(calls, c)
	}
	return calls, lines.Err()
}

// Difference is a call that gave something else when it was run again.
type Difference struct {
	Call     int    `json:"call"` // of the recording, from 1
	Op       string `json:"op"`
	Recorded string `json:"recorded"`
	Now      string `json:"now"`
	Redacted bool   `json:"redacted,omitempty"`
}

// Replay runs recorded calls again, each instance's in one of its own, and
// returns those that give something else.
func Replay(ctx context.Context, lab *host.Lab, calls []Call) ([]Difference, error) {
	runs := map[uint64]*host.LabRun{}
	defer func() {
		for _, r := range runs {
			r.Close()
		}
	}()
	var out []Difference
	for k := range calls {
		c := &calls[k]
		r := runs[c.Instance]
		if r == nil {
			var err error
			if r, err = lab.Start(ctx); err != nil {
				return nil, err
			}
			runs[c.Instance] = r
		}
		got, isError, err := r.Call(c.Op, c.Handle, c.In, host.LabEnv{
			NowMS: c.NowMS, Seed: c.Seed, Blobs: c.Blobs, Replay: true, Answers: c.Answers,
		})
		if err != nil { // the instance is gone; later calls get another one
			delete(runs, c.Instance)
			r.Close()
		}
		settings := c.Op == abi.OpConfigure && c.Out == nil && c.Failed == "" // what an instance was told before the recording
		if settings && err == nil || err != nil && c.Failed != "" || err == nil && isError == c.IsError && bytes.Equal(got, c.Out) {
			continue
		}
		now := text(got, isError)
		if err != nil {
			now = err.Error()
		}
		recorded := text(c.Out, c.IsError)
		if c.Failed != "" {
			recorded = c.Failed
		}
		out = append(out, Difference{Call: k + 1, Op: c.Name, Recorded: recorded, Now: now, Redacted: c.Redacted})
	}
	return out, nil
}

// text is a record for people.
func text(record []byte, isError bool) string {
	t, err := fixture.Record(record)
	if err != nil {
		return fmt.Sprintf("%d bytes that are no record", len(record))
	}
	if isError {
		return "an error: " + strings.TrimSpace(string(t))
	}
	return strings.TrimSpace(string(t))
}

// SaveCases writes recorded calls as cases below a folder: one for each call
// that stands alone and for each whole stream. It returns their names.
func SaveCases(calls []Call, dir string) ([]string, error) {
	type place struct {
		instance uint64
		handle   uint32
	}
	streams := map[place][]*Call{}
	var names []string
	for k := range calls {
		c := &calls[k]
		at := place{c.Instance, c.Handle}
		var err error
		var name string
		switch c.Op {
		case abi.OpTrOpen, abi.OpExOpen:
			streams[at] = []*Call{c}
		case abi.OpTrData, abi.OpExData:
			streams[at] = append(streams[at], c)
		case abi.OpTrEnd, abi.OpExEnd:
			name, err = saveStream(append(streams[at], c), dir)
			delete(streams, at)
		case abi.OpDescribe, abi.OpConfigure:
		default:
			name, err = saveCase(c, dir, nil)
		}
		if err != nil {
			return names, err
		}
		if name != "" {
			names = append(names, name)
		}
	}
	return names, nil
}

func saveStream(calls []*Call, dir string) (string, error) {
	var events []byte
	for k, c := range calls[1 : len(calls)-1] {
		if k > 0 {
			events = append(events, "---\n"...)
		}
		r := abi.Read(c.In)
		for r.Next() {
			if f := r.Field(); f.Tag == abi.TagFrame {
				frame, err := f.Frame()
				if err != nil {
					return "", err
				}
				events = fixture.AppendEvent(events, frame)
			}
		}
	}
	return saveCase(calls[0], dir, events)
}

// saveCase writes the inputs of a case; what it should give is written by
// running it.
func saveCase(c *Call, dir string, events []byte) (string, error) {
	in, err := fixture.Record(c.In)
	if err != nil {
		return "", err
	}
	name := strings.ToLower(c.Name) + "-recorded"
	for n := 2; ; n++ {
		err := os.Mkdir(filepath.Join(dir, name), 0o755)
		if err == nil {
			break
		}
		if !errors.Is(err, os.ErrExist) {
			return "", err
		}
		name = fmt.Sprintf("%s-recorded-%d", strings.ToLower(c.Name), n)
	}
	h := fixture.Host{NowMS: c.NowMS, Seed: c.Seed}
	for id := 0; id < len(c.Blobs); id++ {
		h.Tokens = append(h.Tokens, string(c.Blobs[id]))
	}
	world, err := json.Marshal(h)
	if err != nil {
		return "", err
	}
	files := map[string][]byte{"op": []byte(c.Name + "\n"), "in.json": in, "host.json": append(world, '\n')}
	if events != nil {
		files["in.sse"] = events
	}
	for file, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name, file), content, 0o644); err != nil {
			return "", err
		}
	}
	return name, nil
}
