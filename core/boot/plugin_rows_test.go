package boot_test

import (
	"slices"
	"strings"

	"github.com/omniroute/omniroute/core/config"
)

// pluginSettings are the settings that bound plugins. That each reaches the host is shown in core/boot, what it does
// there in core/host.
func pluginSettings() []setting {
	rows := []setting{
		{key: "plugins.module_size", shown: "core/host TestBorderChecks"},
		{key: "plugins.items.*.isolation", shown: "core/host TestOperatorSetsIsolation"},
		{key: "plugins.items.*.metered", shown: "core/host TestUnmeteredByTheOperator"},
	}
	for _, key := range slices.DeleteFunc(config.Keys(), func(k string) bool { return !strings.Contains(k, "plugins.") || !strings.Contains(k, ".limits.") }) {
		shown := "core/host TestEachLimitHasAnEffect"
		if strings.HasPrefix(key, "plugins.items.") {
			shown = "core/boot TestPluginLimitsReachTheHost"
		}
		rows = append(rows, setting{key: key, shown: shown})
	}
	return rows
}
