//go:build unix

package lock

import (
	"os"

	"golang.org/x/sys/unix"
)

// exclusive waits until this process alone may change files of a folder by
// Update. The lock is on the folder itself, so nothing is left behind.
func exclusive(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	for {
		if err = unix.Flock(int(d.Fd()), unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		_ = d.Close()
		return nil, err
	}
	return func() { _ = d.Close() }, nil
}
