//go:build noui

package adminui

// Page reports that this binary was built without the start page.
func Page() ([]byte, bool) { return nil, false }
