package host

import (
	"fmt"
	"strings"
	"testing"

	"github.com/omniroute/omniroute/core/doc"
	"github.com/omniroute/omniroute/core/fault"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/stretchr/testify/require"
)

func secrets(name string) (string, bool) {
	v, ok := map[string]string{"api_key": "sk-1", "access_token": "at 2&", "user": "u", "password": "p", "marked": "workos:t", "evil": "a\r\nX: y"}[name]
	return v, ok
}

func TestFillAuth(t *testing.T) {
	cases := []struct{ directive, header, value, url string }{
		{"none", "", "", ""},
		{"", "", "", ""},
		{"bearer:api_key", "Authorization", "Bearer sk-1", ""},
		{"header:x-api-key:api_key:", "x-api-key", "sk-1", ""},
		{"header:x-api-key:api_key", "x-api-key", "sk-1", ""},
		{"header:Authorization:access_token:Bearer workos:", "Authorization", "Bearer workos:at 2&", ""},
		{"header:Authorization:marked:Bearer workos:", "Authorization", "Bearer workos:t", ""},
		{"basic:user:password", "Authorization", "Basic dTpw", ""},
		{"query:key:access_token", "", "", "https://x.example/a?b=1&key=at+2%26"},
	}
	for _, c := range cases {
		t.Run(c.directive, func(t *testing.T) {
			r, err := Fill(t.Context(), &Plan{Method: "POST", URLs: []string{"https://x.example/a?b=1"}, Auth: c.directive}, secrets, nil, nil)
			require.NoError(t, err)
			if c.header == "" {
				require.Empty(t, r.Header)
			} else {
				require.Equal(t, []abi.Header{{Name: c.header, Value: c.value}}, r.Header)
			}
			if c.url != "" {
				require.Equal(t, c.url, r.URLs[0])
			}
			require.NotContains(t, fmt.Sprintf("%v %s", r, r), "sk-1")
		})
	}
}

func TestFillMarkers(t *testing.T) {
	p := &Plan{
		URLs:   []string{"https://x.example/{{secret:access_token}}/y"},
		Header: []abi.Header{{Name: "X-Two", Value: "a {{secret:api_key}} b {{secret:user}}"}},
		Body:   []byte(`{"k":"{{secret:api_key}}"}`),
	}
	r, err := Fill(t.Context(), p, secrets, p.Body, nil)
	require.NoError(t, err)
	require.Equal(t, "https://x.example/at+2%26/y", r.URLs[0])
	require.Equal(t, "a sk-1 b u", r.Header[0].Value)
	require.Equal(t, `{"k":"sk-1"}`, string(r.Body))

	r, err = Fill(t.Context(), &Plan{}, secrets, []byte(`{"client":"{{secret:api_key}}"}`), nil)
	require.NoError(t, err)
	require.Contains(t, string(r.Body), "{{secret:", "what a client wrote is never filled")
}

// A plan may ask for what is made of a secret: the part behind a separator, a
// digest, a name-based UUID.
func TestFillDerives(t *testing.T) {
	token := func(v string) Secrets { return func(string) (string, bool) { return v, true } }
	for marker, want := range map[string]string{
		"{{secret:t}}":                         "user_1::test-token",
		"{{secret:t|after=::}}":                "test-token",
		"{{secret:t|after=%3A%3A|after=::}}":   "test-token",
		"{{secret:t|after=%3A%3A}}":            "user_1::test-token",
		"{{secret:t|after=::|sha256}}":         "4c5dc9b7708905f77f5e5d16316b5dfb425e68cb326dcd55a860e90a7707031e",
		"{{secret:t|after=::|uuid5}}":          "5c1603f1-95f2-5da8-a54d-be7355916214",
		"a {{secret:t|after=::}} {{secret:t}}": "a test-token user_1::test-token",
	} {
		p := &Plan{Header: []abi.Header{{Name: "X", Value: marker}}}
		r, err := Fill(t.Context(), p, token("user_1::test-token"), nil, nil)
		require.NoError(t, err, marker)
		require.Equal(t, want, r.Header[0].Value, marker)
	}
	for _, marker := range []string{"{{secret:t|}}", "{{secret:t|rot13}}", "{{secret:t|after=}}", "{{secret:t|sha256=1}}"} {
		_, err := Fill(t.Context(), &Plan{Header: []abi.Header{{Name: "X", Value: marker}}}, token("v"), nil, nil)
		require.Error(t, err, marker)
	}
}

func TestFillRefuses(t *testing.T) {
	for directive, want := range map[string]fault.Class{
		"bearer:missing": fault.ClassAuth, "sigv99": fault.ClassPlugin, "header:bad name:api_key": fault.ClassPlugin,
		"query:": fault.ClassPlugin, "bearer:evil": fault.ClassPlugin,
	} {
		_, err := Fill(t.Context(), &Plan{URLs: []string{"https://x"}, Auth: directive}, secrets, nil, nil)
		require.Error(t, err, directive)
		require.Equal(t, want, fault.As(err).Class, directive)
		require.NotContains(t, err.Error(), "sk-1")
	}
	_, err := Fill(t.Context(), &Plan{Header: []abi.Header{{Name: "a", Value: "{{secret:api_key"}}}, secrets, nil, nil)
	require.Error(t, err)
}

func TestClientCannotSmuggleAMarker(t *testing.T) {
	_, x := echoExecutor(t, Options{})
	ask := func(in PlanInput) error {
		in.Model = "secretbody"
		_, err := x.Plan(t.Context(), in)
		return err
	}
	require.NoError(t, ask(PlanInput{Body: []byte(`{"a":1}`)}))
	long, err := doc.Elide([]byte(`{"a":"`+strings.Repeat("x", 500)+`{{secret:api_key}}"}`), doc.Options{})
	require.NoError(t, err)
	for name, in := range map[string]PlanInput{
		"short text": {Body: []byte(`{"a":"{{secret:api_key}}"}`)},
		"long text":  {Body: long.Skeleton(), Blobs: long},
		"header":     {Header: []abi.Header{{Name: "anthropic-beta", Value: "{{secret:api_key}}"}}},
		"attribute":  {Attributes: map[string]string{"x": "{{secret:api_key}}"}},
	} {
		err := ask(in)
		require.Error(t, err, name)
		require.Equal(t, 400, fault.As(err).Status, name)
	}

	// Without markers of the plan's own nothing is filled, so nothing is refused.
	out, err := x.Plan(t.Context(), PlanInput{Model: "plain", Body: []byte(`{"a":"{{secret:api_key}}"}`)})
	require.NoError(t, err)
	r, err := Fill(t.Context(), out.Send, secrets, []byte(`{"a":"{{secret:api_key}}"}`), nil)
	require.NoError(t, err)
	require.Equal(t, `{"a":"{{secret:api_key}}"}`, string(r.Body))
}

func TestApplyEdits(t *testing.T) {
	path := func(s ...string) []string { return s }
	cases := []struct {
		name, body, want string
		edits            []Edit
	}{
		{"set", `{"a":1}`, `{"a":2,"b":{"c":true}}`, []Edit{{abi.EditSet, path("a"), []byte("2")}, {abi.EditSet, path("b", "c"), []byte("true")}}},
		{"default", `{"a":1}`, `{"a":1,"b":2}`, []Edit{{abi.EditDefault, path("a"), []byte("9")}, {abi.EditDefault, path("b"), []byte("2")}}},
		{"delete", `{"a":1, "b" : 2}`, `{"b" : 2}`, []Edit{{abi.EditDelete, path("a"), nil}, {abi.EditDelete, path("zz"), nil}}},
		{"delete empty", `{"a":[],"b":[1],"c":{ }}`, `{"b":[1]}`, []Edit{{abi.EditDeleteEmpty, path("a"), nil}, {abi.EditDeleteEmpty, path("b"), nil}, {abi.EditDeleteEmpty, path("c"), nil}}},
		{"rename", `{"a":1.50}`, `{"b":1.50}`, []Edit{{abi.EditRename, path("a"), []byte("b")}}},
		{"rename taken", `{"a":1,"b":2}`, `{"b":2}`, []Edit{{abi.EditRename, path("a"), []byte("b")}}},
		{"rename absent", `{"b":2}`, `{"b":2}`, []Edit{{abi.EditRename, path("a"), []byte("b")}}},
		{"array element", `{"m":[{"r":"x"},{"r":"y"}]}`, `{"m":[{"r":"x"},{"r":"z"}]}`, []Edit{{abi.EditSet, path("m", "1", "r"), []byte(`"z"`)}}},
		{"token kept", `{"t":"~bnonce123.0~","a":1}`, `{"t":"~bnonce123.0~"}`, []Edit{{abi.EditDelete, path("a"), nil}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			out, err := (&Plan{Edits: c.edits}).ApplyEdits([]byte("x"), []byte(c.body))
			require.NoError(t, err)
			require.Equal(t, "x"+c.want, string(out))
		})
	}
	_, err := (&Plan{Edits: []Edit{{abi.EditSet, path("a"), []byte(`{"x":`)}}}).ApplyEdits(nil, []byte(`{}`))
	require.Error(t, err)
}
