package host

import (
	"time"

	declared "github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/sdk/abi"
)

// Limits bound what one plugin may use. Sizes are in bytes. Each comes from
// [DefaultLimits], then the plugin's manifest, then the operator.
type Limits struct {
	MemoryPages  uint32        // linear memory of an instance, in pages of 64 KiB
	Instances    int           // shared instances; 0 = GOMAXPROCS
	Input        int           // one call's input
	Output       int           // one call's output
	Handles      int           // open streams of one instance
	RecycleCalls uint64        // calls after which an instance is replaced
	RecycleBytes int           // linear memory size at which an instance is replaced
	Replay       int           // input kept per stream for replay after a trap
	ReplayTotal  int           // the same over all streams of a plugin
	Module       int           // size of a module file
	LogPerSecond int           // log lines of a plugin per second; more are counted, not written
	IdleTTL      time.Duration // idle time after which all but one shared instance are closed
	ColdTTL      time.Duration // idle time after which the last one is closed too

	// Fuel is what a guest may do in one call, in units of package meter: about
	// one per turn of a loop and per function called. A call gets a fixed amount
	// and more for each byte of its input.
	Fuel            int64
	FuelPerByte     int64
	DataFuel        int64 // of calls with frames of a stream
	DataFuelPerByte int64
	SetupFuel       int64 // of starting, describing and configuring an instance

	Wall     time.Duration // time one call may take
	DataWall time.Duration // the same for calls with frames of a stream

	Rounds       int // of HTTP that one operation may ask for before it answers
	RoundPlans   int // requests per round
	Continuation int // what a guest may leave with the host between rounds

	Value  int // what a plugin may store under one key
	Values int // all that it may store, keys included

	Crashes int           // within a minute; then the plugin rests
	Rest    time.Duration // how long; the second time within ten rests it is put in quarantine
}

// DefaultLimits returns the limits that apply where nothing else is set.
func DefaultLimits() Limits {
	return Limits{
		MemoryPages:     512,
		Input:           32 << 20,
		Output:          64 << 20,
		Handles:         256,
		RecycleCalls:    50_000,
		RecycleBytes:    64 << 20,
		Replay:          256 << 10,
		ReplayTotal:     32 << 20,
		Module:          16 << 20,
		LogPerSecond:    50,
		IdleTTL:         5 * time.Minute,
		ColdTTL:         time.Hour,
		Fuel:            20_000_000,
		FuelPerByte:     40,
		DataFuel:        2_000_000,
		DataFuelPerByte: 200,
		SetupFuel:       200_000_000,
		Wall:            2 * time.Second,
		DataWall:        250 * time.Millisecond,
		Rounds:          4,
		RoundPlans:      4,
		Continuation:    64 << 10,
		Value:           64 << 10,
		Values:          1 << 20,
		Crashes:         5,
		Rest:            30 * time.Second,
	}
}

// or returns l with the non-zero fields of over.
func (l Limits) or(over Limits) Limits {
	set(&l.MemoryPages, over.MemoryPages)
	set(&l.Instances, over.Instances)
	set(&l.Input, over.Input)
	set(&l.Output, over.Output)
	set(&l.Handles, over.Handles)
	set(&l.RecycleCalls, over.RecycleCalls)
	set(&l.RecycleBytes, over.RecycleBytes)
	set(&l.Replay, over.Replay)
	set(&l.ReplayTotal, over.ReplayTotal)
	set(&l.Module, over.Module)
	set(&l.LogPerSecond, over.LogPerSecond)
	set(&l.IdleTTL, over.IdleTTL)
	set(&l.ColdTTL, over.ColdTTL)
	set(&l.Fuel, over.Fuel)
	set(&l.FuelPerByte, over.FuelPerByte)
	set(&l.DataFuel, over.DataFuel)
	set(&l.DataFuelPerByte, over.DataFuelPerByte)
	set(&l.SetupFuel, over.SetupFuel)
	set(&l.Wall, over.Wall)
	set(&l.DataWall, over.DataWall)
	set(&l.Rounds, over.Rounds)
	set(&l.RoundPlans, over.RoundPlans)
	set(&l.Continuation, over.Continuation)
	set(&l.Value, over.Value)
	set(&l.Values, over.Values)
	set(&l.Crashes, over.Crashes)
	set(&l.Rest, over.Rest)
	return l
}

func set[T comparable](field *T, v T) {
	var zero T
	if v != zero {
		*field = v
	}
}

// What a manifest may ask for beyond the defaults. It may ask for less of
// anything.
const (
	mostAskedPages   = 1024
	mostAskedHandles = 4096
)

// asked applies what a manifest asks for.
func (l Limits) asked(m declared.Limits) Limits {
	if m.MemoryPages > 0 {
		l.MemoryPages = min(m.MemoryPages, max(mostAskedPages, l.MemoryPages))
	}
	if m.Handles > 0 {
		l.Handles = min(m.Handles, max(mostAskedHandles, l.Handles))
	}
	lower(&l.Instances, m.Instances)
	lower(&l.Input, m.Input)
	lower(&l.Output, m.Output)
	lower(&l.Wall, milliseconds(m.WallMS))
	lower(&l.DataWall, milliseconds(m.DataWallMS))
	lower(&l.Fuel, m.Fuel)
	lower(&l.FuelPerByte, m.FuelPerByte)
	lower(&l.DataFuel, m.DataFuel)
	lower(&l.DataFuelPerByte, m.DataPerByte)
	lower(&l.SetupFuel, m.SetupFuel)
	lower(&l.RecycleCalls, uint64(max(0, m.RecycleCalls)))
	lower(&l.RecycleBytes, m.RecycleMemory)
	lower(&l.Replay, m.Replay)
	lower(&l.ReplayTotal, m.ReplayTotal)
	lower(&l.LogPerSecond, m.LogLines)
	lower(&l.IdleTTL, milliseconds(m.IdleTTLMS))
	lower(&l.ColdTTL, milliseconds(m.ColdTTLMS))
	lower(&l.Rounds, m.Rounds)
	lower(&l.RoundPlans, m.RoundPlans)
	lower(&l.Continuation, m.Continuation)
	lower(&l.Value, m.KVValue)
	lower(&l.Values, m.KVTotal)
	lower(&l.Crashes, m.Crashes)
	return l
}

// milliseconds is a time a manifest names; one that is too long to be told is
// no wish at all.
func milliseconds(n int64) time.Duration {
	if n <= 0 || n > int64(24*time.Hour/time.Millisecond) {
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

func lower[T int | int64 | uint64 | time.Duration](field *T, v T) {
	if v > 0 && v < *field {
		*field = v
	}
}

// fuel is what a call may burn, by its operation and the size of its input.
func (l *Limits) fuel(op abi.Op, in int) int64 {
	switch {
	case setup(op):
		return l.SetupFuel
	case op == abi.OpTrData || op == abi.OpExData:
		return l.DataFuel + l.DataFuelPerByte*int64(in)
	}
	return l.Fuel + l.FuelPerByte*int64(in)
}

// setupWall is what starting and configuring may take at least: fuel bounds it.
const setupWall = 2 * time.Second

// setupOutput is what describing may put out at least.
const setupOutput = 1 << 20

// wall is how long a call may take.
func (l *Limits) wall(op abi.Op) time.Duration {
	if setup(op) {
		return max(l.Wall, setupWall)
	}
	if op == abi.OpTrData || op == abi.OpExData {
		return l.DataWall
	}
	return l.Wall
}

// setup tells operations on an instance from those on requests. 0 is the start
// of the guest itself.
func setup(op abi.Op) bool { return op <= abi.OpSelfTest }
