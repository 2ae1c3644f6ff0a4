package socket

import "time"

const (
	// sweepsPerInterval: a sweep comes this often in a PingInterval, so that a
	// silence is noticed after at most one and a half intervals (45 s of the
	// default 30 s: less than the 60 s after which common proxies cut).
	sweepsPerInterval = 2
	// sweepChunk is how many sockets are looked up at a time, so that the list
	// is never locked for long.
	sweepChunk = 256
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
	var chunk [sweepChunk]*Socket
	for begin := 0; ; begin += sweepChunk {
		srv.mu.Lock()
		slots := srv.sockets.slots
		if begin >= len(slots) {
			srv.mu.Unlock()
			return
		}
		n := 0
		for _, at := range slots[begin:min(begin+sweepChunk, len(slots))] {
			if at.socket != nil {
				chunk[n] = at.socket
				n++
			}
		}
		srv.mu.Unlock()
		for _, s := range chunk[:n] {
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
