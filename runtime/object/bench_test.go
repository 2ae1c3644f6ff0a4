package object_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"chat.example.com.ai/runtime/cluster"
	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/runtime/object"
	"chat.example.com.ai/runtime/script"
	"chat.example.com.ai/runtime/socket"
	"chat.example.com.ai/store"
)

type noOutbox struct{}

func (noOutbox) Committed(store.Delivery) {}
func (noOutbox) Buried(store.DeadLetter)  {}

// newNode makes a node with the shipped scripts, or with one file of its own.
func newNode(tb testing.TB, text string) *object.Node {
	tb.Helper()
	return newNodeWith(tb, text, object.Config{})
}

func newNodeWith(tb testing.TB, text string, config object.Config) *object.Node {
	tb.Helper()
	return newNodeOf(tb, text, script.Options{}, config)
}

func newNodeOf(tb testing.TB, text string, options script.Options, config object.Config) *object.Node {
	tb.Helper()
	folder := filepath.Join("..", "..", "scripts")
	if text != "" {
		folder = tb.TempDir()
		if err := os.WriteFile(filepath.Join(folder, "a.js"), []byte(text), 0o644); err != nil {
			tb.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	options.Folder, options.Log = folder, log
	set, err := script.Load(options)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := store.Open(tb.Context(), store.Options{Folder: tb.TempDir(), Log: log})
	if err != nil {
		tb.Fatal(err)
	}
	config.Store, config.Sockets, config.Placement = s, socket.NewServer(socket.Config{Log: log}), cluster.NewLocal(s.Epoch())
	config.Log, config.Outbox = log, func(*object.Node) object.Outbox { return noOutbox{} }
	n := object.NewNode(set, config)
	tb.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil {
			tb.Error(err)
		}
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return n
}

func get(tb testing.TB, n *object.Node, room, path string) {
	r, err := n.Request(context.Background(), key.Key{Type: "Room", ID: room}, &script.Request{Method: "GET", URL: "http://x" + path})
	if err != nil || r.Status != 200 {
		tb.Fatalf("%v %v", r, err)
	}
}

const turnScript = `
import { DO } from 'dotdo'
export default DO.extend({
  onRequest() {
    this.app.get('/read/:room', (c) => c.text('hello'))
    this.app.get('/write/:room', (c) => { this.things.create({ $type: 'Message', content: 'hello', sent: new Date() }); return c.text('hello') })
  },
})`

// A turn that writes nothing: a request to a room that is awake.
func BenchmarkTurn(b *testing.B) {
	n := newNode(b, turnScript)
	get(b, n, "a", "/read/a")
	b.ReportAllocs()
	for b.Loop() {
		get(b, n, "a", "/read/a")
	}
}

// A turn and its commit, for one room alone: a sync of the disk each.
func BenchmarkTurnAndCommit(b *testing.B) {
	n := newNode(b, turnScript)
	b.ReportAllocs()
	for b.Loop() {
		get(b, n, "a", "/write/a")
	}
}

// The same for many rooms at a time, whose turns share commits.
func BenchmarkTurnAndCommitOfManyRooms(b *testing.B) {
	n := newNode(b, turnScript)
	b.ReportAllocs()
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		room := fmt.Sprintf("r%p", pb)
		for pb.Next() {
			get(b, n, room, "/write/"+room)
		}
	})
}

// What an awake room of the shipped chat takes, and how long its waking: a VM
// with all parts of Room, its routes registered, and a request answered.
func BenchmarkAwakeRoom(b *testing.B) {
	n := newNode(b, "")
	var before, after runtime.MemStats
	get(b, n, "warm", "/rooms/warm/presence")
	runtime.GC()
	runtime.ReadMemStats(&before)
	rooms := 0
	for b.Loop() {
		room := fmt.Sprint("r", rooms)
		rooms++
		get(b, n, room, "/rooms/"+room+"/presence")
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(rooms), "B/room")
}

// maxAwake is what an awake room of the shipped chat may take.
const maxAwake = 64 << 10

func TestAnAwakeRoomIsSmall(t *testing.T) {
	n := newNode(t, "")
	var before, after runtime.MemStats
	get(t, n, "warm", "/rooms/warm/presence")
	runtime.GC()
	runtime.ReadMemStats(&before)
	const rooms = 300
	for i := range rooms {
		room := fmt.Sprint("r", i)
		get(t, n, room, "/rooms/"+room+"/presence")
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (after.HeapAlloc - before.HeapAlloc) / rooms; each > maxAwake {
		t.Errorf("an awake room takes %d bytes, more than %d", each, maxAwake)
	}
}
