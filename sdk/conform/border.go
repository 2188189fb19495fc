package conform

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/omniroute/omniroute/sdk/fixture"
)

func borderChecks() []check {
	return []check{
		{"describe", "it describes itself as its manifest does, each time the same", (*kit).describes},
		{"unknown-operation", "operations that it does not serve are answered with an error", (*kit).unknownOperation},
		{"self-test", "its own test passes, or there is none", (*kit).selfTest},
		{"settings", "it takes no settings at all, and refuses unknown ones", (*kit).settings},
		{"capabilities", "its plans go only to hosts and use only secrets that its manifest names", (*kit).capabilities},
	}
}

func (k *kit) describes() error {
	r, err := k.start()
	if err != nil {
		return err
	}
	var first []byte
	for range 2 {
		out, isError, err := r.Call(abi.OpDescribe, 0, nil, world)
		if err != nil {
			return err
		}
		f, ok := abi.Find(out, abi.TagJSON)
		if isError || !ok {
			return errors.New("it does not describe itself")
		}
		var said manifest
		if err := json.Unmarshal(f.Value, &said); err != nil {
			return fmt.Errorf("what it says of itself is not JSON: %w", err)
		}
		if said.Name != k.manifest.Name || said.Version != k.manifest.Version || said.ABI != k.manifest.ABI {
			return fmt.Errorf("it says it is %s %s (ABI %s), its manifest says %s %s (ABI %s)",
				said.Name, said.Version, said.ABI, k.manifest.Name, k.manifest.Version, k.manifest.ABI)
		}
		if first != nil && !bytes.Equal(first, out) {
			return errors.New("it describes itself differently the second time")
		}
		first = out
	}
	return nil
}

func (k *kit) unknownOperation() error {
	r, err := k.start()
	if err != nil {
		return err
	}
	for _, op := range []abi.Op{0, 0x77, abi.OpHookFirst, abi.OpHookLast, 0xffff} {
		_, isError, err := r.Call(op, 0, nil, world)
		if err != nil {
			return err
		}
		if !isError {
			return fmt.Errorf("%s is answered as if it existed", op)
		}
	}
	return nil
}

func (k *kit) selfTest() error {
	r, err := k.start()
	if err != nil {
		return err
	}
	out, isError, err := r.Call(abi.OpSelfTest, 0, nil, world)
	if err != nil || !isError {
		return err
	}
	e, err := abi.ReadError(out)
	if err == nil && e.Status != 501 {
		return errors.New(e.Message)
	}
	return err
}

func (k *kit) settings() error {
	for _, c := range []struct {
		config string
		refuse bool
	}{{`{}`, false}, {`{"omniroute-conform-no-such-setting":true}`, len(k.manifest.Config.Properties) > 0}} {
		r, err := k.start()
		if err != nil {
			return err
		}
		var w abi.Writer
		w.String(abi.TagConfig, c.config)
		out, isError, err := r.Call(abi.OpConfigure, 0, w.Buf, world)
		if err != nil {
			return err
		}
		if isError && !c.refuse && c.config == `{}` {
			e, _ := abi.ReadError(out)
			return fmt.Errorf("it refuses to be without settings: %s", e.Message)
		}
		if !isError && c.refuse {
			return errors.New("it takes a setting that its manifest does not have")
		}
	}
	return nil
}

func (k *kit) capabilities() error {
	return k.each(func(r fixture.Runner, s sample) error {
		if s.op != abi.OpExPlan {
			return nil
		}
		out, isError, err := r.Call(s.op, 0, s.in, s.host)
		if err != nil || isError {
			return err
		}
		fields := abi.Read(out)
		for fields.Next() {
			f := fields.Field()
			if f.Tag == abi.TagNeed {
				continue
			}
			if f.Tag == abi.TagPlan {
				if err := k.checkPlan(f.Value, s.conf); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// checkPlan compares a plan with the manifest; hosts of a profile that the
// operator gave count too.
func (k *kit) checkPlan(plan, profile []byte) error {
	hosts := slices.Clone(k.manifest.Capabilities.HTTP.Hosts)
	var own struct {
		BaseURLs []string `json:"base_urls"`
	}
	if f, ok := abi.Find(profile, abi.TagConfig); ok && json.Unmarshal(f.Value, &own) == nil {
		for _, base := range own.BaseURLs {
			if u, err := url.Parse(base); err == nil {
				hosts = append(hosts, u.Host)
			}
		}
	}
	secrets := slices.Concat(k.manifest.Capabilities.Secrets.Use, k.manifest.Capabilities.Secrets.Reveal)
	r := abi.Read(plan)
	for r.Next() {
		f := r.Field()
		switch f.Tag {
		case abi.TagPlanURL:
			u, err := url.Parse(f.Text())
			if err != nil || u.Host == "" {
				return fmt.Errorf("its plan has the URL %q", f.Text())
			}
			if !slices.ContainsFunc(hosts, func(h string) bool { return hostMatches(h, u.Host) }) {
				return fmt.Errorf("its plan goes to %s, which its manifest does not name", u.Host)
			}
		case abi.TagPlanAuth:
			kind, rest, _ := strings.Cut(f.Text(), ":")
			if name, _, _ := strings.Cut(rest, ":"); kind == "bearer" && !slices.Contains(secrets, name) {
				return fmt.Errorf("its plan uses the secret %q, which its manifest does not name", name)
			}
		}
		for _, name := range placeholders(f.Value) {
			if !slices.Contains(secrets, name) {
				return fmt.Errorf("its plan uses the secret %q, which its manifest does not name", name)
			}
		}
	}
	return r.Err()
}

// placeholders are the names in {{secret:name}} marks.
func placeholders(b []byte) (names []string) {
	for _, piece := range strings.Split(string(b), "{{secret:")[1:] {
		if name, _, ok := strings.Cut(piece, "}}"); ok {
			names = append(names, name)
		}
	}
	return names
}

func hostMatches(pattern, host string) bool {
	if suffix, ok := strings.CutPrefix(pattern, "*."); ok {
		return strings.HasSuffix(host, "."+suffix)
	}
	return strings.EqualFold(pattern, host)
}
