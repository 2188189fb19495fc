package state

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/goccy/go-json"
)

// Names inside a data directory.
const (
	lockName    = "LOCK"
	secretsName = "secrets.json"
	machineName = "machine-id"
	badgerName  = "badger"

	storageKeyName = "storage_key" // in secrets.json
)

// Dir is a data directory: mode 0700, held by one process.
type Dir struct {
	path string
	lock *os.File

	mu sync.Mutex // guards secrets.json
}

// OpenDir creates or opens a data directory, checks that it can be written and
// takes its lock; *LockedError if another process has it. "~" at the start of
// path is the home directory.
func OpenDir(path string) (*Dir, error) {
	path, err := ExpandHome(path)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("state: cannot create the data directory: %w", err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("state: cannot use the data directory: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("state: the data directory %s is not a directory", path)
	}
	lock, err := lockFile(filepath.Join(path, lockName))
	if err != nil {
		var locked *LockedError
		if errors.As(err, &locked) {
			locked.Dir = path
			return nil, locked
		}
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, errReadOnlyFS) {
			return nil, fmt.Errorf("state: the data directory %s cannot be written: %w", path, ErrReadOnly)
		}
		return nil, fmt.Errorf("state: cannot lock the data directory: %w", err)
	}
	return &Dir{path: path, lock: lock}, nil
}

// ExpandHome makes a path absolute; "~" at its start is the home directory.
func ExpandHome(path string) (string, error) {
	if path == "~" || strings.HasPrefix(path, "~/") || strings.HasPrefix(path, `~\`) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("state: %s: no home directory: %w", path, err)
		}
		path = filepath.Join(home, path[1:])
	}
	return filepath.Abs(path)
}

// Path joins names to the directory.
func (d *Dir) Path(names ...string) string {
	return filepath.Join(append([]string{d.path}, names...)...)
}

// Close gives the lock back.
func (d *Dir) Close() error {
	if d.lock == nil {
		return nil
	}
	err := unlockFile(d.lock)
	d.lock = nil
	return err
}

// StorageKey returns the 32-byte key of the store. A non-empty given (64 hex
// digits or base64 of 32 bytes) is used as it is and never written down. Else
// the key comes from secrets.json, and is made there at first use. Data without
// any key is an error, because a new key could not read it.
func (d *Dir) StorageKey(given string) ([]byte, error) {
	if given = strings.TrimSpace(given); given != "" {
		return ParseKey(given)
	}
	stored, err := d.lookup(storageKeyName)
	if err != nil {
		return nil, err
	}
	if stored == "" {
		if entries, err := os.ReadDir(d.Path(badgerName)); err == nil && len(entries) > 0 {
			return nil, fmt.Errorf("state: there is data in %s but no storage key: set OMNIROUTE_STORAGE_KEY or bring back %s: %w",
				d.Path(badgerName), d.Path(secretsName), ErrWrongKey)
		}
		if stored, err = d.Secret(storageKeyName); err != nil {
			return nil, err
		}
	}
	return ParseKey(stored)
}

// ParseKey reads a storage key: 64 hex digits or base64 of 32 bytes.
func ParseKey(text string) ([]byte, error) {
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == 32 {
		return raw, nil
	}
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if raw, err := enc.DecodeString(text); err == nil && len(raw) == 32 {
			return raw, nil
		}
	}
	return nil, errors.New("state: the storage key must be 32 bytes, as 64 hex digits or in base64 (make one with: openssl rand -hex 32)")
}

// Secret returns the secret called name from secrets.json, 32 random bytes in
// hex made at first use.
func (d *Dir) Secret(name string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all, err := d.readSecrets()
	if err != nil {
		return "", err
	}
	if s := all[name]; s != "" {
		return s, nil
	}
	var raw [32]byte
	rand.Read(raw[:])
	all[name] = hex.EncodeToString(raw[:])
	if err := d.writeSecrets(all); err != nil {
		return "", err
	}
	return all[name], nil
}

func (d *Dir) lookup(name string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all, err := d.readSecrets()
	return all[name], err
}

func (d *Dir) readSecrets() (map[string]string, error) {
	path := d.Path(secretsName)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]string{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("state: cannot read the secrets: %w", err)
	}
	all := map[string]string{}
	if err := json.Unmarshal(raw, &all); err != nil {
		return nil, fmt.Errorf("state: %s is damaged; restore it from a backup", path)
	}
	// A copy or a careless umask may have opened the file to others.
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, fmt.Errorf("state: %s is readable by others and cannot be closed: %w", path, err)
		}
	}
	return all, nil
}

func (d *Dir) writeSecrets(all map[string]string) error {
	raw, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("state: secrets: %w", err)
	}
	if err := WriteFile(d.Path(secretsName), append(raw, '\n')); err != nil {
		return fmt.Errorf("state: cannot write the secrets: %w", err)
	}
	return nil
}

// WriteFile replaces a file with mode 0600 so that a crash leaves either the
// old or the new content, on disk before it returns.
func WriteFile(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone already when the rename succeeded
	if _, err := tmp.Write(data); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Sync(); err != nil {
		tmp.Close()
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		dir.Sync() // not every file system can; the rename itself is done
		dir.Close()
	}
	return nil
}

// MachineID is a stable id of this installation: given if it is not empty,
// else the file machine-id, else the id of the operating system, else random.
// What was found is kept in the file.
func (d *Dir) MachineID(given string) (string, error) {
	if given = strings.TrimSpace(given); given != "" {
		return given, nil
	}
	path := d.Path(machineName)
	if raw, err := os.ReadFile(path); err == nil {
		if id := strings.TrimSpace(string(raw)); id != "" {
			return id, nil
		}
	}
	id := systemID()
	if id == "" {
		var raw [16]byte
		rand.Read(raw[:])
		id = hex.EncodeToString(raw[:])
	}
	if err := WriteFile(path, []byte(id+"\n")); err != nil {
		return "", fmt.Errorf("state: cannot write the machine id: %w", err)
	}
	return id, nil
}

func systemID() string {
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		if raw, err := os.ReadFile(path); err == nil {
			if id := strings.TrimSpace(string(raw)); id != "" {
				return id
			}
		}
	}
	return ""
}

// Secrets returns what secrets.json holds, the storage key left out.
func (d *Dir) Secrets() (map[string]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	all, err := d.readSecrets()
	delete(all, storageKeyName)
	return all, err
}

// SetSecrets puts secrets into secrets.json, over those of the same name; the
// storage key stays what it is.
func (d *Dir) SetSecrets(secrets map[string]string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	all, err := d.readSecrets()
	if err != nil {
		return err
	}
	for name, s := range secrets {
		if name != storageKeyName {
			all[name] = s
		}
	}
	return d.writeSecrets(all)
}

// NewStorageKey is StorageKey for data that is about to be replaced: a key that is
// missing is made, whatever data there is.
func (d *Dir) NewStorageKey(given string) ([]byte, error) {
	if given = strings.TrimSpace(given); given != "" {
		return ParseKey(given)
	}
	text, err := d.Secret(storageKeyName)
	if err != nil {
		return nil, err
	}
	return ParseKey(text)
}
