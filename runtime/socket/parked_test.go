//go:build linux && !noepoll

package socket

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestAnIdleSocketIsARecordAndNoMore(t *testing.T) {
	site := newSite(t, Config{}, nil)
	first, _ := site.dial(t) // starts the poller
	first.send(opText, "hello")
	site.owner.wantMessage(t, "hello")
	before := runtime.NumGoroutine()
	const n = 200
	var sockets []*Socket
	var peers []*peer
	for i := range n {
		p, s := site.dial(t)
		p.send(opText, "hello")
		site.owner.wantMessage(t, "hello")
		if i%2 == 0 { // one half with something unfinished, for a while
			p.write(masked(0x80|opText, "later")[:4])
		}
		s.Send(NewFrame(true, []byte("hi")))
		p.want(opText, "hi")
		peers, sockets = append(peers, p), append(sockets, s)
	}
	for i, p := range peers {
		if i%2 == 0 {
			p.write(masked(0x80|opText, "later")[4:])
			site.owner.wantMessage(t, "later")
		}
	}
	eventually(t, "connections have no goroutine", func() bool { return runtime.NumGoroutine() <= before+2*minWorkers })
	eventually(t, "all are parked", func() bool { return site.sockets.Stats().Parked == n+1 })
	for _, s := range sockets {
		eventually(t, "nothing is kept", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.out == nil && s.due == nil && !s.serving && s.in == nil && s.line == nil && s.armed == readable
		})
	}
}

// Descriptors and places are used again at once; nobody hears what was another's.
func TestDescriptorsAreUsedAgain(t *testing.T) {
	site := newSite(t, Config{}, nil)
	site.owner.told, site.opened = make(chan told, 1<<16), make(chan *Socket, 1<<16)
	var clients sync.WaitGroup
	const each = 150
	for client := range 8 {
		clients.Go(func() {
			for i := range each {
				conn, err := net.Dial("tcp", site.addr())
				if err != nil {
					t.Error(err)
					return
				}
				p := &peer{t, conn, nil}
				_ = conn.SetDeadline(time.Now().Add(patience))
				message := fmt.Sprint(client, " ", i)
				if _, err := conn.Write([]byte(handshake + "\r\n" + string(masked(0x80|opText, message)))); err != nil {
					t.Error(err)
				}
				if i%3 == 0 {
					_, _ = conn.Read(make([]byte, 1000))
				}
				if i%3 == 1 {
					_ = conn.(*net.TCPConn).SetLinger(0)
				}
				_ = p.Conn.Close()
			}
		})
	}
	clients.Wait()
	eventually(t, "all are gone", func() bool { return site.sockets.Len() == 0 })
	said, ended := map[*Socket]string{}, map[*Socket]bool{}
	seen := map[string]bool{}
	for len(site.owner.told) > 0 {
		got := <-site.owner.told
		if ended[got.socket] {
			t.Fatal("told something after the end")
		}
		if got.closed {
			ended[got.socket] = true
			continue
		}
		if said[got.socket] != "" || seen[got.data] {
			t.Fatalf("heard %q where %q was said", got.data, said[got.socket])
		}
		said[got.socket], seen[got.data] = got.data, true
	}
}

func TestSlab(t *testing.T) {
	var l slab
	a, b := &Socket{}, &Socket{}
	first := l.add(a)
	if l.at(first) != a || l.used != 1 {
		t.Fatal("not there")
	}
	l.remove(first)
	second := l.add(b)
	if second.index != first.index || second.generation == first.generation {
		t.Fatalf("%v after %v", second, first)
	}
	if l.at(first) != nil || l.at(second) != b {
		t.Fatal("a place that is used again answers to its former name")
	}
	for range 2 * slabChunk {
		l.add(&Socket{})
	}
	n := 0
	for i, more := 0, true; more; i++ {
		var list []*Socket
		list, more = l.chunk(i, nil)
		n += len(list)
	}
	if n != l.used {
		t.Fatalf("%d listed of %d", n, l.used)
	}
}

// fill sends until the kernel takes no more.
func fill(t *testing.T, s *Socket) {
	t.Helper()
	for range 10_000 {
		s.Send(NewFrame(false, make([]byte, 10_000)))
		s.mu.Lock()
		waits := s.out != nil
		s.mu.Unlock()
		if waits {
			return
		}
	}
	t.Fatal("the kernel takes everything")
}

func TestAParkedPeerThatTakesNothingIsCut(t *testing.T) {
	site := newSite(t, Config{MaxQueued: 64 << 20}, nil)
	_, s := site.dial(t)
	fill(t, s)
	s.mu.Lock()
	limit := time.Duration(s.due.write - s.server.clock())
	s.due.write = s.server.clock()
	timer := s.due.timer
	if !timer.Stop() {
		t.Error("no timer is set")
	}
	s.mu.Unlock()
	if limit > stallLimit || limit < stallLimit/2 {
		t.Errorf("it has %v", limit)
	}
	s.overdue(&timer)
	site.owner.wantClosed(t, 1006, ReasonAbnormal, false)
}

func TestAParkedPeerThatReadsOnGetsEverything(t *testing.T) {
	site := newSite(t, Config{MaxQueued: 64 << 20}, nil)
	p, s := site.dial(t)
	fill(t, s)
	big := strings.Repeat("x", 1<<20)
	s.Send(NewFrame(true, []byte(big)))
	s.Close(4000, "that was it")
	for {
		op, data, err := p.read()
		if err != nil {
			t.Fatal(err)
		}
		if op == opText && data != big {
			t.Fatal("big message differs")
		}
		if op == opClose {
			break
		}
	}
	p.close(4000, "")
	site.owner.wantClosed(t, 4000, "that was it", true)
	p.wantEnd()
}

func TestAPeerThatVanishesFromItsParkingIsNoticed(t *testing.T) {
	for _, linger := range []int{-1, 0} { // an end, a reset
		site := newSite(t, Config{}, nil)
		p, _ := site.dial(t)
		_ = p.Conn.(*net.TCPConn).SetLinger(linger)
		_ = p.Close()
		site.owner.wantClosed(t, 1006, ReasonAbnormal, false)
		eventually(t, "its place is free", func() bool { return site.sockets.Len() == 0 })
	}
}

// A parked socket whose peer goes while frames wait for Flush is seen out by Flush.
func TestFlushSeesOutAPeerThatHasClosed(t *testing.T) {
	site := newSite(t, Config{CloseTimeout: time.Hour}, nil)
	p, s := site.dial(t)
	s.Queue(NewFrame(true, []byte("parting words")))
	p.close(4000, "bye")
	site.owner.wantClosed(t, 4000, "bye", true)
	s.Flush()
	p.want(opText, "parting words")
	p.wantClose(4000, "")
	p.wantEnd()
	eventually(t, "its place is free", func() bool { return site.sockets.Len() == 0 })
}

func TestTheQueueOfTheWorkersStaysAsLongAsItIs(t *testing.T) {
	var p pool
	p.init()
	p.max = 0 // nobody works but this test
	p.push(job{})
	for range 100_000 {
		p.push(job{})
		if _, ok := p.next(); !ok {
			t.Fatal("closed")
		}
	}
	if n := cap(p.jobs); n > 1024 {
		t.Errorf("room for %d jobs, where 2 wait at most", n)
	}
}

// The peer of a small send buffer that takes all it is sent is not stalled.
func TestWritesBeforeTheOneThatWaitsAreProgress(t *testing.T) {
	site := newSite(t, Config{MaxQueued: 64 << 20}, nil)
	p, s := site.dial(t)
	s.mu.Lock()
	_ = syscall.SetsockoptInt(int(s.fd), syscall.SOL_SOCKET, syscall.SO_SNDBUF, 4096)
	s.mu.Unlock()
	fill(t, s)
	s.mu.Lock()
	for range 2000 {
		s.enqueue(NewFrame(false, make([]byte, 500)))
	}
	s.due.write = 1 // as good as over
	s.mu.Unlock()
	eventually(t, "its time was put off", func() bool {
		if _, err := io.CopyN(io.Discard, p.in, 10_000); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.due == nil || s.due.write > 1
	})
}
