package cases

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func parse(t *testing.T, text string) Value {
	t.Helper()
	v, err := Parse([]byte(text))
	require.NoError(t, err, text)
	return v
}

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, value string
		want           bool
	}{
		{`{"a":1}`, `{"a":1,"b":2}`, true},
		{`{"a":1}`, `{"b":2}`, false},
		{`{"a":null}`, `{"a":null}`, true},
		{`{"a":null}`, `{}`, false},
		{`{}`, `{"x":1}`, true},
		{`{}`, `[]`, false},
		{`[1,{}]`, `[1,{"a":2}]`, true},
		{`[1]`, `[1,2]`, false},
		{`"a"`, `"a"`, true},
		{`1`, `1.0`, true},
		{`1`, `"1"`, false},
		{`100`, `1e2`, true},
		{`12345678901234567890`, `12345678901234567890`, true},
		{`12345678901234567890`, `12345678901234567891`, false},
		{`0.1`, `0.10000000000000001`, false},
		{`0`, `-0.0`, true},
		{`true`, `true`, true},
		{`{"a":{"$exists":true}}`, `{"a":null}`, true},
		{`{"a":{"$exists":true}}`, `{}`, false},
		{`{"a":{"$exists":false}}`, `{}`, true},
		{`{"a":{"$absent":true}}`, `{}`, true},
		{`{"a":{"$absent":true}}`, `{"a":null}`, false},
		{`{"a":{"$absent":true}}`, `[]`, false},
		{`{"$eq":{"a":1,"b":[2]}}`, `{"b":[2.0],"a":1}`, true},
		{`{"$eq":{"a":1}}`, `{"a":1,"b":2}`, false},
		{`{"$eq":{"$len":1}}`, `{"$len":1}`, true},
		{`{"$len":2}`, `"äö"`, true},
		{`{"$len":2}`, `[1,2]`, true},
		{`{"$len":1}`, `{"a":1}`, true},
		{`{"$len":0}`, `0`, false},
		{`{"$type":"boolean"}`, `false`, true},
		{`{"$type":"object"}`, `[]`, false},
		{`{"$regex":"b+$"}`, `"abb"`, true},
		{`{"$regex":"^b"}`, `"abb"`, false},
		{`{"$regex":"1"}`, `1`, false},
		{`{"$prefix":"ab"}`, `"abc"`, true},
		{`{"$contains":"bc"}`, `"abcd"`, true},
		{`{"$contains":{"a":1}}`, `[{"a":2},{"a":1,"z":0}]`, true},
		{`{"$contains":"x"}`, `["xy"]`, false},
		{`{"$any":{"$ge":3}}`, `[1,2,3]`, true},
		{`{"$any":1}`, `[]`, false},
		{`{"$all":{"$le":3}}`, `[1,2,3]`, true},
		{`{"$all":{"$le":2}}`, `[1,2,3]`, false},
		{`{"$json":{"a":1}}`, `"{\"a\":1,\"b\":2}"`, true},
		{`{"$json":{}}`, `"{\"a\""`, false},
		{`{"$json":{}}`, `{}`, false},
		{`{"$oneOf":[1,"a"]}`, `"a"`, true},
		{`{"$oneOf":[1,"a"]}`, `2`, false},
		{`{"a":{"$oneOf":[{"$absent":true},1]}}`, `{}`, true},
		{`{"$not":{"a":1}}`, `{"a":2}`, true},
		{`{"a":{"$not":1}}`, `{}`, true},
		{`{"a":{"$not":1}}`, `{"a":1}`, false},
		{`{"$ge":12345678901234567890}`, `12345678901234567889`, false},
		{`{"$ge":1,"$le":3}`, `2`, true},
		{`{"$ge":1,"$le":3}`, `4`, false},
		{`{"$ge":-2}`, `-1.5`, true},
		{`{"$le":1e400}`, `1e399`, true},
		{`{"$ge":1}`, `"2"`, false},
		{`{"a":{"$capture":"x"},"b":{"$ref":"x"}}`, `{"a":[1],"b":[1.0]}`, true},
		{`{"a":{"$capture":"x"},"b":{"$capture":"x"}}`, `{"a":1,"b":2}`, false},
		{`{"a":{"$capture":"x"},"b":{"$not":{"$ref":"x"}}}`, `{"a":1,"b":2}`, true},
		{`{"b":{"$ref":"x"}}`, `{"b":1}`, false},
		{`{"b":{"$capture":"x"}}`, `{}`, false},
		{`[{"$oneOf":[[{"$capture":"x"},0],{"$len":2}]},{"$capture":"x"}]`, `[[1,2],3]`, true},
		{`[{"$any":{"id":{"$capture":"x"},"ok":true}},{"$ref":"x"}]`, `[[{"id":1},{"id":2,"ok":true}],2]`, true},
		{`[{"$not":{"a":{"$capture":"x"},"b":1}},{"$capture":"x"}]`, `[{"a":1},2]`, true},
	}
	for _, tt := range tests {
		p, err := ParsePattern([]byte(tt.pattern))
		require.NoError(t, err, tt.pattern)
		bad := Match(p, parse(t, tt.value), &Captures{})
		if tt.want {
			require.Nil(t, bad, "%s on %s: %v", tt.pattern, tt.value, bad)
		} else {
			require.NotNil(t, bad, "%s on %s", tt.pattern, tt.value)
			require.NotEmpty(t, bad.Error())
		}
	}
}

func TestMismatchNamesThePlace(t *testing.T) {
	p := parse(t, `{"messages":[{},{"content":[{"type":"text"}]}]}`)
	bad := Match(p, parse(t, `{"messages":[{},{"content":[{"type":"image"}]}]}`), &Captures{})
	require.Equal(t, `messages[1].content[0].type: is "image", want "text"`, bad.Error())
}

func TestFailedMatchLeavesNoCapture(t *testing.T) {
	caps := &Captures{}
	p := parse(t, `{"id":{"$capture":"i"},"ok":true}`)
	require.NotNil(t, Match(p, parse(t, `{"id":1,"ok":false}`), caps))
	require.Nil(t, Match(p, parse(t, `{"id":2,"ok":true}`), caps))
	require.Nil(t, Match(parse(t, `{"$ref":"i"}`), parse(t, `2`), caps))
}

func TestPatternFaults(t *testing.T) {
	for _, p := range []string{
		`{"$eq":1,"a":2}`, `{"a":2,"$eq":1}`, `{"$nope":1}`, `{"$regex":"("}`, `{"$len":"a"}`, `{"$len":-1}`,
		`{"$type":"int"}`, `{"$exists":1}`, `{"$oneOf":{}}`, `{"$oneOf":[]}`, `{"$ge":"1"}`, `{"$capture":1}`,
		`{"a":[{"$all":{"$bad":1}}]}`, `{"$prefix":1}`,
	} {
		_, err := ParsePattern([]byte(p))
		require.Error(t, err, p)
	}
}

func TestSelect(t *testing.T) {
	doc := parse(t, `{"a":{"b":[{"c":1},{"c":2},{"d":3}],"$defs":{"x":4,"y":5}},"list":[[6],[7,8]]}`)
	tests := map[string]string{
		"a.b[0].c": "1", "a.b[*].c": "1 2", "a.b[2].d": "3", "a.b[3]": "", "a.$defs.x": "4", "a.$defs[*]": "4 5",
		"list[*][0]": "6 7", "list[1][*]": "7 8", "nope.b": "", "a.b.c": "",
	}
	for path, want := range tests {
		found, err := Select(doc, path)
		require.NoError(t, err, path)
		got := ""
		for i, f := range found {
			if i > 0 {
				got += " "
			}
			got += string(f.Raw)
		}
		require.Equal(t, want, got, path)
	}
	for _, path := range []string{"", "a..b", "a[", "a[x]", "a[-1]", "a[0]b", ".a"} {
		_, err := Select(doc, path)
		require.Error(t, err, path)
	}
}

func TestCompareNumbers(t *testing.T) {
	ordered := []string{"-1e300", "-10", "-2", "-0.5", "0", "1e-400", "0.1", "0.11", "1", "1.5", "9", "10", "12345678901234567890", "12345678901234567891", "1e99999999999999999999"}
	for i, a := range ordered {
		for j, b := range ordered {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			require.Equal(t, want, compareNumbers(a, b), "%s %s", a, b)
		}
	}
	require.Zero(t, compareNumbers("1000", "1.000e3"))
	require.Zero(t, compareNumbers("0", "-0e5"))
}
