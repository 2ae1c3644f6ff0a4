package script

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

// chatHost runs a VM without an object around it.
type chatHost struct {
	set     *Set
	store   *store.Store
	key     key.Key
	view    *store.View
	sockets []Socket
	ids     int
	looks   int // at the clock
}

func (h *chatHost) Listed(Socket) bool { return true }

// Now is so much later each time that nobody is too fast for the chat.
func (h *chatHost) Now() time.Time {
	h.looks++
	return time.UnixMilli(int64(h.looks) * 100)
}

func (h *chatHost) Key() key.Key                          { return h.key }
func (h *chatHost) NewID() string                         { h.ids++; return fmt.Sprintf("01HZX%021d", h.ids) }
func (h *chatHost) View() *store.View                     { return h.view }
func (h *chatHost) Reads() context.Context                { return context.Background() }
func (h *chatHost) Accept([]string, *User) Socket         { return nil }
func (h *chatHost) Sockets() iter.Seq[Socket]             { return slices.Values(h.sockets) }
func (h *chatHost) TaggedSockets(string) iter.Seq[Socket] { return slices.Values(h.sockets) }
func (h *chatHost) SocketCount() int                      { return len(h.sockets) }
func (h *chatHost) AutoResponse() (string, string, bool)  { return "", "", false }
func (h *chatHost) HandlersOf(eventType string) []Handler { return h.set.HandlersOf(eventType) }
func (h *chatHost) NextSeq() int64                        { return h.store.NextSeq() }
func (h *chatHost) StartTimer(int64, time.Duration)       {}
func (h *chatHost) StopTimer(int64)                       {}
func (h *chatHost) Hung()                                 {}
func (h *chatHost) Log() *slog.Logger                     { return slog.New(slog.DiscardHandler) }
func (h *chatHost) ScriptError(kind string, err *Error)   { panic(kind + ": " + err.Error()) }

// person is somebody in a room.
type person struct{ id uint64 }

func (s person) ID() uint64     { return s.id }
func (s person) Tags() []string { return []string{"room:general", "user:ann"} }
func (s person) Attachment() []byte {
	return []byte(`{"user":"ann","since":{"$date":1700000000000}}`)
}
func (s person) User() *User               { return nil }
func (s person) AutoResponseAt() time.Time { return time.Time{} }
func (s person) ReadyState() int           { return 1 }

// newChatVM makes the VM of an object of the shipped chat.
func newChatVM(tb testing.TB, k key.Key) (*VM, *chatHost) {
	set, err := Load(Options{Folder: filepath.Join("..", "..", "scripts"), Log: slog.New(slog.DiscardHandler), TurnTimeout: time.Second})
	if err != nil {
		tb.Fatal(err)
	}
	s, err := store.Open(tb.Context(), store.Options{Memory: true})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	h := &chatHost{set: set, store: s, key: k, view: s.View(k, s.Epoch()), sockets: []Socket{person{1}, person{2}}}
	vm := set.NewObject(h)
	if out := vm.Boot(1); out.Err != nil {
		tb.Fatal(out.Err)
	}
	return vm, h
}

// A message to a room of two: parsed, stored, shown, and told to the handlers.
func BenchmarkChatMessage(b *testing.B) {
	vm, h := newChatVM(b, key.Key{Type: "Room", ID: "general"})
	message := []byte(`{"type":"message","content":"hello, this is a message of about the usual length"}`)
	b.ReportAllocs()
	for id := TaskID(2); b.Loop(); id++ {
		out := vm.Message(id, h.sockets[0], true, message)
		if out.Err != nil || len(out.Effects) != 3 {
			b.Fatal(out.Err, out.Effects)
		}
		h.view.Discard()
	}
}

// The same message with an id, which is looked for and kept, and acknowledged.
func BenchmarkChatMessageOnce(b *testing.B) {
	vm, h := newChatVM(b, key.Key{Type: "Room", ID: "general"})
	b.ReportAllocs()
	for id := TaskID(2); b.Loop(); id++ {
		message := fmt.Appendf(nil, `{"type":"message","id":"%032d","content":"hello, this is a message of about the usual length"}`, id)
		out := vm.Message(id, h.sockets[0], true, message)
		if out.Err != nil || len(out.Effects) != 4 {
			b.Fatal(out.Err, out.Effects)
		}
		h.view.Discard()
	}
}

// The event of that message, to the handler that looks for people in it.
func BenchmarkChatEvent(b *testing.B) {
	vm, h := newChatVM(b, key.Key{Type: HandlerNoun, ID: "mentions.js#Message.sent"})
	handler := h.HandlersOf("Message.sent")[0]
	data := []byte(`{"$object":{"$id":"01HZX000000000000000000001","$type":"Message","room":"general","author":"ann",` +
		`"content":"hello, this is a message of about the usual length","sent":{"$date":1700000000000},` +
		`"$createdAt":{"$date":1700000000000},"$updatedAt":{"$date":1700000000000},"$version":1}}`)
	b.ReportAllocs()
	for id := TaskID(2); b.Loop(); id++ {
		out := vm.Event(id, int64(id), handler.Name, 1, Event{ID: "e", Type: "Message.sent", Source: "Room/general", Data: data, At: 1700000000000, Attempt: 1})
		if out.Err != nil {
			b.Fatal(out.Err)
		}
		h.view.Discard()
	}
}
