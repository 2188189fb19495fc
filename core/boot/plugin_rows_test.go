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
		{key: "plugins.trust.mode", shown: "core/host TestTrustAllows"},
		{key: "plugins.trust.keys.*.id", shown: "core/boot TestPluginTrustReachesTheHost"},
		{key: "plugins.trust.keys.*.name", shown: "core/boot TestPluginTrustReachesTheHost"},
		{key: "plugins.trust.keys.*.scope", shown: "core/boot TestPluginTrustReachesTheHost"},
		{key: "plugins.trust.keys.*.isolation", shown: "core/boot TestPluginTrustReachesTheHost"},
		{key: "plugins.trust.unsigned.allow", shown: "core/boot TestPluginTrustReachesTheHost"},
		{key: "plugins.trust.unsigned.isolation", shown: "core/boot TestPluginTrustReachesTheHost"},
		{key: "plugins.trust.unsigned.grants.http", shown: "core/boot TestPluginTrustReachesTheHost"},
		{key: "plugins.trust.unsigned.grants.secrets.use", shown: "core/boot TestPluginTrustReachesTheHost"},
		{key: "plugins.trust.unsigned.grants.secrets.reveal", shown: "core/boot TestPluginTrustReachesTheHost"},
		{key: "plugins.trust.unsigned.grants.kv", shown: "core/boot TestPluginTrustReachesTheHost"},
		{key: "plugins.trust.deny.capabilities", shown: "core/boot TestPluginTrustReachesTheHost"},
		{key: "plugins.trust.deny.hosts", shown: "core/boot TestPluginTrustReachesTheHost"},
		{key: "plugins.items.*.required", shown: "core/boot TestRequiredPlugin"},
		{key: "plugins.items.*.grants.http", shown: "core/boot TestPluginTrustReachesTheHost"},
		{key: "plugins.items.*.grants.secrets.use", shown: "core/boot TestPluginTrustReachesTheHost"},
		{key: "plugins.items.*.grants.secrets.reveal", shown: "core/boot TestPluginTrustReachesTheHost"},
		{key: "plugins.items.*.grants.kv", shown: "core/boot TestPluginTrustReachesTheHost"},
		{key: "plugins.indexes.*.name", shown: "core/e2e TestPluginIndex"},
		{key: "plugins.indexes.*.url", shown: "core/e2e TestPluginIndex"},
		{key: "plugins.indexes.*.keys", shown: "core/e2e TestPluginIndex"},
		{key: "plugins.cache.max", shown: "core/host TestCacheStaysWithinItsBound"},
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
