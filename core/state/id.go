package state

import (
	"crypto/rand"
	"encoding/binary"
	"sync"
	"time"
)

// idAlphabet is in byte order, so that ids sort like the numbers they encode
// (Crockford base 32).
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// IDSource makes ids that ascend strictly within one process and follow the
// clock closely: 48 bits of milliseconds, 16 bits of sequence, 32 random bits,
// as 20 letters and digits.
type IDSource struct {
	now func() time.Time

	mu   sync.Mutex
	last uint64 // milliseconds<<16 | sequence
}

// NewIDSource makes a source; now nil = time.Now.
func NewIDSource(now func() time.Time) *IDSource {
	if now == nil {
		now = time.Now
	}
	return &IDSource{now: now}
}

// Next returns a new id.
func (s *IDSource) Next() string {
	stamp := uint64(max(s.now().UnixMilli(), 0)) << 16
	s.mu.Lock()
	// A clock that stands still or goes back counts on from the last id.
	stamp = max(stamp, s.last+1)
	s.last = stamp
	s.mu.Unlock()

	var raw [12]byte
	binary.BigEndian.PutUint64(raw[:8], stamp)
	rand.Read(raw[8:])
	return encodeID(raw)
}

// IDFloor is the smallest id of a moment: scans start there.
func IDFloor(t time.Time) string {
	var raw [12]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(max(t.UnixMilli(), 0))<<16)
	return encodeID(raw)
}

// IDTime is the moment an id was made; ok is false for a text that is no id.
func IDTime(id string) (t time.Time, ok bool) {
	if len(id) != 20 {
		return time.Time{}, false
	}
	// Ten characters hold the first 50 bits; 48 of them are the milliseconds.
	var v uint64
	for i := range 10 {
		d := indexID(id[i])
		if d < 0 {
			return time.Time{}, false
		}
		v = v<<5 | uint64(d)
	}
	return time.UnixMilli(int64(v >> 2)), true
}

func encodeID(raw [12]byte) string {
	var out [20]byte
	bits, acc, n := 0, uint32(0), 0
	for _, b := range raw {
		acc = acc<<8 | uint32(b)
		bits += 8
		for bits >= 5 {
			bits -= 5
			out[n] = idAlphabet[acc>>bits&31]
			n++
		}
	}
	out[n] = idAlphabet[acc<<(5-bits)&31]
	return string(out[:])
}

func indexID(c byte) int {
	for i := range len(idAlphabet) {
		if idAlphabet[i] == c {
			return i
		}
	}
	return -1
}

// Counter reads the value of a counter written by Add.
func Counter(value []byte) (int64, error) {
	if len(value) != 8 {
		return 0, ErrNotCounter
	}
	return int64(binary.BigEndian.Uint64(value)), nil
}

// counterValue is the form of a counter in the store.
func counterValue(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }
