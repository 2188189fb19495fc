package host

import "context"

// turn is the lock of an instance: a mutex that one can stop waiting for. Those
// who wait get it in the order they came.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// Lock waits for the turn however long that takes.
func (t turn) Lock() { t <- struct{}{} }

// TryLock takes the turn if it is free.
func (t turn) TryLock() bool {
	select {
	case t <- struct{}{}:
		return true
	default:
		return false
	}
}

// Unlock passes the turn on.
func (t turn) Unlock() { <-t }

// wait is Lock until ctx ends, whose error it returns then.
func (t turn) wait(ctx context.Context) error {
	if t.TryLock() {
		return nil
	}
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
