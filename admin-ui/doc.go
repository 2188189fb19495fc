// Package adminui holds the page a browser gets from the gateway: one self-contained HTML file, embedded
// in the binary, that shows the base URL and the first request to try.
//
//	page, ok := adminui.Page()
//
// Built with `-tags noui` the package is empty and Page reports false.
package adminui
