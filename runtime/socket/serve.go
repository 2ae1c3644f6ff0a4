package socket

import "errors"

// Interest of a parked socket, and what epoll reports of it.
const (
	readable uint8 = 1 << iota
	writable
	// scheduled isn't epoll's: the socket has something to do besides, and serving
	// is set.
	scheduled
)

// errAgain is what a read returns when there is nothing to read now.
var errAgain = errors.New("socket: nothing to read")

// hear notes that bytes came in.
func (s *Socket) hear(n int) {
	s.server.stats.bytesIn.Add(int64(n))
	s.mu.Lock()
	s.heard, s.pinged = s.server.clock(), false
	s.mu.Unlock()
}

func lost() *ending { return &ending{CodeAbnormal, ReasonAbnormal, vanished} }

// finish answers the end and tells the owner. What is left to be written is seen
// out after that: a peer that doesn't read shall not hold the news up.
func (s *Socket) finish(end ending) {
	s.mu.Lock()
	s.ended = end.kind
	d := s.deadlines()
	switch {
	case end.kind == vanished:
		s.broken = true
		if s.out == nil || !s.out.writing {
			s.discard(0) // else the writer does, as its write fails
		}
	case s.state == Open && !s.broken:
		reason := end.reason
		if end.kind == peerClosed {
			reason = "" // an echo has the code only: RFC 6455, 5.5.1
		}
		s.enqueue(closeFrame(end.code, reason))
	case end.kind == peerClosed && end.code == d.code && end.reason == "":
		end.reason = d.reason
	}
	s.state = Closed
	s.limitClose()
	s.flush()
	if end.kind == vanished && s.line != nil {
		closeNow(s.line.conn)
	}
	s.mu.Unlock()
	s.owner.Closed(s, end.code, end.reason, end.kind == peerClosed)
}

// endDue takes all deadlines off. s.mu is held.
func (s *Socket) endDue() {
	if s.due != nil {
		*s.due = due{timer: s.due.timer}
		s.watch()
		s.due = nil
	}
}

// handle serves a parked socket that is ready, or was scheduled. It's a worker's
// goroutine; buf is the worker's.
func (s *Socket) handle(ready uint8, buf []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fd < 0 {
		return // a late event
	}
	if ready != scheduled {
		s.armed = 0
	}
	if ready&writable != 0 {
		s.flush()
	}
	switch {
	case ready == scheduled:
		s.serve(buf, false)
	case s.serving:
	case s.told:
		if s.half {
			s.drain(buf)
		}
		s.linger()
	case ready&readable != 0 && !s.paused():
		s.serving = true
		s.serve(buf, true)
	default:
		s.arm()
	}
}

// serve reads once, if it may, and parses what there is until the owner has a
// message, or there is nothing more. s.mu is held, except while it parses; serving
// is set, and isn't any more when it returns.
func (s *Socket) serve(buf []byte, mayRead bool) {
	var end *ending
	for {
		if s.dead {
			end = lost()
		}
		if end != nil {
			s.mu.Unlock()
			s.forget()
			s.finish(*end)
			s.mu.Lock()
			s.told, s.serving = true, false
			s.linger()
			return
		}
		var data []byte
		switch {
		case s.paused():
			s.serving = false
			s.arm() // for writing, if need be
			return
		case s.in != nil && s.in.ready:
		case mayRead:
			mayRead = false
			n, err := readOnce(s.fd, buf)
			if err == errAgain {
				continue
			}
			if err != nil || n == 0 {
				end = lost()
				continue
			}
			s.heard, s.pinged = s.server.clock(), false
			s.server.stats.bytesIn.Add(int64(n))
			data = buf[:n]
		default:
			s.serving = false
			s.arm()
			return
		}
		s.cork() // pongs and auto-responses to what came together go together
		s.mu.Unlock()
		end = s.feed(data)
		s.mu.Lock()
		s.uncork()
	}
}

// linger sees a parked socket out of which the owner has been told: what is left
// is written; after a violation it is read until the peer has hung up, because to
// close with bytes unread would reset the connection, and the peer would lose the
// close frame that tells what it did wrong. s.mu is held.
func (s *Socket) linger() {
	switch {
	case s.fd < 0:
	case s.dead || s.broken:
		s.release()
	case s.out != nil && len(s.out.queue) > 0:
		s.arm()
	case s.ended != violated:
		s.release()
	case !s.half && shutWrite(s.fd) != nil:
		s.release()
	default:
		s.half = true
		s.arm()
	}
}

// drain reads what nobody wants any more. s.mu is held.
func (s *Socket) drain(buf []byte) {
	const atATime = 64 // reads, so that who sends without end doesn't keep a worker
	for range atATime {
		n, err := readOnce(s.fd, buf)
		if err == errAgain {
			return
		}
		if err != nil || n == 0 {
			s.broken = true
			return
		}
		s.server.stats.bytesIn.Add(int64(n))
	}
}

// schedule has a worker serve the socket. s.mu is held, serving is not set.
func (s *Socket) schedule() {
	s.serving = true
	s.server.poller.push(job{s, scheduled})
}

// arm tells epoll what the socket waits for: the only place that does. s.mu is
// held; a socket that isn't parked is left alone.
func (s *Socket) arm() {
	if s.fd < 0 {
		return
	}
	var want uint8
	switch {
	case s.serving:
	case s.told:
		if s.half {
			want = readable
		}
	case !s.paused():
		want = readable
	}
	if s.out != nil && len(s.out.queue) > 0 && !s.out.corked {
		want |= writable
	}
	if want&^s.armed == 0 {
		return
	}
	s.armed |= want
	if err := s.server.poller.arm(s.fd, s.armed, s.place); err != nil {
		s.server.config.Log.Error("epoll refused a socket", "error", err)
		s.cutLocked("epoll")
	}
}

// release closes the descriptor of a parked socket, of which nothing is left to
// be done. s.mu is held.
func (s *Socket) release() {
	s.gone = true
	s.server.poller.drop(s.fd)
	s.fd = -1
	s.discard(0)
	if s.out != nil { // corked
		s.out = nil
	}
	s.endDue()
	s.server.stats.parked.Add(-1)
	s.server.remove(s)
}
