package cases

import (
	"bytes"
	"encoding/json"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", " ", "{", "[", `{"a"}`, `{"a":1,}`, `[1,]`, "01", "1.", "-", "1e", "+1", ".5", "tru", `"`, `"\x"`, `"\u12"`, "\"\x01\"",
		"\"\xff\"", `{"a":1,"a":2}`, "1 2", "nul", "'a'", "NaN", `{a:1}`, string(bytes.Repeat([]byte("["), 2000)),
	} {
		_, err := Parse([]byte(text))
		var syntax *SyntaxError
		require.ErrorAs(t, err, &syntax, "%q", text)
	}
}

func TestParseKeepsOrderDigitsAndSource(t *testing.T) {
	src := ` {"b" : [1.50, "x\u00e4\ud83d\ude00\n"], "a":{"$n":12345678901234567890} } `
	v, err := Parse([]byte(src))
	require.NoError(t, err)
	require.Equal(t, "b", v.Members[0].Key)
	require.Equal(t, "1.50", v.Members[0].Value.Items[0].Text)
	require.Equal(t, "xä😀\n", v.Members[0].Value.Items[1].Text)
	require.Equal(t, `{"$n":12345678901234567890}`, string(v.Members[1].Value.Raw))
	lone, err := Parse([]byte(`"\ud800x\udc00"`))
	require.NoError(t, err)
	require.Equal(t, "\ufffdx\ufffd", lone.Text)
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,"x\u00e9",null,true]}`, `"\ud83d\ude00"`, `[]`, `-0`, "{\"a\":1,\"a\":2}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := Parse(data)
		if err != nil {
			return
		}
		if !json.Valid(data) || !utf8.Valid(data) {
			t.Fatalf("accepted invalid JSON %q", data)
		}
		again, err := Parse(v.Raw)
		if err != nil || !Equal(v, again) {
			t.Fatalf("%q does not read the same again: %v", data, err)
		}
		if bad := Match(Value{Kind: Object, Members: []Member{{"$eq", v}}}, again, &Captures{}); bad != nil {
			t.Fatal(bad)
		}
	})
}
