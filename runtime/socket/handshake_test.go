package socket

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
)

func TestSendsBeforeThe101Wait(t *testing.T) {
	site := newSite(t, Config{}, func(s *Socket) {
		for i := range 100 {
			if !s.Send(NewFrame(true, fmt.Append(nil, i))) {
				t.Error("not queued")
			}
		}
		if s.State() != Connecting {
			t.Errorf("state %v", s.State())
		}
		s.Close(4002, "later")
		if s.Send(NewFrame(true, nil)) || s.State() != Closing {
			t.Error("sent after close")
		}
	})
	p, _ := site.dial(t)
	for i := range 100 {
		p.want(opText, fmt.Sprint(i))
	}
	p.wantClose(4002, "later")
	p.close(4002, "")
	p.wantEnd()
	site.owner.wantClosed(t, 4002, "later", true)
}

func TestFramesSentWithTheHandshakeAreRead(t *testing.T) {
	site := newSite(t, Config{}, nil)
	conn, err := net.Dial("tcp", site.addr())
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, conn)
	p.write(append([]byte(handshake+"\r\n"), masked(0x80|opText, "early")...))
	p.response()
	site.owner.wantMessage(t, "early")
}

func TestDrop(t *testing.T) {
	srv, o := newServer(t, Config{}), newOwner()
	s := srv.New(o, nil)
	s.Send(NewFrame(true, []byte("never")))
	s.Drop(0, "")
	o.wantClosed(t, 1006, ReasonAbnormal, false)
	s.Drop(0, "")
	if err := s.Upgrade(&pipeWriter{}, request(), nil, 0); !errors.Is(err, ErrNotPending) {
		t.Fatalf("upgrade: %v", err)
	}
	if len(o.told) != 0 {
		t.Fatal("closed twice")
	}
	second := srv.New(o, []string{"a"})
	if second.ID() <= s.ID() || second.Tags()[0] != "a" {
		t.Fatalf("id %d after %d, tags %v", second.ID(), s.ID(), second.Tags())
	}
	second.Drop(1006, "request ended")
	o.wantClosed(t, 1006, "request ended", false)
}

func TestHandshake(t *testing.T) {
	site := newSite(t, Config{}, nil)
	site.header = http.Header{"Sec-Websocket-Protocol": {"chat"}, "Set-Cookie": {"a=1", "b=2"}}
	conn, err := net.Dial("tcp", site.addr())
	if err != nil {
		t.Fatal(err)
	}
	resp := newPeer(t, conn).shake()
	if got := resp.Header.Get("Sec-WebSocket-Accept"); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("accept %q", got)
	}
	if resp.Header.Get("Sec-WebSocket-Protocol") != "chat" || len(resp.Header.Values("Set-Cookie")) != 2 {
		t.Errorf("header %v", resp.Header)
	}

	refusals := []struct {
		name   string
		change func(*http.Request)
		header http.Header
		status int
	}{
		{"plain request", func(r *http.Request) { r.Header.Del("Upgrade") }, nil, 426},
		{"no connection token", func(r *http.Request) { r.Header.Set("Connection", "not-upgrade") }, nil, 426},
		{"version", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Version", "8") }, nil, 426},
		{"key", func(r *http.Request) { r.Header.Set("Sec-WebSocket-Key", "short") }, nil, 400},
		{"method", func(r *http.Request) { r.Method = "POST" }, nil, 400},
		{"header injection", nil, http.Header{"X": {"a\r\nb: c"}}, 500},
		{"header name", nil, http.Header{"X: y\r\n": {"a"}}, 500},
		{"reserved header", nil, http.Header{"connection": {"close"}}, 500},
		{"extensions", nil, http.Header{"Sec-WebSocket-Extensions": {"permessage-deflate"}}, 500},
		{"subprotocol", nil, http.Header{"Sec-WebSocket-Protocol": {"nope"}}, 500},
	}
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			r := request()
			if c.change != nil {
				c.change(r)
			}
			o := newOwner()
			s := site.sockets.New(o, nil)
			var refused *HandshakeError
			if err := s.Upgrade(&pipeWriter{}, r, c.header, 0); !errors.As(err, &refused) || refused.Status != c.status {
				t.Fatalf("upgrade: %v", err)
			}
			s.Drop(0, "")
			o.wantClosed(t, 1006, ReasonAbnormal, false)
		})
	}
}

func TestTooMuchBeforeThe101(t *testing.T) {
	site := newSite(t, Config{MaxQueued: 1000}, func(s *Socket) {
		for s.Send(NewFrame(true, make([]byte, 100))) {
		}
	})
	p, _ := site.dial(t)
	p.wantClose(1013, "slow reader")
	p.close(1013, "")
	site.owner.wantClosed(t, 1013, ReasonSlow, true)
}

// Drop and Shutdown may come at any moment of an upgrade: the owner is told
// once, and nothing is left over.
func TestUpgradeRacesWithDropAndShutdown(t *testing.T) {
	for range 200 {
		srv, o := NewServer(Config{}), newOwner()
		s := srv.New(o, nil)
		ours, theirs := net.Pipe()
		p := newPeer(t, theirs)
		var all sync.WaitGroup
		all.Go(func() {
			if s.Upgrade(&pipeWriter{conn: ours}, request(), nil, 0) != nil {
				s.Drop(0, "")
				_ = ours.Close()
			}
		})
		all.Go(func() { s.Drop(4000, "dropped") })
		all.Go(func() { shutdown(t, srv) })
		all.Go(func() {
			if _, err := http.ReadResponse(p.in, nil); err != nil {
				return
			}
			for {
				op, data, err := p.read()
				if err != nil {
					return
				}
				if op == opClose {
					_, _ = p.Write(masked(0x80|opClose, data))
				}
			}
		})
		all.Wait()
		if got := o.next(t); !got.closed || len(o.told) != 0 {
			t.Fatalf("told %v and %d more", got, len(o.told))
		}
	}
}
