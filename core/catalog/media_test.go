package catalog

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/omniroute/omniroute/core/config"
)

func TestMediaModels(t *testing.T) {
	c, diags := Build(Inputs{})
	require.Empty(t, diags)
	for _, k := range []struct{ kind, model, target string }{
		{KindEmbedding, "text-embedding-3-small", "openai/text-embedding-3-small"},
		{KindEmbedding, "together/BAAI/bge-large-en-v1.5", "together/BAAI/bge-large-en-v1.5"},
		{KindEmbedding, "openrouter/vendor/any", "openrouter/vendor/any"},
		{KindImage, "nebius/black-forest-labs/flux-dev", "nebius/black-forest-labs/flux-dev"},
		{KindRerank, "rerank-v3.5", "cohere/rerank-v3.5"},
	} {
		res, err := c.Resolve(Query{Model: k.model, Kind: k.kind})
		require.NoError(t, err, k.model)
		require.Len(t, res.Targets, 1)
		require.Equal(t, k.target, res.Targets[0].ID)
		require.Equal(t, k.kind, res.Targets[0].Media.Kind)
	}
	_, err := c.Resolve(Query{Model: "text-embedding-3-small", Kind: KindImage})
	require.ErrorContains(t, err, "no provider offers it for image")
	for _, model := range []string{"claude/x", "anthropic/text-embedding-3-small"} {
		_, err = c.Resolve(Query{Model: model, Kind: KindEmbedding})
		require.Error(t, err, model)
	}
}

// The second host of a provider is for its own servers, not for those that the
// operator puts in their place; what lies elsewhere moves along with them.
func TestMediaHosts(t *testing.T) {
	image := func(c *Catalog) *Media {
		return c.mediaTargets[KindImage]["nebius/black-forest-labs/flux-dev"][0].Media
	}
	c, _ := Build(Inputs{})
	require.Equal(t, "https://api.studio.nebius.com/v1/images/generations", image(c).Fallback)
	p, _ := c.Provider("cohere")
	require.Contains(t, string(p.Profile), `"rerank":"https://api.cohere.com/v2/rerank"`)
	c, diags := Build(Inputs{Config: &config.File{Providers: map[string]config.Provider{
		"nebius": {BaseURLs: []string{"http://proxy/v1"}}, "cohere": {BaseURLs: []string{"http://proxy/cohere/v1"}},
	}}})
	require.Empty(t, diags)
	require.Empty(t, image(c).Fallback)
	p, _ = c.Provider("cohere")
	require.Contains(t, string(p.Profile), `"rerank":"http://proxy/v2/rerank"`)
}
