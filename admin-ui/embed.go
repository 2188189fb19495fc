//go:build !noui

package adminui

import _ "embed"

//go:embed dist/index.html
var page []byte

// Page gives the HTML of the start page; false when the binary was built without it (tag noui). The
// bytes are shared and must not be changed.
func Page() ([]byte, bool) { return page, true }
