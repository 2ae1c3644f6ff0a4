package script

import (
	"strings"
	"testing"

	"chat.example.com.ai/runtime/key"
)

// brokenHost panics where a thing asks for its id.
type brokenHost struct{ *chatHost }

func (brokenHost) NewID() string { panic("a bug of ours") }

// A panic of the host costs a turn and its VM, and tells where in Go and whose
// handler it was. No script can catch it.
func TestAPanicOfTheHostEndsTheTurn(t *testing.T) {
	vm, h := newChatVM(t, key.Key{Type: "Room", ID: "general"})
	vm.host = brokenHost{h}
	out := vm.Message(2, h.sockets[0], true, []byte(`{"type":"message","content":"hello"}`))
	if out.Err == nil || !out.Dropped || len(out.Effects) != 0 {
		t.Fatalf("error %v, dropped %v, %d effects", out.Err, out.Dropped, len(out.Effects))
	}
	if e := out.Err; e.Name != internalError || !strings.Contains(e.Message, "a bug of ours") || !strings.Contains(e.Stack, "brokenHost.NewID") || e.File != "room.js" {
		t.Errorf("%v\n%s", e, e.Stack)
	}
	if len(out.Failed) != 1 {
		t.Errorf("%d tasks failed", len(out.Failed))
	}
}
