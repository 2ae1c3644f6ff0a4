package socket

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// identified opens a socket over net.Pipe whose identity expires.
func identified(t *testing.T, srv *Server, o Owner, expires time.Time) (*peer, *Socket) {
	t.Helper()
	s := srv.New(o, []string{"a", "b"})
	s.Identify([]byte("ann"), expires)
	return pipeTo(t, func(w http.ResponseWriter) error { return s.Upgrade(w, request(), nil, 0) }), s
}

// What a socket remembers is one piece of memory, whatever is in it.
func TestMemoryOfASocket(t *testing.T) {
	srv := newServer(t, Config{})
	expires := time.Unix(4102444800, 0)
	for _, tags := range [][]string{nil, {"a"}, {"a", string(make([]byte, 256)), ""}} {
		for _, who := range []string{"", "ann", string(make([]byte, 5000))} {
			for _, attachments := range [][]string{nil, {""}, {"x", "longer", ""}} {
				for _, known := range []bool{false, true} {
					s := srv.New(newOwner(), tags)
					if known {
						s.Identify([]byte(who), expires)
					}
					check := func(attachment []byte) {
						t.Helper()
						got, until := s.Identity()
						switch {
						case known && (string(got) != who || got == nil || !until.Equal(expires)):
							t.Errorf("identity %.20q until %v, want %.20q", got, until, who)
						case !known && (got != nil || !until.IsZero()):
							t.Errorf("identity %.20q until %v", got, until)
						}
						if !slices.Equal(s.Tags(), tags) {
							t.Errorf("tags %.20q, want %.20q", s.Tags(), tags)
						}
						if a := s.Attachment(); !bytes.Equal(a, attachment) || (a == nil) != (attachment == nil) {
							t.Errorf("attachment %q, want %q", a, attachment)
						}
					}
					check(nil)
					for _, a := range attachments {
						s.SetAttachment([]byte(a))
						check([]byte(a))
					}
					if got, want := cap(s.memory), len(s.memory); known && len(attachments) == 0 && got > want+want/4+16 {
						t.Errorf("%d bytes for %d", got, want)
					}
				}
			}
		}
	}
}

func TestASocketClosesWhenItsIdentityExpires(t *testing.T) {
	timed(t, Config{}, func(t *testing.T, srv *Server) {
		start := time.Now()
		type open struct {
			p  *peer
			o  *owner
			at time.Duration
		}
		var all []open
		for _, at := range []time.Duration{90 * time.Second, 10 * time.Second, time.Hour, 10 * time.Second, 30*time.Second + time.Millisecond} {
			o := newOwner()
			p, _ := identified(t, srv, o, start.Add(at))
			all = append(all, open{p, o, at})
		}
		forever, _ := identified(t, srv, newOwner(), time.Time{})
		nobody, _ := pipe(t, srv, newOwner())
		slices.SortStableFunc(all, func(a, b open) int { return int(a.at - b.at) })
		for _, each := range all {
			each.p.wantClose(CodePolicy, ReasonExpired)
			if late := time.Since(start) - each.at; late < 0 || late > time.Second {
				t.Errorf("closed %v after the time", late)
			}
			each.p.close(CodePolicy, "")
			each.o.wantClosed(t, CodePolicy, ReasonExpired, true)
		}
		time.Sleep(1000 * time.Hour)
		for _, p := range []*peer{forever, nobody} {
			p.send(opPing, "still here")
			p.want(opPong, "still here")
		}
	})
}

// A message that comes when the time is over is nobody's, even if the close is not on
// its way yet.
func TestAMessageAfterTheIdentityExpired(t *testing.T) {
	timed(t, Config{}, func(t *testing.T, srv *Server) {
		o := newOwner()
		p, s := identified(t, srv, o, time.Now().Add(10*time.Second))
		p.send(opText, "before")
		o.wantMessage(t, "before")
		srv.mu.Lock() // as if the timer were late
		if srv.expiring.Stop() {
			srv.timers.Done()
		}
		srv.mu.Unlock()
		time.Sleep(11 * time.Second)
		p.send(opText, "after")
		p.wantClose(CodePolicy, ReasonExpired)
		p.close(CodePolicy, "")
		o.wantClosed(t, CodePolicy, ReasonExpired, true)
		if who, _ := s.Identity(); string(who) != "ann" {
			t.Errorf("after the end it is %q", who)
		}
	})
}

// It neither waits for an auto-response nor for a message that its object is busy with.
func TestAnIdentityExpiresWhileItsOwnerIsBusy(t *testing.T) {
	timed(t, Config{}, func(t *testing.T, srv *Server) {
		o := newOwner()
		o.hold = true
		p, s := identified(t, srv, o, time.Now().Add(10*time.Second))
		var hub Hub
		hub.Add(s)
		hub.SetAutoResponse("ping", "pong")
		p.send(opText, "ping")
		p.want(opText, "pong")
		p.send(opText, "slow")
		o.wantMessage(t, "slow")
		p.wantClose(CodePolicy, ReasonExpired)
		s.Next()
		p.send(opText, "ping")
		p.close(CodePolicy, "")
		o.wantClosed(t, CodePolicy, ReasonExpired, true)
	})
}

// An identity that expires before the 101 is no exception.
func TestAnIdentityThatExpiresBeforeTheSocketOpens(t *testing.T) {
	timed(t, Config{}, func(t *testing.T, srv *Server) {
		o := newOwner()
		p, _ := identified(t, srv, o, time.Now().Add(-time.Hour))
		p.wantClose(CodePolicy, ReasonExpired)
		p.close(CodePolicy, "")
		o.wantClosed(t, CodePolicy, ReasonExpired, true)
	})
}

// The clock on the wall may be set while the program runs, or the machine sleep, and
// the timer not notice: it looks every minute.
func TestTheTimerOfExpiriesLooksAgain(t *testing.T) {
	timed(t, Config{}, func(t *testing.T, srv *Server) {
		o := newOwner()
		p, s := identified(t, srv, o, time.Now().Add(24*time.Hour))
		time.Sleep(time.Hour)
		srv.mu.Lock()
		srv.expiries[0].at = time.Now().Unix() // now it is a day later
		srv.mu.Unlock()
		start := time.Now()
		p.wantClose(CodePolicy, ReasonExpired)
		if took := time.Since(start); took > longestWait {
			t.Errorf("closed after %v", took)
		}
		p.close(CodePolicy, "")
		o.wantClosed(t, CodePolicy, ReasonExpired, true)
		if s.State() != Closed {
			t.Error(s.State())
		}
	})
}

// Sockets that come and go with long-lived tokens leave nothing behind for long.
func TestExpiriesOfSocketsThatAreGone(t *testing.T) {
	timed(t, Config{}, func(t *testing.T, srv *Server) {
		late := time.Now().Add(1000 * time.Hour)
		var stay []*peer
		for i := range 5000 {
			o := newOwner()
			expires := late
			if i%1000 == 0 {
				expires = time.Now().Add(time.Hour)
			}
			p, s := identified(t, srv, o, expires)
			if i%1000 == 0 {
				stay = append(stay, p)
				continue
			}
			s.cut("test")
			_ = p.Close()
			o.wantClosed(t, 1006, ReasonAbnormal, false)
			synctest.Wait()
		}
		srv.mu.Lock()
		n, open := len(srv.expiries), srv.sockets.used
		srv.mu.Unlock()
		if open != len(stay) || n > 2*open+staleExpiries+1 {
			t.Errorf("%d entries for %d sockets", n, open)
		}
		for _, p := range stay { // none of these was lost with the others
			p.wantClose(CodePolicy, ReasonExpired)
			p.close(CodePolicy, "")
		}
	})
}

// The same over TCP, where sockets are parked and nothing waits for them, and over TLS,
// where they have a goroutine each.
func TestExpiryOverTCPAndTLS(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls %v", secure), func(t *testing.T) {
			site := unstartedSite(t, Config{}, func(s *Socket) { s.Identify([]byte("ann"), time.Now().Add(time.Second)) })
			if secure {
				site.StartTLS()
			} else {
				site.Start()
			}
			const n = 50
			var peers []*peer
			for range n {
				if secure {
					peers = append(peers, site.dialTLS(t))
				} else {
					p, _ := site.dial(t)
					peers = append(peers, p)
				}
			}
			for _, p := range peers {
				p.wantClose(CodePolicy, ReasonExpired)
				p.close(CodePolicy, "")
				site.owner.wantClosed(t, CodePolicy, ReasonExpired, true)
			}
			if got := site.sockets.Stats().Expired; got != n {
				t.Errorf("%d are counted", got)
			}
		})
	}
}

func (s *site) dialTLS(t *testing.T) *peer {
	t.Helper()
	conn, err := tls.Dial("tcp", s.addr(), s.Client().Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, conn)
	p.shake()
	<-s.opened
	return p
}

// A handshake that fails leaves a socket of which nobody knows: its time comes and
// finds nothing.
func TestExpiryOfASocketThatNeverWas(t *testing.T) {
	timed(t, Config{}, func(t *testing.T, srv *Server) {
		o := newOwner()
		s := srv.New(o, nil)
		s.Identify([]byte("ann"), time.Now().Add(time.Second))
		if err := s.Upgrade(httptest.NewRecorder(), request(), nil, 0); err == nil { // it can't be hijacked
			t.Fatal("upgraded")
		}
		s.Drop(0, "")
		o.wantClosed(t, CodeAbnormal, ReasonAbnormal, false)
		time.Sleep(time.Minute)
		if n := srv.Stats().Expired; n != 0 {
			t.Errorf("%d expired", n)
		}
	})
}

// BenchmarkIdentity is what a socket has for who is at its other end, of whom a token
// says no more than it must.
func BenchmarkIdentity(b *testing.B) {
	who := []byte("ann\x00" + `{"exp":4102444800,"sub":"ann"}`)
	for _, known := range []bool{false, true} {
		b.Run(fmt.Sprintf("known %v", known), func(b *testing.B) {
			srv := newServer(b, Config{})
			heap := func() uint64 {
				var m runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&m)
				return m.HeapAlloc
			}
			const n = 100_000
			all := make([]*Socket, n)
			before := heap()
			for b.Loop() {
				for i := range all {
					s := srv.New(nil, []string{"room"})
					if known {
						s.Identify(who, time.Unix(4102444800, 0))
					}
					s.SetAttachment(make([]byte, 40))
					srv.add(s)
					all[i] = s
				}
				b.ReportMetric(float64(heap()-before)/n, "B/socket")
				for _, s := range all {
					srv.remove(s)
				}
				srv.mu.Lock()
				srv.dropStale()
				srv.watchExpiries()
				srv.mu.Unlock()
			}
		})
	}
}
