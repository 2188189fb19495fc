package health

import (
	"container/list"
	"context"
	"sync"
	"time"

	json "github.com/goccy/go-json"

	"github.com/omniroute/omniroute/core/state"
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
	// Volatile answers stay in memory: they are never written to disk.
	Volatile bool `json:"-"`
}

// size is what an answer takes in memory, about.
func (r *CachedResponse) size(key string) int64 {
	n := int64(len(key) + len(r.Body) + len(r.Model) + len(r.Target) + 256)
	for _, h := range r.Headers {
		n += int64(len(h[0]) + len(h[1]) + 32)
	}
	return n
}

// Cache is a bounded LRU of answers with an expiry each. With a store and
// [Cache.Disk] switched on, answers are kept there too until they expire; what
// memory has dropped is found again.
type Cache struct {
	clock      clock
	keep       *keeper
	maxBytes   int64
	maxEntries int
	maxEntry   int64

	mu    sync.Mutex
	order *list.List // front = newest use
	byKey map[string]*list.Element
	stats CacheStats
	disk  bool
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
	DiskHits                int64 // of Hits
}

func newCache(c clock, k *keeper, opt Options) *Cache {
	x := &Cache{clock: c, keep: k, order: list.New(), byKey: map[string]*list.Element{}}
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

// Disk switches the second tier on or off; it needs a store. What is there stays
// until it expires.
func (c *Cache) Disk(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.disk = on && c.keep != nil
}

// Get finds an answer that has not expired.
func (c *Cache) Get(key string) (*CachedResponse, bool) {
	if r, found, disk := c.find(key); found || !disk {
		return r, found
	}
	r := c.load(key)
	c.mu.Lock()
	defer c.mu.Unlock()
	if r == nil {
		c.stats.Misses++
		return nil, false
	}
	c.stats.Hits++
	c.stats.DiskHits++
	c.stats.TokensSaved += r.answer.Tokens
	if old := c.byKey[key]; old != nil {
		c.remove(old)
	}
	c.add(r)
	return r.answer, true
}

// find looks in memory; disk says that looking further makes sense.
func (c *Cache) find(key string) (r *CachedResponse, found, disk bool) {
	now := c.clock.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.byKey[key]
	if e != nil {
		item := e.Value.(*cacheItem)
		if now.Before(item.until) {
			c.order.MoveToFront(e)
			c.stats.Hits++
			c.stats.TokensSaved += item.answer.Tokens
			return item.answer, true, false
		}
		c.remove(e)
	}
	if !c.disk {
		c.stats.Misses++
	}
	return nil, false, c.disk
}

// cacheRecord is the stored form of an answer.
type cacheRecord struct {
	Until  time.Time       `json:"until"`
	Answer *CachedResponse `json:"answer"`
}

// load reads an answer of the second tier, nil if there is none that serves.
func (c *Cache) load(key string) *cacheItem {
	raw, err := c.keep.store.Get(context.Background(), state.Key(kindCache, key))
	if err != nil {
		return nil
	}
	var rec cacheRecord
	if json.Unmarshal(raw, &rec) != nil || rec.Answer == nil || !c.clock.now().Before(rec.Until) {
		return nil
	}
	return &cacheItem{key: key, answer: rec.Answer, until: rec.Until, bytes: rec.Answer.size(key)}
}

// Put stores an answer for ttl; it reports whether it fits.
func (c *Cache) Put(key string, r *CachedResponse, ttl time.Duration) bool {
	now := c.clock.now()
	if r.Stored.IsZero() {
		r.Stored = now
	}
	item := &cacheItem{key: key, answer: r, until: now.Add(ttl), bytes: r.size(key)}
	c.mu.Lock()
	if ttl <= 0 || int64(len(r.Body)) > c.maxEntry || item.bytes > c.maxBytes {
		c.mu.Unlock()
		return false
	}
	if old := c.byKey[key]; old != nil {
		c.remove(old)
	}
	c.add(item)
	disk := c.disk && !r.Volatile
	c.mu.Unlock()
	if disk {
		c.keep.put(state.Key(kindCache, key), &cacheRecord{Until: item.until, Answer: r}, ttl)
	}
	return true
}

// add puts an item in front; c.mu is held.
func (c *Cache) add(item *cacheItem) {
	c.byKey[item.key] = c.order.PushFront(item)
	c.stats.Bytes += item.bytes
	c.shrink()
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

// Purge drops the entries that match, on disk too, and returns how many; nil =
// all.
func (c *Cache) Purge(match func(key string, r *CachedResponse) bool) int {
	c.mu.Lock()
	gone := map[string]bool{}
	for e := c.order.Front(); e != nil; {
		next := e.Next()
		if item := e.Value.(*cacheItem); match == nil || match(item.key, item.answer) {
			c.remove(e)
			gone[item.key] = true
		}
		e = next
	}
	c.mu.Unlock()
	if c.keep == nil {
		return len(gone)
	}
	c.keep.flush() // so that the scan sees what only waits in the queue
	_ = each(context.Background(), c.keep, kindCache, func(key string, rec *cacheRecord) {
		if rec.Answer != nil && (match == nil || match(key, rec.Answer)) {
			gone[key] = true
			c.keep.put(state.Key(kindCache, key), nil, 0)
		}
	})
	c.keep.flush()
	return len(gone)
}

// Stats reads the numbers.
func (c *Cache) Stats() CacheStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Entries = len(c.byKey)
	return s
}
