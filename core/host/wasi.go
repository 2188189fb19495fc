package host

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

const wasiModule = "wasi_snapshot_preview1"

// WASI error numbers.
const (
	wasiOK         = 0
	wasiBadF       = 8
	wasiFault      = 21
	wasiInval      = 28
	wasiNotCapable = 76
)

// exitError ends a guest that called proc_exit.
type exitError uint32

func (e exitError) Error() string { return fmt.Sprintf("guest exited with code %d", uint32(e)) }

// wasiCalls are the system calls of WASI preview 1 with their parameters (i =
// i32, I = i64). Those without a function answer "not capable": a guest has no
// files, no sockets, no environment.
var wasiCalls = []struct {
	name   string
	params string
	call   func(i *instance, mem api.Memory, stack []uint64) uint32
}{
	{"args_get", "ii", wasiNothing},
	{"args_sizes_get", "ii", wasiNoStrings},
	{"environ_get", "ii", wasiNothing},
	{"environ_sizes_get", "ii", wasiNoStrings},
	{"clock_res_get", "ii", wasiClockRes},
	{"clock_time_get", "iIi", wasiClock},
	{"fd_advise", "iIIi", nil},
	{"fd_allocate", "iII", nil},
	{"fd_close", "i", wasiNothing},
	{"fd_datasync", "i", nil},
	{"fd_fdstat_get", "ii", wasiFDStat},
	{"fd_fdstat_set_flags", "ii", nil},
	{"fd_fdstat_set_rights", "iII", nil},
	{"fd_filestat_get", "ii", nil},
	{"fd_filestat_set_size", "iI", nil},
	{"fd_filestat_set_times", "iIIi", nil},
	{"fd_pread", "iiiIi", nil},
	{"fd_prestat_get", "ii", wasiNoPreopen},
	{"fd_prestat_dir_name", "iii", wasiNoPreopen},
	{"fd_pwrite", "iiiIi", nil},
	{"fd_read", "iiii", nil},
	{"fd_readdir", "iiiIi", nil},
	{"fd_renumber", "ii", nil},
	{"fd_seek", "iIii", nil},
	{"fd_sync", "i", nil},
	{"fd_tell", "ii", nil},
	{"fd_write", "iiii", wasiWrite},
	{"path_create_directory", "iii", nil},
	{"path_filestat_get", "iiiii", nil},
	{"path_filestat_set_times", "iiiiIIi", nil},
	{"path_link", "iiiiiii", nil},
	{"path_open", "iiiiiIIii", nil},
	{"path_readlink", "iiiiii", nil},
	{"path_remove_directory", "iii", nil},
	{"path_rename", "iiiiii", nil},
	{"path_symlink", "iiiii", nil},
	{"path_unlink_file", "iii", nil},
	{"poll_oneoff", "iiii", wasiPoll},
	{"proc_raise", "i", nil},
	{"random_get", "ii", wasiRandom},
	{"sched_yield", "", wasiNothing},
	{"sock_accept", "iii", nil},
	{"sock_recv", "iiiiii", nil},
	{"sock_send", "iiiii", nil},
	{"sock_shutdown", "ii", nil},
}

func buildWASI(ctx context.Context, rt wazero.Runtime) error {
	b := rt.NewHostModuleBuilder(wasiModule)
	result := []api.ValueType{api.ValueTypeI32}
	for _, c := range wasiCalls {
		call := c.call
		b = b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, m api.Module, stack []uint64) {
			if call == nil {
				stack[0] = wasiNotCapable
				return
			}
			stack[0] = uint64(call(instanceOf(ctx), m.Memory(), stack))
		}), valueTypes(c.params), result).Export(c.name)
	}
	exit := api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) { panic(exitError(stack[0])) })
	b = b.NewFunctionBuilder().WithGoModuleFunction(exit, valueTypes("i"), nil).Export("proc_exit")
	if _, err := b.Instantiate(ctx); err != nil {
		return fmt.Errorf("%s: %w", wasiModule, err)
	}
	return nil
}

func isWASICall(name string) bool {
	for _, c := range wasiCalls {
		if c.name == name {
			return true
		}
	}
	return name == "proc_exit"
}

func valueTypes(params string) []api.ValueType {
	out := make([]api.ValueType, len(params))
	for k, p := range params {
		switch p {
		case 'i':
			out[k] = api.ValueTypeI32
		case 'I':
			out[k] = api.ValueTypeI64
		case 'F':
			out[k] = api.ValueTypeF64
		}
	}
	return out
}

// instanceOf finds the instance whose call is under way.
func instanceOf(ctx context.Context) *instance {
	i, ok := ctx.Value(instanceKey{}).(*instance)
	if !ok {
		panic(errors.New("host function called outside an instance"))
	}
	return i
}

func wasiNothing(*instance, api.Memory, []uint64) uint32 { return wasiOK }

func wasiNoPreopen(*instance, api.Memory, []uint64) uint32 { return wasiBadF }

// wasiNoStrings reports zero strings of zero bytes.
func wasiNoStrings(_ *instance, mem api.Memory, stack []uint64) uint32 {
	if !mem.WriteUint32Le(uint32(stack[0]), 0) || !mem.WriteUint32Le(uint32(stack[1]), 0) {
		return wasiFault
	}
	return wasiOK
}

func wasiClockRes(_ *instance, mem api.Memory, stack []uint64) uint32 {
	if !mem.WriteUint64Le(uint32(stack[1]), 1e6) {
		return wasiFault
	}
	return wasiOK
}

// wasiClock shows the time of the call, in nanoseconds; it stands still.
func wasiClock(i *instance, mem api.Memory, stack []uint64) uint32 {
	const realtime = 0 // the others serve the guest's runtime
	i.env.asked = i.env.asked || uint32(stack[0]) == realtime
	if !mem.WriteUint64Le(uint32(stack[2]), uint64(i.env.now)*1e6) {
		return wasiFault
	}
	return wasiOK
}

// wasiFDStat knows the three standard streams, as character devices.
func wasiFDStat(_ *instance, mem api.Memory, stack []uint64) uint32 {
	if uint32(stack[0]) > 2 {
		return wasiBadF
	}
	var stat [24]byte
	stat[0] = 2 // character device
	if !mem.Write(uint32(stack[1]), stat[:]) {
		return wasiFault
	}
	return wasiOK
}

// wasiWrite sends what the guest prints to the log, under the log's limits.
func wasiWrite(i *instance, mem api.Memory, stack []uint64) uint32 {
	fd, iovs, n := uint32(stack[0]), uint32(stack[1]), uint32(stack[2])
	if fd != 1 && fd != 2 {
		return wasiBadF
	}
	if n > 1024 {
		return wasiInval
	}
	i.spend(uint64(n) * maxLogLine)
	written := uint32(0)
	for k := range n {
		addr, ok1 := mem.ReadUint32Le(iovs + 8*k)
		size, ok2 := mem.ReadUint32Le(iovs + 8*k + 4)
		if !ok1 || !ok2 {
			return wasiFault
		}
		text, ok := mem.Read(addr, size)
		if !ok {
			return wasiFault
		}
		if room := maxLogLine - i.stderr.Len(); room > 0 {
			i.stderr.Write(text[:min(len(text), room)])
		}
		written += size
	}
	if !mem.WriteUint32Le(uint32(stack[3]), written) {
		return wasiFault
	}
	return wasiOK
}

// wasiPoll answers at once: every clock has run down, no file is ever ready.
// Go's runtime sleeps this way before it ends a broken program.
func wasiPoll(_ *instance, mem api.Memory, stack []uint64) uint32 {
	in, out, n := uint32(stack[0]), uint32(stack[1]), uint32(stack[2])
	if n == 0 || n > 64 {
		return wasiInval
	}
	for k := range n {
		sub, ok := mem.Read(in+48*k, 48)
		if !ok {
			return wasiFault
		}
		var event [32]byte
		copy(event[:8], sub[:8]) // user data
		event[10] = sub[8]       // kind
		if sub[8] != 0 {
			binary.LittleEndian.PutUint16(event[8:], wasiNotCapable)
		}
		if !mem.Write(out+32*k, event[:]) {
			return wasiFault
		}
	}
	if !mem.WriteUint32Le(uint32(stack[3]), n) {
		return wasiFault
	}
	return wasiOK
}

// wasiRandom fills from the call's seed.
func wasiRandom(i *instance, mem api.Memory, stack []uint64) uint32 {
	if !i.random(mem, uint32(stack[0]), uint32(stack[1])) {
		return wasiFault
	}
	return wasiOK
}

// random fills guest memory from the seed of the call. The first eight bytes
// of a call are the seed itself: from it an SDK derives all further numbers.
func (i *instance) random(mem api.Memory, addr, size uint32) bool {
	buf, ok := mem.Read(addr, size)
	if !ok {
		return false
	}
	i.env.asked = true
	for piece := range slices.Chunk(buf, 64<<10) {
		i.spend(digestCost * uint64(len(piece)))
		for len(piece) > 0 {
			var word [8]byte
			binary.LittleEndian.PutUint64(word[:], i.env.seed)
			piece = piece[copy(piece, word[:]):]
			i.env.seed = mix(i.env.seed, 1)
		}
	}
	return true
}
