package conform

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/fixture"
)

func streamChecks() []check {
	return []check{
		{"no-stream", "frames and ends of streams that are not open are refused", (*kit).notOpen},
		{"batches", "a stream gives the same events however its frames are batched", (*kit).batches},
		{"ended", "an ended stream is closed, and its handle can be used again", (*kit).ended},
		{"client-gone", "a stream ends in every way there is", (*kit).endings},
		{"interleaved", "streams of one instance do not see each other", (*kit).interleaved},
		{"churn", "thousands of streams, one after another, leave memory flat", (*kit).churn},
		{"many", "256 streams can be open at once", (*kit).many},
	}
}

func (k *kit) notOpen() error {
	r, err := k.start()
	if err != nil {
		return err
	}
	for _, op := range []abi.Op{abi.OpTrData, abi.OpTrEnd, abi.OpExData, abi.OpExEnd} {
		_, isError, err := r.Call(op, 4711, nil, world)
		if err != nil {
			return err
		}
		if !isError {
			return fmt.Errorf("%s of a stream that was never opened is answered as if it were", op)
		}
	}
	return nil
}

// eachStream runs f over every stream, each in a fresh instance.
func (k *kit) eachStream(f func(r fixture.Runner, c fixture.Case) error) error {
	if len(k.streams) == 0 {
		return errSkip
	}
	for _, c := range k.streams {
		r, err := k.start()
		if err != nil {
			return err
		}
		if c.Config != nil {
			if _, _, err := r.Call(abi.OpConfigure, 0, c.Config, c.Host); err != nil {
				return fmt.Errorf("%s: %w", c.Name, err)
			}
		}
		if err := f(r, c); err != nil {
			return fmt.Errorf("%s: %w", c.Name, err)
		}
		k.close()
	}
	return nil
}

func (k *kit) batches() error {
	return k.eachStream(func(_ fixture.Runner, c fixture.Case) error {
		play := func(batches [][]abi.Frame) (*fixture.Outcome, error) {
			r, err := k.start()
			if err != nil {
				return nil, err
			}
			return c.Play(r, batches)
		}
		want, err := play(c.Batches)
		if err != nil {
			return err
		}
		for how, batches := range c.Regrouped() {
			got, err := play(batches)
			if err != nil {
				return err
			}
			if !bytes.Equal(got.Events, want.Events) {
				return fmt.Errorf("with %s it gives other events", how)
			}
		}
		return nil
	})
}

// stream is one open stream of a check.
type stream struct {
	r      fixture.Runner
	c      *fixture.Case
	handle uint32
	out    []byte // of all calls
}

func (s *stream) call(op abi.Op, in []byte) (bool, error) {
	out, isError, err := s.r.Call(op, s.handle, in, s.c.Host)
	s.out = append(s.out, out...)
	return isError, err
}

func (s *stream) open() error {
	isError, err := s.call(s.c.Op, s.c.In)
	if err == nil && isError {
		err = errors.New("the stream cannot be opened")
	}
	return err
}

func (s *stream) data(frames []abi.Frame) (bool, error) {
	var w abi.Writer
	for _, f := range frames {
		w.Frame(f)
	}
	return s.call(s.c.Op+1, w.Buf)
}

func (s *stream) end(why abi.EndReason) (bool, error) {
	var w abi.Writer
	w.U8(abi.TagReason, uint8(why))
	return s.call(s.c.Op+2, w.Buf)
}

// whole runs a stream from its opening to its end.
func (s *stream) whole(why abi.EndReason) error {
	if err := s.open(); err != nil {
		return err
	}
	for _, b := range s.c.Batches {
		if _, err := s.data(b); err != nil {
			return err
		}
	}
	_, err := s.end(why)
	return err
}

func (k *kit) ended() error {
	return k.eachStream(func(r fixture.Runner, c fixture.Case) error {
		s := &stream{r: r, c: &c, handle: 3}
		if err := s.whole(abi.EndEOF); err != nil {
			return err
		}
		first := s.out
		if isError, err := s.end(abi.EndEOF); err != nil || !isError {
			return orElse(err, "a stream ends twice")
		}
		if isError, err := s.data(nil); err != nil || !isError {
			return orElse(err, "an ended stream takes frames")
		}
		s.out = nil
		if err := s.whole(abi.EndEOF); err != nil {
			return err
		}
		if !bytes.Equal(first, s.out) {
			return errors.New("a second stream under the same handle gives other output")
		}
		return nil
	})
}

func orElse(err error, message string) error {
	if err == nil {
		err = errors.New(message)
	}
	return err
}

func (k *kit) endings() error {
	return k.eachStream(func(r fixture.Runner, c fixture.Case) error {
		for why := abi.EndEOF; why <= abi.EndDrained; why++ {
			for n := range len(c.Batches) + 1 { // after each batch
				part := c
				part.Batches = c.Batches[:n]
				s := &stream{r: r, c: &part, handle: uint32(why)}
				if err := s.whole(why); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// canary is a frame whose text must not appear in another stream.
func canary(text string) []abi.Frame {
	return []abi.Frame{
		{Payload: []byte(`{"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"` + text + `"}}]}`)},
		{Name: text, Payload: []byte(text)},
	}
}

func (k *kit) interleaved() error {
	return k.eachStream(func(r fixture.Runner, c fixture.Case) error {
		alone := &stream{r: r, c: &c, handle: 1}
		if err := alone.whole(abi.EndEOF); err != nil {
			return err
		}
		fresh, err := k.start()
		if err != nil {
			return err
		}
		if c.Config != nil {
			if _, _, err := fresh.Call(abi.OpConfigure, 0, c.Config, c.Host); err != nil {
				return err
			}
		}
		const text = "canary-9f2c"
		a, b := &stream{r: fresh, c: &c, handle: 1}, &stream{r: fresh, c: &c, handle: 2}
		if err := errors.Join(a.open(), b.open()); err != nil {
			return err
		}
		for _, batch := range c.Batches {
			if _, err := a.data(batch); err != nil {
				return err
			}
			if _, err := b.data(canary(text)); err != nil {
				return err
			}
		}
		if _, err := a.end(abi.EndEOF); err != nil {
			return err
		}
		if _, err := b.end(abi.EndEOF); err != nil {
			return err
		}
		switch {
		case bytes.Contains(a.out, []byte(text)):
			return errors.New("the text of one stream comes out of another")
		case !bytes.Equal(a.out, alone.out):
			return errors.New("a stream gives other output when another one is open")
		}
		return nil
	})
}

// sized is a runner that knows how much memory its instance has.
type sized interface{ Memory() int }

func (k *kit) churn() error {
	// A guest with a collector of its own needs room to collect into.
	const slack = 4 << 20
	total := k.Churn
	if total == 0 {
		total = 10_000
	}
	return k.eachStream(func(r fixture.Runner, c fixture.Case) error {
		memory, ok := r.(*watch).Runner.(sized)
		before := 0
		c.Batches = c.Batches[:min(1, len(c.Batches))]
		for n := range total {
			s := &stream{r: r, c: &c, handle: uint32(n)}
			if err := s.whole(abi.EndReason(n % 5)); err != nil {
				return err
			}
			if n == total/5 && ok {
				before = memory.Memory()
			}
		}
		if ok && memory.Memory() > before+slack {
			return fmt.Errorf("its memory grew from %d to %d bytes over %d streams", before, memory.Memory(), total-total/5)
		}
		return nil
	})
}

func (k *kit) many() error {
	const count = 256
	return k.eachStream(func(r fixture.Runner, c fixture.Case) error {
		var open []*stream
		for n := range count {
			s := &stream{r: r, c: &c, handle: uint32(n)}
			if err := s.open(); err != nil {
				return fmt.Errorf("stream %d: %w", n, err)
			}
			open = append(open, s)
		}
		for _, s := range open {
			if isError, err := s.end(abi.EndClientGone); err != nil || isError {
				return orElse(err, "one of many streams cannot be ended")
			}
		}
		return nil
	})
}
