package health

import (
	"container/list"
	"sync"
	"time"
)

// CachedResponse is a stored answer. It must not be changed once stored.
type CachedResponse struct {
	Status  int
	Headers [][2]string
	Body    []byte
	Model   string
	Target  string
	Tokens  int64
	Stored  time.Time // set by Put when zero
}

// size is what an answer takes in memory, about.
func (r *CachedResponse) size(key string) int64 {
	n := int64(len(key) + len(r.Body) + len(r.Model) + len(r.Target) + 256)
	for _, h := range r.Headers {
		n += int64(len(h[0]) + len(h[1]) + 32)
	}
	return n
}

// Cache is a bounded LRU of answers with an expiry each.
type Cache struct {
	clock      clock
	maxBytes   int64
	maxEntries int
	maxEntry   int64

	mu    sync.Mutex
	order *list.List // front = newest use
	byKey map[string]*list.Element
	stats CacheStats
}

type cacheItem struct {
	key    string
	answer *CachedResponse
	until  time.Time
	bytes  int64
}

// CacheStats are the cache's numbers.
type CacheStats struct {
	Entries                 int
	Bytes, MaxBytes         int64
	Hits, Misses, Evictions int64
	TokensSaved             int64
}

func newCache(c clock, opt Options) *Cache {
	x := &Cache{clock: c, order: list.New(), byKey: map[string]*list.Element{}}
	x.Resize(opt.CacheBytes, opt.CacheEntries, opt.CacheEntry)
	return x
}

// Resize changes the bounds; 0 = the default of each. What no longer fits goes.
func (c *Cache) Resize(bytes int64, entries int, entry int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.maxBytes, c.maxEntries, c.maxEntry = bytes, entries, entry
	if bytes <= 0 {
		c.maxBytes = 32 << 20
	}
	if entries <= 0 {
		c.maxEntries = 10_000
	}
	if entry <= 0 {
		c.maxEntry = 1 << 20
	}
	c.stats.MaxBytes = c.maxBytes
	c.shrink()
}

// Get finds an answer that has not expired.
func (c *Cache) Get(key string) (*CachedResponse, bool) {
	now := c.clock.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[key]
	if e == nil {
		c.stats.Misses++
		return nil, false
	}
	item := e.Value.(*cacheItem)
	if !now.Before(item.until) {
		c.remove(e)
		c.stats.Misses++
		return nil, false
	}
	c.order.MoveToFront(e)
	c.stats.Hits++
	c.stats.TokensSaved += item.answer.Tokens
	return item.answer, true
}

// Put stores an answer for ttl; it reports whether it fits.
func (c *Cache) Put(key string, r *CachedResponse, ttl time.Duration) bool {
	now := c.clock.now()
	if r.Stored.IsZero() {
		r.Stored = now
	}
	item := &cacheItem{key: key, answer: r, until: now.Add(ttl), bytes: r.size(key)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if ttl <= 0 || int64(len(r.Body)) > c.maxEntry || item.bytes > c.maxBytes {
		return false
	}
	if old := c.byKey[key]; old != nil {
		c.remove(old)
	}
	c.byKey[key] = c.order.PushFront(item)
	c.stats.Bytes += item.bytes
	c.shrink()
	return true
}

// shrink drops the least recently used until the bounds hold; c.mu is held.
func (c *Cache) shrink() {
	for c.stats.Bytes > c.maxBytes || len(c.byKey) > c.maxEntries {
		c.remove(c.order.Back())
		c.stats.Evictions++
	}
}

func (c *Cache) remove(e *list.Element) {
	item := c.order.Remove(e).(*cacheItem)
	delete(c.byKey, item.key)
	c.stats.Bytes -= item.bytes
}

// Purge drops the entries that match and returns how many; nil = all.
func (c *Cache) Purge(match func(key string, r *CachedResponse) bool) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for e := c.order.Front(); e != nil; {
		next := e.Next()
		if item := e.Value.(*cacheItem); match == nil || match(item.key, item.answer) {
			c.remove(e)
			n++
		}
		e = next
	}
	return n
}

// Stats reads the numbers.
func (c *Cache) Stats() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Entries = len(c.byKey)
	return s
}
