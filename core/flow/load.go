package flow

import (
	"runtime"
	"sync"
	"time"
)

// load measures how busy the process keeps the processors it may use.
type load struct {
	mu    sync.Mutex
	at    time.Time
	spent time.Duration
	last  float64
}

// sampling is the span over which the load is averaged.
const sampling = time.Second

// percent is the load of the last span: 100 when all processors were busy with
// this process. It is 0 until a first span is over.
func (l *load) percent(now time.Time) float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	wall := now.Sub(l.at)
	if wall < sampling {
		return l.last
	}
	spent := processTime()
	if !l.at.IsZero() {
		l.last = min(100*float64(spent-l.spent)/(float64(wall)*float64(runtime.GOMAXPROCS(0))), 100)
	}
	l.at, l.spent = now, spent
	return l.last
}
