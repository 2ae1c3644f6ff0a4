package main_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
)

// Whom a request is from and what was asked is what a trusted proxy says, and nobody else.
func TestATrustedProxyIsBelieved(t *testing.T) {
	scripts := shippedWith(t, map[string]string{"page.js": corsScript})
	p := start(t, programOptions{scripts: scripts, flags: []string{"--trusted-proxy", "loopback,10.0.0.0/8"}})
	forwarded := []string{"Host: 127.0.0.1", "X-Forwarded-Proto: https", "X-Forwarded-Host: chat.example:8443", "X-Forwarded-For: 192.0.2.1"}
	r := p.ask("GET /url/x?q=1", forwarded...)
	if u, _ := urlOf(t, r); u.String() != "https://chat.example:8443/url/x?q=1" {
		t.Errorf("a script sees %s", u)
	}
	if got := r.header.Get("Strict-Transport-Security"); got != "max-age=31536000" {
		t.Errorf("HSTS is %q", got)
	}
	for origin, want := range map[string]int{"https://chat.example:8443": 101, "http://chat.example:8443": 403, "https://chat.example": 403, "http://127.0.0.1": 403} {
		if r := p.shake(append(forwarded, "Origin: "+origin)...); r.status != want {
			t.Errorf("%s: %d %s", origin, r.status, r.body)
		}
	}
	if r := p.ask("GET /rooms", "Host: chat.example"); r.status != 200 {
		t.Errorf("a host that the proxy asks for: %d", r.status)
	}
	for name, test := range map[string]struct {
		lines []string
		url   string
	}{
		"nothing":        {nil, "http://" + p.addr},
		"the nearest":    {[]string{"X-Forwarded-Proto: https, http", "X-Forwarded-Host: evil.example, chat.example"}, "http://chat.example"},
		"several lines":  {[]string{"X-Forwarded-Host: evil.example", "X-Forwarded-Host: chat.example"}, "http://chat.example"},
		"of a handshake": {[]string{"X-Forwarded-Proto: WSS"}, "https://" + p.addr},
		"garbage":        {[]string{"X-Forwarded-Proto: gopher", "X-Forwarded-Host: a b/c?d@e"}, "http://" + p.addr},
		"empty":          {[]string{"X-Forwarded-Proto:", "X-Forwarded-Host:", "X-Forwarded-For:"}, "http://" + p.addr},
		"Forwarded":      {[]string{"Forwarded: for=192.0.2.1;host=evil.example;proto=https"}, "http://" + p.addr},
	} {
		if u, _ := urlOf(t, p.ask("GET /url/x", test.lines...)); u.String() != test.url+"/url/x" {
			t.Errorf("%s: a script sees %s", name, u)
		}
	}

	// Nobody is trusted unless it is said.
	q := start(t, programOptions{scripts: scripts, flags: []string{"--trusted-proxy", "10.0.0.0/8"}})
	r = q.ask("GET /url/x", append(forwarded, "Forwarded: for=192.0.2.1", "X-Real-IP: 192.0.2.1", "X-Forwarded-Port: 1")...)
	u, headers := urlOf(t, r)
	if u.String() != "http://127.0.0.1/url/x" || r.header.Get("Strict-Transport-Security") != "" {
		t.Errorf("a script sees %s; %v", u, r.header)
	}
	for name := range headers {
		if strings.Contains(name, "forwarded") || name == "x-real-ip" {
			t.Errorf("a script sees %s", name)
		}
	}
}

// keep asks for a socket, which stays open.
func (p *program) keep(lines ...string) (response, net.Conn) {
	p.t.Helper()
	conn, err := net.DialTimeout("tcp", p.addr, patience)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	return askOver(p.t, conn, p.addr, "GET /ws/general?user=ann", append(lines, handshake...)...), conn
}

// metricFor reads one value of /metrics for an address.
func (p *program) metricFor(addr, name string) (value float64) {
	p.t.Helper()
	_, rest, _ := strings.Cut(p.ask("GET /metrics", "X-Forwarded-For: "+addr).body, "\n"+name+" ")
	if _, err := fmt.Sscan(rest, &value); err != nil {
		p.t.Fatalf("%s: %v", name, err)
	}
	return value
}

// Limits are those of the clients behind a trusted proxy.
func TestLimitsBehindAProxy(t *testing.T) {
	p := limited(t, "--trusted-proxy", "127.0.0.1,10.0.0.0/8", "--address-sockets", "2", "--address-handshakes", "1", "--address-names", "3")
	for i, test := range []struct{ says, is string }{
		{"192.0.2.1", "192.0.2.1"},
		{"evil, 192.0.2.1", "192.0.2.1"},
		{"198.51.100.7, 192.0.2.1, 10.0.0.1 ,10.1.2.3", "192.0.2.1"},
		{"192.0.2.2:4711", "192.0.2.2"},
		{"[2001:db8::1]:4711", "2001:db8::"},
		{"2001:db8::2,garbage", ""}, // nobody knows who that was: the proxy
	} {
		for range 2 {
			if i == 1 || i == 2 {
				break // that one has its two
			}
			r, keep := p.keep("X-Forwarded-For: " + test.says)
			if r.status != 101 {
				t.Errorf("%s: %d %s", test.says, r.status, r.body)
			}
			defer keep.Close()
		}
		r, last := p.keep("X-Forwarded-For: " + test.says)
		if r.status != 429 {
			t.Errorf("%s: one too many gets %d", test.says, r.status)
		}
		last.Close()
	}
	if got := p.metric("chat_address_sockets_refused_total"); got != 6 {
		t.Errorf("%v are counted", got)
	}
	for _, from := range []string{"203.0.113.1", "203.0.113.2"} {
		for i := range 4 {
			r := p.ask(fmt.Sprintf("GET /rooms/%s-%d/messages", from, i), "X-Forwarded-For: "+from)
			if want := map[bool]int{true: 200, false: 429}[i < 3]; r.status != want {
				t.Errorf("new name %d of %s: %d", i, from, r.status)
			}
		}
	}
}

// Requests have a rate, upgrades among them.
func TestRequestsOfAnAddress(t *testing.T) {
	p := limited(t, "--trusted-proxy", "loopback", "--request-rate", "0.1", "--request-burst", "5", "--allow-origin", "https://friends.example")
	ann := "X-Forwarded-For: 192.0.2.1"
	for i := range 5 {
		ask := func(lines ...string) response { return p.ask("GET /rooms", lines...) }
		if i == 4 {
			ask = p.shake
		}
		if r := ask(ann); r.status != 200 && r.status != 101 {
			t.Fatalf("request %d: %d", i, r.status)
		}
	}
	asked := 0
	metric := func(name string) float64 {
		asked++
		return p.metricFor(fmt.Sprintf("203.0.113.%d", asked), name)
	}
	for _, r := range []response{p.ask("GET /rooms", ann, "Origin: https://friends.example"), p.shake(ann), p.ask("GET /healthz", ann), p.ask("GET /metrics", ann), p.ask("GET /none", ann)} {
		wantLater(t, "one too many", r)
	}
	r := p.ask("GET /rooms", ann, "Origin: https://friends.example")
	if r.header.Get("Access-Control-Allow-Origin") == "" || r.header.Get("Access-Control-Expose-Headers") != "Retry-After" {
		t.Errorf("a page cannot read when to come back: %v", r.header)
	}
	if r := p.ask("GET /rooms", "X-Forwarded-For: 192.0.2.2"); r.status != 200 {
		t.Errorf("another address: %d", r.status)
	}
	if got := metric("chat_address_requests_refused_total"); got != 6 {
		t.Errorf("%v are counted", got)
	}
	p.wantOnce("too many requests: it gets 429")
}
