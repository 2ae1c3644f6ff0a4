package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lxzan/gws"
)

// client is a WebSocket client that keeps what it receives until it is asked for.
type client struct {
	gws.BuiltinEventHandler
	t        *testing.T
	conn     *gws.Conn
	messages chan string // what a test causes and doesn't read fits in
	closed   chan error
}

func (c *client) OnMessage(_ *gws.Conn, m *gws.Message) {
	c.messages <- string(bytes.Clone(m.Bytes()))
	_ = m.Close()
}

func (c *client) OnClose(_ *gws.Conn, err error) { c.closed <- err }

// connect opens a WebSocket that lasts until the test ends.
func (p *program) connect(path string) *client {
	p.t.Helper()
	c, _, err := p.dial(path, nil)
	if err != nil {
		p.t.Fatalf("connect %s: %v", path, err)
	}
	return c
}

// dial opens a WebSocket with headers, or says how that was refused.
func (p *program) dial(path string, header http.Header) (c *client, answer *http.Response, err error) {
	p.t.Helper()
	return p.dialWith(&gws.ClientOption{Addr: "ws://" + p.addr + path, RequestHeader: header})
}

func (p *program) dialWith(o *gws.ClientOption) (c *client, answer *http.Response, err error) {
	p.t.Helper()
	c = newClient(p.t)
	answer, err = c.open(c, o)
	return c, answer, err
}

func newClient(t *testing.T) *client {
	return &client{t: t, messages: make(chan string, 10_000), closed: make(chan error, 1)}
}

// open opens the WebSocket, until the test ends. events is the client, or what it is in.
func (c *client) open(events gws.Event, o *gws.ClientOption) (answer *http.Response, err error) {
	c.t.Helper()
	o.HandshakeTimeout = patience
	conn, answer, err := gws.NewClient(events, o)
	if err != nil {
		return answer, err
	}
	c.conn = conn
	ended := make(chan struct{})
	go func() { defer close(ended); conn.ReadLoop() }()
	c.t.Cleanup(func() {
		_ = conn.NetConn().Close()
		<-ended
	})
	return answer, nil
}

// object is a JSON object.
type object = map[string]any

// send sends a text, or anything else as JSON.
func (c *client) send(message any) {
	c.t.Helper()
	text, ok := message.(string)
	if !ok {
		data, err := json.Marshal(message)
		if err != nil {
			c.t.Fatal(err)
		}
		text = string(data)
	}
	if err := c.conn.WriteString(text); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// say sends a message of the chat.
func (c *client) say(content string) {
	c.t.Helper()
	c.send(object{"type": "message", "content": content})
}

// next waits for the next frame, a JSON object.
func (c *client) next() object {
	c.t.Helper()
	var text string
	select {
	case text = <-c.messages:
	case err := <-c.closed:
		c.closed <- err
		select {
		case text = <-c.messages: // it came before the close
		default:
			c.t.Fatalf("closed: %v", err)
		}
	case <-time.After(patience):
		c.t.Fatal("nothing came")
	}
	var o object
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		c.t.Fatalf("received %q: %v", text, err)
	}
	return o
}

// want waits for the next frame, which must have these fields; others are not
// compared. The frame is returned.
func (c *client) want(fields object) object {
	c.t.Helper()
	got := c.next()
	if !contains(got, fields) {
		c.t.Fatalf("received %s, want %s in it", toJSON(got), toJSON(fields))
	}
	return got
}

// wantPresence waits until a frame tells how many people are here, past others
// that tell of people.
func (c *client) wantPresence(count int) object {
	c.t.Helper()
	for {
		got := c.want(object{"type": "presence"})
		if got["count"] == float64(count) {
			return got
		}
	}
}

// wantMessage waits for a message of the chat.
func (c *client) wantMessage(author, content string) object {
	c.t.Helper()
	return c.want(object{"type": "message", "message": object{"author": author, "content": content}})["message"].(object)
}

// silent checks that nothing else has come. Whatever could have come must have
// been caused before something that this client received.
func (c *client) silent() {
	c.t.Helper()
	select {
	case m := <-c.messages:
		c.t.Fatalf("received %s, want nothing", m)
	default:
	}
}

// close says goodbye and waits for the answer.
func (c *client) close() {
	c.t.Helper()
	_ = c.conn.WriteClose(1000, nil)
	c.closeCode()
}

// closeCode waits for the end of the connection and returns its code.
func (c *client) closeCode() uint16 {
	c.t.Helper()
	select {
	case err := <-c.closed:
		c.closed <- err
		if e := (*gws.CloseError)(nil); errors.As(err, &e) {
			return e.Code
		}
		return 1006
	case <-time.After(patience):
		c.t.Fatal("not closed")
		return 0
	}
}

// contains reports whether got has everything that want has. Objects may have
// more fields; everything else must be equal.
func contains(got, want any) bool {
	g, isObject := got.(object)
	w, wantsObject := want.(object)
	if !isObject || !wantsObject {
		return toJSON(got) == toJSON(want)
	}
	for name, value := range w {
		if v, ok := g[name]; !ok || !contains(v, value) {
			return false
		}
	}
	return true
}

func toJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// list reads a JSON array of objects.
func (r response) list(t *testing.T) (list []object) {
	t.Helper()
	if r.status != 200 || !strings.HasPrefix(r.header.Get("Content-Type"), "application/json") {
		t.Fatalf("status %d, %s: %s", r.status, r.header.Get("Content-Type"), r.body)
	}
	if err := json.Unmarshal([]byte(r.body), &list); err != nil {
		t.Fatalf("%s: %v", r.body, err)
	}
	return list
}

// object reads a JSON object.
func (r response) object(t *testing.T) (o object) {
	t.Helper()
	if err := json.Unmarshal([]byte(r.body), &o); err != nil {
		t.Fatalf("status %d, %s: %v", r.status, r.body, err)
	}
	return o
}
