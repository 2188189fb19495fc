package config

import (
	"reflect"
	"time"
)

// PluginLimits bound what a plugin may use. In an item, zero keeps what holds
// for all plugins; for all plugins, zero keeps the default, and a plugin's
// manifest comes in between.
type PluginLimits struct {
	MemoryPages   int           `yaml:"memory_pages"`   // linear memory of an instance, in pages of 64 KiB
	Instances     int           `yaml:"instances"`      // that streams share
	Handles       int           `yaml:"handles"`        // open streams of one instance
	Input         Size          `yaml:"input"`          // of one call
	Output        Size          `yaml:"output"`         // of one call
	Wall          time.Duration `yaml:"wall"`           // time of one call
	DataWall      time.Duration `yaml:"data_wall"`      // the same for frames of a stream
	Fuel          int64         `yaml:"fuel"`           // of one call
	FuelPerByte   int64         `yaml:"fuel_per_byte"`  // more of it per byte of input
	DataFuel      int64         `yaml:"data_fuel"`      // the same for frames of a stream
	DataPerByte   int64         `yaml:"data_per_byte"`  //
	SetupFuel     int64         `yaml:"setup_fuel"`     // of starting and configuring an instance
	RecycleCalls  int64         `yaml:"recycle_calls"`  // calls after which an instance is replaced
	RecycleMemory Size          `yaml:"recycle_memory"` // memory from which on it is
	Replay        Size          `yaml:"replay"`         // input kept per stream, to replay it after a crash
	ReplayTotal   Size          `yaml:"replay_total"`   // the same over all streams
	LogLines      int           `yaml:"log_lines"`      // per second
	IdleTTL       time.Duration `yaml:"idle_ttl"`       // after which all instances but one are closed
	ColdTTL       time.Duration `yaml:"cold_ttl"`       // after which the last one is
	Rounds        int           `yaml:"rounds"`         // of HTTP one operation may ask for
	RoundPlans    int           `yaml:"round_plans"`    // requests per round
	Continuation  Size          `yaml:"continuation"`   // what it may leave with the gateway between rounds
	KVValue       Size          `yaml:"kv_value"`       // what it may store under one key
	KVTotal       Size          `yaml:"kv_total"`       // all that it may store
	Crashes       int           `yaml:"crashes"`        // within a minute, after which the plugin rests
	Rest          time.Duration `yaml:"rest"`           // how long; the second time in a row it goes into quarantine
}

// isolations are the values of an item's isolation.
var isolations = []string{"", "shared", "stream", "call"}

// plugins checks the settings of plugins.
func (c *checker) plugins() {
	p := &c.file.Plugins
	c.pluginLimits(join("plugins", "limits"), &p.Limits)
	if p.ModuleSize < 0 {
		c.bad(join("plugins", "module_size"), "want a size above zero")
	}
	for _, name := range sortedNames(p.Items) {
		it := p.Items[name]
		at := join(join("plugins", "items"), name)
		c.pluginLimits(join(at, "limits"), &it.Limits)
		if !c.oneOf(join(at, "isolation"), it.Isolation, isolations...) {
			it.Isolation = ""
		}
		p.Items[name] = it
	}
}

const maxPluginPages = 65535 // a page less than 4 GiB

// pluginLimits refuses what is below zero, and puts zero in its place.
func (c *checker) pluginLimits(path string, l *PluginLimits) {
	v := reflect.ValueOf(l).Elem()
	for name, i := range indexOf(v.Type()) {
		if f := v.Field(i); f.Int() < 0 {
			c.bad(join(path, name), "want a value above zero")
			f.SetInt(0)
		}
	}
	if l.MemoryPages > maxPluginPages {
		c.bad(join(path, "memory_pages"), "want at most %d", maxPluginPages)
		l.MemoryPages = maxPluginPages
	}
}

func indexOf(t reflect.Type) map[string]int {
	_, index := fields(t)
	return index
}
