package accept

import (
	"sync"
	"time"

	"github.com/omniroute/omniroute/sdk/abi"
)

// client is the way back of one stream. Its head is fixed once: by the flow
// when there is something to send, or by the door when the client has waited
// long enough.
type client struct {
	pipe  *pipe
	begun chan struct{}

	mu     sync.Mutex
	fixed  bool
	early  bool // by the door
	whole  bool // no stream is wanted
	status int
	header []abi.Header
}

// Begin implements call.Client.
func (c *client) Begin(status int, header []abi.Header) bool { return c.fix(status, header, false) }

// Pace implements call.Client.
func (c *client) Pace(silence time.Duration) { c.pipe.beatEvery.Store(int64(silence)) }

// Whole implements call.Client.
func (c *client) Whole() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.whole = true
}

// force fixes the head of a stream that has nothing to send yet; false if the
// client does not want a stream after all.
func (c *client) force(contentType, requestID string) bool {
	c.mu.Lock()
	whole := c.whole
	c.mu.Unlock()
	if whole {
		return false
	}
	c.fix(200, []abi.Header{
		{Name: "content-type", Value: contentType}, {Name: "x-request-id", Value: requestID},
		{Name: "cache-control", Value: "no-cache"}, {Name: "x-accel-buffering", Value: "no"},
	}, true)
	return true
}

func (c *client) fix(status int, header []abi.Header, early bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fixed {
		return false
	}
	c.fixed, c.early, c.status, c.header = true, early, status, header
	close(c.begun)
	return true
}

// Begun implements call.Client.
func (c *client) Begun() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fixed
}

// Write implements call.Client.
func (c *client) Write(events []byte) (int, error) { return c.pipe.Write(events) }

// head is what was fixed.
func (c *client) head() (status int, header []abi.Header, begun bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.status, c.header, c.fixed
}

// forced reports whether the head was fixed by the door.
func (c *client) forced() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.early
}
