package api_test

import (
	"strings"
	"testing"

	"github.com/lxzan/gws"
)

const watching = `
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  onRequest() {
    this.app.get('/ws/:room', (c) => {
      const [client, server] = Object.values(new WebSocketPair())
      this.ctx.acceptWebSocket(server, [c.req.query('tag') ?? 'none', 'all', 'all'])
      return new Response(null, { status: 101, webSocket: client, headers: { 'X-Room': this.ctx.id.toString() } })
    })
  },
  webSocketMessage(ws, m) {
    if (m instanceof ArrayBuffer) { ws.send(new Uint8Array(m).reverse()); return }
    const [what, arg, reason] = m.split(' ')
    try {
      if (what === 'close') ws.close(arg && Number(arg), reason)
      if (what === 'late') { ws.close(4000, 'bye'); ws.close(4001, 'again'); ws.send('after the close') }
      if (what === 'tags') ws.send(JSON.stringify(this.ctx.getTags(ws)))
      if (what === 'same') ws.send(String(this.ctx.getWebSockets().includes(ws)) + ws.readyState)
      if (what === 'big') ws.serializeAttachment('x'.repeat(Number(arg)))
      if (what === 'list') ws.send(this.ctx.getWebSockets(arg).map((w) => this.ctx.getTags(w)[0]).join())
    } catch (e) { this.broadcast('watcher', e.name + ': ' + e.message) }
  },
  webSocketError(ws, error) { this.broadcast('watcher', 'error ' + (error instanceof Error) + ' ' + this.ctx.getTags(ws)[0]) },
  webSocketClose(ws, code, reason, wasClean) {
    this.broadcast('watcher', ['closed', this.ctx.getTags(ws)[0], code, reason, wasClean, ws.readyState, this.ctx.getWebSockets('all').length].join())
  },
})
`

func TestSocketsTagsAndCloses(t *testing.T) {
	s := start(t, files{"room.js": watching})
	watcher := s.connect("/ws/one?tag=watcher")
	a := s.connect("/ws/one?tag=a")
	a.send("tags")
	a.want(`["a","all"]`)
	a.send("same")
	a.want("true1")
	if err := a.conn.WriteMessage(gws.OpcodeBinary, []byte{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	a.want("\x03\x02\x01")
	b := s.connect("/ws/one?tag=b")
	b.send("list")
	b.want("b,a,watcher") // all of them: the newest first
	b.send("list all")
	b.want("watcher,a,b") // by a tag: in the order they came
	for _, test := range []struct{ send, want string }{
		{"close 1005", "InvalidAccessError: close: 1005 is not a code that can be sent"},
		{"close 999", "InvalidAccessError: close: 999 is not a code that can be sent"},
		{"close 4000 " + strings.Repeat("x", 124), "SyntaxError: close: the reason has 124 bytes, more than 123"},
		{"big 16384", ""}, // the quotes make it too large
		{"late", "TypeError: send: the WebSocket is closed"},
	} {
		b.send(test.send)
		if got := watcher.next(); !strings.HasPrefix(got, test.want) || strings.HasPrefix(got, "closed") {
			t.Errorf("%s: %s, want %s", test.send, got, test.want)
		}
	}
	if code := b.closeCode(); code != 4000 {
		t.Errorf("closed with %d, want 4000", code)
	}
	if got := watcher.next(); !strings.HasPrefix(got, "closed,b,") || !strings.HasSuffix(got, ",true,3,3") {
		t.Errorf("after our close: %s", got)
	}
	_ = a.conn.WriteClose(4321, []byte("done"))
	watcher.want("closed,a,4321,done,true,3,2")
	c := s.connect("/ws/one?tag=c")
	_ = c.conn.NetConn().Close()
	watcher.want("closed,c,1006,WebSocket disconnected without sending Close frame.,false,3,2")
	d := s.connect("/ws/one?tag=d")
	if _, err := d.conn.NetConn().Write([]byte{0xf1, 0x80, 0, 0, 0, 0}); err != nil { // reserved bits
		t.Fatal(err)
	}
	watcher.want("error true d")
	if got := watcher.next(); !strings.HasPrefix(got, "closed,d,1002,") {
		t.Errorf("after a violation: %s", got)
	}
}
