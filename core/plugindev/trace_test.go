package plugindev_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/omniroute/omniroute/core/host"
	"github.com/omniroute/omniroute/core/plugindev"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/fixture"
	"github.com/stretchr/testify/require"
)

// recording makes the calls of a stream and of a plan, as a gateway records
// them, by running them.
func recording(t *testing.T, lab *host.Lab) []plugindev.Call {
	t.Helper()
	r, err := plugindev.Start(t.Context(), lab)
	require.NoError(t, err)
	defer r.Close()
	var calls []plugindev.Call
	call := func(op abi.Op, handle uint32, in string) {
		record, err := fixture.Encode([]byte(in))
		require.NoError(t, err)
		c := plugindev.Call{Trace: host.Trace{Plugin: "acme/acme-llm", Instance: 1, Op: op, Name: op.String(), Handle: handle, In: record, NowMS: 5, Seed: 7}}
		c.Out, c.IsError, err = r.LabRun.Call(op, handle, record, host.LabEnv{NowMS: 5, Seed: 7})
		require.NoError(t, err)
		calls = append(calls, c)
	}
	call(abi.OpExPlan, 0, `{"Part":"acme","Model":"acme-large"}`)
	call(abi.OpExOpen, 4, `{"Part":"acme","Stream":1}`)
	call(abi.OpExData, 4, `{"Frame":{"FramePayload":{"object":"acme.thought","text":"hm"}}}`)
	call(abi.OpExData, 4, `{"Frame":{"FramePayload":"[DONE]"}}`)
	call(abi.OpExEnd, 4, `{"Reason":0}`)
	call(abi.OpExResult, 0, `{"Part":"acme","Status":500}`)
	return calls
}

func TestReplay(t *testing.T) {
	lab := openLab(t, example(t, plugindev.Go))
	calls := recording(t, lab)

	var file bytes.Buffer
	for _, c := range calls {
		require.NoError(t, json.NewEncoder(&file).Encode(c))
	}
	read, err := plugindev.ReadTrace(&file)
	require.NoError(t, err)
	require.Len(t, read, len(calls))
	diffs, err := plugindev.Replay(t.Context(), lab, read)
	require.NoError(t, err)
	require.Empty(t, diffs)

	read[0].Out = append(bytes.Clone(read[0].Out), read[1].In...) // a plugin that answered otherwise
	diffs, err = plugindev.Replay(t.Context(), lab, read)
	require.NoError(t, err)
	require.Len(t, diffs, 1)
	require.Equal(t, 1, diffs[0].Call)
	require.NotEqual(t, diffs[0].Now, diffs[0].Recorded)

	dir := t.TempDir()
	names, err := plugindev.SaveCases(calls, dir)
	require.NoError(t, err)
	require.Equal(t, []string{"explan-recorded", "exopen-recorded", "exresult-recorded"}, names)
	cases, err := fixture.Load(dir)
	require.NoError(t, err)
	for _, c := range cases {
		o, _, err := plugindev.Check(t.Context(), lab, &c)
		require.NoError(t, err)
		require.NoError(t, c.Update(o))
		c, err = fixture.Reload(c)
		require.NoError(t, err)
		_, problems, err := plugindev.Check(t.Context(), lab, &c)
		require.NoError(t, err)
		require.Empty(t, problems)
	}
	events, err := os.ReadFile(filepath.Join(dir, "exopen-recorded", "want.sse"))
	require.NoError(t, err)
	require.Contains(t, string(events), "reasoning_content")
	_, err = plugindev.ReadTrace(bytes.NewReader([]byte("{}\nnonsense\n")))
	require.ErrorContains(t, err, "line 2")
}

func TestRedact(t *testing.T) {
	c := plugindev.Call{Trace: host.Trace{Blobs: map[int][]byte{3: []byte("secret words")}}}
	c.Redact()
	require.Equal(t, "xxxxxxxxxxxx", string(c.Blobs[3]))
	require.True(t, c.Redacted)
}

func TestBenchAndFuzz(t *testing.T) {
	cases, err := fixture.Load(filepath.Join(examples, "testdata"))
	require.NoError(t, err)
	s := &plugindev.Subject{Wasm: example(t, plugindev.Go), Cases: cases[:3]}
	f, err := plugindev.Bench(t.Context(), s, host.LabOptions{CacheDir: cacheDir(t)}, time.Millisecond)
	require.NoError(t, err)
	require.Len(t, f.Calls, 3)
	for _, c := range f.Calls {
		require.Positive(t, c.Runs)
		require.Positive(t, c.Fuel)
		require.Positive(t, c.NS)
	}
	lab := openLab(t, s.Wasm)
	runs, _, in, err := plugindev.Fuzz(t.Context(), lab, cases, 1, 200*time.Millisecond)
	require.NoError(t, err, "%x", in)
	require.Positive(t, runs)
}
