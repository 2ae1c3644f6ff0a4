package socket

import (
	"strings"
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
