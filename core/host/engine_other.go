//go:build !unix

package host

import (
	"errors"
	"runtime"
)

// CanCompile says why plugins cannot run as native code on this machine; nil if
// they can. They run then in an interpreter, many times slower.
func CanCompile() error {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		return errors.New("there is no compiler for " + runtime.GOARCH + "; plugins are interpreted, slowly")
	}
	return nil
}
