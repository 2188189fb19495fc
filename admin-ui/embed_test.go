//go:build !noui

package adminui_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	adminui "github.com/omniroute/omniroute/admin-ui"
)

// The page must work on a machine without a network: everything it needs is inside it.
func TestPageIsSelfContained(t *testing.T) {
	page, ok := adminui.Page()
	require.True(t, ok)
	require.Contains(t, string(page), "<!doctype html>")
	for _, outside := range []string{`(?i)<link[^>]+href`, `(?i)<script[^>]+src`, `(?i)<img[^>]+src="http`, `@import`, `url\(http`} {
		require.NotRegexp(t, regexp.MustCompile(outside), string(page))
	}
}

// It shows what a person needs first.
func TestPageShowsTheFirstRequest(t *testing.T) {
	page, _ := adminui.Page()
	for _, want := range []string{"/v1/chat/completions", "/v1/messages", "demo/echo", "ANTHROPIC_BASE_URL", "prefers-color-scheme"} {
		require.Contains(t, string(page), want)
	}
}
