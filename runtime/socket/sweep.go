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

// sweep goes through the list from its end: a removal moves the last socket,
// which was seen already, so none is missed.
func (srv *Server) sweep() {
	var chunk [sweepChunk]*Socket
	srv.mu.Lock()
	end := len(srv.sockets)
	srv.mu.Unlock()
	for end > 0 {
		srv.mu.Lock()
		end = min(end, len(srv.sockets))
		begin := max(end-sweepChunk, 0)
		n := copy(chunk[:], srv.sockets[begin:end])
		srv.mu.Unlock()
		for _, s := range chunk[:n] {
			s.checkAlive(int64(srv.config.PingInterval))
		}
		end = begin
	}
}

// checkAlive sends a ping if nothing was heard for an interval, and cuts the
// connection after two. A socket that isn't being read, because its owner has
// not called Next, can't be heard; one with a queue has not got the ping yet,
// and is the writer's to judge.
func (s *Socket) checkAlive(interval int64) {
	now := s.server.clock()
	s.mu.Lock()
	if s.state != Open || s.broken {
		s.mu.Unlock()
		return
	}
	if len(s.queue) > 0 {
		s.heard.Store(now)
		s.mu.Unlock()
		return
	}
	silent := now - s.heard.Load()
	if silent >= 2*interval && !s.awaiting {
		s.mu.Unlock()
		s.cut("silent")
		return
	}
	if silent >= interval && now-s.pinged >= interval {
		s.pinged = now
		s.enqueue(s.server.ping)
		s.flush()
	}
	s.mu.Unlock()
}
