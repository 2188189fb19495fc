package abi

import (
	"bytes"
	"errors"
)

// Custom sections of a plugin file.
const (
	SectionManifest = "omniroute.manifest"
	SectionReadme   = "omniroute.readme"
	SectionFixtures = "omniroute.fixtures"
	SectionSig      = "omniroute.sig"
)

// ErrNotWasm is returned for a file that is not a WebAssembly module.
var ErrNotWasm = errors.New("abi: not a WebAssembly module")

var wasmHead = []byte{0, 'a', 's', 'm', 1, 0, 0, 0}

// Section returns the content of the first custom section of that name. It
// reads section headers only and runs nothing.
func Section(module []byte, name string) (content []byte, ok bool, err error) {
	if !bytes.HasPrefix(module, wasmHead) {
		return nil, false, ErrNotWasm
	}
	rest := module[len(wasmHead):]
	for len(rest) > 0 {
		id := rest[0]
		size, n := uvarint(rest[1:])
		if n <= 0 || n > 5 || size > uint64(len(rest)-1-n) {
			return nil, false, ErrNotWasm
		}
		body := rest[1+n : 1+n+int(size)]
		rest = rest[1+n+int(size):]
		if id != 0 {
			continue
		}
		l, n := uvarint(body)
		if n <= 0 || n > 5 || l > uint64(len(body)-n) {
			return nil, false, ErrNotWasm
		}
		if string(body[n:n+int(l)]) == name {
			return body[n+int(l):], true, nil
		}
	}
	return nil, false, nil
}

// AppendSection appends a custom section to a module.
func AppendSection(module []byte, name string, content []byte) []byte {
	body := appendUvarint(nil, uint64(len(name)))
	body = append(append(body, name...), content...)
	module = append(module, 0)
	module = appendUvarint(module, uint64(len(body)))
	return append(module, body...)
}
