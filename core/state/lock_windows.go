package state

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

var errReadOnlyFS error = windows.ERROR_WRITE_PROTECT

// lockFile takes a lock that the system drops when the process dies.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{})
	if err != nil {
		f.Close()
		if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
			return nil, &LockedError{}
		}
		return nil, err
	}
	return f, nil
}

func unlockFile(f *os.File) error { return f.Close() }
