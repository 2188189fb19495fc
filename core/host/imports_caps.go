package host

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"slices"
	"time"

	"github.com/omniroute/omniroute/sdk/abi"
	"github.com/tetratelabs/wazero/api"

	declared "github.com/omniroute/omniroute/core/host/manifest"
)

// may reports whether the plugin was granted what an import needs: the
// enforcement point of kv, secrets.reveal and the import of secrets.use.
func (m *module) may(capability string) bool {
	if m.grants == nil {
		return true
	}
	switch capability {
	case declared.CapKV:
		return m.grants.KV
	case declared.CapUse:
		return len(m.grants.Use) > 0 || len(m.grants.Reveal) > 0
	case declared.CapReveal:
		return len(m.grants.Reveal) > 0
	}
	return false
}

// text reads a string argument of an import.
func (i *instance) text(mem api.Memory, addr, size uint64, limit uint32) (string, bool) {
	if uint32(size) > limit {
		return "", false
	}
	b, ok := mem.Read(uint32(addr), uint32(size))
	if !ok {
		panic(errBadPointer)
	}
	return string(b), true
}

// values is the store that the call sees.
func (i *instance) values() *kvSpace {
	if i.env.values != nil {
		return i.env.values
	}
	return i.mod.values()
}

func returnCode(stack []uint64, code int64) { stack[0] = uint64(code) }

// giveBack puts bytes into the guest's buffer for results of host functions and
// returns where they are.
func (i *instance) giveBack(stack []uint64, b []byte) {
	i.spend(uint64(len(b)))
	args := [2]uint64{abi.SlotHost, uint64(uint32(len(b)))}
	if err := i.fnBack.CallWithStack(i.ctx, args[:]); err != nil {
		panic(err)
	}
	addr := uint32(args[0])
	if addr == 0 || !i.guest.Memory().Write(addr, b) {
		panic(errBadPointer)
	}
	i.env.basis += len(b)
	if i.env.tape != nil {
		i.env.tape.given = slices.Clone(b)
	}
	stack[0] = uint64(addr)<<32 | uint64(uint32(len(b)))
}

func importKVGet(i *instance, mem api.Memory, stack []uint64) {
	i.env.asked = true
	key, ok := i.text(mem, stack[0], stack[1], maxKVKey)
	if !ok {
		returnCode(stack, abi.NotFound)
		return
	}
	value, err := i.values().get(i.ctx, key)
	switch {
	case err != nil:
		i.mod.log.Warn("a value of the plugin cannot be read", "error", err)
		returnCode(stack, abi.NotFound)
	case value == nil:
		returnCode(stack, abi.NotFound)
	default:
		i.giveBack(stack, value)
	}
}

func importKVPut(i *instance, mem api.Memory, stack []uint64) {
	i.env.asked = true
	key, ok := i.text(mem, stack[0], stack[1], maxKVKey)
	size := uint32(stack[3])
	if !ok || key == "" || int(size) > i.mod.limits.Value {
		returnInt(stack, abi.TooLarge)
		return
	}
	i.spend(uint64(size))
	value, ok := mem.Read(uint32(stack[2]), size)
	if !ok {
		panic(errBadPointer)
	}
	ttl := time.Duration(max(0, min(int64(stack[4]), maxTTL))) * time.Millisecond
	returnInt(stack, i.values().put(i.ctx, i.mod, key, slices.Clone(value), ttl))
}

func importKVDel(i *instance, mem api.Memory, stack []uint64) {
	i.env.asked = true
	key, ok := i.text(mem, stack[0], stack[1], maxKVKey)
	if !ok {
		returnInt(stack, abi.NotFound)
		return
	}
	returnInt(stack, i.values().remove(i.ctx, i.mod, key))
}

// secretNamed is a secret of the account the call is for, as far as the plugin
// may have it.
func (i *instance) secretNamed(name string, granted ...[]string) (string, int64) {
	i.env.asked = true
	if i.mod.grants != nil && !slices.ContainsFunc(granted, func(l []string) bool { return slices.Contains(l, name) }) {
		return "", abi.Denied
	}
	if i.env.secrets != nil {
		if v, ok := i.env.secrets(name); ok {
			return v, 0
		}
	}
	return "", abi.NotFound
}

// maxSecretName bounds the name of a secret, in bytes.
const maxSecretName = 256

func (m *module) granted() (use, reveal []string) {
	if m.grants == nil {
		return nil, nil
	}
	return m.grants.Use, m.grants.Reveal
}

func importSecretHMAC(i *instance, mem api.Memory, stack []uint64) {
	name, ok := i.text(mem, stack[1], stack[2], maxSecretName)
	newHash := macs(uint32(stack[0]))
	if !ok || newHash == nil {
		returnCode(stack, abi.NotFound)
		return
	}
	use, reveal := i.mod.granted()
	secret, code := i.secretNamed(name, use, reveal)
	if code != 0 {
		returnCode(stack, code)
		return
	}
	data, ok := mem.Read(uint32(stack[3]), uint32(stack[4]))
	if !ok {
		panic(errBadPointer)
	}
	mac := hmac.New(newHash, []byte(secret))
	for piece := range slices.Chunk(data, 64<<10) {
		i.spend(digestCost * uint64(len(piece)))
		mac.Write(piece)
	}
	i.giveBack(stack, mac.Sum(nil))
}

func macs(algorithm uint32) func() hash.Hash {
	switch algorithm {
	case abi.DigestMD5:
		return md5.New
	case abi.DigestSHA1:
		return sha1.New
	case abi.DigestSHA256:
		return sha256.New
	case abi.DigestSHA512:
		return sha512.New
	}
	return nil
}

func importSecretRead(i *instance, mem api.Memory, stack []uint64) {
	name, ok := i.text(mem, stack[0], stack[1], maxSecretName)
	if !ok {
		returnCode(stack, abi.NotFound)
		return
	}
	_, reveal := i.mod.granted()
	secret, code := i.secretNamed(name, reveal)
	if code != 0 {
		returnCode(stack, code)
		return
	}
	i.giveBack(stack, []byte(secret))
}
