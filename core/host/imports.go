package host

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"hash/crc32"
	"log/slog"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	declared "github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// maxLogLine bounds one log line of a guest, in bytes.
const maxLogLine = 4 << 10

// imported is one function of module omni_v1.
type imported struct {
	name, params, result string
	needs                string // capability, "" = always there
	call                 func(i *instance, mem api.Memory, stack []uint64)
}

// imports are the functions a guest may import. Those that need a capability
// answer "denied" to a plugin that was not granted it.
var imports = []imported{
	{"log", "iii", "", "", importLog},
	{"log_on", "i", "i", "", importLogOn},
	{"now_ms", "", "I", "", importNow},
	{"random", "ii", "", "", importRandom},
	{"blob_len", "i", "i", "", importBlobLen},
	{"blob_read", "iiii", "i", "", importBlobRead},
	{"digest", "iiii", "i", "", importDigest},
	{"metric", "iiiF", "", "", importMetric},
	{"kv_get", "ii", "I", declared.CapKV, importKVGet},
	{"kv_put", "iiiiI", "i", declared.CapKV, importKVPut},
	{"kv_del", "ii", "i", declared.CapKV, importKVDel},
	{"secret_hmac", "iiiii", "I", declared.CapUse, importSecretHMAC},
	{"secret_read", "ii", "I", declared.CapReveal, importSecretRead},
}

func buildImports(ctx context.Context, rt wazero.Runtime) error {
	b := rt.NewHostModuleBuilder(abi.Module)
	for _, f := range imports {
		b = b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(ctx context.Context, m api.Module, stack []uint64) {
			i := instanceOf(ctx)
			switch {
			case f.needs == "":
				f.call(i, m.Memory(), stack)
			case !i.mod.may(f.needs):
				denied(stack)
			default:
				f.taped(i, m.Memory(), stack)
			}
		}), valueTypes(f.params), valueTypes(f.result)).Export(f.name)
	}
	if _, err := b.Instantiate(ctx); err != nil {
		return fmt.Errorf("%s: %w", abi.Module, err)
	}
	return nil
}

// checkImport says what is wrong with an import, "" for nothing.
func checkImport(module, name, params, result string) string {
	if module == wasiModule {
		if isWASICall(name) {
			return ""
		}
		return fmt.Sprintf("it imports %s of %s, which no plugin can have", name, module)
	}
	if module != abi.Module {
		return fmt.Sprintf("it imports %s of module %q; this gateway offers only %q", name, module, abi.Module)
	}
	for _, f := range imports {
		if f.name != name {
			continue
		}
		if f.params != params || f.result != result {
			return fmt.Sprintf("it imports %s.%s with a different signature than ABI %d.%d has", module, name, abi.Major, abi.Minor)
		}
		return ""
	}
	return fmt.Sprintf("it imports %s.%s, which ABI %d.%d does not have; a newer gateway may", module, name, abi.Major, abi.Minor)
}

// denied answers that a capability was not granted.
func denied(stack []uint64) {
	code := int64(abi.Denied)
	stack[0] = uint64(code)
}

func returnInt(stack []uint64, v int) { stack[0] = api.EncodeI32(int32(v)) }

func importLog(i *instance, mem api.Memory, stack []uint64) {
	level, addr, size := uint32(stack[0]), uint32(stack[1]), uint32(stack[2])
	i.spend(maxLogLine)
	text, ok := mem.Read(addr, min(size, maxLogLine))
	if !ok {
		panic(errBadPointer)
	}
	i.mod.logLine(i.op, slogLevel(level), string(text))
}

func importLogOn(i *instance, _ api.Memory, stack []uint64) {
	on := 0
	if i.mod.log.Enabled(i.ctx, slogLevel(uint32(stack[0]))) {
		on = 1
	}
	returnInt(stack, on)
}

func slogLevel(level uint32) slog.Level {
	switch level {
	case abi.LogDebug:
		return slog.LevelDebug
	case abi.LogInfo:
		return slog.LevelInfo
	case abi.LogWarn:
		return slog.LevelWarn
	}
	return slog.LevelError
}

func importNow(i *instance, _ api.Memory, stack []uint64) {
	i.env.asked = true
	stack[0] = uint64(i.env.now)
}

func importRandom(i *instance, mem api.Memory, stack []uint64) {
	if !i.random(mem, uint32(stack[0]), uint32(stack[1])) {
		panic(errBadPointer)
	}
}

func importBlobLen(i *instance, _ api.Memory, stack []uint64) {
	blob, ok := i.blob(stack[0])
	if !ok {
		returnInt(stack, abi.NotFound)
		return
	}
	returnInt(stack, len(blob))
}

func importBlobRead(i *instance, mem api.Memory, stack []uint64) {
	blob, ok := i.blob(stack[0])
	off, addr, size := uint64(uint32(stack[1])), uint32(stack[2]), uint64(uint32(stack[3]))
	if !ok || off > uint64(len(blob)) {
		returnInt(stack, abi.NotFound)
		return
	}
	part := blob[off:min(off+size, uint64(len(blob)))]
	i.spend(uint64(len(part)))
	if !mem.Write(addr, part) {
		panic(errBadPointer)
	}
	i.env.basis += len(part)
	returnInt(stack, len(part))
}

func (i *instance) blob(id uint64) ([]byte, bool) {
	i.env.asked = true
	if i.env.blobs == nil || uint32(id) > math.MaxInt32 {
		return nil, false
	}
	return i.env.blobs.Blob(int(uint32(id)))
}

func importDigest(i *instance, mem api.Memory, stack []uint64) {
	in, ok := mem.Read(uint32(stack[1]), uint32(stack[2]))
	if !ok {
		panic(errBadPointer)
	}
	sum, ok := i.digest(uint32(stack[0]), in)
	if !ok {
		returnInt(stack, abi.NotFound)
		return
	}
	if !mem.Write(uint32(stack[3]), sum) {
		panic(errBadPointer)
	}
	returnInt(stack, len(sum))
}

// digest hashes in pieces, so that a deadline is met in the middle of a large
// input too.
func (i *instance) digest(algorithm uint32, in []byte) ([]byte, bool) {
	var h hash.Hash
	switch algorithm {
	case abi.DigestMD5:
		h = md5.New()
	case abi.DigestSHA1:
		h = sha1.New()
	case abi.DigestSHA256:
		h = sha256.New()
	case abi.DigestSHA512:
		h = sha512.New()
	case abi.DigestCRC32:
		h = crc32.NewIEEE()
	default:
		return nil, false
	}
	for piece := range slices.Chunk(in, 64<<10) {
		i.spend(digestCost * uint64(len(piece)))
		h.Write(piece)
	}
	return h.Sum(nil), true
}

// digestCost is how much longer hashing a byte takes than copying it.
const digestCost = 16

// maxMetricName bounds the name of a metric, in bytes.
const maxMetricName = 128

func importMetric(i *instance, mem api.Memory, stack []uint64) {
	i.spend(maxMetricName)
	name, ok := mem.Read(uint32(stack[0]), min(uint32(stack[1]), maxMetricName))
	if !ok {
		panic(errBadPointer)
	}
	i.mod.stats.metric(string(name), uint32(stack[2]), api.DecodeF64(stack[3]))
}

// logLine writes a guest's line, within the plugin's share per second. Lines
// beyond it are counted and the count written with the next one.
func (m *module) logLine(op abi.Op, level slog.Level, text string) {
	if !m.log.Enabled(context.Background(), level) {
		return
	}
	dropped, ok := m.lines.take(m.host.now(), m.limits.LogPerSecond)
	if !ok {
		return
	}
	text = strings.TrimRight(strings.ToValidUTF8(text, string(utf8.RuneError)), "\n")
	args := []any{"op", op.String()}
	if dropped > 0 {
		args = append(args, "dropped_lines", dropped)
	}
	m.log.Log(context.Background(), level, text, args...)
}
