package host

import (
	"bytes"
	"maps"

	"github.com/omniroute/omniroute/core/host/meter"
	"github.com/tetratelabs/wazero/api"
)

// moment is an instance as it was when it had been configured, so that it can
// be set back to it after each call: what one call left in memory the next one
// does not find. That is much cheaper than a new instance for guests with a
// runtime of their own, such as Go's.
type moment struct {
	memory   []byte // as far as it was not zero
	pages    api.MutableGlobal
	most     uint64 // its value
	globals  []api.MutableGlobal
	values   []uint64
	profiles map[string]configured
}

// remember keeps the present moment; nil when the guest changes what cannot be
// set back.
func (i *instance) remember() *moment {
	pages, ok := i.guest.ExportedGlobal(meter.Pages).(api.MutableGlobal)
	if !ok {
		return nil
	}
	view, ok := i.mem.Read(0, i.mem.Size())
	if !ok {
		return nil
	}
	m := &moment{pages: pages, most: pages.Get(), profiles: maps.Clone(i.profiles)}
	m.memory = bytes.Clone(bytes.TrimRight(view, "\x00"))
	for n := 0; ; n++ {
		g, ok := i.guest.ExportedGlobal(meter.Variable(n)).(api.MutableGlobal)
		if !ok {
			return m
		}
		m.globals, m.values = append(m.globals, g), append(m.values, g.Get())
	}
}

// setBack returns the instance to the moment it remembers. One that remembers
// none goes: the next call gets a new one.
func (i *instance) setBack() {
	m := i.moment
	if m == nil {
		i.retired = true
		return
	}
	if i.dead != nil {
		return
	}
	view, ok := i.mem.Read(0, i.mem.Size())
	if !ok {
		i.retired = true
		return
	}
	clear(view[copy(view, m.memory):])
	m.pages.Set(m.most)
	for k, g := range m.globals {
		g.Set(m.values[k])
	}
	i.profiles = maps.Clone(m.profiles)
}
