//go:build unix

package boot

import (
	"log/slog"
	"syscall"
)

// fewFiles is a limit that two connections for each of a few hundred requests would reach.
const fewFiles = 4096

// checkOpenFiles raises the soft limit of open files to the hard one and warns when that is low. The runtime raises
// it for programs that import os, but not when somebody lowered it again before main.
func checkOpenFiles(log *slog.Logger) {
	var lim syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim); err != nil {
		return
	}
	if lim.Cur < lim.Max {
		raised := lim
		raised.Cur = raised.Max
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			lim = raised
		}
	}
	if lim.Cur < fewFiles {
		log.Warn("few files may be open at a time; raise the limit (ulimit -n) for many concurrent requests", "limit", lim.Cur)
	}
}
