//go:build !unix

package boot

import "log/slog"

// checkOpenFiles has nothing to raise on systems without such a limit.
func checkOpenFiles(*slog.Logger) {}
