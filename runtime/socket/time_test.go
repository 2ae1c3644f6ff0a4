package socket

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// timed runs a test in a bubble, with a Server that is shut down in it.
func timed(t *testing.T, config Config, run func(*testing.T, *Server)) {
	synctest.Test(t, func(t *testing.T) {
		srv := NewServer(config)
		run(t, srv)
		shutdown(t, srv)
	})
}

func TestCloseTimeout(t *testing.T) {
	timed(t, Config{}, func(t *testing.T, srv *Server) {
		o := newOwner()
		p, s := pipe(t, srv, o)
		start := time.Now()
		s.Close(4000, "anyone?")
		p.wantClose(4000, "anyone?")
		o.wantClosed(t, 1006, ReasonAbnormal, false)
		if took := time.Since(start); took != DefaultCloseTimeout {
			t.Errorf("cut after %v", took)
		}
	})
}

func TestCloseTimeoutWithAPeerThatTakesNothing(t *testing.T) {
	timed(t, Config{MaxQueued: 1000}, func(t *testing.T, srv *Server) {
		o := newOwner()
		_, s := pipe(t, srv, o)
		start := time.Now()
		for i := 0; s.Send(NewFrame(true, make([]byte, 100))); i++ {
			if i > 20 {
				t.Fatal("never full")
			}
		}
		o.wantClosed(t, 1006, ReasonAbnormal, false)
		if took := time.Since(start); took != DefaultCloseTimeout {
			t.Errorf("cut after %v", took)
		}
	})
}

func TestStalledPeerIsCut(t *testing.T) {
	timed(t, Config{}, func(t *testing.T, srv *Server) {
		o := newOwner()
		p, s := pipe(t, srv, o)
		start := time.Now()
		s.Send(NewFrame(true, make([]byte, 1000)))
		time.Sleep(stallLimit - time.Second)
		var one [1]byte
		if _, err := p.in.Read(one[:0]); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Read(one[:]); err != nil { // progress, however little
			t.Fatal(err)
		}
		o.wantClosedWithin(t, 2*stallLimit)
		if took := time.Since(start); took != 2*stallLimit {
			t.Errorf("cut after %v", took)
		}
	})
}

func (o *owner) wantClosedWithin(t *testing.T, limit time.Duration) {
	t.Helper()
	select {
	case got := <-o.told:
		if !got.closed || got.code != 1006 {
			t.Fatalf("told %v", got)
		}
	case <-time.After(limit + time.Second):
		t.Fatal("not closed")
	}
}

func TestPings(t *testing.T) {
	const interval = 30 * time.Second
	timed(t, Config{PingInterval: interval}, func(t *testing.T, srv *Server) {
		o := newOwner()
		p, _ := pipe(t, srv, o)
		for range 5 { // answered: it lives on
			start := time.Now()
			p.want(opPing, "")
			if silent := time.Since(start); silent < interval || silent > interval*3/2 {
				t.Fatalf("pinged after %v", silent)
			}
			p.send(opPong, "")
		}
		p.want(opPing, "")
		start := time.Now()
		o.wantClosedWithin(t, 3*interval)
		if silent := time.Since(start); silent > interval*3/2 {
			t.Errorf("cut %v after the ping", silent)
		}
	})
}

func TestSocketThatTalksIsNotPinged(t *testing.T) {
	timed(t, Config{PingInterval: 30 * time.Second}, func(t *testing.T, srv *Server) {
		o := newOwner()
		p, s := pipe(t, srv, o)
		for i := range 50 {
			p.send(opText, fmt.Sprint(i))
			o.wantMessage(t, fmt.Sprint(i))
			time.Sleep(10 * time.Second)
		}
		s.Send(NewFrame(true, []byte("end")))
		p.want(opText, "end")
	})
}

func TestSocketThatWeDoNotReadIsNotCut(t *testing.T) {
	const interval = 30 * time.Second
	timed(t, Config{PingInterval: interval}, func(t *testing.T, srv *Server) {
		o := newOwner()
		o.hold = true
		p, s := pipe(t, srv, o)
		p.send(opText, "slow work")
		o.wantMessage(t, "slow work")
		go func() { // takes pings; its pongs would not be read
			for {
				if _, _, err := p.read(); err != nil {
					return
				}
			}
		}()
		time.Sleep(10 * interval)
		synctest.Wait()
		if s.State() != Open || len(o.told) != 0 {
			t.Fatal("cut while it waited for us")
		}
		s.Next()
		start := time.Now()
		o.wantClosedWithin(t, 3*interval)
		if silent := time.Since(start); silent < 2*interval {
			t.Errorf("cut %v after Next", silent)
		}
	})
}

func TestShutdown(t *testing.T) {
	timed(t, Config{PingInterval: time.Second}, func(t *testing.T, srv *Server) {
		polite, rude := newOwner(), newOwner()
		polite.hold = true
		p, _ := pipe(t, srv, polite)
		p.send(opText, "never let go on")
		polite.wantMessage(t, "never let go on")
		_, _ = pipe(t, srv, rude)
		pending := srv.New(newOwner(), nil)

		go func() {
			p.wantClose(1001, "going away")
			p.close(1001, "")
		}()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("shutdown: %v", err)
		}
		polite.wantClosed(t, 1001, "going away", true)
		rude.wantClosed(t, 1006, ReasonAbnormal, false)
		if err := pending.Upgrade(&pipeWriter{}, request(), nil, 0); !errors.Is(err, ErrShutdown) {
			t.Errorf("upgrade: %v", err)
		}
		pending.Drop(0, "")
		if err := srv.Shutdown(context.Background()); err != nil {
			t.Errorf("second shutdown: %v", err)
		}
	})
}
