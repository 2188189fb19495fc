package boot

import (
	"github.com/omniroute/omniroute/core/config"
	"github.com/omniroute/omniroute/core/host"
)

// hostLimits are the limits of all plugins.
func hostLimits(p config.Plugins) host.Limits {
	l := pluginLimits(p.Limits)
	l.Module = int(p.ModuleSize)
	return l
}

// pluginLimits turns limits of the file into those of a host; zero stays zero.
func pluginLimits(l config.PluginLimits) host.Limits {
	return host.Limits{
		MemoryPages:     uint32(l.MemoryPages),
		Instances:       l.Instances,
		Handles:         l.Handles,
		Input:           int(l.Input),
		Output:          int(l.Output),
		Wall:            l.Wall,
		DataWall:        l.DataWall,
		Fuel:            l.Fuel,
		FuelPerByte:     l.FuelPerByte,
		DataFuel:        l.DataFuel,
		DataFuelPerByte: l.DataPerByte,
		SetupFuel:       l.SetupFuel,
		RecycleCalls:    uint64(l.RecycleCalls),
		RecycleBytes:    int(l.RecycleMemory),
		Replay:          int(l.Replay),
		ReplayTotal:     int(l.ReplayTotal),
		LogPerSecond:    l.LogLines,
		IdleTTL:         l.IdleTTL,
		ColdTTL:         l.ColdTTL,
		Rounds:          l.Rounds,
		RoundPlans:      l.RoundPlans,
		Continuation:    int(l.Continuation),
		Value:           int(l.KVValue),
		Values:          int(l.KVTotal),
		Crashes:         l.Crashes,
		Rest:            l.Rest,
	}
}
