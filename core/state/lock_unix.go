//go:build unix

package state

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"syscall"
)

var errReadOnlyFS error = syscall.EROFS

// lockFile takes an advisory lock that the kernel drops when the process dies,
// and leaves the process id in the file for whoever finds it locked.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			raw := make([]byte, 32)
			n, _ := f.ReadAt(raw, 0)
			pid, _ := strconv.Atoi(strings.TrimSpace(string(raw[:n])))
			return nil, &LockedError{PID: pid}
		}
		return nil, err
	}
	if err := f.Truncate(0); err == nil {
		_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
		if err != nil {
			f.Close()
			return nil, err
		}
	}
	return f, nil
}

func unlockFile(f *os.File) error {
	err := f.Truncate(0)
	return errors.Join(err, f.Close())
}
