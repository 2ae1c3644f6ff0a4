package socket

import (
	"context"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestViolations(t *testing.T) {
	const max = 1000
	huge := masked(0x80|opText, strings.Repeat("x", 70_000))
	copy(huge[2:10], "\xff\xff\xff\xff\xff\xff\xff\xff")
	cases := []struct {
		name   string
		bytes  []byte
		code   uint16
		reason string
	}{
		{"too big", masked(0x80|opBinary, strings.Repeat("x", max+1)), 1009, "message too big"},
		{"far too big", masked(0x80|opBinary, strings.Repeat("x", 5<<20)), 1009, "message too big"},
		{"too big in fragments", append(masked(opText, strings.Repeat("x", max)), masked(0x80, "x")...), 1009, "message too big"},
		{"too big in fragments that go on", append(masked(opText, strings.Repeat("x", max)), masked(0, "x")...), 1009, "message too big"},
		{"length over 2^63", huge, 1009, "message too big"},
		{"invalid UTF-8", masked(0x80|opText, "ab\xff"), 1007, "invalid UTF-8"},
		{"invalid UTF-8 in fragments", append(masked(opText, "ab\xc3"), masked(0x80, "x")...), 1007, "invalid UTF-8"},
		{"invalid UTF-8 in a reason", masked(0x80|opClose, "\x0f\xa0\xff"), 1007, "invalid UTF-8"},
		{"unmasked", []byte{0x81, 1, 'x'}, 1002, "protocol error"},
		{"reserved bit", masked(0xC0|opText, "x"), 1002, "protocol error"},
		{"unknown opcode", masked(0x83, "x"), 1002, "protocol error"},
		{"fragmented ping", masked(opPing, "x"), 1002, "protocol error"},
		{"long ping", masked(0x80|opPing, strings.Repeat("x", 126)), 1002, "protocol error"},
		{"continuation of nothing", masked(0x80, "x"), 1002, "protocol error"},
		{"message within message", append(masked(opText, "x"), masked(0x80|opText, "x")...), 1002, "protocol error"},
		{"close of one byte", masked(0x80|opClose, "x"), 1002, "protocol error"},
		{"close with a reserved code", masked(0x80|opClose, "\x03\xed"), 1002, "protocol error"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			site := newSite(t, Config{MaxMessage: max}, nil)
			p, s := site.dial(t)
			p.send(opText, "good")
			site.owner.wantMessage(t, "good")
			var writing sync.WaitGroup
			writing.Go(func() { p.write(c.bytes) })
			p.wantClose(c.code, c.reason)
			site.owner.wantClosed(t, c.code, c.reason, false)
			writing.Wait()
			p.wantEnd()
			if s.Send(NewFrame(true, nil)) {
				t.Error("sent after the end")
			}
		})
	}
}

func TestPeerCloses(t *testing.T) {
	cases := []struct {
		name, payload, echo string
		code                uint16
		reason              string
	}{
		{"code and reason", "\x03\xe9away", "\x03\xe9", 1001, "away"},
		{"code", "\x0f\xa0", "\x0f\xa0", 4000, ""},
		{"nothing", "", "", 1005, ""},
		{"1002 of the peer", "\x03\xeayou", "\x03\xea", 1002, "you"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			site := newSite(t, Config{}, nil)
			p, s := site.dial(t)
			s.Send(NewFrame(true, []byte("sent before")))
			p.send(opText, "last")
			p.send(opClose, c.payload)
			p.send(opText, "after the end")
			site.owner.wantMessage(t, "last")
			site.owner.wantClosed(t, c.code, c.reason, true)
			p.want(opText, "sent before")
			p.want(opClose, c.echo)
			s.Close(4999, "too late")
		})
	}
}

func TestHalfClosed(t *testing.T) {
	t.Run("after a close frame", func(t *testing.T) {
		site := newSite(t, Config{}, nil)
		p, s := site.dial(t)
		big := strings.Repeat("x", 900_000) // more than a socket buffer takes at first
		s.Send(NewFrame(true, []byte(big)))
		p.close(1000, "")
		_ = p.Conn.(*net.TCPConn).CloseWrite()
		site.owner.wantClosed(t, 1000, "", true)
		p.want(opText, big)
		p.wantClose(1000, "")
		p.wantEnd()
	})
	t.Run("without", func(t *testing.T) {
		site := newSite(t, Config{}, nil)
		p, _ := site.dial(t)
		_ = p.Conn.(*net.TCPConn).CloseWrite()
		site.owner.wantClosed(t, 1006, ReasonAbnormal, false)
		p.wantEnd()
	})
	t.Run("in a message", func(t *testing.T) {
		site := newSite(t, Config{}, nil)
		p, _ := site.dial(t)
		p.write(masked(0x80|opText, "unfinished")[:8])
		_ = p.Close()
		site.owner.wantClosed(t, 1006, ReasonAbnormal, false)
	})
}

func TestWeClose(t *testing.T) {
	for _, echo := range []string{"", "by your leave"} {
		site := newSite(t, Config{}, nil)
		p, s := site.dial(t)
		s.Send(NewFrame(true, []byte("before")))
		s.Close(4003, "enough")
		s.Close(4004, "second")
		if s.Send(NewFrame(true, []byte("after"))) || s.State() != Closing {
			t.Fatal("open after close")
		}
		p.want(opText, "before")
		p.wantClose(4003, "enough")
		p.send(opText, "discarded")
		p.send(opPing, "unanswered")
		p.close(4003, echo)
		want := echo
		if echo == "" {
			want = "enough"
		}
		site.owner.wantClosed(t, 4003, want, true)
		p.wantEnd()
	}
}

func TestCloseFrames(t *testing.T) {
	if got := closeFrame(0, "").wire; string(got) != "\x88\x00" {
		t.Errorf("without code: %q", got)
	}
	got := closeFrame(4000, strings.Repeat("ä", 100)).wire
	if len(got) != 2+2+122 {
		t.Errorf("a long reason makes %d bytes", len(got))
	}
}

func TestPeerVanishesWhileWriting(t *testing.T) {
	site := newSite(t, Config{}, nil)
	p, s := site.dial(t)
	_ = p.Conn.(*net.TCPConn).SetLinger(0) // a reset
	_ = p.Close()
	for s.Send(NewFrame(true, make([]byte, 1000))) {
		if s.State() == Closed {
			break
		}
	}
	site.owner.wantClosed(t, 1006, ReasonAbnormal, false)
	if len(site.owner.told) != 0 {
		t.Fatal("closed twice")
	}
}

func TestPingFloodOfAPeerThatTakesNothing(t *testing.T) {
	timed(t, Config{MaxQueued: 1000}, func(t *testing.T, srv *Server) {
		o := newOwner()
		p, s := pipe(t, srv, o)
		for i := 0; s.State() == Open; i++ {
			if i > 100 {
				t.Fatal("pongs pile up")
			}
			p.send(opPing, strings.Repeat("x", 100))
		}
		o.wantClosed(t, 1006, ReasonAbnormal, false)
	})
}

func TestShutdownInTraffic(t *testing.T) {
	site := newSite(t, Config{PingInterval: time.Millisecond}, nil)
	const peers = 50
	var talking sync.WaitGroup
	for range peers {
		p, s := site.dial(t)
		talking.Go(func() {
			for s.Send(NewFrame(true, make([]byte, 500))) {
			}
		})
		talking.Go(func() {
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
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := site.sockets.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	talking.Wait()
	for range peers {
		if got := site.owner.next(t); !got.closed {
			t.Errorf("told %v", got)
		}
	}
	if len(site.owner.told) != 0 {
		t.Error("closed twice")
	}
}
