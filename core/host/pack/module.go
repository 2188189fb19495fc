package pack

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/omniroute/omniroute/sdk/abi"
)

var wasmHead = []byte{0, 'a', 's', 'm', 1, 0, 0, 0}

var errModule = errors.New("it is not a WebAssembly module")

// Section is one section of a module.
type Section struct {
	ID   byte   `json:"id"`
	Name string `json:"name,omitempty"` // of a custom section
	Size int    `json:"size"`           // bytes with its header

	body []byte // without the name
	from int
}

// Import is a function that a module wants from its host.
type Import struct {
	Module string `json:"module"`
	Name   string `json:"name"`
}

// sectionNames are those of the WebAssembly binary format.
var sectionNames = [...]string{
	"custom", "type", "import", "function", "table", "memory", "global", "export", "start", "element", "code", "data", "data count", "tag",
}

// Title names a section for people.
func (s Section) Title() string {
	if s.ID == 0 {
		return s.Name
	}
	if int(s.ID) < len(sectionNames) {
		return sectionNames[s.ID]
	}
	return fmt.Sprintf("section %d", s.ID)
}

// sections walks over a module's section headers.
func sections(module []byte) ([]Section, error) {
	if !bytes.HasPrefix(module, wasmHead) {
		return nil, errModule
	}
	var list []Section
	for at := len(wasmHead); at < len(module); {
		size, n := binary.Uvarint(module[at+1:])
		if n <= 0 || n > 5 || size > uint64(len(module)-at-1-n) {
			return nil, errModule
		}
		s := Section{ID: module[at], Size: 1 + n + int(size), from: at}
		s.body = module[at+1+n : at+s.Size]
		if s.ID == 0 {
			name, rest, ok := cutName(s.body)
			if !ok {
				return nil, errModule
			}
			s.Name, s.body = name, rest
		}
		list = append(list, s)
		at += s.Size
	}
	return list, nil
}

func cutName(b []byte) (name string, rest []byte, ok bool) {
	l, n := binary.Uvarint(b)
	if n <= 0 || n > 5 || l > uint64(len(b)-n) {
		return "", nil, false
	}
	return string(b[n : n+int(l)]), b[n+int(l):], true
}

// without returns the module without the custom sections of that name. The
// result is the module itself where it has none.
func without(module []byte, list []Section, name string) []byte {
	has := false
	for _, s := range list {
		has = has || s.ID == 0 && s.Name == name
	}
	if !has {
		return module
	}
	out := append(make([]byte, 0, len(module)), wasmHead...)
	for _, s := range list {
		if s.ID != 0 || s.Name != name {
			out = append(out, module[s.from:s.from+s.Size]...)
		}
	}
	return out
}

func find(list []Section, name string) ([]byte, bool) {
	for _, s := range list {
		if s.ID == 0 && s.Name == name {
			return s.body, true
		}
	}
	return nil, false
}

// reader reads the numbers and names of a section; bad is sticky.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) u32() uint32 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 || n > 5 || v > 1<<32-1 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return uint32(v)
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) name() string {
	name, rest, ok := cutName(r.b)
	if !ok {
		r.bad, r.b = true, nil
		return ""
	}
	r.b = rest
	return name
}

func (r *reader) limits() {
	if flags := r.byte(); flags&1 != 0 {
		r.u32()
	}
	r.u32()
}

// imports lists what the import section asks for.
func imports(list []Section) []Import {
	const importSection = 2
	var out []Import
	for _, s := range list {
		if s.ID != importSection {
			continue
		}
		r := reader{b: s.body}
		for n := r.u32(); n > 0 && !r.bad; n-- {
			im := Import{Module: r.name(), Name: r.name()}
			switch r.byte() {
			case 0: // function
				r.u32()
			case 1: // table
				r.byte()
				r.limits()
			case 2: // memory
				r.limits()
			case 3: // global
				r.byte()
				r.byte()
			default:
				r.bad = true
			}
			if !r.bad {
				out = append(out, im)
			}
		}
	}
	return out
}

// exports lists the names a module offers.
func exports(list []Section) []string {
	const exportSection = 7
	var out []string
	for _, s := range list {
		if s.ID != exportSection {
			continue
		}
		r := reader{b: s.body}
		for n := r.u32(); n > 0 && !r.bad; n-- {
			name := r.name()
			r.byte()
			r.u32()
			if !r.bad {
				out = append(out, name)
			}
		}
	}
	return out
}

// Parts are what [Build] puts into a module.
type Parts struct {
	Manifest []byte // JSON
	Fixtures []byte // zip archive of test cases, one folder each
	Readme   string
}

// Bounds of sections, in bytes.
const (
	maxReadme   = 64 << 10
	maxFixtures = 4 << 20
)

// Build returns a module with the given custom sections; those of the same
// names, and signatures, are replaced. Empty parts leave out their section.
func Build(module []byte, p Parts) ([]byte, error) {
	if len(p.Readme) > maxReadme {
		return nil, fmt.Errorf("the readme has %d bytes; it may have %d", len(p.Readme), maxReadme)
	}
	list, err := sections(module)
	if err != nil {
		return nil, err
	}
	add := []struct {
		name    string
		content []byte
	}{{abi.SectionManifest, p.Manifest}, {abi.SectionFixtures, p.Fixtures}, {abi.SectionReadme, []byte(p.Readme)}}
	if len(p.Fixtures) > maxFixtures {
		return nil, fmt.Errorf("the fixtures have %d bytes packed; they may have %d", len(p.Fixtures), maxFixtures)
	}
	out := module
	for _, a := range add {
		if len(a.content) == 0 {
			continue
		}
		out = without(out, list, a.name)
		if list, err = sections(out); err != nil {
			return nil, err
		}
	}
	out = bytes.Clone(without(out, list, abi.SectionSig))
	for _, a := range add {
		if len(a.content) > 0 {
			out = abi.AppendSection(out, a.name, a.content)
		}
	}
	return out, nil
}
