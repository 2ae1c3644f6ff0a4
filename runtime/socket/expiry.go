package socket

import (
	"container/heap"
	"time"
)

// Who is at the other end of a socket may be known for a time only. The Server has
// a list of these times, 16 bytes each, and one timer for the first of them; a socket
// of which nobody said who it is isn't in it.

const (
	// longestWait is how long the timer waits at most. It counts time as it passes for
	// this machine while it runs, and identities expire by the clock on the wall.
	longestWait = time.Minute
	// staleExpiries is how many entries of sockets that are gone may be in the list,
	// besides as many as there are sockets, before they are taken out.
	staleExpiries = 1024
)

// expiry is when the socket of a place has to be closed.
type expiry struct {
	at    int64 // seconds since 1970
	place place
}

// expiries is a heap, the first on top.
type expiries []expiry

func (e expiries) Len() int           { return len(e) }
func (e expiries) Less(i, j int) bool { return e[i].at < e[j].at }
func (e expiries) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *expiries) Push(x any)        { *e = append(*e, x.(expiry)) }
func (e *expiries) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// expiresAt is when the identity of a socket expires, in seconds since 1970; never if
// it doesn't. s.mu is held.
func (s *Socket) expiresAt() int64 {
	if s.holds&holdsIdentity == 0 {
		return never
	}
	at, _, _ := s.identity()
	return at
}

// expired reports whether the identity has expired. s.mu is held.
func (s *Socket) expired() bool {
	at := s.expiresAt()
	return at != never && time.Now().Unix() >= at
}

// expire closes a socket whose identity has expired. s.mu is held.
func (s *Socket) expire() {
	if s.state <= Open {
		s.server.stats.expired.Add(1)
		s.startClose(CodePolicy, ReasonExpired)
	}
}

// expireAt has a listed socket closed at a time. srv.mu is held.
func (srv *Server) expireAt(at int64, p place) {
	if len(srv.expiries) >= 2*srv.sockets.used+staleExpiries {
		srv.dropStale()
	}
	heap.Push(&srv.expiries, expiry{at, p})
	if srv.expiries[0].place == p {
		srv.watchExpiries()
	}
}

// dropStale takes the entries of sockets that are gone out of the list. srv.mu is held.
func (srv *Server) dropStale() {
	kept := make(expiries, 0, srv.sockets.used+1)
	for _, e := range srv.expiries {
		if srv.sockets.at(e.place) != nil {
			kept = append(kept, e)
		}
	}
	heap.Init(&kept)
	srv.expiries = kept
}

// watchExpiries sets the timer for the first of the list. srv.mu is held.
func (srv *Server) watchExpiries() {
	if srv.expiring != nil && srv.expiring.Stop() {
		srv.timers.Done()
	}
	srv.expiring = nil
	if len(srv.expiries) == 0 || srv.closing {
		return
	}
	wait := min(time.Until(time.Unix(srv.expiries[0].at, 0)), longestWait)
	srv.timers.Add(1)
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() { srv.expire(&timer) })
	srv.expiring = timer
}

// expire closes the sockets whose time has come. The timer is read under srv.mu,
// which watchExpiries holds.
func (srv *Server) expire(timer **time.Timer) {
	defer srv.timers.Done()
	for _, s := range srv.overdue(timer) {
		s.mu.Lock()
		s.expire()
		s.mu.Unlock()
	}
}

func (srv *Server) overdue(timer **time.Timer) (due []*Socket) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.expiring != *timer {
		return nil // another one was set meanwhile
	}
	now := time.Now().Unix()
	for len(srv.expiries) > 0 && srv.expiries[0].at <= now {
		if s := srv.sockets.at(heap.Pop(&srv.expiries).(expiry).place); s != nil {
			due = append(due, s)
		}
	}
	srv.expiring = nil // it has fired
	srv.watchExpiries()
	return due
}
