package backup

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/goccy/go-json"
	"github.com/klauspost/compress/zstd"

	"github.com/omniroute/omniroute/core/state"
)

// Source is what goes into a backup.
type Source struct {
	Store state.Store
	// Skip leaves entries out; nil = none.
	Skip func(key string) bool
	// Files are kept beside the entries, under slash-separated names.
	Files []File
	// Version of the program, for the manifest.
	Version string
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

// File is one file of a backup.
type File struct {
	Name string
	Data []byte
}

// Manifest describes a backup.
type Manifest struct {
	Format  string    `json:"format"`
	Created time.Time `json:"created"`
	Version string    `json:"version"`
	Schema  int       `json:"schema"` // version of the data
	Entries int64     `json:"entries"`
	Files   int       `json:"files"`
	Members []Member  `json:"members"`
}

// Member is one file of the archive.
type Member struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Sink takes what a backup holds.
type Sink interface {
	// Entry is given each entry of the store; its value belongs to the sink.
	Entry(e state.Entry) error
	// File is given each file.
	File(f File) error
}

const (
	piece        = 4 << 20 // entries of the store per member, in bytes
	manifestName = "manifest.json"
	entriesDir   = "state/"
	filesDir     = "files/"
	maxMember    = 64 << 20
)

// Write makes a backup.
func Write(ctx context.Context, w io.Writer, src Source, key Key) (Manifest, error) {
	now := time.Now
	if src.Now != nil {
		now = src.Now
	}
	m := Manifest{Format: Format, Created: now().UTC().Truncate(time.Second), Version: src.Version, Schema: state.Version}
	sealed, err := newSealer(w, key)
	if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	packed, err := zstd.NewWriter(sealed, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	a := archive{tar: tar.NewWriter(packed), m: &m}
	if err := a.fill(ctx, src); err != nil {
		_ = packed.Close() // the file is of no use
		return m, fmt.Errorf("backup: %w", err)
	}
	if err := errors.Join(a.tar.Close(), packed.Close(), sealed.Close()); err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	return m, nil
}

type archive struct {
	tar   *tar.Writer
	m     *Manifest
	piece []byte
	n     int
}

func (a *archive) fill(ctx context.Context, src Source) error {
	err := src.Store.Scan(ctx, state.Query{}, func(e state.Entry) error {
		if src.Skip != nil && src.Skip(e.Key) {
			return nil
		}
		a.m.Entries++
		a.piece = appendEntry(a.piece, e)
		if len(a.piece) < piece {
			return nil
		}
		return a.flush()
	})
	if err != nil {
		return err
	}
	if err := a.flush(); err != nil {
		return err
	}
	for _, f := range src.Files {
		a.m.Files++
		if err := a.add(filesDir+f.Name, f.Data); err != nil {
			return err
		}
	}
	raw, err := json.MarshalIndent(a.m, "", "  ")
	if err != nil {
		return err
	}
	return a.write(manifestName, raw)
}

func (a *archive) flush() error {
	if len(a.piece) == 0 {
		return nil
	}
	a.n++
	defer func() { a.piece = a.piece[:0] }()
	return a.add(fmt.Sprintf("%s%06d", entriesDir, a.n), a.piece)
}

func (a *archive) add(name string, data []byte) error {
	sum := sha256.Sum256(data)
	a.m.Members = append(a.m.Members, Member{Name: name, Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])})
	return a.write(name, data)
}

func (a *archive) write(name string, data []byte) error {
	err := a.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(data)), ModTime: a.m.Created, Format: tar.FormatPAX})
	if err != nil {
		return err
	}
	_, err = a.tar.Write(data)
	return err
}

func appendEntry(dst []byte, e state.Entry) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(e.Key)))
	dst = append(dst, e.Key...)
	dst = binary.AppendUvarint(dst, uint64(len(e.Value)))
	dst = append(dst, e.Value...)
	expires := int64(0)
	if !e.Expires.IsZero() {
		expires = e.Expires.Unix()
	}
	return binary.AppendUvarint(dst, uint64(expires))
}

// readEntries gives f each entry of a member.
func readEntries(raw []byte, f func(state.Entry) error) (n int64, err error) {
	bad := false
	number := func() uint64 {
		v, n := binary.Uvarint(raw)
		if n <= 0 {
			bad = true
			return 0
		}
		raw = raw[n:]
		return v
	}
	text := func() []byte {
		n := number()
		if bad || n > uint64(len(raw)) {
			bad = true
			return nil
		}
		out := raw[:n]
		raw = raw[n:]
		return out
	}
	for len(raw) > 0 {
		e := state.Entry{Key: string(text()), Value: bytes.Clone(text())}
		if at := number(); at > 0 {
			e.Expires = time.Unix(int64(at), 0)
		}
		if bad {
			return n, ErrDamaged
		}
		n++
		if err := f(e); err != nil {
			return n, err
		}
	}
	return n, nil
}

// Read checks a backup to its end and gives its content to sink, if that is not
// nil. Content is given before the whole file is checked: what a sink took must
// not be used unless Read succeeds.
func Read(ctx context.Context, r io.Reader, key Key, sink Sink) (Manifest, error) {
	var m Manifest
	opened, err := newOpener(r, key)
	if err != nil {
		return m, err
	}
	unpacked, err := zstd.NewReader(opened, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
	if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	defer unpacked.Close()
	in := tar.NewReader(unpacked)
	var seen []Member
	entries, files := int64(0), 0
	for {
		h, err := in.Next()
		if err != nil {
			return m, damaged(err) // the manifest ends the archive, nothing else may
		}
		if err := ctx.Err(); err != nil {
			return m, err
		}
		if h.Size > maxMember {
			return m, ErrDamaged
		}
		data, err := io.ReadAll(in)
		if err != nil {
			return m, damaged(err)
		}
		if h.Name == manifestName {
			if err := json.Unmarshal(data, &m); err != nil || m.Format != Format {
				return m, ErrFormat
			}
			break
		}
		sum := sha256.Sum256(data)
		seen = append(seen, Member{Name: h.Name, Size: h.Size, SHA256: hex.EncodeToString(sum[:])})
		switch {
		case strings.HasPrefix(h.Name, entriesDir):
			n, err := readEntries(data, func(e state.Entry) error {
				if sink == nil {
					return nil
				}
				return sink.Entry(e)
			})
			if entries += n; err != nil {
				return m, err
			}
		case strings.HasPrefix(h.Name, filesDir):
			files++
			if sink != nil {
				if err := sink.File(File{Name: strings.TrimPrefix(h.Name, filesDir), Data: data}); err != nil {
					return m, err
				}
			}
		default:
			return m, ErrFormat
		}
	}
	if _, err := io.Copy(io.Discard, unpacked); err != nil {
		return m, damaged(err)
	}
	return m, m.agrees(seen, entries, files)
}

// agrees compares a manifest with what was read.
func (m *Manifest) agrees(seen []Member, entries int64, files int) error {
	if m.Schema > state.Version {
		return &state.VersionError{Have: m.Schema, Support: state.Version}
	}
	if len(seen) != len(m.Members) || entries != m.Entries || files != m.Files {
		return ErrDamaged
	}
	for i := range seen {
		if seen[i] != m.Members[i] {
			return fmt.Errorf("%w: %s is not what the manifest says", ErrDamaged, seen[i].Name)
		}
	}
	return nil
}

// damaged names what reading a cut or changed file runs into.
func damaged(err error) error {
	if errors.Is(err, ErrDamaged) || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// Loader is a Sink that fills a store.
type Loader struct {
	Ctx   context.Context
	Store state.Store
	// Files gets the files; nil drops them.
	Files func(File) error

	batch state.Batch
	// Entries counts what was written; entries that have expired are left out.
	Entries int64
}

// Entry implements Sink.
func (l *Loader) Entry(e state.Entry) error {
	ttl := time.Duration(0)
	if !e.Expires.IsZero() {
		if ttl = time.Until(e.Expires); ttl <= 0 {
			return nil
		}
	}
	l.Entries++
	l.batch.Put(e.Key, e.Value, ttl)
	if !l.batch.Full() {
		return nil
	}
	return l.apply()
}

// File implements Sink.
func (l *Loader) File(f File) error {
	if l.Files == nil {
		return nil
	}
	return l.Files(f)
}

func (l *Loader) apply() error {
	err := l.Store.Apply(l.Ctx, &l.batch)
	l.batch.Reset()
	return err
}

// Flush writes the rest and makes all of it durable.
func (l *Loader) Flush() error {
	if err := l.apply(); err != nil {
		return err
	}
	return l.Store.Sync(l.Ctx)
}
