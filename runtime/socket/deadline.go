package socket

import "time"

// due is what a socket has to have done by a time. It exists only while there is
// something, so that only a busy socket has a timer.
type due struct {
	timer   *time.Timer // for the earliest
	close   int64       // clock by which the connection is over, once a close was queued
	write   int64       // clock by which the peer has to take something of what waits
	message int64       // clock by which a message that has begun has to be there
	read    int64       // clock from which more is read, while the client is over its rate

	code   uint16 // of the close that we queued
	reason string
}

// deadlines returns s.due, made if need be. s.mu is held.
func (s *Socket) deadlines() *due {
	if s.due == nil {
		s.due = &due{}
	}
	return s.due
}

// limitClose bounds everything from a queued close to the end of the connection.
// Before the 101 there is nothing to bound. s.mu is held.
func (s *Socket) limitClose() {
	if d := s.deadlines(); s.connected() && d.close == 0 {
		d.close = s.server.clock() + int64(s.server.config.CloseTimeout)
		s.watch()
	}
}

// limitWrite gives the peer stallLimit from now to take something. s.mu is held.
func (s *Socket) limitWrite() {
	s.deadlines().write = s.server.clock() + int64(stallLimit)
	s.watch()
}

// limitMessage bounds an unfinished message from its beginning. s.mu is held.
func (s *Socket) limitMessage() {
	if d := s.deadlines(); d.message == 0 {
		d.message = s.server.clock() + int64(messageTimeout)
		s.watch()
	}
}

// watch sets the timer to the earliest time of s.due, and ends what has none.
// s.mu is held.
func (s *Socket) watch() {
	d := s.due
	if d == nil {
		return
	}
	if d.timer != nil && d.timer.Stop() {
		s.server.timers.Done()
	}
	d.timer = nil
	var first int64
	for _, at := range [...]int64{d.close, d.write, d.message, d.read} {
		if at != 0 && (first == 0 || at < first) {
			first = at
		}
	}
	switch {
	case first != 0:
		s.server.timers.Add(1)
		var timer *time.Timer
		timer = time.AfterFunc(time.Duration(first-s.server.clock()), func() { s.overdue(&timer) })
		d.timer = timer
	case s.state == Open: // else the code and reason are still wanted
		s.due = nil
	}
}

// overdue sees what has not been done in time. The timer is read under s.mu, which
// watch holds.
func (s *Socket) overdue(timer **time.Timer) {
	defer s.server.timers.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.due
	if d == nil || d.timer != *timer || !s.connected() {
		return // another one was set meanwhile, or nothing is due any more
	}
	d.timer = nil
	passed := func(at int64) bool { return at != 0 && at <= s.server.clock() }
	switch {
	case passed(d.close):
		s.cutLocked("no answer to close")
	case passed(d.write):
		s.cutLocked("stalled")
	case passed(d.message):
		d.message = 0
		if s.state <= Open {
			s.startClose(CodePolicy, ReasonSlowMessage)
		}
		s.watch() // the other times
	case passed(d.read):
		d.read = 0
		s.heard = s.server.clock() // it could not be heard while it wasn't read
		s.resume()
		s.watch()
	default:
		s.watch()
	}
}
