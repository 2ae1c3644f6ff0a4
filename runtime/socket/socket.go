package socket

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// State is where a socket is in its life. It only ever goes up.
type State uint8

// The states, as a script sees them.
const (
	Connecting State = iota // no 101 yet: what is sent waits
	Open
	Closing // we have queued a close; the peer's is awaited
	Closed  // over: both closes, a violation, a drop or a lost connection
)

// String names the state.
func (st State) String() string {
	return [...]string{"connecting", "open", "closing", "closed"}[st]
}

// Socket is one client's WebSocket. All methods are safe for concurrent use.
//
// While nothing happens on it, it is this record and no more: what only a busy
// socket needs stands behind pointers that are nil.
type Socket struct {
	id     uint64
	server *Server
	owner  Owner
	hub    atomic.Pointer[Hub]
	autoAt atomic.Int64 // Unix nanoseconds of the last auto-response; 0: never

	newer, older *Socket  // in hub, the object's goroutine's
	nodes        *tagNode // in hub.index, the object's goroutine's

	// in is what came in and is no message yet, nil if nothing is. It belongs to
	// who serves the socket: its reader, or whoever has set serving.
	in *input

	mu        sync.Mutex // guards what follows
	out       *output    // nil if nothing waits to be written
	due       *due       // nil if nothing is overdue by any time
	line      *line      // the connection of an attended socket, else nil
	memory    []byte     // tags, identity, attachment: replaced, never changed
	tags      uint16     // bytes of memory that are tags: a script may give 10 of 256 bytes
	holds     uint8      // what else is in memory: holdsIdentity, holdsAttachment
	limited   bool       // in its rate; set once, by Upgrade
	fullAt    uint32     // when the client may send a whole burst again: see rate
	heard     int64      // clock when bytes last came in
	place     place      // in the slab; set once, by add
	fd        int32      // the descriptor of a parked socket, else -1
	armed     uint8      // interest of a parked socket that epoll was told of
	ended     endKind    // how it ended, once state is Closed
	state     State
	upgrading bool // Upgrade has claimed the socket
	serving   bool // parked: a worker has it, or is about to
	awaiting  bool // a message is with the owner, who hasn't called Next
	pinged    bool // since it was last heard
	broken    bool // a write failed: nothing goes out any more
	told      bool // the owner knows of the end
	half      bool // parked: our half of the connection is shut
	dead      bool // cut
	gone      bool // nothing is left to be done for it
}

// ID is unique within the Server, of which a process has one, and ascends in
// the order of New.
func (s *Socket) ID() uint64 { return s.id }

// State is the state now.
func (s *Socket) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// AutoResponseAt is when the last auto-response was sent, zero if never.
func (s *Socket) AutoResponseAt() time.Time {
	if at := s.autoAt.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// Send queues the frame, in order, and never blocks. It reports false if
// nothing can be sent any more: closed, closing or connection lost. If more
// than Config.MaxQueued bytes would wait, the socket closes with 1013 and the
// queue is freed, but for what is being written; one frame alone always fits.
func (s *Socket) Send(f *Frame) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.send(f)
}

// Queue is Send, but leaves the writing to Flush, so that frames that go at the
// same time go in one write. It reports whether Flush has to be called: it hasn't
// for a socket that takes nothing any more, or waits for Flush already.
func (s *Socket) Queue(f *Frame) (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state > Open || s.broken {
		return false
	}
	first = s.cork()
	s.send(f)
	return first
}

// Flush writes what was queued.
func (s *Socket) Flush() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.uncork()
}

// Close queues a close frame behind what was sent; nothing follows it. code 0
// sends none. A reason is cut to 123 bytes. The second close is ignored, and
// so is one after the peer's. After Config.CloseTimeout without the peer's
// close frame the connection is cut. Messages that still come are discarded.
func (s *Socket) Close(code uint16, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state <= Open {
		s.startClose(code, reason)
	}
}

// startClose queues our close frame. s.mu is held.
func (s *Socket) startClose(code uint16, reason string) {
	s.state = Closing
	s.deadlines().code, s.due.reason, s.due.read = code, reason, 0
	s.enqueue(closeFrame(code, reason))
	s.limitClose()
	s.flush()
	s.resume()
}

// Drop ends a socket whose 101 never came: its queue is freed, and Closed is
// called, from within Drop, with 1006 and the reason (or, if that is empty,
// the usual one). On a socket that is upgraded it is Close(code, reason).
func (s *Socket) Drop(code uint16, reason string) {
	s.mu.Lock()
	if s.upgrading {
		s.mu.Unlock()
		s.Close(code, reason)
		return
	}
	if s.state == Closed {
		s.mu.Unlock()
		return
	}
	s.state, s.due = Closed, nil
	s.discard(0)
	s.mu.Unlock()
	if reason == "" {
		reason = ReasonAbnormal
	}
	s.owner.Closed(s, CodeAbnormal, reason, false)
}

// Next lets the next message be read, once the client's rate allows. Without a message
// given to the owner since the last Next it does nothing.
func (s *Socket) Next() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.awaiting {
		s.awaiting = false
		s.heard = s.server.clock() // it could not be heard while it wasn't read
		s.resume()
	}
}

// connected reports whether the socket has a connection. s.mu is held.
func (s *Socket) connected() bool { return s.fd >= 0 || s.line != nil }

// paused reports that nothing may be read for now. s.mu is held.
func (s *Socket) paused() bool {
	return (s.awaiting || s.due != nil && s.due.read != 0) && s.state == Open && !s.dead
}

// resume has the socket read on, if it may. s.mu is held.
func (s *Socket) resume() {
	switch {
	case s.line != nil:
		s.line.changed.Broadcast()
	case s.fd >= 0 && !s.serving:
		if s.in != nil && s.in.ready && !s.paused() {
			s.schedule()
		} else {
			s.arm()
		}
	}
}

// cut ends the connection without a word.
func (s *Socket) cut(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cutLocked(why)
}

// cutLocked is cut; s.mu is held. Whoever serves the socket sees to the rest.
func (s *Socket) cutLocked(why string) {
	if s.dead || s.gone {
		return
	}
	s.dead = true
	s.server.stats.cut.Add(1)
	s.server.config.Log.Debug("socket cut", "socket", s.id, "why", why)
	switch {
	case s.line != nil:
		s.line.changed.Broadcast()
		closeNow(s.line.conn)
	case s.fd < 0 || s.serving: // Upgrade, or the worker, will see that it's dead
	case s.told:
		s.release()
	default:
		s.schedule()
	}
}

// closeNow closes the connection beneath TLS, whose own Close would first
// write, and wait for a peer that doesn't read.
func closeNow(conn net.Conn) {
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = over.NetConn()
	}
	_ = conn.Close() // nothing is left to be done about a failure
}
