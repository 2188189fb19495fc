package pack

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"aead.dev/minisign"

	"github.com/omniroute/omniroute/core/host/manifest"
	"github.com/omniroute/omniroute/sdk/abi"
)

// maxSignatures bounds how many signatures a file may carry.
const maxSignatures = 16

// signature is one minisign signature with the text it was read from.
type signature struct {
	minisign.Signature
	text []byte
}

// Key is a minisign public key; its text, RW…, is what people exchange.
type Key struct {
	Text string
	key  minisign.PublicKey
}

// ParseKey reads a public key: its text alone, or a .pub file.
func ParseKey(text string) (Key, error) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	k := Key{Text: last}
	if err := k.key.UnmarshalText([]byte(last)); err != nil {
		return Key{}, fmt.Errorf("%q is not a minisign public key", last)
	}
	return k, nil
}

// ID is the number that signatures name their key by; a hint, not a proof.
func (k Key) ID() uint64 { return k.key.ID() }

// comment is what the trusted comment of a signature says of a plugin.
func comment(m *manifest.Manifest) string {
	return "name=" + m.Name + " version=" + m.Version + " abi=" + m.ABI
}

// matches reports whether a trusted comment names that plugin. Further words
// are allowed.
func matches(text string, m *manifest.Manifest) error {
	have := map[string]string{}
	for _, word := range strings.Fields(text) {
		if key, value, ok := strings.Cut(word, "="); ok {
			have[key] = value
		}
	}
	for key, want := range map[string]string{"name": m.Name, "version": m.Version, "abi": m.ABI} {
		if have[key] != want {
			return fmt.Errorf("its signature was made for %s=%s, the manifest says %s", key, have[key], want)
		}
	}
	return nil
}

// parseSignatures reads one or more signatures, four lines each.
func parseSignatures(text []byte) ([]signature, error) {
	var out []signature
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n"), "\n")
	for len(lines) > 0 {
		if strings.TrimSpace(lines[0]) == "" {
			lines = lines[1:]
			continue
		}
		if len(lines) < 4 || len(out) == maxSignatures {
			return nil, errors.New("it is not a minisign signature")
		}
		raw := []byte(strings.Join(lines[:4], "\n") + "\n")
		s := signature{text: raw}
		if err := s.UnmarshalText(raw); err != nil {
			return nil, errors.New("it is not a minisign signature")
		}
		out, lines = append(out, s), lines[4:]
	}
	if len(out) == 0 {
		return nil, errors.New("it is empty")
	}
	return out, nil
}

// Signatures is how many signatures the file has, valid or not.
func (f *File) Signatures() int { return len(f.signatures) }

// ErrBadSignature is wrapped by errors about a signature that names a known key
// and does not hold.
var ErrBadSignature = errors.New("bad signature")

// SignedBy returns those of the keys that vouch for the file. A signature that
// names one of the keys but does not hold, or was made for another plugin or
// version, is an error: the file was tampered with. Signatures of other keys
// say nothing.
func (f *File) SignedBy(keys []Key) ([]Key, error) {
	var out []Key
	for _, s := range f.signatures {
		for _, k := range keys {
			if k.ID() != s.KeyID {
				continue
			}
			if !minisign.Verify(k.key, f.content, s.text) && !minisign.Verify(k.key, f.Data, s.text) {
				return nil, fmt.Errorf("its signature by %s does not hold: the file was changed: %w", k.Text, ErrBadSignature)
			}
			if f.Manifest == nil {
				return nil, errors.New("it is signed but has no manifest")
			}
			if err := matches(s.TrustedComment, f.Manifest); err != nil {
				return nil, fmt.Errorf("%w: %w", err, ErrBadSignature)
			}
			out = append(out, k)
		}
	}
	return out, nil
}

// Signature is one signature for people.
type Signature struct {
	KeyID   string `json:"key_id"` // hexadecimal, as minisign shows it
	Comment string `json:"comment"`
}

// ListSignatures describes the signatures without verifying them.
func (f *File) ListSignatures() []Signature {
	var out []Signature
	for _, s := range f.signatures {
		out = append(out, Signature{KeyID: fmt.Sprintf("%016X", s.KeyID), Comment: s.TrustedComment})
	}
	return out
}

// SignatureText is all signatures of the file as minisign writes them, nil for
// none.
func (f *File) SignatureText() []byte {
	var out []byte
	for _, s := range f.signatures {
		out = append(out, s.text...)
	}
	return out
}

// SidecarText is the signatures that the file does not carry itself, nil for
// none.
func (f *File) SidecarText() []byte { return f.sidecar }

// Signer is a minisign secret key.
type Signer struct {
	key minisign.PrivateKey
	Key Key // the public half
}

// NewSigner makes a key pair. secret is the text of the key file, encrypted
// when the password is not empty; public is that of the .pub file.
func NewSigner(random io.Reader, password string) (s Signer, secret, public []byte, err error) {
	pub, priv, err := minisign.GenerateKey(random)
	if err != nil {
		return s, nil, nil, err
	}
	if password == "" {
		secret, err = priv.MarshalText()
	} else {
		secret, err = minisign.EncryptKey(password, priv)
	}
	if err != nil {
		return s, nil, nil, err
	}
	if public, err = pub.MarshalText(); err != nil {
		return s, nil, nil, err
	}
	return Signer{priv, Key{pub.String(), pub}}, secret, append(public, '\n'), nil
}

// ErrPassword is returned for a secret key whose password is missing or wrong.
var ErrPassword = errors.New("the secret key is protected: give its password")

// ParseSigner reads a secret key file, protected or not.
func ParseSigner(text []byte, password string) (Signer, error) {
	var priv minisign.PrivateKey
	var err error
	if minisign.IsEncrypted(text) {
		if password == "" {
			return Signer{}, ErrPassword
		}
		if priv, err = minisign.DecryptKey(password, text); err != nil {
			return Signer{}, ErrPassword
		}
	} else if err = priv.UnmarshalText(text); err != nil {
		return Signer{}, errors.New("it is not a minisign secret key")
	}
	pub, ok := priv.Public().(minisign.PublicKey)
	if !ok {
		return Signer{}, errors.New("it is not a minisign secret key")
	}
	return Signer{priv, Key{pub.String(), pub}}, nil
}

// Sign makes a signature over the file's content, and returns its text: the
// content of a side-car file.
func (f *File) Sign(s Signer) ([]byte, error) {
	if f.Manifest == nil {
		return nil, errors.New("it has no manifest; pack one into it first")
	}
	return s.signText(f.content, comment(f.Manifest))
}

// signText signs prehashed, like minisign itself does.
func (s Signer) signText(message []byte, trusted string) ([]byte, error) {
	r := minisign.NewReader(bytes.NewReader(message))
	if _, err := io.Copy(io.Discard, r); err != nil {
		return nil, err
	}
	return r.SignWithComments(s.key, trusted, "signature from minisign secret key"), nil
}

// SignBytes signs any message, such as an index.
func (s Signer) SignBytes(message []byte, trusted string) ([]byte, error) {
	return s.signText(message, trusted)
}

// VerifyBytes returns those of the keys that signed message.
func VerifyBytes(message, signatures []byte, keys []Key) ([]Key, error) {
	list, err := parseSignatures(signatures)
	if err != nil {
		return nil, err
	}
	var out []Key
	for _, s := range list {
		for _, k := range keys {
			if k.ID() == s.KeyID {
				if !minisign.Verify(k.key, message, s.text) {
					return nil, fmt.Errorf("the signature by %s does not hold: %w", k.Text, ErrBadSignature)
				}
				out = append(out, k)
			}
		}
	}
	return out, nil
}

// Embed returns a module that carries all signatures of the file, and the given
// one, in its section omniroute.sig.
func (f *File) Embed(text []byte) ([]byte, error) {
	if f.IsPack() {
		return nil, errors.New("a provider pack cannot carry its signature; use the side-car file")
	}
	added, err := parseSignatures(text)
	if err != nil {
		return nil, err
	}
	all := f.signatures
	for _, s := range added {
		known := false
		for k := range all {
			if all[k].KeyID == s.KeyID { // signed again: the newer one counts
				all[k], known = s, true
			}
		}
		if !known {
			all = append(all, s)
		}
	}
	var joined []byte
	for _, s := range all {
		joined = append(joined, s.text...)
	}
	return abi.AppendSection(bytes.Clone(f.content), abi.SectionSig, joined), nil
}
