package key_test

import (
	"errors"
	"strings"
	"testing"

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
