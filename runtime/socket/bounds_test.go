package socket

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestAMessageThatNeverEndsIsTurnedAway(t *testing.T) {
	for name, begin := range map[string][]byte{
		"within a frame":    masked(0x80|opText, "unfinished")[:9],
		"between fragments": masked(opText, "unfinished"),
	} {
		t.Run(name, func(t *testing.T) {
			timed(t, Config{}, func(t *testing.T, srv *Server) {
				o := newOwner()
				p, _ := pipe(t, srv, o)
				p.write(begin)
				start := time.Now()
				p.wantClose(1008, ReasonSlowMessage)
				if took := time.Since(start); took != messageTimeout {
					t.Errorf("after %v", took)
				}
			})
		})
	}
}

func TestAMessageHasItsTimeToItself(t *testing.T) {
	timed(t, Config{}, func(t *testing.T, srv *Server) {
		o := newOwner()
		p, s := pipe(t, srv, o)
		for range 5 {
			frame := masked(0x80|opText, "slow but sure")
			p.write(frame[:9])
			time.Sleep(messageTimeout - time.Second)
			p.write(frame[9:])
			o.wantMessage(t, "slow but sure")
		}
		synctest.Wait()
		if s.in != nil || s.due != nil {
			t.Error("something is kept")
		}
	})
}

func TestUnfinishedMessagesHaveABudget(t *testing.T) {
	site := newSite(t, Config{MaxHeld: 100_000}, nil)
	big := masked(0x80|opText, strings.Repeat("x", 60_000))
	first, _ := site.dial(t)
	first.write(big[:50_000])
	eventually(t, "it is held", func() bool { return site.sockets.held.Load() > 40_000 })
	second, _ := site.dial(t)
	second.write(big[:len(big)-1])
	second.wantClose(1013, ReasonBusy)
	second.write(big[len(big)-1:])
	second.close(1013, "")
	site.owner.wantClosed(t, 1013, ReasonBusy, true)

	third, _ := site.dial(t) // small ones pass, whoever takes up the budget
	small := masked(0x80|opText, strings.Repeat("y", 1000))
	third.write(small[:500])
	third.write(small[500:])
	site.owner.wantMessage(t, strings.Repeat("y", 1000))
	first.write(big[50_000:])
	site.owner.wantMessage(t, strings.Repeat("x", 60_000))
	eventually(t, "all is given back", func() bool { return site.sockets.held.Load() == 0 })
	if over := site.sockets.Stats().OverBudget; over != 1 {
		t.Errorf("%d over the budget", over)
	}
}

func TestWhatIsQueuedGoesInOneWrite(t *testing.T) {
	timed(t, Config{}, func(t *testing.T, srv *Server) {
		p, s := pipe(t, srv, newOwner())
		if !s.Queue(NewFrame(true, []byte("one"))) || s.Queue(NewFrame(true, []byte("two"))) {
			t.Error("Flush is asked for once")
		}
		s.Close(4000, "")
		if s.Queue(NewFrame(true, []byte("late"))) {
			t.Error("queued behind a close")
		}
		synctest.Wait()
		s.Flush()
		s.Flush()
		buf := make([]byte, 100)
		n, err := p.Read(buf) // of a net.Pipe: what one write has
		if want := "\x81\x03one\x81\x03two\x88\x02\x0f\xa0"; err != nil || string(buf[:n]) != want {
			t.Errorf("one write has %q, %v; want %q", buf[:n], err, want)
		}
		p.close(4000, "")
	})
}

// begun waits until a message has begun that is not whole.
func begun(t *testing.T, s *Socket) (deadline int64) {
	t.Helper()
	eventually(t, "a message has begun", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.due != nil {
			deadline = s.due.message
		}
		return deadline != 0
	})
	return deadline
}

// The time of a message may pass while that of a close runs: that one still counts.
func TestACloseKeepsItsTimeBesideThatOfAMessage(t *testing.T) {
	for name, end := range map[string]func(*peer, *Socket){
		"we close":    func(_ *peer, s *Socket) { s.Close(4000, "x") },
		"a violation": func(p *peer, _ *Socket) { p.write([]byte{0x81, 1, 'x'}) },
	} {
		t.Run(name, func(t *testing.T) {
			timed(t, Config{CloseTimeout: 10 * time.Second}, func(t *testing.T, srv *Server) {
				p, s := pipe(t, srv, newOwner())
				go func() { _, _ = io.Copy(io.Discard, p.in) }()
				p.write(masked(opText, "begun"))
				time.Sleep(messageTimeout - 5*time.Second)
				end(p, s)
				time.Sleep(11 * time.Second)
				synctest.Wait()
				if n := srv.Len(); n != 0 {
					t.Errorf("%d sockets are left", n)
				}
			})
		})
	}
}

func TestAMessageBehindAnotherHasATimeOfItsOwn(t *testing.T) {
	var hub Hub
	hub.SetAutoResponse("ping", "pong")
	site := newSite(t, Config{}, func(s *Socket) { hub.Add(s) })
	p, s := site.dial(t)
	p.write(masked(0x80|opText, "ping")[:3])
	first := begun(t, s)
	p.write(append(masked(0x80|opText, "ping")[3:], masked(0x80|opText, "ping")[:3]...))
	p.want(opText, "pong")
	eventually(t, "the second has another", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.due != nil && s.due.message > first
	})
}

// Who is closed because of the budget may go on sending: nothing of it is kept.
func TestTheBudgetHoldsWhoeverSends(t *testing.T) {
	const budget, peers = 1 << 20, 20
	site := newSite(t, Config{MaxHeld: budget}, nil)
	big := masked(0x80|opBinary, strings.Repeat("x", 1<<20))
	var sending sync.WaitGroup
	for range peers {
		p, _ := site.dial(t)
		sending.Go(func() {
			_, _ = p.Write(big[:len(big)-1])
			_, _, _ = p.read() // the close, for all but a few
			_ = p.Close()
		})
	}
	var most int64
	eventually(t, "all were told", func() bool {
		most = max(most, site.sockets.held.Load())
		return len(site.owner.told) >= peers-1
	})
	// Each reader may add what it has just read, and room for as much again.
	if most > 3*budget {
		t.Errorf("%d bytes were held with a budget of %d", most, budget)
	}
	shutdown(t, site.sockets)
	sending.Wait()
	if held := site.sockets.held.Load(); held != 0 {
		t.Errorf("%d bytes are held of nobody", held)
	}
}

// A socket that is cut gives its owner no more of what is there already.
func TestNothingIsReadAfterACut(t *testing.T) {
	srv := newServer(t, Config{})
	o := newOwner()
	s := srv.New(o, nil)
	s.state, s.dead = Open, true
	stream := bytes.Repeat(masked(0x80|opText, "x"), 100)
	if end := s.feed(stream); end != nil || len(o.told) > 1 {
		t.Fatalf("the owner was told %d messages, %v", len(o.told), end)
	}
	s.forget()
}

func TestFramesInTheQueueGoBeforeTheEndOfAnAttendedSocket(t *testing.T) {
	site := unstartedSite(t, Config{}, nil)
	site.StartTLS()
	conn, err := tls.Dial("tcp", site.addr(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, conn)
	p.shake()
	s := <-site.opened
	s.Queue(NewFrame(true, []byte("queued")))
	p.close(1000, "")
	site.owner.wantClosed(t, 1000, "", true)
	s.Flush()
	p.want(opText, "queued")
	p.wantClose(1000, "")
}

func TestOnlyWhoIsCutCountsAsCut(t *testing.T) {
	timed(t, Config{CloseTimeout: time.Minute}, func(t *testing.T, srv *Server) {
		for i := range 10 {
			p, _ := pipe(t, srv, newOwner())
			go func() {
				_, data, err := p.read()
				if i > 0 && err == nil {
					_, _ = p.Write(masked(0x80|opClose, data))
				}
			}()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = srv.Shutdown(ctx)
		if n := srv.Stats().Cut; n != 1 {
			t.Errorf("1 was cut, and %d count", n)
		}
	})
}
