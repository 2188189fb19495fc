//go:build !unix

package flow

import "time"

// processTime is not known here: sys.load_pct stays 0.
func processTime() time.Duration { return 0 }
