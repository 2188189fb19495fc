//go:build unix

package host

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// CanCompile says why plugins cannot run as native code on this machine; nil if
// they can. They run then in an interpreter, many times slower.
func CanCompile() error {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		return errors.New("there is no compiler for " + runtime.GOARCH + "; plugins are interpreted, slowly")
	}
	page, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return fmt.Errorf("memory cannot be mapped: %w", err)
	}
	defer func() { _ = unix.Munmap(page) }()
	if err := unix.Mprotect(page, unix.PROT_READ|unix.PROT_EXEC); err != nil {
		return fmt.Errorf("the system forbids executable memory (%w); plugins are interpreted, slowly", err)
	}
	return nil
}
