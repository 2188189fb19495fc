package jsn

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIterators(t *testing.T) {
	doc := []byte(` { "a" : 1.50 , "b\u0063":[ true,null , "x\"]", {"y":[]} ],"d":{} } `)
	require.NoError(t, Valid(doc))
	var keys, values []string
	for it := Object(doc); it.Next(); {
		keys = append(keys, string(it.Key()))
		values = append(values, string(it.Value()))
		require.Equal(t, string(it.Value()), string(doc[it.ValueOffset():it.ValueOffset()+len(it.Value())]))
	}
	require.Equal(t, []string{"a", "bc", "d"}, keys)
	require.Equal(t, "1.50", values[0])
	var els []string
	for it := Array(Get(doc, "bc")); it.Next(); {
		els = append(els, string(it.Value()))
	}
	require.Equal(t, []string{"true", "null", `"x\"]"`, `{"y":[]}`}, els)
	require.Equal(t, 4, Len(Get(doc, "bc")))
	require.Nil(t, Get(doc, "a", "b"))
}

func TestStr(t *testing.T) {
	s := StrOf([]byte(`"a\n\u00e4\ud83d\ude00\/"`))
	require.Equal(t, "a\nä😀/", s.String())
	require.True(t, s.Is("a\nä😀/"))
	require.Nil(t, StrOf([]byte("1")))
	require.NotNil(t, StrOf([]byte(`""`)))
	require.Equal(t, `a\"\\\u0001`, string(Lit("a\"\\\x01")))
	require.Equal(t, "\uFFFD", StrOf([]byte(`"\ud83d"`)).String())
}

func TestNumbers(t *testing.T) {
	for in, want := range map[string]int64{"5": 5, "-7": -7, "1.0": 1, "1e3": 1000} {
		n, ok := Int([]byte(in))
		require.True(t, ok, in)
		require.Equal(t, want, n)
	}
	for _, in := range []string{"1.5", `"5"`, "null", "1e40"} {
		_, ok := Int([]byte(in))
		require.False(t, ok, in)
	}
}

// fixed is a set of blobs.
type fixed []string

func (f fixed) Len(id int) int {
	if id >= len(f) {
		return -1
	}
	return len(f[id])
}

func (f fixed) Read(id, off int, dst []byte) int {
	if id >= len(f) || off > len(f[id]) {
		return 0
	}
	return copy(dst, f[id][off:])
}

func TestTokens(t *testing.T) {
	tk := Tokens{Nonce: "n0nce123", Blobs: fixed{`data:image/png;base64,QUJD`, `say \"hi\"\n`, "   \\n "}}
	tok := func(s string) string { return "~bn0nce123." + s + "~" }
	s := Str("x" + tok("0") + "y")
	require.True(t, tk.Has(s))
	require.Equal(t, "xdata:image/png;base64,QUJDy", tk.Decode(s))
	require.True(t, tk.HasPrefix(s, "xdata:"))
	require.False(t, tk.HasPrefix(s, "data:"))
	require.Equal(t, tok("0.22.4")+"y", string(tk.Cut(s, 23)))
	require.Equal(t, "QUJDy", tk.Decode(tk.Cut(s, 23)))
	require.Equal(t, "y", string(tk.Cut(s, 27)))
	require.Equal(t, tok("0.24.2"), string(tk.Cut(tk.Cut(Str(tok("0")), 22), 2)))
	require.True(t, tk.Blank(Str(tok("2"))))
	require.False(t, tk.Blank(Str(tok("1"))))

	quoted := tk.AppendQuoted(nil, []byte(`{"a":"`+tok("1")+`"}`))
	require.Equal(t, `{\"a\":\"`+tok("1.q")+`\"}`, string(quoted))
	require.Equal(t, `{"a":"say \"hi\"\n"}`, Str(tk.Expand(quoted)).String())
	back, ok := tk.AppendUnquoted(nil, quoted)
	require.True(t, ok)
	require.Equal(t, `{"a":"`+tok("1")+`"}`, string(back))
	_, ok = tk.AppendUnquoted(nil, Str("x"+tok("1")))
	require.False(t, ok)
	require.Equal(t, tok("1.2.3.qq"), string(tk.AppendQuoted(nil, []byte(tok("1.2.3.q")))))

	for _, forged := range []string{"~bother000.0~", "~bn0nce123.x~", "~bn0nce123.0", "~b", "~"} {
		require.False(t, tk.Has([]byte(forged)), forged)
	}
}

func TestChecker(t *testing.T) {
	for in, want := range map[string]bool{
		`{}`: true, ` {"a":[1,-2.5e+3,{"b":null}],"c":"\u00e9\n"} `: true, `{"a":1`: false, `[1]`: false, `{"a":01}`: false,
		`{"a":1,}`: false, `{"a" 1}`: false, `{"a":tru}`: false, `{"a":[1,]}`: false, `{} {}`: true, "": false,
	} {
		for i := 0; i <= len(in); i++ {
			var c Checker
			if c.Feed([]byte(in[:i])) == i {
				c.Feed([]byte(in[i:]))
			}
			require.Equal(t, want, c.Complete(), "%q at %d", in, i)
		}
	}
}

func FuzzValid(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e3,"x\u0041"]}`, `[]`, `nul`, `"\ud800"`, `{"a":}`, `-`, `1e`, "\"\x01\""} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		valid := Valid(b) == nil
		if strings.Count(string(b), "[")+strings.Count(string(b), "{") < MaxDepth {
			require.Equal(t, json.Valid(b), valid)
		}
		var c Checker
		if n := c.Feed(b); n == len(b) && c.Complete() {
			require.True(t, valid)
		} else {
			require.False(t, IsObject(b))
		}
		if valid {
			walk(t, Trim(b))
		}
		for it := Object(b); it.Next(); {
			_ = it.Key()
		}
		s := Str(b)
		_ = s.String()
		_ = Tokens{}.Blank(s)
		quoted := Tokens{}.AppendQuoted(nil, b)
		back, ok := Tokens{}.AppendUnquoted(nil, quoted)
		require.True(t, ok)
		require.Equal(t, string(b), string(back))
	})
}

// walk checks that the iterators see what encoding/json sees.
func walk(t *testing.T, v []byte) {
	switch KindOf(v) {
	case Obj:
		n := 0
		for it := Object(v); it.Next(); n++ {
			require.NoError(t, Valid(it.Value()))
			walk(t, it.Value())
		}
		var m map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(v, &m))
		require.GreaterOrEqual(t, n, len(m))
	case Arr:
		n := 0
		for it := Array(v); it.Next(); n++ {
			walk(t, it.Value())
		}
		var a []json.RawMessage
		require.NoError(t, json.Unmarshal(v, &a))
		require.Len(t, a, n)
	case String:
		var s string
		require.NoError(t, json.Unmarshal(v, &s))
		if json.Valid(v) && strings.ToValidUTF8(string(v), "") == string(v) {
			require.Equal(t, s, StrOf(v).String())
		}
	}
}

func BenchmarkValid(b *testing.B) {
	doc := []byte(`{"messages":[` + strings.Repeat(`{"role":"user","content":"~bn0nce123.1~"},`, 300) + `{}]}`)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if Valid(doc) != nil {
			b.Fatal("invalid")
		}
	}
}

func BenchmarkWalk(b *testing.B) {
	doc := []byte(`{"messages":[` + strings.Repeat(`{"role":"user","content":"~bn0nce123.1~"},`, 300) + `{}]}`)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		for it := Array(Get(doc, "messages")); it.Next(); {
			for f := Object(it.Value()); f.Next(); {
				n += len(f.Key())
			}
		}
		if n == 0 {
			b.Fatal("nothing read")
		}
	}
}
