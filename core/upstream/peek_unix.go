//go:build unix

package upstream

import "syscall"

// alive reports whether an idle connection can still be used: nothing may be
// readable on it. The end of the stream, an error and bytes nobody asked for
// all mean that it cannot.
func (c *conn) alive() bool {
	if c.socket == nil {
		return true
	}
	c.readable = true
	if err := c.socket.Read(c.peek); err != nil {
		return false
	}
	return !c.readable
}

func (c *conn) peek(fd uintptr) bool {
	var one [1]byte
	_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	c.readable = err != syscall.EAGAIN && err != syscall.EWOULDBLOCK
	return true
}
