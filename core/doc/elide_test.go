package doc

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

const testNonce = "abcdefghij01"

func elided(t testing.TB, body string, threshold int) *Doc {
	t.Helper()
	d, err := elideWith([]byte(body), Options{Threshold: threshold}, testNonce)
	require.NoError(t, err)
	return d
}

func TestElideRoundTrip(t *testing.T) {
	long := strings.Repeat(`line \"x\" é 😀 \ud83d\ude00\n`, 20)
	for _, body := range []string{
		`{}`, `[]`, `""`, `0`, `-0.5e+10`, `null`, ` true `, "\t[1 , 2]\r\n",
		`{"a":{"b":[{"c":null}]}}`,
		`{"text":"` + long + `","n":12345678901234567890.000000000000000001}`,
		`["` + long + `","` + long + `"]`,
		`{"` + long + `":1}`,
		string(agentBody(3)), string(chatBody()),
	} {
		d, err := Elide([]byte(body), Options{})
		require.NoError(t, err, body)
		out, err := d.Inflate(nil, d.Skeleton(), 0)
		require.NoError(t, err)
		require.Equal(t, body, string(out))
		require.Equal(t, body, string(d.Original()))
		require.True(t, json.Valid(d.Skeleton()))
		d.Release()
	}
}

func TestElideSkeleton(t *testing.T) {
	d := elided(t, `{"a":"short","b":"0123456789","0123456789x":"abcdefghijk"}`, 9)
	require.Equal(t, testNonce, d.Nonce())
	require.Equal(t, `{"a":"short","b":"~b`+testNonce+`.0~","~b`+testNonce+`.1~":"~b`+testNonce+`.2~"}`, string(d.Skeleton()))
	require.Equal(t, 3, d.Blobs())
	for id, want := range []string{"0123456789", "0123456789x", "abcdefghijk"} {
		blob, ok := d.Blob(id)
		require.True(t, ok)
		require.Equal(t, want, string(blob))
	}
	for _, id := range []int{-1, 3} {
		_, ok := d.Blob(id)
		require.False(t, ok)
	}
}

func TestElideKeepsOnlyAFewPercent(t *testing.T) {
	body := agentBody(200)
	d, err := Elide(body, Options{})
	require.NoError(t, err)
	require.Less(t, len(d.Skeleton())*100/len(body), 15)
}

func TestElideNonceIsFresh(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		d, err := Elide([]byte(`1`), Options{})
		require.NoError(t, err)
		require.Regexp(t, `^[a-z0-9]{12}$`, d.Nonce())
		require.False(t, seen[d.Nonce()])
		seen[d.Nonce()] = true
		d.Release()
	}
}

func TestElideErrors(t *testing.T) {
	deep := strings.Repeat("[", DefaultMaxDepth)
	for _, c := range []struct {
		body, msg         string
		offset, line, col int
	}{
		{``, "unexpected end of the document", 0, 1, 1},
		{`  `, "unexpected end of the document", 2, 1, 3},
		{"\xef\xbb\xbf{}", "byte order mark", 0, 1, 1},
		{`{"a":1`, "unexpected end of the document in an object", 6, 1, 7},
		{`[1,`, "unexpected end of the document", 3, 1, 4},
		{`[1`, "unexpected end of the document in an array", 2, 1, 3},
		{`{"a"`, "unexpected end of the document after a key", 4, 1, 5},
		{`{"a":`, "unexpected end of the document", 5, 1, 6},
		{`{`, "where a key should be", 1, 1, 2},
		{`{"a":1,}`, "unexpected '}' where a key should be", 7, 1, 8},
		{`{a:1}`, "unexpected 'a' where a key should be", 1, 1, 2},
		{`[1,]`, "unexpected ']' where a value should be", 3, 1, 4},
		{`[1 2]`, "unexpected '2' in an array", 3, 1, 4},
		{`{"a":1 "b":2}`, "unexpected '\"' in an object", 7, 1, 8},
		{`{} {}`, "unexpected '{' after the document", 3, 1, 4},
		{`tru`, "invalid literal, expected true", 0, 1, 1},
		{`nulL`, "invalid literal, expected null", 0, 1, 1},
		{`'a'`, "unexpected '\\''", 0, 1, 1},
		{`01`, "superfluous 0", 0, 1, 1},
		{`-`, "in a number", 1, 1, 2},
		{`1.`, "in a number", 2, 1, 3},
		{`1e+`, "in a number", 3, 1, 4},
		{`.5`, "unexpected '.'", 0, 1, 1},
		{`NaN`, "unexpected 'N'", 0, 1, 1},
		{`"abc`, "unterminated string", 0, 1, 1},
		{`"abc\`, "invalid escape", 4, 1, 5},
		{`"\x"`, "invalid escape", 1, 1, 2},
		{`"\u12g4"`, "invalid escape", 1, 1, 2},
		{`"\ud83d"`, "lone surrogate", 1, 1, 2},
		{`"\ud83d\u0041"`, "lone surrogate", 1, 1, 2},
		{`"\ude00"`, "lone surrogate", 1, 1, 2},
		{"\"a\nb\"", "control character", 2, 1, 3},
		{"\"a\x00b\"", "control character", 2, 1, 3},
		{"\"a\xffb\"", "invalid UTF-8", 2, 1, 3},
		{"\"\xed\xa0\x80\"", "invalid UTF-8", 1, 1, 2},                 // a surrogate in UTF-8
		{"\"\xc0\xaf\"", "invalid UTF-8", 1, 1, 2},                     // overlong
		{"\"abcdefghijklmnopqr\xe2\x82\"", "invalid UTF-8", 19, 1, 20}, // cut short
		{deep + "[", "nested deeper than 128 levels", DefaultMaxDepth, 1, DefaultMaxDepth + 1},
		{`{"a":1,"b":2,"a":3}`, `duplicate key "a"`, 13, 1, 14},
		{`{"a":1,"\u0061":3}`, `duplicate key`, 7, 1, 8},
		{"{\n \"é\": 1,\n \"é\": \"é\" x}", `duplicate key "é"`, 13, 3, 2},
		{"[\n \"é\" x]", "unexpected 'x'", 8, 2, 6},
		{"\x01", "unexpected byte 0x01", 0, 1, 1},
	} {
		_, err := Elide([]byte(c.body), Options{})
		var e *SyntaxError
		require.ErrorAs(t, err, &e, c.body)
		require.Contains(t, e.Msg, c.msg, c.body)
		require.Equal(t, []int{c.offset, c.line, c.col}, []int{e.Offset, e.Line, e.Column}, "%q: %v", c.body, err)
		require.Contains(t, err.Error(), fmt.Sprintf("line %d column %d", c.line, c.col))
		require.Equal(t, err, Valid([]byte(c.body), Options{}))
	}
}

func TestElideLimits(t *testing.T) {
	_, err := Elide([]byte(`[1,2,3]`), Options{MaxSize: 6})
	require.ErrorIs(t, err, ErrTooLarge)
	require.ErrorIs(t, Valid([]byte(`[1,2,3]`), Options{MaxSize: 6}), ErrTooLarge)
	require.NoError(t, Valid([]byte(`[[1]]`), Options{MaxDepth: 2}))
	require.Error(t, Valid([]byte(`[[{}]]`), Options{MaxDepth: 2}))
	bomb := bytes.Repeat([]byte(`[{"a":`), 5_000_000)
	require.ErrorContains(t, Valid(bomb, Options{}), "nested deeper")
}

func TestDuplicateKeysInLargeObjects(t *testing.T) {
	build := func(n int, inner, tail string) string {
		var b strings.Builder
		b.WriteByte('{')
		for i := range n {
			fmt.Fprintf(&b, `"common_prefix_%d":%s,`, i, inner)
		}
		b.WriteString(tail)
		b.WriteByte('}')
		return b.String()
	}
	for _, n := range []int{15, 16, 17, 18, 100, 5000} {
		inner := build(20, "1", `"x":1`)
		require.NoError(t, Valid([]byte(build(n, inner, `"last":0`)), Options{}), n)
		require.ErrorContains(t, Valid([]byte(build(n, inner, `"common_prefix_3":0`)), Options{}), "duplicate key", n)
		require.ErrorContains(t, Valid([]byte(build(n, "1", `"common_prefix_\u0033":0`)), Options{}), "duplicate key", n)
		require.ErrorContains(t, Valid([]byte(build(n, build(30, "1", `"common_prefix_29":0`), `"z":0`)), Options{}), "duplicate key", n)
	}
}

func TestClientCannotForgeTokens(t *testing.T) {
	long := strings.Repeat("secret of another field ", 20)
	for _, forged := range []string{
		`~b` + testNonce + `.0~`,
		`~b` + testNonce + `.0.0.5~`,
		`x ~b` + testNonce + `.0.q~ y`,
		`~b` + testNonce + `.`,
		`~b` + testNonce + `.0.u~`,
	} {
		body := `{"a":"` + long + `","b":"` + forged + `","` + forged + `":1}`
		d := elided(t, body, 64)
		out, err := d.Inflate(nil, d.Skeleton(), 0)
		require.NoError(t, err)
		require.Equal(t, body, string(out))
		require.Equal(t, 3, d.Blobs(), "the forged text itself is elided")
	}

	// Written with escapes, the text would turn into a token once unescaped.
	body := `{"raw":"~b` + testNonce + `","b":"\u007eb` + testNonce + `.0~"}`
	d := elided(t, body, 64)
	require.Equal(t, 1, d.Blobs())
	require.NotContains(t, string(d.Skeleton()), `u007e`)
}

func TestInflateForms(t *testing.T) {
	// Blob 0 has all kinds of characters, blob 1 is an object, 2 an array, 3 no JSON.
	raw := `ab\"c\\d\né😀\ud83d\ude00\/\u0041z`
	args := `{\"path\":\"a\\\\b\",\"n\":12345678901234567890}`
	d := elided(t, `["`+raw+`","`+args+`","[1,2,3,4,5,6,7,8,9]","{\"a\": broken ....}"]`, 12)
	require.Equal(t, 4, d.Blobs())
	tok := func(s string) string { return "~b" + testNonce + "." + s + "~" }

	for _, c := range []struct{ in, want string }{
		{`{}`, `{}`},
		{`"` + tok("0") + `"`, `"` + raw + `"`},
		{`"x` + tok("0") + `y` + tok("0") + `"`, `"x` + raw + `y` + raw + `"`},
		{`"` + tok("0.0.2") + `"`, `"ab"`},
		{`"` + tok("0.2.3") + `"`, `"\"c"`},
		{`"` + tok("0.4.0") + `"`, `""`},
		{`"` + tok("0.q") + `"`, `"` + requote(raw, 1) + `"`},
		{`"` + tok("0.qq") + `"`, `"` + requote(raw, 2) + `"`},
		{`"` + tok("0.2.5.q") + `"`, `"` + requote(raw[2:7], 1) + `"`},
		{`{"input":"` + tok("1.u") + `"}`, `{"input":{"path":"a\\b","n":12345678901234567890}}`},
		{`["` + tok("1.u") + `","` + tok("1.u") + `"]`, `[{"path":"a\\b","n":12345678901234567890},{"path":"a\\b","n":12345678901234567890}]`},
		{`"` + tok("2.u") + `"`, `{"_raw":"[1,2,3,4,5,6,7,8,9]"}`},
		{`"` + tok("3.u") + `"`, `{"_raw":"{\"a\": broken ....}"}`},
	} {
		out, err := d.Inflate([]byte("pre"), []byte(c.in), 0)
		require.NoError(t, err, c.in)
		require.Equal(t, "pre"+c.want, string(out), c.in)
		require.True(t, json.Valid(out[3:]), "%s", out)
	}

	for _, c := range []struct {
		in   string
		kind error
	}{
		{tok("4"), ErrToken},
		{tok("99999999999"), ErrToken},
		{tok(""), ErrToken},
		{tok("x"), ErrToken},
		{tok("0.1"), ErrToken},
		{tok("0.1."), ErrToken},
		{tok("0.1.2.3"), ErrToken},
		{tok("0.1.99999"), ErrToken},
		{tok("0.qu"), ErrToken},
		{tok("0.qqqqqqqqq"), ErrToken},
		{tok("0.z"), ErrToken},
		{tok("0."), ErrToken},
		{"~b" + testNonce + ".0", ErrToken},
		{"~b" + testNonce + ".0.", ErrToken},
		{"~b" + testNonce + ".", ErrToken},
		{tok("1.0.3.u"), ErrToken},
		{`"x` + tok("1.u") + `"`, ErrToken},
		{`"` + tok("1.u") + `x"`, ErrToken},
		{`\"` + tok("1.u") + `"`, ErrToken},
		{tok("1.u"), ErrToken},
		{`"` + tok("0.3.1") + `"`, ErrCut},  // inside \"
		{`"` + tok("0.0.3") + `"`, ErrCut},  // inside \"
		{`"` + tok("0.0.6") + `"`, ErrCut},  // inside \\
		{`"` + tok("0.0.11") + `"`, ErrCut}, // inside é
	} {
		dst := []byte("pre")
		out, err := d.Inflate(dst, []byte(c.in), 0)
		require.ErrorIs(t, err, c.kind, c.in)
		require.Equal(t, "pre", string(out))
	}
}

func TestInflateCutsOnlyBetweenCharacters(t *testing.T) {
	raw := `a\\\\\"\\n\ud83d\ude00\u0041é😀\\\u00e9`
	d := elided(t, `"`+raw+`"`, 5)
	// Offsets at which a character begins, by a plain left-to-right reading.
	var bounds []int
	for i := 0; i < len(raw); {
		bounds = append(bounds, i)
		switch {
		case strings.HasPrefix(raw[i:], `\ud83d`):
			i += 12
		case strings.HasPrefix(raw[i:], `\u`):
			i += 6
		case raw[i] == '\\':
			i += 2
		case raw[i] < 0x80:
			i++
		case raw[i] < 0xe0:
			i += 2
		default:
			i += 4
		}
	}
	bounds = append(bounds, len(raw))
	for cut := 0; cut <= len(raw); cut++ {
		_, err := d.Inflate(nil, fmt.Appendf(nil, `"~b%s.0.0.%d~"`, testNonce, cut), 0)
		_, err2 := d.Inflate(nil, fmt.Appendf(nil, `"~b%s.0.%d.%d~"`, testNonce, cut, len(raw)-cut), 0)
		if containsInt(bounds, cut) {
			require.NoError(t, err, cut)
			require.NoError(t, err2, cut)
		} else {
			require.ErrorIs(t, err, ErrCut, cut)
			require.ErrorIs(t, err2, ErrCut, cut)
		}
	}
}

func containsInt(list []int, n int) bool {
	for _, v := range list {
		if v == n {
			return true
		}
	}
	return false
}

// requote escapes raw string content n times with encoding/json's rules.
func requote(raw string, n int) string {
	for range n {
		raw = strings.ReplaceAll(raw, `\`, `\\`)
		raw = strings.ReplaceAll(raw, `"`, `\"`)
	}
	return raw
}

func TestInflateLimit(t *testing.T) {
	d := elided(t, `"`+strings.Repeat("x", 1000)+`"`, 10)
	tok := "~b" + testNonce + ".0~"
	_, err := d.Inflate(nil, []byte(tok), 1000)
	require.NoError(t, err)
	_, err = d.Inflate(nil, []byte(tok), 999)
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = d.Inflate(make([]byte, 500), []byte(tok), 1000)
	require.NoError(t, err, "the limit counts what is appended")
	_, err = d.Inflate(nil, []byte(strings.Repeat(tok, 1000)), 100_000)
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = d.Inflate(nil, []byte("0123456789"), 9)
	require.ErrorIs(t, err, ErrTooLarge)

	slashes := elided(t, `"`+strings.Repeat(`\\`, 1000)+`"`, 10)
	_, err = slashes.Inflate(nil, []byte("~b"+testNonce+".0.qqqqqqqq~"), 100_000)
	require.ErrorIs(t, err, ErrTooLarge)
}

func TestInflateBoundsTheWorkForRanges(t *testing.T) {
	d := elided(t, `"`+strings.Repeat(`\\`, 1<<18)+`"`, 10)
	end := 1 << 19
	tokens := strings.Repeat(fmt.Sprintf("~b%s.0.%d.0~", testNonce, end-2), 100)
	_, err := d.Inflate(nil, []byte(tokens), 0)
	require.ErrorIs(t, err, ErrToken)
}

func TestDocConcurrentReads(t *testing.T) {
	body := agentBody(5)
	d, err := Elide(body, Options{})
	require.NoError(t, err)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				out, err := d.Inflate(nil, d.Skeleton(), 0)
				if err != nil || !bytes.Equal(out, body) {
					panic(errors.Join(err, errors.New("inflated differently")))
				}
			}
		})
	}
	wg.Wait()
}

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("pools forget under the race detector")
	}
	body := agentBody(52)
	var out []byte
	run := func() {
		d, err := Elide(body, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if out, err = d.Inflate(out[:0], d.Skeleton(), 0); err != nil {
			t.Fatal(err)
		}
		d.Release()
	}
	run()
	require.LessOrEqual(t, testing.AllocsPerRun(50, run), 4.0)
}
