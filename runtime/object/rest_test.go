package object_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/runtime/object"
	"chat.example.com.ai/runtime/script"
	"chat.example.com.ai/runtime/socket"
)

// maxResting is what an object with sockets may take while it hibernates, besides
// its sockets, its key and its place in the table.
const maxResting = 160

const accepting = `
import { DO } from 'dotdo'
export default DO.extend({
  onRequest() {
    this.app.get('/ws/:room', (c) => {
      const [client, server] = Object.values(new WebSocketPair())
      this.ctx.acceptWebSocket(server)
      return new Response(null, { status: 101, webSocket: client })
    })
  },
  webSocketMessage() {},
})`

func TestAHibernatedObjectIsSmall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, accepting)
		const rooms = 2000
		open := func(from, to int) {
			for i := from; i < to; i++ {
				room := fmt.Sprint("r", i)
				r, err := n.Request(context.Background(), key.Key{Type: "Room", ID: room}, &script.Request{Method: "GET", URL: "http://x/ws/" + room})
				if err != nil || r.Socket == nil {
					t.Fatalf("%v %v", r, err)
				}
			}
			time.Sleep(2 * time.Minute) // until all hibernate and no VM is ready
			synctest.Wait()
			for range 1000 { // sweeps out timers that were stopped, and with them the last VMs
				time.AfterFunc(time.Hour, func() {}).Stop()
			}
		}
		open(0, 100)
		before := heap()
		open(100, 100+rooms)
		total := heap() - before
		if awake, known := n.Stats().Awake.Load(), n.Known(); awake != 0 || known != 100+rooms {
			t.Fatalf("%d objects are awake and %d known, want 0 and %d", awake, known, 100+rooms)
		}

		before = heap()
		server := socket.NewServer(socket.Config{Log: slog.New(slog.DiscardHandler)})
		table := make(map[key.Key]*object.Object)
		sockets := make([]*socket.Socket, rooms)
		for i := range rooms {
			table[key.Key{Type: "Room", ID: fmt.Sprint("r", i)}] = nil
			sockets[i] = server.New(nil, nil)
		}
		others := heap() - before
		each := (int64(total) - int64(others)) / rooms
		t.Logf("a hibernated object takes %d bytes, with its socket, key and place in the table %d", each, total/rooms)
		if each > maxResting {
			t.Errorf("a hibernated object takes %d bytes, more than %d", each, maxResting)
		}
		runtime.KeepAlive(table)
		runtime.KeepAlive(sockets)
	})
}

// heap is what is reachable.
func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
