//go:build wasip1

package sdk

import (
	"unsafe"

	"github.com/omniroute/omniroute/sdk/abi"
)

//go:wasmimport omni_v1 kv_get
func importKVGet(key unsafe.Pointer, keyLen uint32) int64

//go:wasmimport omni_v1 kv_put
func importKVPut(key unsafe.Pointer, keyLen uint32, value unsafe.Pointer, valueLen uint32, ttlMS int64) int32

//go:wasmimport omni_v1 kv_del
func importKVDel(key unsafe.Pointer, keyLen uint32) int32

//go:wasmimport omni_v1 secret_hmac
func importSecretHMAC(algorithm uint32, name unsafe.Pointer, nameLen uint32, data unsafe.Pointer, dataLen uint32) int64

//go:wasmimport omni_v1 secret_read
func importSecretRead(name unsafe.Pointer, nameLen uint32) int64

func textPointer(s string) unsafe.Pointer { return unsafe.Pointer(unsafe.StringData(s)) }

func bytesPointer(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

// lentBytes copies what the host put into the buffer for its results.
func lentBytes(packed int64) ([]byte, int) {
	if packed < 0 {
		return nil, int(packed)
	}
	n := uint32(packed)
	return append([]byte{}, guest.slots[abi.SlotHost][:n]...), int(n)
}

// KVGet implements Lender.
func (*imports) KVGet(key string) ([]byte, int) {
	return lentBytes(importKVGet(textPointer(key), uint32(len(key))))
}

// KVPut implements Lender.
func (*imports) KVPut(key string, value []byte, ttlMS int64) int {
	return int(importKVPut(textPointer(key), uint32(len(key)), bytesPointer(value), uint32(len(value)), ttlMS))
}

// KVDelete implements Lender.
func (*imports) KVDelete(key string) int { return int(importKVDel(textPointer(key), uint32(len(key)))) }

// SecretHMAC implements Lender.
func (*imports) SecretHMAC(algorithm uint32, name string, data []byte) ([]byte, int) {
	return lentBytes(importSecretHMAC(algorithm, textPointer(name), uint32(len(name)), bytesPointer(data), uint32(len(data))))
}

// SecretRead implements Lender.
func (*imports) SecretRead(name string) ([]byte, int) {
	return lentBytes(importSecretRead(textPointer(name), uint32(len(name))))
}
