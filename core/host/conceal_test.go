package host

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
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, Conceal(key).Text(c.text)) })
	}
	require.Equal(t, `say \"****\"`, Conceal(`a"quoted`).Text(`say \"a\"quoted\"`))
	require.Equal(t, "****, ****", Conceal("short1", "canary-header").Text("canary-header, short1"))
}
