package host

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/omniroute/omniroute/sdk/abi"
)

// Stats are the figures of one plugin since it was loaded.
type Stats struct {
	Plugin    string             `json:"plugin"`
	Version   string             `json:"version"`
	Instances int64              `json:"instances"`
	Streams   int64              `json:"streams"`
	Calls     int64              `json:"calls"`
	Traps     int64              `json:"traps"`
	Replays   int64              `json:"replays"`
	Memory    int64              `json:"memory"`   // linear memory of all instances, in bytes
	FuelP50   int64              `json:"fuel_p50"` // what half of the calls stay below
	FuelP99   int64              `json:"fuel_p99"`
	FuelMax   int64              `json:"fuel_max"`
	Health    Health             `json:"health"`
	LastCrash *Crash             `json:"last_crash,omitempty"`
	Isolation string             `json:"isolation"`         // shared | stream | call
	File      string             `json:"file,omitempty"`    // drop-in file name; "" = bundled
	Metrics   map[string]float64 `json:"metrics,omitempty"` // of the plugin's own
}

// moduleStats counts what happens to a module.
type moduleStats struct {
	instances, streams, calls, traps, replays, memory atomic.Int64

	fuel fuelHistogram

	mu       sync.Mutex
	declared []string
	own      map[string]float64
}

// metric takes a value of a metric the manifest declares; others are ignored.
func (s *moduleStats) metric(name string, kind uint32, value float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.declared {
		if d != name {
			continue
		}
		if s.own == nil {
			s.own = map[string]float64{}
		}
		if kind == abi.MetricGauge {
			s.own[name] = value
		} else if kind == abi.MetricCounter {
			s.own[name] += value
		}
	}
}

func (s *moduleStats) snapshot(plugin, version string) Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Stats{
		Plugin: plugin, Version: version,
		Instances: s.instances.Load(), Streams: s.streams.Load(), Calls: s.calls.Load(),
		Traps: s.traps.Load(), Replays: s.replays.Load(), Memory: s.memory.Load(),
		FuelP50: s.fuel.at(0.5), FuelP99: s.fuel.at(0.99), FuelMax: s.fuel.at(1),
	}
	if len(s.own) > 0 {
		out.Metrics = make(map[string]float64, len(s.own))
		for k, v := range s.own {
			out.Metrics[k] = v
		}
	}
	return out
}

// lineLimit lets a number of log lines through per second.
type lineLimit struct {
	mu      sync.Mutex
	second  int64
	count   int
	dropped int
}

// take reports whether a line may be written, and how many were not since the
// last one that was.
func (l *lineLimit) take(now time.Time, perSecond int) (dropped int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := now.Unix(); s != l.second {
		l.second, l.count = s, 0
	}
	if l.count >= perSecond {
		l.dropped++
		return 0, false
	}
	l.count++
	dropped, l.dropped = l.dropped, 0
	return dropped, true
}

func randomSeed() uint64 { return rand.Uint64() | 1 }
