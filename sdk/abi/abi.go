package abi

// Op is an operation code of omni_call.
type Op uint32

// String returns the operation's name, or a hexadecimal code when the
// operation is not known.
func (o Op) String() string {
	if n := opName(o); n != "" {
		return n
	}
	const hex = "0123456789abcdef"
	b := []byte("op 0x")
	for shift := 28; shift >= 0; shift -= 4 {
		if d := o >> shift; d != 0 || shift <= 4 {
			b = append(b, hex[d&15])
		}
	}
	return string(b)
}

// Stateless reports whether a call of the operation leaves nothing behind in
// the guest, so that it may run on any instance and be repeated.
func (o Op) Stateless() bool {
	switch o {
	case OpTrOpen, OpTrData, OpTrEnd, OpExOpen, OpExData, OpExEnd, OpConfigure:
		return false
	}
	return true
}

// Version packs an ABI version the way omni_abi returns it.
func Version(major, minor int) uint32 { return uint32(major)<<16 | uint32(minor) }

// Features lists the optional behaviours this version of the host offers.
func Features() []string { return features() }

// Buffer slots of omni_buf.
const (
	SlotInput = 0 // input of the next omni_call
	SlotHost  = 1 // results of host functions
)

// Results of imports that a guest is not allowed to use.
const (
	Denied   = -1 // the capability was not granted
	NotFound = -2 // nothing under that id or key
	TooLarge = -3 // a limit was passed
)

// BodyKind says how much of a document an operation sees.
type BodyKind uint8

// Body kinds, in order of how much they show.
const (
	BodyNone     BodyKind = 0 // nothing
	BodyMeta     BodyKind = 1 // request facts only
	BodySkeleton BodyKind = 2 // long strings replaced by body tokens
	BodyFull     BodyKind = 3 // everything
)

// EndReason tells a stream why it ends.
type EndReason uint8

// Reasons of TR_END and EX_END.
const (
	EndEOF           EndReason = 0 // upstream finished
	EndUpstreamError EndReason = 1 // upstream broke off
	EndClientGone    EndReason = 2 // nobody listens any more
	EndIdle          EndReason = 3 // upstream was silent for too long
	EndDrained       EndReason = 4 // the plugin generation is being closed
)

// VerdictKind is the answer of EX_RESULT.
type VerdictKind uint8

// Verdicts.
const (
	VerdictStream   VerdictKind = 1 // the answer is a stream; go on
	VerdictBody     VerdictKind = 2 // the answer is a body; go on
	VerdictRetry    VerdictKind = 3 // send again, after the given wait
	VerdictRefresh  VerdictKind = 4 // refresh the credential and send again
	VerdictFallback VerdictKind = 5 // try another account or target
	VerdictError    VerdictKind = 6 // give up
)

// EditOp is one kind of body edit in a plan.
type EditOp uint8

// Body edits.
const (
	EditSet         EditOp = 0 // write the value
	EditDefault     EditOp = 1 // write the value when the member is absent
	EditDelete      EditOp = 2 // remove the member
	EditRename      EditOp = 3 // move the member; an existing target wins
	EditDeleteEmpty EditOp = 4 // remove the member when it is an empty array or object
)

// Log levels of the log import.
const (
	LogDebug = 0
	LogInfo  = 1
	LogWarn  = 2
	LogError = 3
)

const errorBit = 1 << 31

// Pack builds the result of omni_call: bits 63-32 address, bit 31 error flag,
// bits 30-0 length.
func Pack(addr, length uint32, isError bool) uint64 {
	r := uint64(addr)<<32 | uint64(length&^errorBit)
	if isError {
		r |= errorBit
	}
	return r
}

// Unpack splits the result of omni_call.
func Unpack(r uint64) (addr, length uint32, isError bool) {
	return uint32(r >> 32), uint32(r) &^ errorBit, r&errorBit != 0
}

// Algorithms of the digest import.
const (
	DigestMD5    = 1
	DigestSHA1   = 2
	DigestSHA256 = 3
	DigestSHA512 = 4
	DigestCRC32  = 5 // IEEE, big endian
)

// Kinds of values of the metric import.
const (
	MetricCounter = 0 // the value is added
	MetricGauge   = 1 // the value replaces the last one
)
