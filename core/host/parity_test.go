package host

import (
	"bytes"
	"testing"

	"github.com/omniroute/omniroute/plugins/bundle/parts"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/fixture"
	"github.com/stretchr/testify/require"
)

// wasmRunner runs recorded cases in one instance of a module.
type wasmRunner struct{ inst *instance }

// Call implements fixture.Runner.
func (r wasmRunner) Call(op abi.Op, handle uint32, in []byte, h fixture.Host) ([]byte, bool, error) {
	out, isErr, err := r.inst.call(op, handle, in, callEnv{now: h.NowMS, seed: h.Seed, blobs: blobList(h.Tokens)})
	return bytes.Clone(out), isErr, err
}

type blobList []string

func (b blobList) Nonce() string { return "" }

func (b blobList) Blob(id int) ([]byte, bool) {
	if id >= len(b) {
		return nil, false
	}
	return []byte(b[id]), true
}

// TestNativeAndWasmAgree runs every recorded case of the built-in plugins both
// ways and compares the output of each call byte by byte.
func TestNativeAndWasmAgree(t *testing.T) {
	g := serve(t, core(t), Options{})
	inst, err := g.modules[0].pool.lock(t.Context())
	require.NoError(t, err)
	defer inst.mu.Unlock()
	for _, dir := range []string{
		"../../plugins/provider/demo/testdata", "../../plugins/provider/default/testdata", "../../plugins/bundle/testdata",
	} {
		cases, err := fixture.Load(dir)
		require.NoError(t, err)
		require.NotEmpty(t, cases, dir)
		for _, c := range cases {
			t.Run(c.Name, func(t *testing.T) {
				native, err := c.Play(fixture.Native(parts.Module()), c.Batches)
				require.NoError(t, err)
				wasm, err := c.Play(wasmRunner{inst}, c.Batches)
				require.NoError(t, err)
				require.Equal(t, len(native.Records), len(wasm.Records))
				for k := range native.Records {
					require.True(t, bytes.Equal(native.Records[k], wasm.Records[k]), "call %d: native\n%s\nwasm\n%s", k, native.Record, wasm.Record)
				}
			})
		}
	}
}
