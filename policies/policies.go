// Package policies holds the rule files that ship with the gateway: the presets
// classic and modern, and the policy book. They are plain text meant to be read
// and copied; the program embeds the presets.
package policies

import (
	"embed"
	"slices"
)

//go:embed classic.yaml modern.yaml
var files embed.FS

// Presets lists the names of the built-in presets.
func Presets() []string { return []string{"classic", "modern"} }

// Preset returns the text of a preset. modern only holds its differences from
// classic and names it as its own preset.
func Preset(name string) ([]byte, bool) {
	if !slices.Contains(Presets(), name) {
		return nil, false
	}
	data, err := files.ReadFile(name + ".yaml")
	return data, err == nil
}
