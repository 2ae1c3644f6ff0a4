package main_test

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// dialDeaf opens a WebSocket whose client never reads a frame and never answers.
func (p *program) dialDeaf(path string) net.Conn {
	p.t.Helper()
	conn, err := net.DialTimeout("tcp", p.addr, patience)
	if err != nil {
		p.t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, p.addr)
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || r.StatusCode != http.StatusSwitchingProtocols {
		p.t.Fatalf("%s: %v, %v", path, r, err)
	}
	return conn
}

// prompt is how soon a room answers while another has a hard time, on a machine
// that does nothing else.
const prompt = time.Second

// A megabyte of brackets is the worst that one message can say.
func TestAMegabyteOfBracketsDelaysNobody(t *testing.T) {
	p := start(t, programOptions{scripts: hastyWith(t, nil)})
	ann, eve := p.join("quiet", "ann"), p.join("loud", "eve")
	const megabyte, times = 1 << 20, 20
	bomb := strings.Repeat("[", megabyte)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range times {
			if eve.conn.WriteString(bomb) != nil {
				return
			}
		}
	}()
	var trips []time.Duration
	for over := false; !over || len(trips) < 20; {
		before := time.Now()
		ann.say("how fast?")
		ann.wantMessage("ann", "how fast?")
		trips = append(trips, time.Since(before))
		select {
		case <-sent:
			over = true
		default:
		}
	}
	slices.Sort(trips)
	if quantile(trips, 0.9) > prompt { // one may wait for the processor, not one for each megabyte
		t.Errorf("the other room answered after %v", trips)
	}
	for range times {
		eve.want(object{"type": "error"})
	}
	eve.say("sorry")
	eve.wantMessage("eve", "sorry")
	t.Logf("worst of %d round trips beside %d messages of 1 MiB: %v", len(trips), times, quantile(trips, 1))

	eve.send(bomb + "[")
	if code := eve.closeCode(); code != 1009 {
		t.Errorf("over 1 MiB: close code %d, want 1009", code)
	}
	if !p.alive() {
		t.Fatal("the program is gone")
	}
}

// Scripts that loop are stopped; rooms beside them go on.
func TestALoopIsInterrupted(t *testing.T) {
	p := start(t, programOptions{flags: []string{"--turn-timeout", "1s"}, scripts: folder(t, map[string]string{"a.js": `
import { DO } from 'dotdo'
export default DO.extend({
  onRequest() {
    this.app.get('/loop/:room', () => { for (;;); })
    this.app.get('/regexp/:room', (c) => c.json({ match: /^(?=(a+)+$)/.test('a'.repeat(40) + 'b') }))
    this.app.get('/microtasks/:room', async () => { for (;;) await null })
    this.app.get('/recursion/:room', () => { const f = () => f() + 1; return f() })
    this.app.get('/fine/:room', (c) => c.json({ fine: true }))
  },
})`})})
	for _, path := range []string{"/loop/x", "/regexp/x", "/microtasks/x", "/recursion/x"} {
		answered := make(chan response, 1)
		go func() {
			r, err := p.try("GET", path, "")
			if err != nil {
				r.body = err.Error()
			}
			answered <- r
		}()
		before := time.Now()
		for range 5 {
			if r := p.get("/fine/y"); r.status != 200 {
				t.Errorf("%s: another room answers %d", path, r.status)
			}
		}
		if took := time.Since(before); took > 5*prompt {
			t.Errorf("%s: another room took %v for five requests", path, took)
		}
		if r := <-answered; r.status != 500 || strings.Contains(r.body, ".js") {
			t.Errorf("%s: status %d: %s", path, r.status, r.body)
		}
		if r := p.get("/fine/x"); r.status != 200 {
			t.Errorf("%s: the room itself is gone: %d", path, r.status)
		}
	}
}

// Bodies and headers are bounded.
func TestRequestsAreBounded(t *testing.T) {
	p := start(t, programOptions{})
	if r := p.do("PUT", "/users/ann/profile", strings.Repeat("x", 1<<20+1)); r.status != 413 {
		t.Errorf("a body over 1 MiB: status %d", r.status)
	}
	if r := p.get("/healthz?" + strings.Repeat("x", 64<<10)); r.status != 431 {
		t.Errorf("64 KiB of header: status %d", r.status)
	}
	if r := p.get("/rooms/" + strings.Repeat("r", 257) + "/messages"); r.status != 400 {
		t.Errorf("a name that no object has: status %d", r.status)
	}
	if r := p.get("/rooms/a%00b/messages"); r.status != 400 {
		t.Errorf("a name with a control character: status %d", r.status)
	}
	if r := p.do("DELETE", "/rooms", ""); r.status != 404 {
		t.Errorf("a method without a route: status %d", r.status)
	}
	if r := p.get("/healthz"); r.status != 200 {
		t.Errorf("afterwards: status %d", r.status)
	}
}
