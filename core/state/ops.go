package state

import "bytes"

// checkOps refuses what no engine need take.
func checkOps(ops []op) error {
	for i := range ops {
		if n := len(ops[i].key); n == 0 || n > MaxKey {
			return ErrTooLarge
		}
		if len(ops[i].value) > MaxValue {
			return ErrTooLarge
		}
	}
	return nil
}

// sameValue compares a stored value with an expected one, nil meaning that
// there is none.
func sameValue(have, want []byte) bool {
	return (have == nil) == (want == nil) && bytes.Equal(have, want)
}

// nonNil keeps "empty" and "missing" apart.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
