// Package dialect_test runs the translation vectors over the dialects in this
// process.
package dialect_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/cases"
	"github.com/omniroute/omniroute/core/cases/native"
	"github.com/omniroute/omniroute/plugins/dialect/antigravity"
	"github.com/omniroute/omniroute/plugins/dialect/claude"
	"github.com/omniroute/omniroute/plugins/dialect/cursor"
	"github.com/omniroute/omniroute/plugins/dialect/gemini"
	"github.com/omniroute/omniroute/plugins/dialect/geminicli"
	"github.com/omniroute/omniroute/plugins/dialect/kiro"
	"github.com/omniroute/omniroute/plugins/dialect/ollama"
	"github.com/omniroute/omniroute/plugins/dialect/openai"
	"github.com/omniroute/omniroute/plugins/dialect/openairesponses"
	"github.com/omniroute/omniroute/sdk/hub"
)

// all are the formats under test.
func all() []hub.Dialect {
	return append(clients(), geminicli.New(), antigravity.New(), kiro.New(), cursor.New(), ollama.New())
}

// clients are the formats that clients speak.
func clients() []hub.Dialect {
	return []hub.Dialect{openai.New(), openairesponses.New(), claude.New(), gemini.New()}
}

// dialects are the two formats whose answers keep everything in the order of a chat
// message.
func dialects() []hub.Dialect { return []hub.Dialect{openai.New(), claude.New()} }

func TestVectors(t *testing.T) {
	files, err := filepath.Glob("testdata/*.jsonl")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	ran := 0
	for _, file := range files {
		list, err := cases.LoadFile(file)
		require.NoError(t, err)
		for _, elide := range []int{0, 26} {
			tr := native.New(all()...)
			tr.ElideAt = elide
			for _, c := range list {
				for seed := range uint64(4) {
					opt := cases.RunOptions{}
					if seed > 0 {
						if c.Kind != cases.KindStream {
							break
						}
						opt.Rechunk, opt.Seed = true, seed
					}
					res := cases.RunWith(context.Background(), c, tr, opt)
					if res.Skipped {
						break
					}
					ran++
					if !res.Passed() {
						t.Errorf("elide %d seed %d: %s", elide, seed, res)
					}
				}
			}
		}
	}
	require.Greater(t, ran, 100)
}
