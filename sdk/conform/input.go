package conform

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/omniroute/omniroute/sdk"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/fixture"
)

func inputChecks() []check {
	return []check{
		{"cases", "its recorded cases give what was recorded", (*kit).cases},
		{"repeatable", "equal input gives equal output, again in one instance and in a fresh one, for equal fuel", (*kit).repeatable},
		{"unknown-tags", "fields that it does not know change nothing", (*kit).unknownTags},
		{"critical-tags", "critical fields that it does not know are refused", (*kit).criticalTags},
		{"empty-input", "empty input is answered", (*kit).emptyInput},
		{"cut-input", "input that breaks off anywhere is refused, not fallen over", (*kit).cutInput},
		{"broken-input", "bytes that are no record, no JSON or no UTF-8 are answered", (*kit).brokenInput},
		{"large-input", "bodies of a megabyte stay within fuel and memory", (*kit).largeInput},
	}
}

func (k *kit) cases() error {
	if len(k.Cases) == 0 {
		return errSkip
	}
	for _, c := range k.Cases {
		_, problems, err := c.Check(k.start)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		if len(problems) > 0 {
			return fmt.Errorf("%s: %s", c.Name, problems[0])
		}
		k.close()
	}
	return nil
}

func (k *kit) repeatable() error {
	return k.each(func(r fixture.Runner, s sample) error {
		first, isError, err := r.Call(s.op, 0, s.in, s.host)
		if err != nil {
			return err
		}
		fuel := r.(fixture.Meter).Fuel()
		again, sameError, err := r.Call(s.op, 0, s.in, s.host)
		if err != nil {
			return err
		}
		if !bytes.Equal(first, again) || isError != sameError {
			return errors.New("the second call of one instance gives other output: it keeps something between calls")
		}
		fresh, err := k.start()
		if err != nil {
			return err
		}
		if s.conf != nil {
			if _, _, err := fresh.Call(abi.OpConfigure, 0, s.conf, s.host); err != nil {
				return err
			}
		}
		again, sameError, err = fresh.Call(s.op, 0, s.in, s.host)
		if err != nil {
			return err
		}
		if !bytes.Equal(first, again) || isError != sameError {
			return errors.New("another instance gives other output")
		}
		if other := fresh.(fixture.Meter).Fuel(); other != fuel {
			return fmt.Errorf("another instance burns %d units of fuel, the first one %d", other, fuel)
		}
		return nil
	})
}

// A tag and the same tag with the critical flag that no version of the ABI
// will have.
var (
	strange  = []byte{0xfe, 0x7f, 0, 0, 3, 0, 0, 0, 'a', 'b', 'c'}
	critical = []byte{0xfe, 0x7f, 1, 0, 3, 0, 0, 0, 'a', 'b', 'c'}
)

func (k *kit) unknownTags() error {
	return k.each(func(r fixture.Runner, s sample) error {
		want, isError, err := r.Call(s.op, 0, s.in, s.host)
		if err != nil {
			return err
		}
		got, sameError, err := r.Call(s.op, 0, append(bytes.Clone(strange), s.in...), s.host)
		if err == nil && (!bytes.Equal(want, got) || isError != sameError) {
			err = errors.New("a field that it does not know changes its output")
		}
		return err
	})
}

func (k *kit) criticalTags() error {
	return k.each(func(r fixture.Runner, s sample) error {
		if s.op == abi.OpDescribe || s.op == abi.OpSelfTest { // they have no input
			return nil
		}
		_, isError, err := r.Call(s.op, 0, append(bytes.Clone(critical), s.in...), s.host)
		if err == nil && !isError {
			err = errors.New("it goes on although a critical field was not understood")
		}
		return err
	})
}

// operations that a plugin may be called with.
var operations = []abi.Op{
	abi.OpDescribe, abi.OpConfigure, abi.OpSelfTest, abi.OpTrRequest, abi.OpTrResponse, abi.OpTrOpen, abi.OpTrData, abi.OpTrEnd,
	abi.OpTrError, abi.OpExPlan, abi.OpExResult, abi.OpExOpen, abi.OpExData, abi.OpExEnd, abi.OpExSign, abi.OpAuthStart,
	abi.OpAuthNext, abi.OpAuthRefresh, abi.OpAuthImport, abi.OpModels, abi.OpQuota, abi.OpResume,
}

func (k *kit) emptyInput() error {
	r, err := k.start()
	if err != nil {
		return err
	}
	for _, op := range operations {
		if _, _, err := r.Call(op, 1, nil, world); err != nil {
			return err
		}
	}
	return nil
}

// most positions at which one input is cut.
const mostCuts = 200

func (k *kit) cutInput() error {
	return k.each(func(r fixture.Runner, s sample) error {
		if s.op == abi.OpDescribe || s.op == abi.OpSelfTest {
			return nil
		}
		step := max(1, len(s.in)/mostCuts)
		for n := 1; n < len(s.in); n += step {
			_, isError, err := r.Call(s.op, 0, s.in[:n], s.host)
			if err != nil {
				return fmt.Errorf("cut after %d bytes: %w", n, err)
			}
			if cut := abi.Read(s.in[:n]); !isError && drain(&cut) != nil {
				return fmt.Errorf("cut after %d bytes it answers as if nothing were missing", n)
			}
		}
		return nil
	})
}

func drain(r *abi.Reader) error {
	for r.Next() {
	}
	return r.Err()
}

func (k *kit) brokenInput() error {
	r, err := k.start()
	if err != nil {
		return err
	}
	random := sdk.Splitmix(7)
	for _, op := range operations {
		for size := range 64 {
			b := make([]byte, size)
			for i := range b {
				b[i] = byte(random())
			}
			if _, _, err := r.Call(op, 1, b, world); err != nil {
				return fmt.Errorf("random bytes: %w", err)
			}
		}
	}
	return k.each(func(r fixture.Runner, s sample) error {
		for _, text := range []string{
			"", "{", `{"a"`, `{"a":`, `{"a":"`, `"\ud83d`, "[[[[", "}}}}", "nul", "\xff\xfe\xf0\x9f", `{"messages":"\xc3"}`, `{"error":{"message":"` + "\xe2\x82" + `"}}`,
			`{"messages":[{"role":null}],"tools":{},"choices":[0]}`,
		} {
			if _, _, err := r.Call(s.op, 0, withBody(s.in, []byte(text)), s.host); err != nil {
				return fmt.Errorf("body %q: %w", text, err)
			}
		}
		return nil
	})
}

// withBody replaces the body, or adds one.
func withBody(in, body []byte) []byte {
	var w abi.Writer
	r := abi.Read(in)
	for r.Next() {
		if f := r.Field(); f.Tag != abi.TagBody {
			w.Bytes(f.Tag, f.Value)
		}
	}
	w.Bytes(abi.TagBody, body)
	return w.Buf
}

func (k *kit) largeInput() error {
	const size = 1 << 20
	body := []byte(`{"model":"m","messages":[`)
	for len(body) < size {
		body = append(body, `{"role":"user","content":"one of many messages, each short enough to be seen"},`...)
	}
	body = append(body[:len(body)-1], `]}`...)
	return k.each(func(r fixture.Runner, s sample) error {
		_, _, err := r.Call(s.op, 0, withBody(s.in, body), s.host)
		return err
	})
}
