package execute

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecretsLeaveTexts(t *testing.T) {
	const key = "sk-live-0123456789abcdef-WXYZ"
	for _, c := range []struct{ name, text, want string }{
		{"whole", "Incorrect API key provided: " + key + ".", "Incorrect API key provided: ****."},
		{"twice", key + " " + key, "**** ****"},
		{"cut off", "key sk-live-012345678... is wrong", "key ****... is wrong"},
		{"masked", "key sk-live-0123********WXYZ is wrong", "key **** is wrong"},
		{"masked with dots", "key sk-live-0123...WXYZ is wrong", "key **** is wrong"},
		{"another key", "key sk-live-999 is wrong", "key sk-live-999 is wrong"},
		{"none", "too many requests", "too many requests"},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, withoutSecrets(c.text, []string{key})) })
	}
	require.Equal(t, `say \"****\"`, withoutSecrets(`say \"a\"quoted\"`, []string{`a\"quoted`}))
	require.Equal(t, "****, ****", withoutSecrets("canary-header, short1", []string{"canary-header", "short1"}))
}

func TestSecretsOfURLs(t *testing.T) {
	var got []string
	addURL("https://user:pass%20word@proxy.test/v1?api-version=2024-10-21&key=abc123def", func(s string) { got = append(got, s) })
	require.Equal(t, []string{"pass word", "abc123def"}, got)
}
