package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/lxzan/gws"
)

// patience bounds every wait; only a failing test reaches it.
const patience = 10 * time.Second

// startBaseline serves the baseline until the test ends, and returns its URL.
func startBaseline(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serveBaseline(ctx, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "ws://" + listener.Addr().String()
}

// person is a client that keeps what it receives.
type person struct {
	gws.BuiltinEventHandler
	conn     *gws.Conn
	messages chan string
}

func (p *person) OnMessage(_ *gws.Conn, m *gws.Message) {
	p.messages <- string(m.Bytes())
	_ = m.Close()
}

// enter connects somebody until the test ends, and waits for the welcome.
func enter(t *testing.T, url, room, user string) *person {
	t.Helper()
	p := &person{messages: make(chan string, 10_000)} // more than any test sends
	conn, _, err := gws.NewClient(p, &gws.ClientOption{Addr: url + "/ws/" + room + "?user=" + user})
	if err != nil {
		t.Fatal(err)
	}
	p.conn = conn
	ended := make(chan struct{})
	go func() { defer close(ended); conn.ReadLoop() }()
	t.Cleanup(func() { _ = conn.NetConn().Close(); <-ended })
	if m := p.next(t); m["type"] != "welcome" || m["room"] != room || m["user"] != user {
		t.Fatalf("the welcome is %v", m)
	}
	return p
}

func (p *person) next(t *testing.T) map[string]any {
	t.Helper()
	select {
	case text := <-p.messages:
		var m map[string]any
		if err := json.Unmarshal([]byte(text), &m); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		return m
	case <-time.After(patience):
		t.Fatal("nothing came")
		return nil
	}
}

func (p *person) send(t *testing.T, text string) {
	t.Helper()
	if err := p.conn.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestBaselineShowsAMessageToItsRoomOnly(t *testing.T) {
	url := startBaseline(t)
	ann, bob, eve := enter(t, url, "a", "ann"), enter(t, url, "a", "bob"), enter(t, url, "b", "eve")
	ann.send(t, `{"type":"message","content":"hello","author":"eve"}`)
	for _, p := range []*person{ann, bob} {
		got := p.next(t)
		message, _ := got["message"].(map[string]any)
		if got["type"] != "message" || message["content"] != "hello" || message["author"] != "ann" || message["room"] != "a" {
			t.Errorf("got %v", got)
		}
		for _, field := range []string{"$id", "$type", "$createdAt", "$updatedAt", "$version", "sent"} {
			if message[field] == nil {
				t.Errorf("the message has no %s, which the chat's has: %v", field, message)
			}
		}
	}
	eve.send(t, `{"type":"message","content":"mine"}`)
	if got := eve.next(t)["message"].(map[string]any); got["content"] != "mine" {
		t.Errorf("eve got %v of another room", got)
	}
}

func TestBaselineShowsAllTheSameOrder(t *testing.T) {
	url := startBaseline(t)
	people := []*person{enter(t, url, "a", "ann"), enter(t, url, "a", "bob"), enter(t, url, "a", "cid")}
	const each = 100
	for range each {
		for _, p := range people {
			p.send(t, content(1))
		}
	}
	for range each * len(people) {
		first := people[0].next(t)["message"].(map[string]any)["$id"]
		for _, p := range people[1:] {
			if id := p.next(t)["message"].(map[string]any)["$id"]; id != first {
				t.Fatalf("one has %v where another has %v", id, first)
			}
		}
	}
}

func TestBaselineAnswersWhatIsNoMessage(t *testing.T) {
	ann := enter(t, startBaseline(t), "a", "ann")
	for _, text := range []string{`hello`, `{}`, `{"type":"message"}`, `{"type":"other","content":"x"}`} {
		ann.send(t, text)
		if got := ann.next(t); got["type"] != "error" {
			t.Errorf("%s was answered with %v", text, got)
		}
	}
}

func TestBaselineForgetsARoomWithoutSockets(t *testing.T) {
	ann, bob := &gws.Conn{}, &gws.Conn{}
	b := &baseline{rooms: map[string]*room{}, sockets: map[*gws.Conn]struct{}{}}
	r := b.enter(ann, "a")
	if b.enter(bob, "a") != r || r.members != 2 {
		t.Fatal("they are not in one room")
	}
	for left, socket := range []*gws.Conn{ann, bob} {
		b.leave(socket, r)
		if len(b.sockets) != 1-left || len(b.rooms) != 1-left {
			t.Errorf("after leaving there are %d sockets and %d rooms", len(b.sockets), len(b.rooms))
		}
	}
}

func TestBaselineKnowsNoOtherPath(t *testing.T) {
	url := startBaseline(t)
	transport := &http.Transport{DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: patience}
	for _, path := range []string{"/", "/ws/", "/ws/a/b"} {
		response, err := client.Get("http" + url[len("ws"):] + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusNotFound {
			t.Errorf("%s is %s", path, response.Status)
		}
	}
}
