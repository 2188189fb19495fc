package api

import (
	"bytes"
	"crypto/sha256"
	"io"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/omniroute/omniroute/core/fault"
)

const (
	repeatFor   = 10 * time.Minute
	maxRepeats  = 1000
	repeatBytes = 64 << 10 // larger answers are not kept
	maxRepeat   = 255      // bytes of an Idempotency-Key
)

// repeats answers a POST that was sent again, with the same Idempotency-Key by the same caller, as the first time.
type repeats struct {
	now func() time.Time
	mu  sync.Mutex
	m   map[string]*repeat
}

type repeat struct {
	until       time.Time
	body        [sha256.Size]byte // of the request
	done        bool
	status      int
	answer      []byte
	contentType string
}

func newRepeats(now func() time.Time) *repeats { return &repeats{now: now, m: map[string]*repeat{}} }

// once runs handler unless the same request ran within the last minutes.
func (r *repeats) once(c *fiber.Ctx, w *Who, handler func() error) error {
	key := c.Get("Idempotency-Key")
	if key == "" || w.Identity == nil {
		return handler()
	}
	if len(key) > maxRepeat {
		return fault.Newf(fault.InvalidBody, "Idempotency-Key may have at most %d bytes", maxRepeat)
	}
	key = w.Kind + "\x00" + w.ID + "\x00" + c.Path() + "\x00" + key
	sum, err := bodySum(c)
	if err != nil {
		return err
	}
	first, err := r.begin(key, sum)
	if err != nil {
		return err
	}
	if first != nil {
		c.Set("Idempotent-Replayed", "true")
		c.Set(fiber.HeaderContentType, first.contentType)
		return c.Status(first.status).Send(first.answer)
	}
	err = handler()
	r.end(key, c, err)
	return err
}

// bodySum reads the body, and puts it back for the handler.
func bodySum(c *fiber.Ctx) (sum [sha256.Size]byte, err error) {
	stream := c.Request().BodyStream()
	if stream == nil {
		return sha256.Sum256(c.Request().Body()), nil
	}
	body, err := io.ReadAll(io.LimitReader(stream, bodyLimit+1))
	if err != nil {
		return sum, fault.Wrap(fault.InvalidBody, err)
	}
	if len(body) > bodyLimit {
		return sum, fault.New(fault.PayloadTooLarge, "A request with an Idempotency-Key may have at most 1 MiB")
	}
	c.Request().SetBodyStream(bytes.NewReader(body), len(body))
	return sha256.Sum256(body), nil
}

// begin returns the answer of an earlier run, or nil if this is the first.
func (r *repeats) begin(key string, sum [sha256.Size]byte) (*repeat, error) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	e, ok := r.m[key]
	if ok && now.Before(e.until) {
		switch {
		case e.body != sum:
			return nil, fault.New(fault.IdempotencyConflict)
		case !e.done:
			return nil, retryAfter(fault.Conflict, time.Second)
		}
		return e, nil
	}
	for k, e := range r.m {
		if !now.Before(e.until) || len(r.m) >= maxRepeats {
			delete(r.m, k)
		}
	}
	r.m[key] = &repeat{until: now.Add(repeatFor), body: sum}
	return nil, nil
}

// end keeps a success and forgets anything else, so that it can be tried again.
func (r *repeats) end(key string, c *fiber.Ctx, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	res := c.Response()
	e := r.m[key]
	if e == nil {
		return
	}
	if err != nil || res.StatusCode() >= fiber.StatusBadRequest || res.IsBodyStream() || len(res.Body()) > repeatBytes {
		delete(r.m, key)
		return
	}
	e.done, e.status, e.contentType = true, res.StatusCode(), string(res.Header.ContentType())
	e.answer = append([]byte(nil), res.Body()...)
}
