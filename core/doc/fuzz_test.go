package doc

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func seeds(f *testing.F) {
	for _, s := range []string{
		`{}`, `[1,-0.5e3,"a\nb"]`, `{"a":{"b":"` + strings.Repeat(`x\"y é `, 40) + `"}}`,
		`"~b` + testNonce + `.0~"`, `{"a":"~b` + testNonce + `.0.1.2.q~"}`, `"\ud83d\ude00"`, `"\ud83d"`,
		`{"a":1,"\u0061":2}`, "\"\xff\"", `[[[[`, `{"a":"\u007eb` + testNonce + `.1~","b":"~b` + testNonce + `"}`,
	} {
		f.Add([]byte(s))
	}
	f.Add(chatBody())
}

// FuzzElide: what Elide accepts is valid JSON and comes back byte for byte,
// whatever tokens it pretends to contain; what it refuses beyond plain JSON
// it refuses for one of the documented reasons.
func FuzzElide(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		std := json.Valid(body)
		for _, threshold := range []int{1, 8, 64} {
			d, err := elideWith(body, Options{Threshold: threshold}, testNonce)
			if err != nil {
				var e *SyntaxError
				if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(body) || e.Line < 1 || e.Column < 1 {
					t.Fatalf("bad error %v", err)
				}
				if std && !strings.Contains(e.Msg, "UTF-8") && !strings.Contains(e.Msg, "surrogate") &&
					!strings.Contains(e.Msg, "duplicate") && !strings.Contains(e.Msg, "nested") {
					t.Fatalf("refused valid JSON: %v", err)
				}
				if Valid(body, Options{}) == nil {
					t.Fatal("Valid and Elide disagree")
				}
				return
			}
			if !std {
				t.Fatal("accepted invalid JSON")
			}
			if !json.Valid(d.Skeleton()) {
				t.Fatalf("invalid skeleton %q", d.Skeleton())
			}
			out, err := d.Inflate(nil, d.Skeleton(), len(body)+1)
			if err != nil || !bytes.Equal(out, body) {
				t.Fatalf("inflated to %q, %v", out, err)
			}
			requoteRoundTrip(t, d)
			d.Release()
		}
	})
}

// requoteRoundTrip checks q against unescaping, for each blob.
func requoteRoundTrip(t *testing.T, d *Doc) {
	for id := range min(d.Blobs(), 8) {
		blob, _ := d.Blob(id)
		token := func(form string) []byte {
			return []byte(`"~b` + d.Nonce() + "." + string(rune('0'+id)) + form + `~"`)
		}
		once, err := d.Inflate(nil, token(".q"), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		back, ok := Unquote(nil, once)
		if !ok || !bytes.Equal(back, blob) {
			t.Fatalf("q of %q is %q", blob, once)
		}
		twice, err := d.Inflate(nil, token(".qq"), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if back, _ = Unquote(nil, twice); `"`+string(back)+`"` != string(once) {
			t.Fatalf("qq of %q is %q", blob, twice)
		}
		object, err := d.Inflate(nil, token(".u"), 1<<20)
		if err != nil || !json.Valid(object) || object[0] != '{' && !strings.ContainsAny(string(object[:1]), " \t\r\n") {
			t.Fatalf("u of %q is %q, %v", blob, object, err)
		}
	}
}

// FuzzInflate feeds anything as a skeleton: no panic, the limit holds, and
// what comes out of valid JSON is valid JSON.
func FuzzInflate(f *testing.F) {
	d, err := elideWith([]byte(`["a\"\\b\n\u00e9é😀\ud83d\ude00z","{\"a\":[1,\"x\"]}","plain text here"]`), Options{Threshold: 1}, testNonce)
	if err != nil {
		f.Fatal(err)
	}
	for _, form := range []string{"0~", "0.0.1~", "1.u~", "0.qq~", "0.3.4.q~", "2.", "9~", "0.1.99~"} {
		f.Add([]byte(`{"k":"~b` + testNonce + "." + form + `"}`))
	}
	f.Fuzz(func(t *testing.T, skeleton []byte) {
		const limit = 1 << 16
		out, err := d.Inflate(nil, skeleton, limit)
		if err != nil {
			if !errors.Is(err, ErrToken) && !errors.Is(err, ErrCut) && !errors.Is(err, ErrTooLarge) {
				t.Fatalf("unknown error %v", err)
			}
			return
		}
		if len(out) > limit {
			t.Fatal("over the limit")
		}
		if json.Valid(skeleton) && !json.Valid(out) {
			t.Fatalf("%q became %q", skeleton, out)
		}
	})
}

// FuzzPatch: readers and patchers never panic, and keep valid JSON valid.
func FuzzPatch(f *testing.F) {
	seeds(f)
	f.Add([]byte(sample))
	f.Fuzz(func(t *testing.T, body []byte) {
		valid := Valid(body, Options{}) == nil
		Scan(body, func(key, raw []byte) bool {
			if valid && !json.Valid(raw) {
				t.Fatalf("member %q is %q", key, raw)
			}
			return true
		})
		Each(body, func(_ int, raw []byte) bool {
			if valid && !json.Valid(raw) {
				t.Fatalf("element %q", raw)
			}
			return true
		})
		for _, path := range [][]string{{"a"}, {"0"}, {"a", "b"}, {"a", "0", "x"}, nil} {
			raw, had := Get(body, path...)
			set, ok := Set(nil, body, []byte(`{"new":1}`), path...)
			del, gone := Delete(nil, body, path...)
			if !valid {
				continue
			}
			if had && !json.Valid(raw) || !json.Valid(set) || !json.Valid(del) {
				t.Fatalf("path %v: get %q set %q delete %q", path, raw, set, del)
			}
			if got, found := Get(set, path...); ok && (!found || string(got) != `{"new":1}`) {
				t.Fatalf("set %v gives %q", path, set)
			}
			if len(path) > 0 && had != gone {
				t.Fatalf("delete %v: %v, had %v", path, gone, had)
			}
		}
	})
}
