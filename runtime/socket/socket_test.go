package socket

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lxzan/gws"
)

// chatter is a client made with gws: someone else's idea of the protocol.
type chatter struct {
	gws.BuiltinEventHandler
	got    chan string
	closed chan error
}

func (c *chatter) OnMessage(_ *gws.Conn, m *gws.Message) {
	c.got <- string(m.Bytes())
	_ = m.Close()
}
func (c *chatter) OnClose(_ *gws.Conn, err error) { c.closed <- err }

func chat(t *testing.T, addr string, config *tls.Config) (*gws.Conn, *chatter) {
	t.Helper()
	c := &chatter{got: make(chan string, 4096), closed: make(chan error, 1)}
	conn, _, err := gws.NewClient(c, &gws.ClientOption{Addr: addr, TlsConfig: config})
	if err != nil {
		t.Fatal(err)
	}
	var reading sync.WaitGroup
	reading.Go(conn.ReadLoop)
	t.Cleanup(func() {
		_ = conn.NetConn().Close()
		reading.Wait()
	})
	return conn, c
}

func TestClientTalksWithOwner(t *testing.T) {
	site := newSite(t, Config{}, nil)
	conn, c := chat(t, "ws://"+site.addr(), nil)
	s := <-site.opened
	if err := conn.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	if got := site.owner.next(t); got.data != "hello" || !got.text || got.socket != s {
		t.Fatalf("told %v", got)
	}
	if err := conn.WriteMessage(gws.OpcodeBinary, nil); err != nil {
		t.Fatal(err)
	}
	if got := site.owner.next(t); got.data != "" || got.text || got.closed {
		t.Fatalf("told %v", got)
	}
	if !s.Send(NewFrame(true, []byte("hi"))) || <-c.got != "hi" {
		t.Fatal("no answer")
	}
	if s.State() != Open || site.sockets.Len() != 1 {
		t.Fatalf("state %v, %d open", s.State(), site.sockets.Len())
	}
	if err := conn.WriteClose(4000, []byte("bye")); err != nil {
		t.Fatal(err)
	}
	site.owner.wantClosed(t, 4000, "bye", true)
	if s.Send(NewFrame(true, nil)) {
		t.Fatal("sent after the end")
	}
}

func TestTLS(t *testing.T) {
	site := unstartedSite(t, Config{}, func(s *Socket) { s.Send(NewFrame(true, []byte("first"))) })
	site.StartTLS()
	conn, c := chat(t, "wss://"+site.addr(), &tls.Config{InsecureSkipVerify: true})
	s := <-site.opened
	big := strings.Repeat("x", 100_000)
	for i := range 20 {
		s.Send(NewFrame(true, fmt.Append(nil, i)))
	}
	s.Send(NewFrame(true, []byte(big)))
	if got := <-c.got; got != "first" {
		t.Fatalf("got %q", got)
	}
	for i := range 20 {
		if got := <-c.got; got != fmt.Sprint(i) {
			t.Fatalf("got %q, want %d", got, i)
		}
	}
	if <-c.got != big {
		t.Fatal("big message differs")
	}
	if err := conn.WriteString(big); err != nil {
		t.Fatal(err)
	}
	site.owner.wantMessage(t, big)
	s.Close(4001, "done")
	site.owner.wantClosed(t, 4001, "done", true)
	var closed *gws.CloseError
	if err := <-c.closed; !errors.As(err, &closed) || closed.Code != 4001 {
		t.Fatalf("client closed with %v", err)
	}
}

func TestFragmentsWithPingsBetween(t *testing.T) {
	site := newSite(t, Config{}, nil)
	p, _ := site.dial(t)
	p.write(masked(opText, "one, "))
	p.send(opPing, "there?")
	p.want(opPong, "there?")
	p.write(masked(0, "two, "))
	p.send(opPong, "unasked")
	p.send(opPing, "")
	p.want(opPong, "")
	p.write(masked(0x80, "three"))
	site.owner.wantMessage(t, "one, two, three")

	for _, b := range masked(0x80|opText, strings.Repeat("z", 300)) { // byte by byte
		p.write([]byte{b})
	}
	site.owner.wantMessage(t, strings.Repeat("z", 300))
}

func TestLargestMessagePasses(t *testing.T) {
	site := newSite(t, Config{}, nil)
	p, s := site.dial(t)
	big := strings.Repeat("x", DefaultMaxMessage)
	p.send(opText, big)
	site.owner.wantMessage(t, big)
	if !s.Send(NewFrame(true, []byte(big))) {
		t.Fatal("not sent")
	}
	p.want(opText, big)
}

func TestNextMessageWaitsForNext(t *testing.T) {
	site := newSite(t, Config{}, nil)
	site.owner.hold = true
	p, s := site.dial(t)
	s.Next() // nobody waits for it, and it is not saved up
	for i := range 3 {
		p.send(opText, fmt.Sprint(i))
	}
	p.send(opPing, "read in turn")
	for i := range 3 {
		site.owner.wantMessage(t, fmt.Sprint(i))
		if len(site.owner.told) != 0 {
			t.Fatal("told before Next")
		}
		s.Next()
	}
	p.want(opPong, "read in turn")

	p.send(opText, "held")
	site.owner.wantMessage(t, "held")
	s.Close(1000, "")
	p.wantClose(1000, "")
	p.close(1000, "")
	site.owner.wantClosed(t, 1000, "", true) // though Next was never called
}

func TestAutoResponse(t *testing.T) {
	var hub Hub
	site := newSite(t, Config{}, func(s *Socket) { hub.Add(s) })
	hub.SetAutoResponse("ping", "pong")
	p, s := site.dial(t)
	if !s.AutoResponseAt().IsZero() {
		t.Fatal("stamped")
	}
	s.Send(NewFrame(true, []byte("sent before")))
	p.send(opText, "ping")
	p.send(opBinary, "ping")
	p.send(opText, "ping ")
	p.want(opText, "sent before")
	p.want(opText, "pong")
	site.owner.wantMessage(t, "ping") // the binary one
	site.owner.wantMessage(t, "ping ")
	if since := time.Since(s.AutoResponseAt()); since < 0 || since > patience {
		t.Fatalf("stamped %v ago", since)
	}
	hub.ClearAutoResponse()
	p.send(opText, "ping")
	site.owner.wantMessage(t, "ping")
}

func TestSlowReaderIsClosedOthersGetAll(t *testing.T) {
	site := newSite(t, Config{MaxQueued: 256 << 10}, nil)
	slow, slowSocket := site.dial(t)
	fast, fastSocket := site.dial(t)
	const size = 10_000
	sent := 0
	for ; slowSocket.State() == Open; sent++ {
		if sent > 10_000 {
			t.Fatal("never too slow")
		}
		frame := NewFrame(true, fmt.Appendf(nil, "%0*d", size, sent))
		slowSocket.Send(frame)
		if !fastSocket.Send(frame) {
			t.Fatal("the fast one was closed")
		}
		fast.want(opText, fmt.Sprintf("%0*d", size, sent))
	}
	if queued := slowSocket.queuedBytes(); queued > 2*batchSize {
		t.Errorf("%d bytes still queued", queued)
	}
	for i := 0; ; i++ { // whole messages, in order, then the close
		op, data, err := slow.read()
		if err != nil {
			t.Fatal(err)
		}
		if op == opClose {
			if data != "\x03\xf5slow reader" {
				t.Fatalf("closed with %q", data)
			}
			break
		}
		if data != fmt.Sprintf("%0*d", size, i) {
			t.Fatalf("message %d is %.20q...", i, data)
		}
	}
	slow.close(1013, "")
	site.owner.wantClosed(t, 1013, ReasonSlow, true)
	if n := site.sockets.Stats().SlowClosed; n != 1 {
		t.Errorf("counted %d", n)
	}
}

func (s *Socket) queuedBytes() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.out == nil {
		return 0
	}
	return s.out.queued
}

func TestConcurrentSendersKeepTheirOrder(t *testing.T) {
	site := newSite(t, Config{MaxQueued: 64 << 20}, nil)
	p, s := site.dial(t)
	const senders, each = 4, 500
	var sending sync.WaitGroup
	for sender := range senders {
		sending.Go(func() {
			for i := range each {
				s.Send(NewFrame(true, fmt.Appendf(nil, "%d %d %s", sender, i, strings.Repeat("x", i))))
			}
		})
	}
	var next [senders]int
	for range senders * each {
		_, data, err := p.read()
		if err != nil {
			t.Fatal(err)
		}
		var sender, i int
		if _, err := fmt.Sscan(data, &sender, &i); err != nil || i != next[sender] {
			t.Fatalf("got %.20q, want %d of %d (%v)", data, next[sender], sender, err)
		}
		next[sender]++
	}
	sending.Wait()
}

func TestAttachment(t *testing.T) {
	s := newServer(t, Config{}).New(newOwner(), nil)
	if s.Attachment() != nil {
		t.Fatal("attached")
	}
	s.SetAttachment([]byte("x"))
	if string(s.Attachment()) != "x" {
		t.Fatal("not attached")
	}
	s.Drop(0, "")
	if string(s.Attachment()) != "x" {
		t.Fatal("gone before the handler of the close")
	}
}

func TestStats(t *testing.T) {
	site := newSite(t, Config{}, nil)
	p, s := site.dial(t)
	s.Send(NewFrame(true, []byte("12345")))
	p.want(opText, "12345")
	p.send(opText, "12345")
	site.owner.wantMessage(t, "12345")
	got := site.sockets.Stats()
	if got.Open != 1 || got.FramesIn != 1 || got.BytesIn != 11 || got.FramesOut != 2 { // the 101 counts as one
		t.Fatalf("%+v", got)
	}
}
