package execute

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecretsOfURLs(t *testing.T) {
	var got []string
	addURL("https://user:pass%20word@proxy.test/v1?api-version=2024-10-21&key=abc123def", func(s string) { got = append(got, s) })
	require.Equal(t, []string{"pass word", "abc123def"}, got)
}
