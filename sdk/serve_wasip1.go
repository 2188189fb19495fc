//go:build wasip1

package sdk

import (
	"unsafe"

	"github.com/omniroute/omniroute/sdk/abi"
)

// The exports below are the whole border to the gateway; their state is one
// module per instance. A reactor's main is not run by the runtime, so the
// first call does: that is where authors call Serve.
var guest struct {
	module  *Module
	started bool
	slots   [2][]byte
	env     imports
}

//go:linkname runMain main.main
func runMain()

// Serve makes a module's operations available to the gateway. Call it from
// main with a [ProviderPart] or a [Module]. Outside wasm it does nothing, so
// that plugins compile and test natively.
func Serve(s Source) { guest.module = s.Module() }

//go:wasmexport omni_abi
func omniABI() uint32 { return abi.Version(abi.Major, abi.Minor) }

//go:wasmexport omni_buf
func omniBuf(slot, size uint32) unsafe.Pointer {
	if slot > abi.SlotHost {
		return nil
	}
	if uint32(cap(guest.slots[slot])) < size || guest.slots[slot] == nil {
		guest.slots[slot] = nil // let the old one go before the new one comes
		guest.slots[slot] = make([]byte, grown(size))
	}
	return unsafe.Pointer(unsafe.SliceData(guest.slots[slot]))
}

// grown leaves headroom, so that inputs of similar size reuse one buffer.
func grown(size uint32) uint32 {
	const least = 4 << 10
	if size < least {
		return least
	}
	return size + size/4
}

//go:wasmexport omni_call
func omniCall(op, handle, length uint32) uint64 {
	if !guest.started {
		guest.started = true
		runMain()
	}
	if guest.module == nil {
		guest.module = Bundle("", "")
	}
	guest.env.seeded = false
	out, isError := guest.module.Call(&guest.env, abi.Op(op), handle, guest.slots[abi.SlotInput][:length])
	return abi.Pack(uint32(uintptr(unsafe.Pointer(unsafe.SliceData(out)))), uint32(len(out)), isError)
}

//go:wasmexport omni_trim
func omniTrim() {
	guest.slots = [2][]byte{}
	if guest.module != nil {
		guest.module.Trim()
	}
}

// imports is the Env of the wasm build.
type imports struct {
	state  uint64
	seeded bool
}

//go:wasmimport omni_v1 log
func importLog(level uint32, ptr unsafe.Pointer, length uint32)

//go:wasmimport omni_v1 log_on
func importLogOn(level uint32) uint32

//go:wasmimport omni_v1 now_ms
func importNowMS() int64

//go:wasmimport omni_v1 random
func importRandom(ptr unsafe.Pointer, length uint32)

//go:wasmimport omni_v1 blob_len
func importBlobLen(id uint32) int32

//go:wasmimport omni_v1 blob_read
func importBlobRead(id, off uint32, ptr unsafe.Pointer, length uint32) int32

// NowMS implements Env.
func (*imports) NowMS() int64 { return importNowMS() }

// Rand implements Env. One seed is fetched per call; the rest is splitmix64.
func (e *imports) Rand() uint64 {
	if !e.seeded {
		importRandom(unsafe.Pointer(&e.state), 8)
		e.seeded = true
	}
	return splitmix(&e.state)
}

// Len implements Env.
func (*imports) Len(id int) int { return int(importBlobLen(uint32(id))) }

// Read implements Env.
func (*imports) Read(id, off int, dst []byte) int {
	if len(dst) == 0 {
		return 0
	}
	n := importBlobRead(uint32(id), uint32(off), unsafe.Pointer(unsafe.SliceData(dst)), uint32(len(dst)))
	return max(0, int(n))
}

// LogOn implements Env.
func (*imports) LogOn(level int) bool { return importLogOn(uint32(level)) != 0 }

// Log implements Env.
func (*imports) Log(level int, line string) {
	importLog(uint32(level), unsafe.Pointer(unsafe.StringData(line)), uint32(len(line)))
}
