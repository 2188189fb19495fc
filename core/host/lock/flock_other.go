//go:build !unix

package lock

// exclusive does nothing where folders cannot be locked: writes are still whole.
func exclusive(string) (unlock func(), err error) { return func() {}, nil }
