package doc

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

const sample = ` {"model":"gpt \"5\"","n":12345678901234567890,"i":-7,"f":1.5e3,"t":true,"nil":null,` +
	`"messages":[ {"role":"user"}, {"role":"assistant","content":[1,"a]}",{}]} ],"a\u0062":"\u00e9\ud83d\ude00","empty":{},"list":[]} `

func TestGet(t *testing.T) {
	for _, c := range []struct {
		path []string
		want string
	}{
		{[]string{"model"}, `"gpt \"5\""`},
		{[]string{"n"}, `12345678901234567890`},
		{[]string{"messages", "1", "content", "1"}, `"a]}"`},
		{[]string{"messages", "0"}, `{"role":"user"}`},
		{[]string{"ab"}, `"\u00e9\ud83d\ude00"`},
		{[]string{"empty"}, `{}`},
	} {
		raw, ok := Get([]byte(sample), c.path...)
		require.True(t, ok, c.path)
		require.Equal(t, c.want, string(raw))
	}
	for _, path := range [][]string{{"x"}, {"model", "x"}, {"messages", "2"}, {"messages", "-1"}, {"messages", "a"}, {"empty", "a"}, {"list", "0"}} {
		_, ok := Get([]byte(sample), path...)
		require.False(t, ok, path)
	}
	raw, ok := Get([]byte(" [1] "))
	require.True(t, ok)
	require.Equal(t, "[1]", string(raw))
}

func TestTypedGetters(t *testing.T) {
	s, ok := String([]byte(sample), "model")
	require.True(t, ok)
	require.Equal(t, `gpt "5"`, s)
	s, ok = String([]byte(sample), "ab")
	require.True(t, ok)
	require.Equal(t, "é😀", s)
	_, ok = String([]byte(sample), "i")
	require.False(t, ok)

	n, ok := Int([]byte(sample), "i")
	require.True(t, ok)
	require.EqualValues(t, -7, n)
	n, ok = Int([]byte(sample), "f")
	require.True(t, ok)
	require.EqualValues(t, 1500, n)
	for _, key := range []string{"n", "model", "t", "nil", "none"} {
		_, ok = Int([]byte(sample), key)
		require.False(t, ok, key)
	}
	f, ok := Float([]byte(sample), "f")
	require.True(t, ok)
	require.Equal(t, 1500.0, f)
	_, ok = Float([]byte(sample), "nil")
	require.False(t, ok)

	b, ok := Bool([]byte(sample), "t")
	require.True(t, ok && b)
	_, ok = Bool([]byte(sample), "nil")
	require.False(t, ok)
}

func TestScanAndEach(t *testing.T) {
	var keys []string
	require.True(t, Scan([]byte(sample), func(key, _ []byte) bool {
		keys = append(keys, string(key))
		return string(key) != "ab"
	}))
	require.Equal(t, []string{"model", "n", "i", "f", "t", "nil", "messages", "ab"}, keys)
	require.True(t, Scan([]byte(`{}`), nil))
	require.False(t, Scan([]byte(`[]`), nil))
	require.False(t, Scan([]byte(`{"a":1`), func(_, _ []byte) bool { return true }))

	var got []string
	require.True(t, Each([]byte(`[1, {"a":[2]} ,"x,y"]`), func(i int, raw []byte) bool {
		require.Equal(t, len(got), i)
		got = append(got, string(raw))
		return true
	}))
	require.Equal(t, []string{"1", `{"a":[2]}`, `"x,y"`}, got)
	require.False(t, Each([]byte(`{}`), nil))
	require.False(t, Each([]byte(`[1 2]`), func(int, []byte) bool { return true }))
}

func TestSet(t *testing.T) {
	for _, c := range []struct {
		in   string
		path []string
		want string
		ok   bool
	}{
		{`{"a":1, "b" : 2}`, []string{"b"}, `{"a":1, "b" : 9}`, true},
		{` {"a":1} `, []string{"b"}, ` {"a":1,"b":9} `, true},
		{`{ }`, []string{"b"}, `{"b":9 }`, true},
		{`{"a":{"x":[1,2]}}`, []string{"a", "x", "1"}, `{"a":{"x":[1,9]}}`, true},
		{`{"a":{"x":[1,2]}}`, []string{"a", "x", "2"}, `{"a":{"x":[1,2,9]}}`, true},
		{`{"a":[]}`, []string{"a", "0", "k"}, `{"a":[{"k":9}]}`, true},
		{`{"a":{}}`, []string{"a", "b", "c\"d"}, `{"a":{"b":{"c\"d":9}}}`, true},
		{`{"a":[1]}`, []string{"a", "5"}, `{"a":[1]}`, false},
		{`{"a":1}`, []string{"a", "b"}, `{"a":1}`, false},
		{`{"a":1`, []string{"b"}, `{"a":1`, false},
		{`1`, nil, `9`, true},
	} {
		out, ok := Set([]byte(">"), []byte(c.in), []byte("9"), c.path...)
		require.Equal(t, c.ok, ok, c.in)
		require.Equal(t, ">"+c.want, string(out))
	}
}

func TestDelete(t *testing.T) {
	for _, c := range []struct {
		in   string
		path []string
		want string
		ok   bool
	}{
		{`{"a":1, "b" : 2, "c":3}`, []string{"b"}, `{"a":1, "c":3}`, true},
		{`{"a":1, "b" : 2}`, []string{"a"}, `{"b" : 2}`, true},
		{`{"a":1, "b" : 2 }`, []string{"b"}, `{"a":1 }`, true},
		{`{ "a" : 1 }`, []string{"a"}, `{  }`, true},
		{`{"a":[1,2,3]}`, []string{"a", "1"}, `{"a":[1,3]}`, true},
		{`[1,2]`, []string{"0"}, `[2]`, true},
		{`{"a":1}`, []string{"b"}, `{"a":1}`, false},
		{`{"a":1}`, nil, `{"a":1}`, false},
	} {
		out, ok := Delete([]byte(">"), []byte(c.in), c.path...)
		require.Equal(t, c.ok, ok, c.in)
		require.Equal(t, ">"+c.want, string(out))
	}
}

func TestQuoteUnquote(t *testing.T) {
	for _, s := range []string{"", "plain", "q\" b\\ s/ \n\r\t\b\f\x00\x1f\x7f", "é😀\u2028", "<&>"} {
		quoted := Quote(nil, s)
		var std string
		require.NoError(t, json.Unmarshal(quoted, &std))
		require.Equal(t, s, std)
		back, ok := Unquote([]byte("x"), quoted)
		require.True(t, ok)
		require.Equal(t, "x"+s, string(back))
	}
	require.Equal(t, `"a`+"\ufffd"+`b"`, string(Quote(nil, "a\xffb")))
	for _, raw := range []string{``, `"`, `a`, `"a`, `"a"b"`, `"a\"`, `12`} {
		_, ok := Unquote(nil, []byte(raw))
		require.False(t, ok, raw)
	}
	back, ok := Unquote(nil, []byte(`"\ud83dx\q\u12"`))
	require.True(t, ok)
	require.Equal(t, "\ufffdx\\q\\u12", string(back))
}
