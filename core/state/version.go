package state

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// Version is the version of the data this release writes.
const Version = 2

// migrations[v] turns data of version v into version v+1. Each runs to its end
// before the version is raised, so it must bear being run twice.
var migrations = map[int]func(context.Context, Store) error{
	// The size of the request log is kept by the hour now.
	1: func(ctx context.Context, s Store) error { return s.Delete(ctx, Key("meta", "log-bytes")) },
}

// checkVersion marks new data with Version, brings older data up to it and
// refuses newer data.
func checkVersion(ctx context.Context, s Store, readOnly bool) error {
	key := Key("meta", "version")
	raw, err := s.Get(ctx, key)
	have := Version
	switch {
	case errors.Is(err, ErrNotFound):
		if readOnly {
			return nil
		}
		return putVersion(ctx, s, Version)
	case err != nil:
		return err
	default:
		if have, err = strconv.Atoi(string(raw)); err != nil || have < 1 {
			return fmt.Errorf("state: the version of the data is unreadable (%q)", raw)
		}
	}
	if have > Version {
		return &VersionError{Have: have, Support: Version}
	}
	if have < Version && readOnly {
		return fmt.Errorf("state: data of version %d must be opened for writing once: %w", have, ErrReadOnly)
	}
	for ; have < Version; have++ {
		migrate, ok := migrations[have]
		if !ok {
			return fmt.Errorf("state: no way from data version %d to %d", have, have+1)
		}
		if err := migrate(ctx, s); err != nil {
			return fmt.Errorf("state: migration from data version %d: %w", have, err)
		}
		if err := putVersion(ctx, s, have+1); err != nil {
			return err
		}
	}
	return nil
}

func putVersion(ctx context.Context, s Store, v int) error {
	b := Batch{Durable: true}
	b.Put(Key("meta", "version"), []byte(strconv.Itoa(v)), 0)
	return s.Apply(ctx, &b)
}
