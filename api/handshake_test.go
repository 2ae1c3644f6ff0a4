package api_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
)

// opens keeps that it was asked for a socket.
const opens = `
import { DO } from 'dotdo'
export default DO.extend({
  onRequest() {
    this.app.get('/ws/:room', (c) => {
      this.things.create({ $type: 'Opened', by: c.req.query('user') })
      const pair = new WebSocketPair()
      this.ctx.acceptWebSocket(pair[1])
      return new Response(null, { status: 101, webSocket: pair[0] })
    })
    this.app.get('/opened/:room', async (c) => c.text(String(await this.things.count({ $type: 'Opened' }))))
  },
})`

// A handshake that is refused is refused before a script has done something for it.
func TestAHandshakeThatIsRefusedReachesNoScript(t *testing.T) {
	s := start(t, files{"room.js": opens})
	good := []string{"Connection: keep-alive, Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}
	ask := func(method, room string, header ...string) *http.Response {
		t.Helper()
		conn, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "%s /ws/%s?user=eve HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n", method, room, strings.Join(header, "\r\n"))
		res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	for _, test := range []struct {
		name, method string
		header       []string
		status       int
		names        string // a header of the answer
	}{
		{"no-connection", "GET", good[1:], 426, "Upgrade"},
		{"head", "HEAD", good, 400, ""},
		{"no-version", "GET", []string{good[0], good[1], good[3]}, 426, "Sec-WebSocket-Version"},
		{"no-key", "GET", good[:3], 400, ""},
		{"short-key", "GET", append(good[:3:3], "Sec-WebSocket-Key: AAAA"), 400, ""},
	} {
		res := ask(test.method, test.name, test.header...)
		if res.StatusCode != test.status || test.names != "" && res.Header.Get(test.names) == "" {
			t.Errorf("%s: %d %v", test.name, res.StatusCode, res.Header)
		}
		if _, opened := s.get("/opened/" + test.name); opened != "0" {
			t.Errorf("%s: the script ran", test.name)
		}
	}
	if res := ask("GET", "good", good...); res.StatusCode != 101 {
		t.Errorf("a good one: %d", res.StatusCode)
	}
	if _, opened := s.get("/opened/good"); opened != "1" {
		t.Error("a good one reaches no script")
	}
}
