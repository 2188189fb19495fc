package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// Salvaged tells what a repair gave up.
type Salvaged struct {
	// Tables were taken out of the data; they lie in Kept.
	Tables []string `json:"tables,omitempty"`
	Kept   string   `json:"kept,omitempty"`
	// Lost values could not be read any more.
	Lost []string `json:"lost,omitempty"`
}

// Any reports that something was given up.
func (s Salvaged) Any() bool { return len(s.Tables)+len(s.Lost) > 0 }

// maxLost bounds the keys a report names.
const maxLost = 1000

// Salvage makes damaged data readable again: tables that are damaged are taken
// out and kept aside in aside, entries whose values cannot be read are removed.
// What such a table held falls back to what was written before, or is gone:
// restoring a backup is better if there is one. Damage inside a table, and of the
// lists of tables and keys, is not repaired: that is ErrDamaged. No other store
// may be open over dir.
func Salvage(ctx context.Context, dir string, key []byte, aside string) (out Salvaged, err error) {
	out.Kept = aside
	for range 1000 {
		bad, err := badTable(ctx, dir, key)
		if err != nil {
			return out, err
		}
		if bad == "" {
			break
		}
		if err := dropTable(dir, bad, aside); err != nil {
			return out, err
		}
		out.Tables = append(out.Tables, bad)
	}
	s, err := OpenBadger(dir, key, BadgerOptions{})
	if err != nil {
		return out, err
	}
	out.Lost, err = removeUnreadable(ctx, s)
	return out, errors.Join(err, s.Close())
}

var tableName = regexp.MustCompile(`[0-9]{6,}\.sst`)

// badTable names a damaged table, "" if there is none.
func badTable(ctx context.Context, dir string, key []byte) (string, error) {
	err := checkTables(dir)
	if err == nil {
		var s Store
		if s, err = OpenBadger(dir, key, BadgerOptions{}); err == nil {
			err = guard(s.(*badgerStore).db.VerifyChecksum)
			if closed := s.Close(); err == nil {
				return "", closed
			}
		}
	}
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if name := tableName.FindString(err.Error()); name != "" {
		return name, nil
	}
	return "", err
}

// dropTable takes a table out of the list of tables and moves it aside.
func dropTable(dir, name, aside string) error {
	id, err := strconv.ParseUint(strings.TrimSuffix(name, ".sst"), 10, 64)
	if err != nil {
		return fmt.Errorf("state: %s is no table", name)
	}
	if err := os.MkdirAll(aside, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, "MANIFEST"), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	// A set of one change: {1: id, 2: DELETE}, framed by its length and checksum.
	change := binary.AppendUvarint([]byte{1 << 3}, id)
	change = append(change, 2<<3, 1)
	set := append([]byte{1<<3 | 2, byte(len(change))}, change...)
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(set)))
	frame = binary.BigEndian.AppendUint32(frame, crc32.Checksum(set, crc32.MakeTable(crc32.Castagnoli)))
	_, err = f.Write(append(frame, set...))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("state: cannot take table %s out: %w", name, err)
	}
	return os.Rename(filepath.Join(dir, name), filepath.Join(aside, name))
}

// removeUnreadable deletes entries whose values are gone.
func removeUnreadable(ctx context.Context, s Store) (lost []string, err error) {
	var b Batch
	err = s.Scan(ctx, Query{KeysOnly: true}, func(e Entry) error {
		_, err := s.Get(ctx, e.Key)
		if err == nil || errors.Is(err, ErrNotFound) {
			return nil
		}
		if !errors.Is(err, ErrDamaged) {
			return err
		}
		if len(lost) < maxLost {
			lost = append(lost, e.Key)
		}
		b.Delete(e.Key)
		if !b.Full() {
			return nil
		}
		defer b.Reset()
		return s.Apply(ctx, &b)
	})
	if err == nil && b.Len() > 0 {
		err = s.Apply(ctx, &b)
	}
	return lost, err
}
