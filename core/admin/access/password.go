package access

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"

	"github.com/omniroute/omniroute/core/fault"
)

// Cost of a password hash.
type Cost struct {
	Memory uint32 // KiB
	Passes uint32
}

// usualCost is what an attacker has to pay for every guess.
var usualCost = Cost{Memory: 64 << 10, Passes: 3}

// Sizes of a password hash.
const (
	hashLanes = 1
	hashSalt  = 16 // bytes
	hashSize  = 32 // bytes
)

// MinPassword is the length of the shortest password a person may choose, in characters.
const MinPassword = 8

const maxPassword = 200

// Weak passwords everybody tries first.
var weak = [...]string{"123456", "CHANGEME", "password", "admin"}

// IsWeak reports a password that was once a default somewhere.
func IsWeak(password string) bool {
	for _, w := range weak {
		if strings.EqualFold(w, password) {
			return true
		}
	}
	return false
}

func checkNew(password string) error {
	switch n := utf8.RuneCountInString(password); {
	case n < MinPassword:
		return fault.Newf(fault.InvalidBody, "The password needs at least %d characters", MinPassword)
	case n > maxPassword:
		return fault.Newf(fault.InvalidBody, "The password may have at most %d characters", maxPassword)
	case IsWeak(password):
		return fault.New(fault.InvalidBody, "This password is among the first that are tried; choose another")
	}
	return nil
}

// hash returns the PHC string of a password.
func (c Cost) hash(password string) (string, error) {
	salt := make([]byte, hashSalt)
	if _, err := rand.Read(salt); err != nil {
		return "", err
	}
	sum := argon2.IDKey([]byte(password), salt, c.Passes, c.Memory, hashLanes, hashSize)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory, c.Passes, hashLanes,
		b64.EncodeToString(salt), b64.EncodeToString(sum)), nil
}

var errHash = errors.New("access: the stored password hash cannot be read")

// decoy is a hash no password has, to be compared with when there is none, so that the answer takes as long.
func (c Cost) decoy() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, c.Memory, c.Passes, hashLanes,
		strings.Repeat("A", 22), strings.Repeat("A", 43))
}

// matches compares a password with its hash. stale asks for a new hash: the old one is of another kind or cost.
func (c Cost) matches(hashed, password string) (ok, stale bool, err error) {
	if strings.HasPrefix(hashed, "$2") {
		err := bcrypt.CompareHashAndPassword([]byte(hashed), []byte(password))
		if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) || errors.Is(err, bcrypt.ErrPasswordTooLong) {
			return false, false, nil
		}
		return err == nil, true, err
	}
	part := strings.Split(hashed, "$")
	if len(part) != 6 || part[1] != "argon2id" {
		return false, false, errHash
	}
	var version int
	var memory, passes uint32
	var lanes uint8
	if _, err := fmt.Sscanf(part[2], "v=%d", &version); err != nil || version != argon2.Version {
		return false, false, errHash
	}
	if _, err := fmt.Sscanf(part[3], "m=%d,t=%d,p=%d", &memory, &passes, &lanes); err != nil || memory > 1<<20 || passes > 16 || passes == 0 || lanes == 0 {
		return false, false, errHash
	}
	salt, err := base64.RawStdEncoding.DecodeString(part[4])
	if err != nil {
		return false, false, errHash
	}
	want, err := base64.RawStdEncoding.DecodeString(part[5])
	if err != nil || len(want) == 0 || len(want) > 64 {
		return false, false, errHash
	}
	got := argon2.IDKey([]byte(password), salt, passes, memory, lanes, uint32(len(want)))
	return subtle.ConstantTimeCompare(got, want) == 1, memory != c.Memory || passes != c.Passes || len(want) != hashSize, nil
}
