package backup

import (
	"bufio"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-json"
	"golang.org/x/crypto/scrypt"
)

// Format names the file format.
const Format = "omniroute-backup-v1"

// magic begins every file.
const magic = "OMNIBAK1"

// Errors of reading.
var (
	// ErrFormat: the file is no backup, or one of a later release.
	ErrFormat = errors.New("backup: not a backup of this release")
	// ErrKey: the key or passphrase is not the one the backup was made with.
	ErrKey = errors.New("backup: the key does not open this backup")
	// ErrDamaged: the file was cut or changed.
	ErrDamaged = errors.New("backup: the file is damaged")
)

// Key opens and seals backups.
type Key struct {
	storage    []byte
	passphrase string
}

// StorageKey derives from the 32-byte key of the store.
func StorageKey(key []byte) Key { return Key{storage: key} }

// Passphrase derives from words; they should be many.
func Passphrase(words string) Key { return Key{passphrase: words} }

// header stands in clear at the beginning.
type header struct {
	Format string `json:"format"`
	KDF    string `json:"kdf"` // storage-key: HKDF-SHA256; passphrase: scrypt
	Salt   string `json:"salt"`
	N      int    `json:"n,omitempty"` // of scrypt
	R      int    `json:"r,omitempty"`
	P      int    `json:"p,omitempty"`
	Check  string `json:"check"` // tells a wrong key from a damaged file
}

// Cost of scrypt: about 100 ms and 64 MiB.
const scryptN, scryptR, scryptP = 1 << 16, 8, 1

func newHeader(k Key) (header, []byte, error) {
	var salt [16]byte
	rand.Read(salt[:])
	h := header{Format: Format, KDF: "storage-key", Salt: hex.EncodeToString(salt[:])}
	if k.passphrase != "" {
		h.KDF, h.N, h.R, h.P = "passphrase", scryptN, scryptR, scryptP
	}
	key, err := h.derive(k)
	if err != nil {
		return h, nil, err
	}
	h.Check = check(key)
	return h, key, nil
}

// derive makes the key of a file.
func (h *header) derive(k Key) ([]byte, error) {
	salt, err := hex.DecodeString(h.Salt)
	if err != nil || len(salt) < 16 {
		return nil, ErrFormat
	}
	switch h.KDF {
	case "storage-key":
		if len(k.storage) != 32 {
			return nil, fmt.Errorf("%w: it was made with a storage key", ErrKey)
		}
		return hkdf.Key(sha256.New, k.storage, salt, Format, 32)
	case "passphrase":
		if k.passphrase == "" {
			return nil, fmt.Errorf("%w: it was made with a passphrase", ErrKey)
		}
		if h.N > 1<<20 || h.R > 32 || h.P > 16 || h.N < 2 || h.R < 1 || h.P < 1 {
			return nil, ErrFormat
		}
		return scrypt.Key([]byte(k.passphrase), salt, h.N, h.R, h.P, 32)
	}
	return nil, ErrFormat
}

func check(key []byte) string {
	sum := sha256.Sum256(append([]byte(Format+" check "), key...))
	return hex.EncodeToString(sum[:8])
}

// chunk is how much plain text one seal covers.
const chunk = 64 << 10

// sealer writes sealed chunks: length, then the sealed bytes. The nonce counts
// the chunks and marks the last one, so that none can be dropped, repeated or
// exchanged.
type sealer struct {
	w    io.Writer
	aead cipher.AEAD
	n    uint64
	buf  []byte
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func nonce(n uint64, last bool) []byte {
	var out [12]byte
	binary.BigEndian.PutUint64(out[3:], n)
	if last {
		out[11] = 1
	}
	return out[:]
}

func newSealer(w io.Writer, k Key) (*sealer, error) {
	h, key, err := newHeader(k)
	if err != nil {
		return nil, err
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	head := binary.BigEndian.AppendUint32([]byte(magic), uint32(len(raw)))
	if _, err := w.Write(append(head, raw...)); err != nil {
		return nil, err
	}
	return &sealer{w: w, aead: aead, buf: make([]byte, 0, chunk)}, nil
}

// Write implements io.Writer.
func (s *sealer) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(chunk-len(s.buf), len(rest))
		s.buf = append(s.buf, rest[:n]...)
		rest = rest[n:]
		if len(s.buf) == chunk && len(rest) > 0 {
			if err := s.seal(false); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

func (s *sealer) seal(last bool) error {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(s.buf)+s.aead.Overhead()))
	out = s.aead.Seal(out, nonce(s.n, last), s.buf, nil)
	s.n++
	s.buf = s.buf[:0]
	_, err := s.w.Write(out)
	return err
}

// Close writes the last chunk.
func (s *sealer) Close() error { return s.seal(true) }

// opener reads what a sealer wrote.
type opener struct {
	r    *bufio.Reader
	aead cipher.AEAD
	n    uint64
	buf  []byte
	last bool
}

func newOpener(r io.Reader, k Key) (*opener, error) {
	in := bufio.NewReaderSize(r, chunk)
	head := make([]byte, len(magic)+4)
	if _, err := io.ReadFull(in, head); err != nil || string(head[:len(magic)]) != magic {
		return nil, ErrFormat
	}
	n := binary.BigEndian.Uint32(head[len(magic):])
	if n > 4<<10 {
		return nil, ErrFormat
	}
	raw := make([]byte, n)
	if _, err := io.ReadFull(in, raw); err != nil {
		return nil, ErrFormat
	}
	var h header
	if json.Unmarshal(raw, &h) != nil || h.Format != Format {
		return nil, ErrFormat
	}
	key, err := h.derive(k)
	if err != nil {
		return nil, err
	}
	if check(key) != h.Check {
		return nil, ErrKey
	}
	aead, err := newAEAD(key)
	return &opener{r: in, aead: aead}, err
}

// Read implements io.Reader.
func (o *opener) Read(p []byte) (int, error) {
	for len(o.buf) == 0 {
		if o.last {
			if _, err := o.r.ReadByte(); err != io.EOF {
				return 0, ErrDamaged
			}
			return 0, io.EOF
		}
		if err := o.open(); err != nil {
			return 0, err
		}
	}
	n := copy(p, o.buf)
	o.buf = o.buf[n:]
	return n, nil
}

func (o *opener) open() error {
	var length [4]byte
	if _, err := io.ReadFull(o.r, length[:]); err != nil {
		return ErrDamaged // a whole file ends with a last chunk
	}
	n := binary.BigEndian.Uint32(length[:])
	if n < uint32(o.aead.Overhead()) || n > chunk+uint32(o.aead.Overhead()) {
		return ErrDamaged
	}
	sealed := make([]byte, n)
	if _, err := io.ReadFull(o.r, sealed); err != nil {
		return ErrDamaged
	}
	for _, last := range []bool{false, true} {
		if plain, err := o.aead.Open(nil, nonce(o.n, last), sealed, nil); err == nil {
			o.n++
			o.buf, o.last = plain, last
			return nil
		}
	}
	return ErrDamaged
}
