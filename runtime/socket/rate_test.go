package socket

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

// limitedPipe is pipe for a socket that counts for somebody.
func limitedPipe(t *testing.T, srv *Server, owner Owner) (*peer, *Socket) {
	t.Helper()
	s := srv.New(owner, nil)
	return pipeTo(t, func(w http.ResponseWriter) error { return s.Upgrade(w, request(), nil, 7) }), s
}

// Who sends faster than the rate is read no faster, and nothing is lost.
func TestAClientOverItsRateIsHeldUp(t *testing.T) {
	timed(t, Config{Rate: 10, Burst: 5}, func(t *testing.T, srv *Server) {
		o := newOwner()
		p, s := limitedPipe(t, srv, o)
		start := time.Now()
		const n = 105
		go func() {
			for i := range n {
				p.send(opText, fmt.Sprint(i))
			}
		}()
		for i := range n {
			o.wantMessage(t, fmt.Sprint(i))
			want := time.Duration(max(0, i-4)) * time.Second / 10
			if took := time.Since(start); took < want-time.Millisecond || took > want+10*time.Millisecond {
				t.Fatalf("message %d came after %v, want %v", i, took, want)
			}
		}
		if got := srv.Stats().Delayed; got != n-4 {
			t.Errorf("held up %d times", got)
		}
		time.Sleep(time.Minute)
		s.mu.Lock()
		if s.due != nil {
			t.Error("an idle socket has a timer")
		}
		s.mu.Unlock()
		start = time.Now()
		for i := range 5 { // what it has saved is the burst, and no more
			p.send(opText, "again")
			o.wantMessage(t, "again")
			if took := time.Since(start); took != 0 {
				t.Errorf("message %d of a burst was held up for %v", i, took)
			}
		}
		p.close(1000, "")
		p.wantClose(1000, "")
		o.wantClosed(t, 1000, "", true)
	})
}

// Pings and auto-responses cost us as much as messages do, and count as such.
func TestPingsAndAutoResponsesHaveTheRate(t *testing.T) {
	timed(t, Config{Rate: 10, Burst: 2, PingInterval: 4 * time.Second}, func(t *testing.T, srv *Server) {
		o := newOwner()
		p, s := limitedPipe(t, srv, o)
		var hub Hub
		hub.Add(s)
		hub.SetAutoResponse("ping", "pong")
		start := time.Now()
		const n = 1002
		var all []byte
		for i := range n / 2 {
			all = append(append(all, masked(0x80|opPing, fmt.Sprint(i))...), masked(0x80|opText, "ping")...)
		}
		go p.write(all)
		for i := range n / 2 {
			p.want(opPong, fmt.Sprint(i))
			p.want(opText, "pong")
		}
		if took := time.Since(start); took < 99*time.Second || took > 101*time.Second {
			t.Errorf("%d pings at 10 a second took %v", n, took)
		}
		if cut := srv.Stats().Cut; cut != 0 {
			t.Error("cut as silent while it was not read")
		}
	})
}

// A socket that is held up can be closed, by us and by Shutdown, at once.
func TestAHeldUpSocketCloses(t *testing.T) {
	for _, how := range []string{"close", "shutdown", "cut"} {
		t.Run(how, func(t *testing.T) {
			timed(t, Config{Rate: 0.01, Burst: 1}, func(t *testing.T, srv *Server) {
				o := newOwner()
				p, s := limitedPipe(t, srv, o)
				p.send(opText, "one")
				o.wantMessage(t, "one")
				go func() { _, _ = p.Write(masked(0x80|opText, "two")) }() // a cut interrupts it
				synctest.Wait()
				start := time.Now()
				switch how {
				case "close":
					s.Close(4000, "enough")
					p.wantClose(4000, "enough")
					p.close(4000, "")
					o.wantClosed(t, 4000, "enough", true)
				case "shutdown":
					go shutdown(t, srv)
					p.wantClose(CodeGoingAway, ReasonGoingAway)
					p.close(CodeGoingAway, "")
					o.wantClosed(t, CodeGoingAway, ReasonGoingAway, true)
				case "cut":
					s.cut("test")
					o.wantClosed(t, CodeAbnormal, ReasonAbnormal, false)
				}
				if took := time.Since(start); took != 0 {
					t.Errorf("took %v", took)
				}
			})
		})
	}
}

// Sockets that count for nobody have no limit; who counts for whom is told at the end.
func TestOnlyWhoCountsForSomebodyIsLimited(t *testing.T) {
	var gone atomic.Uint32
	timed(t, Config{Rate: 1, Burst: 1, Gone: func(account uint32) { gone.Add(account) }}, func(t *testing.T, srv *Server) {
		o := newOwner()
		p, _ := pipe(t, srv, o)
		limited, _ := limitedPipe(t, srv, o)
		start := time.Now()
		for range 100 {
			p.send(opText, "hello")
			o.wantMessage(t, "hello")
		}
		if took := time.Since(start); took != 0 {
			t.Errorf("held up for %v", took)
		}
		for _, each := range []struct {
			*peer
			gone uint32
		}{{p, 0}, {limited, 7}} {
			each.close(1000, "")
			each.wantClose(1000, "")
			each.wantEnd()
			o.wantClosed(t, 1000, "", true)
			synctest.Wait()
			if got := gone.Load(); got != each.gone {
				t.Errorf("gone is a socket of %d, want %d", got, each.gone)
			}
		}
	})
}

// The same over TCP, where sockets are parked.
func TestRateOverTCP(t *testing.T) {
	site := newSite(t, Config{Rate: 200, Burst: 3}, nil)
	site.account = 7
	p, s := site.dial(t)
	start := time.Now()
	const n = 63
	var all []byte
	for i := range n {
		all = append(all, masked(0x80|opText, fmt.Sprint(i))...)
	}
	p.write(all)
	for i := range n {
		site.owner.wantMessage(t, fmt.Sprint(i))
	}
	if took := time.Since(start); took < 290*time.Millisecond {
		t.Errorf("60 messages over the burst at 200 a second took %v", took)
	}
	p.send(opText, "last")
	site.owner.wantMessage(t, "last")
	eventually(t, "nothing is kept", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.out == nil && s.due == nil && !s.serving && s.in == nil
	})
	p.close(1000, "")
	site.owner.wantClosed(t, 1000, "", true)
}

// What README says an idle socket takes has this in it.
func TestARecordIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Socket{}); size > 176 {
		t.Errorf("a socket's record has %d bytes: the next size that Go allocates is 192", size)
	}
	if size := unsafe.Sizeof(slot{}); size > 16 {
		t.Errorf("a place has %d bytes", size)
	}
}
