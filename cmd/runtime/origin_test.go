package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// ask sends a request as it stands, with these lines of headers, and reads the answer.
// The Host is the program's unless a line says another.
func (p *program) ask(request string, lines ...string) response {
	p.t.Helper()
	conn, err := net.DialTimeout("tcp", p.addr, patience)
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	return askOver(p.t, conn, p.addr, request, lines...)
}

func askOver(t *testing.T, conn net.Conn, host, request string, lines ...string) response {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(lines, func(line string) bool { return strings.HasPrefix(line, "Host:") }) {
		lines = append([]string{"Host: " + host}, lines...)
	}
	fmt.Fprintf(conn, "%s HTTP/1.1\r\n%s\r\n\r\n", request, strings.Join(lines, "\r\n"))
	method, _, _ := strings.Cut(request, " ")
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("%s, %q: %v", request, lines, err)
	}
	var body bytes.Buffer
	if answer.StatusCode != http.StatusSwitchingProtocols {
		if _, err := io.Copy(&body, answer.Body); err != nil {
			t.Fatal(err)
		}
	}
	return response{answer.StatusCode, answer.Header, body.String()}
}

// shake asks for a socket in a room.
func (p *program) shake(lines ...string) response {
	p.t.Helper()
	return p.ask("GET /ws/general?user=ann", append(lines, handshake...)...)
}

var handshake = []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="}

// put changes a profile.
func (p *program) put(lines ...string) response {
	p.t.Helper()
	return p.ask("PUT /users/ann/profile", append(lines, "Content-Length: 2\r\n\r\n{}")...)
}

// Pages of other origins open no socket and change nothing; they may read what
// anybody may, but not see it.
func TestPagesOfOtherOriginsMayNot(t *testing.T) {
	p := start(t, programOptions{})
	_, port, _ := net.SplitHostPort(p.addr)
	for _, lines := range [][]string{
		{},
		{"Origin: http://" + p.addr},
		{"Origin: http://LOCALHOST:" + port, "Host: localhost:" + port},
		{"Origin: http://localhost:" + port, "Host: LocalHost:" + port},
		{"Origin: http://[::1]:" + port, "Host: [0:0::1]:" + port},
		{"Origin: http://localhost", "Host: localhost:80"},
		{"Origin: http://localhost:80", "Host: localhost"},
		{"Origin: https://localhost", "Host: localhost"}, // TLS by somebody in between
		{"Origin: null", "Sec-Fetch-Site: same-origin"},  // a form of a page without referrer
		{"Sec-Fetch-Site: none"},                         // typed into the address bar
	} {
		if r := p.shake(lines...); r.status != 101 {
			t.Errorf("%q: a socket is answered with %d %s", lines, r.status, r.body)
		}
		if r := p.put(lines...); r.status != 200 {
			t.Errorf("%q: a change is answered with %d %s", lines, r.status, r.body)
		}
	}
	p.eventually("all are gone", func() bool { return p.metric("chat_sockets") == 0 })
	wakes := p.metric("chat_turns_total")
	for _, lines := range [][]string{
		{"Origin: https://evil.example"},
		{"Origin: null"},
		{"Origin:"},
		{"Origin: http://127.0.0.1"},
		{"Origin: http://127.0.0.1:1"},
		{"Origin: http://localhost:" + port}, // the address has another origin
		{"Origin: http://" + p.addr + "@evil.example"},
		{"Origin: http://evil.example/http://" + p.addr},
		{"Origin: http://" + p.addr + ".evil.example"},
		{"Origin: http://" + p.addr + "/"},
		{"Origin: " + p.addr},
		{"Origin: http://" + p.addr, "Origin: https://evil.example"},
		{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"},
		{"Sec-Fetch-Site: cross-site"},
		{"Sec-Fetch-Site: same-site"},
		{"Origin: https://evil.example", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: https"},
	} {
		for name, r := range map[string]response{"a socket": p.shake(lines...), "a change": p.put(lines...)} {
			if r.status != 403 || !strings.Contains(r.object(t)["error"].(string), "--allow-origin") {
				t.Errorf("%q: %s is answered with %d %s", lines, name, r.status, r.body)
			}
			if got := r.header.Get("Access-Control-Allow-Origin"); got != "" {
				t.Errorf("%q: %s may be read by %s", lines, name, got)
			}
		}
		if r := p.ask("GET /rooms", lines...); r.status != 200 || r.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%q: what is read is answered with %d, %v", lines, r.status, r.header)
		}
	}
	if got := p.metric("chat_turns_total") - wakes; got > 16 { // of GET /rooms
		t.Errorf("%v turns ran", got)
	}
	if got := p.metric("chat_origins_refused_total"); got != 32 {
		t.Errorf("%v are counted", got)
	}
	p.wantOnce("a page of another origin asks")
	if !strings.Contains(p.stderr.String(), "https://evil.example") {
		t.Errorf("the log does not name it:\n%s", p.stderr)
	}
}

// Pages of the origins that are named may do what the program's own may.
func TestPagesOfAllowedOriginsMay(t *testing.T) {
	p := start(t, programOptions{flags: []string{"--allow-origin", "https://Friends.example:443, http://localhost:5173,capacitor://localhost"}})
	for _, origin := range []string{"https://friends.example", "http://localhost:5173", "capacitor://localhost"} {
		if r := p.shake("Origin: " + origin); r.status != 101 {
			t.Errorf("%s: a socket is answered with %d %s", origin, r.status, r.body)
		}
		r := p.put("Origin: " + origin)
		if r.status != 200 || r.header.Get("Access-Control-Allow-Origin") != origin || !strings.Contains(strings.Join(r.header["Vary"], ","), "Origin") {
			t.Errorf("%s: a change is answered with %d, %v %s", origin, r.status, r.header, r.body)
		}
		if r := p.ask("GET /none", "Origin: "+origin); r.status != 404 || r.header.Get("Access-Control-Allow-Origin") != origin {
			t.Errorf("%s: an error is answered with %d, %v", origin, r.status, r.header)
		}
		r = p.ask("OPTIONS /users/ann/profile", "Origin: "+origin, "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: authorization,content-type")
		if r.status != 204 || r.header.Get("Access-Control-Allow-Origin") != origin || r.header.Get("Access-Control-Allow-Methods") != "PUT" ||
			r.header.Get("Access-Control-Allow-Headers") != "authorization,content-type" || r.header.Get("Access-Control-Max-Age") == "" ||
			r.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: a preflight is answered with %d, %v", origin, r.status, r.header)
		}
	}
	for _, lines := range [][]string{
		{"Origin: https://friends.example", "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: x-other"},
		{"Origin: https://friends.example", "Access-Control-Request-Method: TRACE"},
		{"Origin: https://evil.example", "Access-Control-Request-Method: PUT"},
		{"Origin: http://friends.example", "Access-Control-Request-Method: PUT"},
		{"Origin: null", "Access-Control-Request-Method: PUT"},
		{"Origin: https://friends.example", "Origin: https://evil.example", "Access-Control-Request-Method: PUT"},
	} {
		if r := p.ask("OPTIONS /users/ann/profile", lines...); r.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%q: a preflight is answered with %d, %v", lines, r.status, r.header)
		}
	}
	if r := p.put("Origin: https://evil.example"); r.status != 403 {
		t.Errorf("another origin: %d", r.status)
	}
	if r := p.ask("GET /rooms", "Origin: https://evil.example"); r.status != 200 || r.header.Get("Access-Control-Allow-Origin") != "" || r.header.Get("Vary") != "Origin" {
		t.Errorf("another origin reads: %d, %v", r.status, r.header)
	}
}

func TestAnyOriginMay(t *testing.T) {
	p := start(t, programOptions{env: map[string]string{"CHAT_ALLOW_ORIGIN": "*"}})
	for _, origin := range []string{"https://evil.example", "null"} {
		if r := p.shake("Origin: "+origin, "Sec-Fetch-Site: cross-site"); r.status != 101 {
			t.Errorf("%s: a socket is answered with %d %s", origin, r.status, r.body)
		}
		if r := p.put("Origin: " + origin); r.status != 200 || r.header.Get("Access-Control-Allow-Origin") != origin {
			t.Errorf("%s: a change is answered with %d, %v", origin, r.status, r.header)
		}
	}
	if r := p.ask("GET /rooms", "Host: any.example"); r.status != 200 {
		t.Errorf("another host: %d", r.status)
	}
}

// corsScript answers preflights, and says who may read.
const corsScript = `
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Page',
  onRequest() {
    this.app.on('OPTIONS', '/own/:page', (c) => new Response(null, { status: 299, headers: { 'Access-Control-Allow-Origin': 'https://mine.example' } }))
    this.app.get('/own/:page', (c) => c.text('mine', 200, { 'Access-Control-Allow-Origin': '*', Vary: 'Accept' }))
    this.app.all('/all/:page', (c) => c.text(c.req.method))
    this.app.get('/frame/:page', (c) => c.text('', 200, { 'X-Frame-Options': 'SAMEORIGIN', 'Cache-Control': 'max-age=60' }))
    this.app.get('/url/:page', (c) => c.json({ url: c.req.url, headers: c.req.header() }))
  },
})`

// A script's own word on who may read counts more.
func TestAScriptMaySayWhoReads(t *testing.T) {
	p := start(t, programOptions{scripts: shippedWith(t, map[string]string{"page.js": corsScript}), flags: []string{"--allow-origin", "https://friends.example"}})
	ask := func(request, origin string) response {
		return p.ask(request, "Origin: "+origin, "Access-Control-Request-Method: GET")
	}
	for _, origin := range []string{"https://friends.example", "https://evil.example"} {
		if r := ask("OPTIONS /own/x", origin); r.status != 299 || toJSON(r.header["Access-Control-Allow-Origin"]) != `["https://mine.example"]` {
			t.Errorf("%s: its preflight: %d, %v", origin, r.status, r.header)
		}
		r := ask("GET /own/x", origin)
		if r.status != 200 || toJSON(r.header["Access-Control-Allow-Origin"]) != `["*"]` || toJSON(r.header["Vary"]) != `["Origin","Accept"]` {
			t.Errorf("%s: its answer: %d, %v", origin, r.status, r.header)
		}
	}
	if r := ask("OPTIONS /all/x", "https://friends.example"); r.status != 204 || r.header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("a preflight for any method: %d, %v", r.status, r.header)
	}
	if r := ask("OPTIONS /all/x", "https://evil.example"); r.status != 200 || r.body != "OPTIONS" || r.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("one of another origin: %d, %v", r.status, r.header)
	}
	if r := p.ask("OPTIONS /all/x"); r.status != 200 || r.body != "OPTIONS" {
		t.Errorf("OPTIONS that is no preflight: %d %s", r.status, r.body)
	}
}

// What every answer has, whoever gives it.
func TestTheUsualHeaders(t *testing.T) {
	p := start(t, programOptions{scripts: shippedWith(t, map[string]string{"page.js": corsScript})})
	for _, request := range []string{"GET /rooms", "GET /none", "GET /healthz", "GET /metrics", "DELETE /rooms", "GET /ws/general"} {
		r := p.ask(request)
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store"} {
			if got := strings.Join(r.header[name], " and "); got != want {
				t.Errorf("%s: %s is %q", request, name, got)
			}
		}
		if _, ok := r.header["Strict-Transport-Security"]; ok {
			t.Errorf("%s: HSTS without TLS", request)
		}
	}
	if r := p.ask("GET /frame/x"); toJSON(r.header["X-Frame-Options"]) != `["SAMEORIGIN"]` || r.header.Get("Cache-Control") != "max-age=60" {
		t.Errorf("a script's own: %v", r.header)
	}
}

// On loopback, only names that cannot be pointed to this machine by others are known.
func TestHostsOnLoopback(t *testing.T) {
	p := start(t, programOptions{flags: []string{"--allow-origin", "https://chat.example"}})
	for _, host := range []string{p.addr, "localhost", "LOCALHOST:1", "localhost.", "a.localhost:80", "127.0.0.1", "[::1]:8787", "[::1]", "192.0.2.1", "chat.example", "CHAT.example:8787"} {
		for _, path := range []string{"/rooms", "/metrics", "/healthz"} {
			if r := p.ask("GET "+path, "Host: "+host); r.status != 200 {
				t.Errorf("%s%s: %d %s", host, path, r.status, r.body)
			}
		}
	}
	for _, host := range []string{"evil.example", "evil.example:8787", "localhost.evil.example", "notlocalhost", "127.0.0.1.evil.example", "127.0.0.1.nip.io:8787", "x", ".", "chat.example.evil", "a.chat.example"} {
		for _, r := range []response{
			p.ask("GET /rooms", "Host: "+host), p.ask("GET /metrics", "Host: "+host), p.ask("GET /healthz", "Host: "+host),
			p.shake("Host: "+host, "Origin: http://"+host), p.put("Host: "+host, "Sec-Fetch-Site: same-origin"),
			p.ask("GET /rooms", "Host: "+host, "X-Forwarded-Host: localhost"),
		} {
			if r.status != 403 || !strings.Contains(r.object(t)["error"].(string), "host") {
				t.Errorf("%s: %d %s", host, r.status, r.body)
			}
		}
	}
	if r := p.ask("GET http://evil.example/rooms", "Host: "+p.addr); r.status != 403 {
		t.Errorf("in an absolute URL: %d", r.status)
	}
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /healthz HTTP/1.0\r\n\r\n")
	if r, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || r.StatusCode != 200 { // asked for the address
		t.Errorf("without a host, which no browser is: %v, %v", r, err)
	}
	if got := p.metric("chat_hosts_refused_total"); got != 61 {
		t.Errorf("%v are counted", got)
	}
	p.wantOnce("somebody asks for an unknown host")

	// Who listens for others has names of their own.
	q := start(t, programOptions{flags: []string{"--addr", "0.0.0.0:0"}})
	_, port, _ := net.SplitHostPort(q.addr)
	q.addr = "127.0.0.1:" + port
	if r := q.ask("GET /rooms", "Host: chat.example"); r.status != 200 {
		t.Errorf("on all addresses: %d %s", r.status, r.body)
	}
}

func TestOriginsAndProxiesThatCannotBe(t *testing.T) {
	for _, flags := range [][]string{
		{"--allow-origin", "friends.example"}, {"--allow-origin", "https://friends.example/"}, {"--allow-origin", "null"},
		{"--allow-origin", "https://*.friends.example"}, {"--allow-origin", "https://ann@friends.example"}, {"--allow-origin", "https://bücher.example"},
		{"--allow-origin", "https://a.example https://b.example"}, {"--allow-origin", "https://"},
		{"--trusted-proxy", "nginx"}, {"--trusted-proxy", "10.0.0.0/33"}, {"--trusted-proxy", "::ffff:10.0.0.0/96"},
		{"--request-rate", "-1"}, {"--request-rate", "NaN"}, {"--request-rate", "1e-9"}, {"--request-burst", "0"},
	} {
		p := launch(t, programOptions{data: t.TempDir(), flags: flags})
		if code := p.wait(); code != 1 || !strings.Contains(p.stderr.String(), strings.TrimPrefix(flags[0], "--")) || strings.Count(p.stderr.String(), "\n") != 1 {
			t.Errorf("%q: status %d, says %q", flags, code, p.stderr)
		}
	}
}

// urlOf is what a script sees of its request.
func urlOf(t *testing.T, r response) (u *url.URL, headers object) {
	t.Helper()
	o := r.object(t)
	u, err := url.Parse(o["url"].(string))
	if err != nil {
		t.Fatal(err)
	}
	return u, o["headers"].(object)
}
