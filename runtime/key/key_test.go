package key_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"

	"chat.example.com.ai/runtime/key"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestKeysThatAreAccepted(t *testing.T) {
	for _, s := range []string{"Room/general", "A/1", "User/é", "Room/a/b", "Room/" + strings.Repeat("x", key.MaxID), strings.Repeat("A", key.MaxType) + "/x"} {
		k, err := key.Parse(s)
		if err != nil {
			t.Errorf("Parse(%q): %v", s, err)
			continue
		}
		if k.String() != s {
			t.Errorf("Parse(%q).String() = %q", s, k)
		}
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	for _, s := range []string{"", "Room", "Room/", "/x", "room/x", "Ro-om/x", "Room/a\x00b", "Room/a\nb", "Room/\xff", "Room/\u0085", "Room/" + strings.Repeat("x", key.MaxID+1), strings.Repeat("A", key.MaxType+1) + "/x"} {
		if k, err := key.Parse(s); !errors.Is(err, key.ErrInvalid) {
			t.Errorf("Parse(%q) = %v, %v; want ErrInvalid", s, k, err)
		}
	}
}

// FuzzKey compares what is taken for a key with the rule as it is written down.
func FuzzKey(f *testing.F) {
	for _, s := range []string{"Room/general", "A/1", "User/é", "Room/a/b", "room/x", "Room", "/", "Room/\x00", "Room/\x7f", "Room/\u0085", "Room/\xff", "Ro\u0301om/x", "Room/ ", "Room/\u2028"} {
		f.Add(s)
	}
	noun := regexp.MustCompile(`^[A-Z][A-Za-z0-9]{0,63}$`)
	name := regexp.MustCompile(`^[^\x00-\x1f\x7f-\x{9f}]+$`)
	f.Fuzz(func(t *testing.T, s string) {
		typ, id, slash := strings.Cut(s, "/")
		valid := slash && noun.MatchString(typ) && len(id) <= 256 && utf8.ValidString(id) && name.MatchString(id)
		k, err := key.Parse(s)
		if valid != (err == nil) || err != nil && !errors.Is(err, key.ErrInvalid) {
			t.Fatalf("Parse(%q): %v, %v", s, k, err)
		}
		if err != nil {
			if !k.IsZero() {
				t.Fatalf("Parse(%q) failed, with %v", s, k)
			}
			return
		}
		if again, err := key.New(k.Type, k.ID); err != nil || again != k || k.String() != s || k.Type != typ || k.ID != id || !key.ValidType(typ) {
			t.Fatalf("Parse(%q) = %q, %v", s, k, err)
		}
	})
}
