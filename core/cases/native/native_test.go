package native_test

import (
	"context"
	"fmt"
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
)

func translator() *native.Translator {
	return native.New(openai.New(), openairesponses.New(), claude.New(), gemini.New(), geminicli.New(),
		antigravity.New(), kiro.New(), cursor.New(), ollama.New())
}

// Every vector holds for full bodies and event by event, for skeletons in which
// every text of some length is a token, and for streams cut anywhere.
func TestVectors(t *testing.T) {
	list, err := cases.LoadFile("../testdata/translation-cases.jsonl")
	require.NoError(t, err)
	full := translator()
	skeleton := translator()
	skeleton.ElideAt = 32
	for _, c := range list {
		t.Run(c.ID, func(t *testing.T) {
			check(t, cases.Run(context.Background(), c, full))
			if c.Kind == cases.KindRequest {
				t.Run("skeleton", func(t *testing.T) { check(t, cases.Run(context.Background(), c, skeleton)) })
			}
			if c.Kind == cases.KindStream {
				for seed := range uint64(8) {
					t.Run(fmt.Sprintf("cut %d", seed), func(t *testing.T) {
						check(t, cases.RunWith(context.Background(), c, full, cases.RunOptions{Rechunk: true, Seed: seed}))
					})
				}
			}
		})
	}
}

func check(t *testing.T, r cases.Result) {
	t.Helper()
	if !r.Passed() {
		t.Errorf("%s\n    [%s]", r, r.Case.Note)
	}
}
