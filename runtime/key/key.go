// Package key is the address of a durable object: a noun and a name, written
// Room/general. It imports nothing of this program, so that every other package
// can speak of objects without knowing them. Values are immutable and safe to
// share between goroutines.
package key

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxType and MaxID bound the two halves of an address, in bytes. A type is an
// identifier in a script; an ID comes from clients, and every byte of it is paid
// for in each index of the store.
const (
	MaxType = 64
	MaxID   = 256
)

// ErrInvalid is wrapped by every error that New and Parse return.
var ErrInvalid = errors.New("invalid object key")

// Key addresses one durable object. Only the cluster package knows on which
// machine that object lives. The zero Key addresses nothing.
type Key struct {
	Type string // the noun: [A-Z][A-Za-z0-9]{0,63}
	ID   string // the name: 1 to 256 bytes of UTF-8 without control characters
}

// New returns the key of the given noun and name, or an error that wraps
// ErrInvalid and says which half is wrong.
func New(typ, id string) (Key, error) {
	if !ValidType(typ) {
		return Key{}, fmt.Errorf("%w: %q is not a noun: a capital letter, then at most %d letters and digits", ErrInvalid, typ, MaxType-1)
	}
	if err := checkID(id); err != nil {
		return Key{}, err
	}
	return Key{Type: typ, ID: id}, nil
}

// Parse reads the form that String writes. The name may itself hold slashes.
func Parse(s string) (Key, error) {
	typ, id, ok := strings.Cut(s, "/")
	if !ok {
		return Key{}, fmt.Errorf("%w: %q has no slash between noun and name", ErrInvalid, s)
	}
	return New(typ, id)
}

// String returns the key as Type/ID.
func (k Key) String() string { return k.Type + "/" + k.ID }

// IsZero reports whether k addresses nothing.
func (k Key) IsZero() bool { return k == Key{} }

// ValidType reports whether s can be a noun.
func ValidType(s string) bool {
	if len(s) == 0 || len(s) > MaxType || s[0] < 'A' || s[0] > 'Z' {
		return false
	}
	for i := 1; i < len(s); i++ {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			return false
		}
	}
	return true
}

func checkID(id string) error {
	switch {
	case id == "":
		return fmt.Errorf("%w: the name is empty", ErrInvalid)
	case len(id) > MaxID:
		return fmt.Errorf("%w: the name has %d bytes, at most %d are allowed", ErrInvalid, len(id), MaxID)
	case !utf8.ValidString(id):
		return fmt.Errorf("%w: the name is not UTF-8", ErrInvalid)
	}
	for _, r := range id {
		if unicode.IsControl(r) {
			return fmt.Errorf("%w: the name has the control character %U", ErrInvalid, r)
		}
	}
	return nil
}
