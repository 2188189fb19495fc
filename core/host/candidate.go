package host

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/omniroute/omniroute/core/host/lock"
	declared "github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/core/host/pack"
	"github.com/omniroute/omniroute/core/host/trust"
)

// candidate is a file of the plugin folder on its way into service.
type candidate struct {
	name    string // relative to the folder, with slashes
	data    []byte
	sidecar []byte

	file    *pack.File
	verdict trust.Verdict
	err     error // why it stays out
	keep    bool  // but what serves under its name may go on
	item    Item
	off     string // why it is switched off
}

// judge opens a file and applies the operator's rules to it. What it may not do
// stays out here, before anything of it is compiled.
func (h *Host) judge(c *candidate, locked *lock.File) {
	if len(c.data) > h.opt.Limits.Module {
		c.err = fmt.Errorf("the file has %d bytes; plugins may have %d", len(c.data), h.opt.Limits.Module)
		return
	}
	if c.file == nil {
		if c.file, c.err = pack.Open(c.name, c.data, c.sidecar); c.err != nil {
			return
		}
	}
	if c.file.Manifest == nil {
		if h.opt.Trust.Mode != TrustDev {
			c.err = errors.New("it has no manifest; pack one into it, or set plugins.trust.mode to dev to load raw modules")
		}
		return // it has to be asked, which load does
	}
	c.err = h.approve(c, locked)
}

// approve decides about a file whose manifest is known.
func (h *Host) approve(c *candidate, locked *lock.File) error {
	m := c.file.Manifest
	if err := m.Supports(h.opt.Version); err != nil {
		return err
	}
	var listed bool
	c.item, listed = h.opt.Items[m.Name]
	entry := locked.Find(m.Name)
	switch {
	case c.item.Disabled:
		c.off = "switched off in plugins.items"
	case entry != nil && entry.Disabled:
		c.off = "switched off; `omniroute plugin enable " + m.Name + "` switches it on"
	}
	if c.file.IsPack() {
		c.item.Config = nil
	}
	var err error
	c.verdict, err = h.opt.Trust.Judge(trust.Subject{
		File: c.file, Path: c.name, Paths: []string{filepath.Join(h.opt.Dir, filepath.FromSlash(c.name))},
		Item: trust.Item{Listed: listed, Disabled: c.item.Disabled, Grants: c.item.Grants}, Entry: entry,
	})
	if err != nil {
		return err
	}
	if !c.file.IsPack() {
		c.item.Config, err = m.Config(c.item.Config)
	}
	return err
}

// fingerprint changes with everything that decides how the file serves.
func (c *candidate) fingerprint() digest {
	h := sha256.New()
	h.Write(c.data)
	h.Write(c.sidecar)
	fmt.Fprintf(h, "\n%v\n%v\n%s\n%q\n%+v\n%s", c.err, c.verdict.Keys, c.verdict.Isolation, c.verdict.Grants.Lines(), c.item, c.off)
	return digest(h.Sum(nil))
}

// freeze records what files may do that were seen for the first time.
func (h *Host) freeze(list []*candidate) {
	if h.opt.Lock == "" || !h.opt.Freeze {
		return
	}
	var fresh []*candidate
	for _, c := range list {
		if c.err == nil && c.verdict.Freeze && c.file.Manifest != nil {
			fresh = append(fresh, c)
		}
	}
	if len(fresh) == 0 {
		return
	}
	err := lock.Update(h.opt.Lock, func(f *lock.File) error {
		for _, c := range fresh {
			m := c.file.Manifest
			if f.Find(m.Name) == nil {
				f.Put(lock.Entry{Name: m.Name, ABI: m.ABI, File: c.name, Source: lock.SourceDropped, Grants: c.verdict.Grants})
			}
		}
		return nil
	})
	if err != nil {
		h.log.Warn("what new plugins may do cannot be recorded", "lock", h.opt.Lock, "error", err)
	}
}

// denied reports whether no drop-in may send requests to a host. It is asked by
// requests, while settings change.
func (h *Host) denied(host string) bool {
	d := h.deny.Load()
	return d != nil && len(d.Hosts) > 0 && d.Host(host)
}

// hostPatterns are the hosts of grants.
func hostPatterns(hosts []string) []declared.Host {
	var out []declared.Host
	for _, text := range hosts {
		if h, err := declared.ParseHost(text); err == nil {
			out = append(out, h)
		}
	}
	return out
}
