package main_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// limited starts a program whose limits hold for the test too.
func limited(t *testing.T, flags ...string) *program {
	t.Helper()
	return start(t, programOptions{flags: append([]string{"--limit-loopback"}, flags...)})
}

// wantLater is refused for a while.
func wantLater(t *testing.T, what string, r response) {
	t.Helper()
	if r.status != http.StatusTooManyRequests || r.header.Get("Retry-After") == "" || r.object(t)["error"] != "Too Many Requests" {
		t.Errorf("%s: status %d, %v, %s", what, r.status, r.header, r.body)
	}
}

// A client that floods is read as fast as it may send. Nothing is lost and nobody
// else waits.
func TestAFloodingSocketIsHeldUp(t *testing.T) {
	p := limited(t, "--message-rate", "50", "--message-burst", "10")
	ann, eve := p.join("general", "ann"), p.join("general", "eve")
	ann.wantPresence(2)
	const n = 160
	for i := range n {
		eve.say(fmt.Sprint(i))
	}
	began := time.Now()
	ann.say("hello")
	seen := 0
	var trips []time.Duration
	for seen < n {
		m := ann.want(object{"type": "message"})["message"].(object)
		if m["author"] == "ann" {
			trips = append(trips, time.Since(began))
			if seen == n {
				break
			}
			began = time.Now()
			ann.say("hello")
			<-time.After(100 * time.Millisecond) // within what ann may send
			continue
		}
		if m["content"] != fmt.Sprint(seen) {
			t.Fatalf("message %d is %v", seen, m["content"])
		}
		seen++
	}
	slices.Sort(trips)
	if quantile(trips, 0.5) > prompt { // who waits behind the flood waits for three seconds
		t.Errorf("who keeps to the rate waited for %v", trips)
	}
	if got := p.metric("chat_messages_delayed_total"); got < n/2 {
		t.Errorf("held up %v times", got)
	}
}

func TestSocketsOfAnAddress(t *testing.T) {
	p := limited(t, "--address-sockets", "3")
	for i := range 3 {
		p.join("general", fmt.Sprint("u", i))
	}
	p.eventually("the room is listed", func() bool { return len(p.get("/rooms").list(t)) == 1 }) // nothing else wakes anything
	wakes := p.metric("chat_wakes_total")
	for range 5 {
		_, r, err := p.knock("/ws/other?user=eve")
		if err != nil || r.StatusCode != http.StatusTooManyRequests || r.Header.Get("Retry-After") == "" {
			t.Fatalf("one too many: %v, %v", r, err)
		}
	}
	if p.metric("chat_wakes_total") != wakes {
		t.Error("who is refused has woken a room")
	}
	if r := p.get("/rooms/general/messages"); r.status != 200 {
		t.Errorf("a request meanwhile: status %d", r.status)
	}
	if got := p.metric("chat_address_sockets_refused_total"); got != 5 {
		t.Errorf("%v are counted", got)
	}
	p.wantOnce("too many sockets")
}

func TestASocketThatGoesMakesRoomForAnother(t *testing.T) {
	p := limited(t, "--address-sockets", "2")
	ann := p.join("general", "ann")
	for i := range 10 {
		c := p.join("general", fmt.Sprint("u", i))
		if i%2 == 0 {
			c.close()
		} else {
			_ = c.conn.NetConn().Close()
		}
		p.eventually("it is gone", func() bool { return p.metric("chat_sockets") == 1 })
	}
	ann.say("done")
}

// What an address asks for that is new is counted; what is there already isn't.
func TestNewNamesOfAnAddress(t *testing.T) {
	p := limited(t, "--address-names", "5", "--hibernate-after", "100ms")
	ann := p.join("general", "ann") // the first
	ann.say("hello")
	ann.wantMessage("ann", "hello")
	for i := range 4 {
		if r := p.get(fmt.Sprintf("/rooms/new%d/messages", i)); r.status != 200 {
			t.Fatalf("new room %d: status %d", i, r.status)
		}
	}
	wakes := p.metric("chat_wakes_total")
	for i := range 3 {
		wantLater(t, "another", p.get(fmt.Sprintf("/rooms/newer%d/messages", i)))
	}
	if p.metric("chat_wakes_total") != wakes {
		t.Error("a refused name has woken an object")
	}
	ann.close()
	p.eventually("the room is forgotten", func() bool { return p.metric("chat_objects_known") == 0 })
	for range 3 {
		if list := p.get("/rooms/general/messages").list(t); len(list) != 1 {
			t.Errorf("the room that is stored: %v", list)
		}
	}
	if r := p.get("/healthz"); r.status != 200 {
		t.Errorf("healthz: %d", r.status)
	}
	p.wantOnce("no address asks for too many new names any more")
	p.wantOnce("too many new names: it gets 429")
}

// Who opens connections and says nothing is refused from a number on, and others
// talk on.
func TestHandshakesOfAnAddress(t *testing.T) {
	p := limited(t, "--address-handshakes", "8")
	ann := p.join("general", "ann")
	var silent []net.Conn
	for range 8 {
		conn, err := net.Dial("tcp", p.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		silent = append(silent, conn)
	}
	late, err := net.Dial("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	_ = late.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(late, "GET /rooms HTTP/1.1\r\nHost: localhost\r\n\r\n")
	answer, err := io.ReadAll(late)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 429 ") || !strings.Contains(string(answer), "\r\nRetry-After: 10\r\n") {
		t.Errorf("%q, %v", answer, err)
	}
	ann.say("still here")
	ann.wantMessage("ann", "still here")
	for _, conn := range silent[:2] {
		_ = conn.Close()
	}
	p.eventually("there is room again", func() bool {
		r, err := p.try("GET", "/rooms", "")
		return err == nil && r.status == 200
	})
	if got := p.metric("chat_address_connections_refused_total"); got < 1 {
		t.Errorf("%v are counted", got)
	}
}

// The machine's own connections have no limits unless that is asked for.
func TestLoopbackIsExempt(t *testing.T) {
	p := start(t, programOptions{flags: []string{"--address-handshakes", "1", "--address-sockets", "1", "--address-names", "1", "--message-rate", "1", "--message-burst", "1"}})
	ann := p.join("general", "ann")
	p.join("other", "bob")
	for i := range 50 {
		ann.say(fmt.Sprint(i))
		ann.wantMessage("ann", fmt.Sprint(i))
	}
	if p.metric("chat_addresses") != 0 {
		t.Error("something is known of loopback")
	}
}
