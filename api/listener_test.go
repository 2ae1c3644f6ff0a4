package api_test

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"chat.example.com.ai/api"
)

// pipes is a listener whose connections, and failures, come from a test.
type pipes struct {
	next   chan any // a net.Conn or an error
	closed chan struct{}
	failed atomic.Pointer[error] // not nil: what every Accept returns
}

func newPipes() *pipes { return &pipes{next: make(chan any), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	if err := p.failed.Load(); err != nil {
		return nil, *err
	}
	select {
	case next := <-p.next:
		if err, ok := next.(error); ok {
			return nil, err
		}
		return next.(net.Conn), nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Addr() net.Addr { return nil }
func (p *pipes) Close() error   { close(p.closed); return nil }

// dial connects a client.
func (p *pipes) dial() net.Conn {
	client, server := net.Pipe()
	p.next <- server
	return client
}

// limited is a ConnLimit under test, and who accepts from its listener.
type limited struct {
	*api.ConnLimit
	*pipes
	log     *logBuffer
	sockets atomic.Int64
	in      []net.Conn // given out; once done
	err     error      // why it ended; once done
	done    chan struct{}
	close   func() // ends it
}

// limitTo starts a limit of so many connections, in a bubble of synctest.
func limitTo(t *testing.T, room int) *limited {
	l := &limited{pipes: newPipes(), log: &logBuffer{}, done: make(chan struct{})}
	files := room
	var err error
	for l.ConnLimit == nil || l.Room() < room { // how many are reserved is its own business
		files++
		if l.ConnLimit, err = api.NewConnLimit(files, func() int { return int(l.sockets.Load()) }, slog.New(slog.NewTextHandler(l.log, nil))); err != nil {
			l.ConnLimit = nil
		}
	}
	listener := l.Listener(l.pipes)
	l.close = sync.OnceFunc(func() {
		_ = listener.Close()
		<-l.done
	})
	go func() {
		defer close(l.done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				l.err = err
				return
			}
			l.in = append(l.in, conn)
		}
	}()
	t.Cleanup(func() {
		l.close()
		l.ConnLimit.Close()
		for _, conn := range l.in {
			_ = conn.Close()
		}
	})
	synctest.Wait() // it accepts
	return l
}

// lines is the log, a message each.
func (l *limited) lines() (all []string) {
	for line := range strings.Lines(l.log.String()) {
		_, message, _ := strings.Cut(line, `msg="`)
		message, _, _ = strings.Cut(message, `"`)
		all = append(all, message)
	}
	return all
}

func (l *limited) wantLines(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	got := l.lines()
	ok := len(got) == len(want)
	for i := range want {
		ok = ok && strings.Contains(got[i], want[i])
	}
	if !ok {
		t.Fatalf("the log says %q, want %q", got, want)
	}
}

const (
	full  = "limit of open files is reached"
	waits = "cannot be accepted"
	again = "taken again"
)

// At the limit, some coming and going is not told again and again.
func TestTheLogTellsOnceOfTheLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limitTo(t, 100)
		l.sockets.Store(99)
		_ = l.dial()
		l.wantLines(t)
		for range 10 {
			client := l.dial()
			_, _ = io.WriteString(client, "GET / HTTP/1.1\r\n\r\n")
			answer, err := io.ReadAll(client)
			if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 503 ") {
				t.Fatalf("%q, %v", answer, err)
			}
			l.wantLines(t, full)
			l.sockets.Add(-1) // one leaves, another comes
			time.Sleep(5100 * time.Millisecond)
			l.sockets.Add(1)
		}
		if l.Refused() != 10 || l.Open() != 100 {
			t.Errorf("%d refused, %d open", l.Refused(), l.Open())
		}
		l.sockets.Store(94)
		l.wantLines(t, full)
		time.Sleep(5 * time.Second)
		l.wantLines(t, full, again)
		if !strings.Contains(l.log.String(), "refused=10") {
			t.Errorf("the log says %s", l.log)
		}
		time.Sleep(time.Minute)
		l.wantLines(t, full, again)
		l.sockets.Store(99)
		_ = l.dial().Close()
		l.wantLines(t, full, again, full)
	})
}

// Clients that are slow to ask and slow to leave hold few descriptors, and not for long.
func TestRefusalsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limitTo(t, 1)
		l.sockets.Store(1)
		var silent []net.Conn
		for range 32 {
			silent = append(silent, l.dial())
		}
		began := time.Now()
		if n, err := l.dial().Read(make([]byte, 1)); err == nil || n > 0 || time.Since(began) > 0 {
			t.Errorf("one too many was held for %v", time.Since(began))
		}
		for _, conn := range silent {
			if n, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || n > 0 {
				t.Errorf("who says nothing reads %d bytes, %v", n, err)
			}
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("they were held for %v", took)
		}
		slow := l.dial()
		began = time.Now()
		var err error
		for ; err == nil; time.Sleep(300 * time.Millisecond) {
			_, err = io.WriteString(slow, "G")
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("who asks slowly was held for %v", took)
		}
	})
}

// Accepting that fails is tried again, at growing distances, and logged once.
func TestAcceptingWaitsForDescriptors(t *testing.T) {
	for _, errno := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		synctest.Test(t, func(t *testing.T) {
			l := limitTo(t, 1)
			var failure error = &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", errno)}
			l.failed.Store(&failure)
			l.next <- failure
			time.Sleep(10 * time.Second)
			l.wantLines(t, waits)
			// Eight delays up to 640 ms, then one a second.
			if n := l.AcceptErrors(); n < 15 || n > 19 {
				t.Errorf("%v: %d tries in ten seconds", errno, n)
			}
			l.failed.Store(nil)
			time.Sleep(time.Second)
			client := l.dial()
			synctest.Wait()
			if l.Open() != 1 {
				t.Errorf("%v: nothing is accepted afterwards", errno)
			}
			_ = client.Close()
			l.wantLines(t, waits)
			time.Sleep(10 * time.Second) // the one connection that fits is there: still full
			l.wantLines(t, waits)
		})
	}
}

// Close ends Accept while it waits to try again; other failures end it by themselves.
func TestAcceptEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limitTo(t, 10)
		var failure error = syscall.EMFILE
		l.failed.Store(&failure)
		l.next <- failure
		time.Sleep(5 * time.Second)
		began := time.Now()
		l.close()
		if took := time.Since(began); took > 0 || !errors.Is(l.err, net.ErrClosed) {
			t.Errorf("closed, it ended after %v with %v", took, l.err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		l := limitTo(t, 10)
		l.next <- syscall.EINVAL
		<-l.done
		if !errors.Is(l.err, syscall.EINVAL) {
			t.Errorf("it ended with %v", l.err)
		}
		l.wantLines(t)
	})
}

func TestALimitThatIsTooLow(t *testing.T) {
	if _, err := api.NewConnLimit(64, func() int { return 0 }, nil); err == nil || !strings.Contains(err.Error(), "is 64") {
		t.Errorf("64 files: %v", err)
	}
}
