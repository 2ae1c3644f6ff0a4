package socket

import "time"

const (
	// sweepsPerInterval: a sweep comes this often in a PingInterval, so that a
	// silence is noticed after at most one and a half intervals (45 s of the
	// default 30 s: less than the 60 s after which common proxies cut).
	sweepsPerInterval = 2
)

// sweepLoop pings silent sockets and cuts dead ones until Shutdown.
func (srv *Server) sweepLoop() {
	defer close(srv.sweepDone)
	ticker := time.NewTicker(max(srv.config.PingInterval/sweepsPerInterval, 1))
	defer ticker.Stop()
	for {
		select {
		case <-srv.stop:
			return
		case <-ticker.C:
			srv.sweep()
		}
	}
}

// sweep goes through the slab. A socket that comes into a place that was passed
// has just been heard.
func (srv *Server) sweep() {
	var buf [slabChunk]*Socket
	for n := 0; ; n++ {
		srv.mu.Lock()
		chunk, more := srv.sockets.chunk(n, buf[:0]) // so that the list is never locked for long
		srv.mu.Unlock()
		if !more {
			return
		}
		for _, s := range chunk {
			s.checkAlive(int64(srv.config.PingInterval))
		}
	}
}

// checkAlive sends a ping if nothing was heard for an interval, and cuts the
// connection after two. A socket that isn't being read, because its owner has
// not called Next, can't be heard; one with a queue has not got the ping yet,
// and is the deadline's to judge.
func (s *Socket) checkAlive(interval int64) {
	now := s.server.clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != Open || s.broken || !s.connected() {
		return
	}
	if s.out != nil && len(s.out.queue) > 0 {
		s.heard, s.pinged = now, false
		return
	}
	silent := now - s.heard
	if silent >= 2*interval && !s.awaiting {
		s.cutLocked("silent")
		return
	}
	if silent >= interval && !s.pinged {
		s.pinged = true
		s.enqueue(s.server.ping)
		s.flush()
	}
}
