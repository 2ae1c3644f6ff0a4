package main_test

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/lxzan/gws"
)

// secret is what the tokens of these tests are signed with.
const secret = "0123456789abcdef0123456789abcdef"

// tokenOf is a token of somebody for an hour. Further claims go on top.
func tokenOf(t *testing.T, sub string, further object) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": sub, "exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range further {
		claims[name] = value
	}
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// whoami tells each client who it is, and all that a script can see of its request.
const whoami = `import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  onRequest() {
    this.app.get('/ws/:room', (c) => {
      const [client, server] = Object.values(new WebSocketPair())
      this.ctx.acceptWebSocket(server, ['all'])
      console.log('accepted', c.req.url, JSON.stringify(c.req.header()))
      const protocol = c.req.query('protocol')
      return new Response(null, { status: 101, webSocket: client, headers: protocol ? { 'Sec-WebSocket-Protocol': protocol } : {} })
    })
    this.app.all('/who/:room', (c) => {
      console.log('asked', c.req.url, JSON.stringify(c.req.header()))
      return c.json({ user: c.get('user') ?? null, url: c.req.url, query: c.req.query(), headers: c.req.header(), raw: [c.req.raw.url, ...c.req.raw.headers] })
    })
  },
  webSocketMessage(ws, text) {
    if (text === 'all') return ws.send(JSON.stringify(this.ctx.getWebSockets().map((ws) => ws.user?.id ?? null)))
    ws.send(JSON.stringify({ user: ws.user ?? null, text }))
  },
})
`

// askWith makes a request with headers.
func (p *program) askWith(path string, header http.Header) response {
	p.t.Helper()
	request, err := http.NewRequest("GET", "http://"+p.addr+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	if request.Close = true; header != nil {
		request.Header = header
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return response{answer.StatusCode, answer.Header, string(body)}
}

// closedWith waits for the end of a socket.
func (c *client) closedWith() (code uint16, reason string) {
	c.t.Helper()
	select {
	case err := <-c.closed:
		var end *gws.CloseError
		if !errors.As(err, &end) {
			c.t.Fatalf("closed: %v", err)
		}
		return end.Code, string(end.Reason)
	case <-time.After(patience):
		c.t.Fatal("the socket does not end")
		return 0, ""
	}
}

func startIdentity(t *testing.T, flags ...string) *program {
	t.Helper()
	return start(t, programOptions{scripts: folder(t, map[string]string{"room.js": whoami}), flags: flags})
}

// A token may be in three places. Scripts get whom it is of, and never see it; nor does
// the log.
func TestATokenSaysWhoSomebodyIs(t *testing.T) {
	p := startIdentity(t, "--jwt-secret", secret)
	token := tokenOf(t, "ann", object{"role": "admin"})
	bearer := http.Header{"Authorization": {"Bearer " + token}}
	for name, r := range map[string]response{
		"header":            p.askWith("/who/a?b=1&c=%2f", bearer),
		"in small letters":  p.askWith("/who/a?b=1&c=%2f", http.Header{"Authorization": {"bearer " + token}}),
		"parameter":         p.askWith("/who/a?b=1&token="+token+"&c=%2f", nil),
		"escaped parameter": p.askWith("/who/a?b=1&c=%2f&%74oken="+strings.ReplaceAll(token, ".", "%2E"), nil),
		"subprotocol":       p.askWith("/who/a?b=1&c=%2f", http.Header{"Sec-Websocket-Protocol": {"chat, bearer." + token}}),
		"from a page":       p.askWith("/who/a?b=1&c=%2f", http.Header{"Authorization": bearer["Authorization"], "Referer": {"http://x/?x&token=" + token}}),
	} {
		var got struct {
			User struct {
				ID     string
				Claims object
			}
			URL   string
			Query object
		}
		if err := json.Unmarshal([]byte(r.body), &got); err != nil {
			t.Errorf("%s: %d %s: %v", name, r.status, r.body, err)
			continue
		}
		if r.status != 200 || got.User.ID != "ann" || got.User.Claims["role"] != "admin" || got.User.Claims["sub"] != "ann" {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
		if got.URL != "http://"+p.addr+"/who/a?b=1&c=%2f" || len(got.Query) != 2 {
			t.Errorf("%s: the script sees %s", name, r.body)
		}
		if strings.Contains(r.body, token[:20]) {
			t.Errorf("%s: the script sees the token: %s", name, r.body)
		}
	}
	for _, c := range []struct {
		name, path string
		header     http.Header
		protocol   string
	}{
		{"header", "/ws/a", bearer, ""},
		{"parameter", "/ws/a?token=" + token, nil, ""},
		{"subprotocol", "/ws/a", http.Header{"Sec-WebSocket-Protocol": {"bearer." + token + ", chat, other"}}, "chat"},
		{"two lines", "/ws/a", http.Header{"Sec-WebSocket-Protocol": {"chat", "bearer." + token}}, "chat"},
		{"the script's choice", "/ws/a?protocol=other", http.Header{"Sec-WebSocket-Protocol": {"chat, bearer." + token + ",other"}}, "other"},
		{"header, with a subprotocol", "/ws/a", http.Header{"Authorization": bearer["Authorization"], "Sec-WebSocket-Protocol": {"chat"}}, ""},
	} {
		client, answer, err := p.dial(c.path, c.header)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := answer.Header.Get("Sec-WebSocket-Protocol"); got != c.protocol {
			t.Errorf("%s: subprotocol %q, want %q", c.name, got, c.protocol)
		}
		client.send("hello")
		client.want(object{"user": object{"id": "ann"}, "text": "hello"})
	}
	p.stop()
	for _, log := range []string{p.stderr.String(), p.stdout.String()} {
		if strings.Contains(log, token[:20]) || strings.Contains(log, secret) {
			t.Errorf("the log has the token or the secret:\n%s", log)
		}
	}
	if !strings.Contains(p.stderr.String(), "accepted http") {
		t.Errorf("the script did not log what it saw:\n%s", p.stderr)
	}
}

// Without a key nobody is verified, and tokens are taken out all the same.
func TestInDevelopmentTokensAreIgnored(t *testing.T) {
	p := startIdentity(t)
	token := tokenOf(t, "ann", nil)
	r := p.askWith("/who/a?token="+token, nil)
	if r.status != 200 || strings.Contains(r.body, token) || !strings.Contains(r.body, `"user":null`) {
		t.Errorf("%d %s", r.status, r.body)
	}
	c, answer, err := p.dial("/ws/a", http.Header{"Sec-WebSocket-Protocol": {"chat, bearer.whatever"}})
	if err != nil || answer.Header.Get("Sec-WebSocket-Protocol") != "chat" {
		t.Fatalf("%v, %v", answer, err)
	}
	c.send("hello")
	c.want(object{"user": nil, "text": "hello"})
}

// lasting is a room whose sockets tell who they are. VERSION is that of the script.
const lasting = `import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  init() { this.n = 0 },
  onRequest() {
    this.app.get('/ws/:room', (c) => {
      const [client, server] = Object.values(new WebSocketPair())
      server.serializeAttachment({ user: 'nobody' })
      this.ctx.acceptWebSocket(server, ['all'])
      return new Response(null, { status: 101, webSocket: client })
    })
  },
  webSocketMessage(ws, text) {
    if (text === 'loop') for (;;) {}
    ws.serializeAttachment({ user: 'eve', last: text })
    ws.send(JSON.stringify({ version: VERSION, n: ++this.n, user: ws.user, all: this.ctx.getWebSockets('all').map((ws) => ws.user.id) }))
  },
})
`

// ws.user is the same for as long as the socket lives, whatever becomes of the virtual
// machine, and whatever is attached.
func TestAUserStaysWithTheSocket(t *testing.T) {
	script := func(version string) string { return strings.ReplaceAll(lasting, "VERSION", version) }
	scripts := folder(t, map[string]string{"room.js": script("1")})
	p := start(t, programOptions{scripts: scripts, flags: []string{"--jwt-secret", secret, "--hibernate-after", "50ms", "--turn-timeout", "1s"}})
	var clients []*client
	names := []string{"ann", "bob"}
	for _, name := range names {
		c, _, err := p.dial("/ws/a", http.Header{"Authorization": {"Bearer " + tokenOf(t, name, object{"nick": []string{name}})}})
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	check := func(when string, version float64) {
		t.Helper()
		for i, name := range names {
			clients[i].send("who")
			got := clients[i].next()
			if !contains(got, object{"version": version, "user": object{"id": name, "claims": object{"sub": name, "nick": []any{name}}}, "all": []any{"ann", "bob"}}) {
				t.Errorf("%s, %s is %s", when, name, toJSON(got))
			}
		}
	}
	check("at first", 1)
	p.eventually("the room sleeps", func() bool { return p.metric("chat_objects_awake") == 0 })
	check("after a sleep", 1)
	clients[0].send("loop") // costs the room its virtual machine
	check("after a reset", 1)
	save(t, filepath.Join(scripts, "room.js"), script("2"))
	p.eventually("the new script is there", func() bool {
		clients[0].send("who")
		return clients[0].next()["version"] == 2.0
	})
	check("after a reload", 2)
}

// A socket ends with its token, also while its room sleeps, and over TLS, where it has a
// goroutine.
func TestASocketEndsWithItsToken(t *testing.T) {
	cert, key, roots := certificate(t)
	for _, secure := range []bool{false, true} {
		o := programOptions{scripts: folder(t, map[string]string{"room.js": whoami}), data: t.TempDir(), flags: []string{"--jwt-secret", secret, "--hibernate-after", "50ms"}}
		option := &gws.ClientOption{HandshakeTimeout: patience, RequestHeader: http.Header{}}
		var p *program
		if secure {
			o.flags = append(o.flags, "--tls-cert", cert, "--tls-key", key)
			p = launch(t, o)
			line, ok := p.stdout.waitFor("listening  https://", p.done)
			if !ok {
				t.Fatal("the program does not listen")
			}
			_, p.addr, _ = strings.Cut(line, "https://")
			option.Addr, option.TlsConfig = "wss://", &tls.Config{RootCAs: roots}
		} else {
			p = start(t, o)
			option.Addr = "ws://"
		}
		option.Addr += p.addr + "/ws/a"
		const leeway = 3 * time.Second // that a program allows for clocks that differ
		exp := time.Now().Add(4*time.Second - leeway)
		option.RequestHeader.Set("Authorization", "Bearer "+tokenOf(t, "ann", object{"exp": exp.Unix()}))
		c, _, err := p.dialWith(option)
		if err != nil {
			t.Fatal(err)
		}
		c.send("hello")
		c.want(object{"user": object{"id": "ann"}, "text": "hello"})
		if !secure {
			p.eventually("the room sleeps", func() bool { return p.metric("chat_objects_awake") == 0 })
		}
		code, reason := c.closedWith()
		if late := time.Since(exp) - leeway; code != 1008 || reason != "token expired" || late > 10*time.Second {
			t.Errorf("tls %v: closed with %d %q, %v late", secure, code, reason, late)
		}
		if !secure {
			p.eventually("it is counted", func() bool { return p.metric("chat_sockets_expired_total") == 1 })
		}
		_, answer, err := p.dialWith(option)
		if err == nil || answer == nil || answer.StatusCode != 401 {
			t.Errorf("tls %v: afterwards %v, %v", secure, answer, err)
		}
	}
}
