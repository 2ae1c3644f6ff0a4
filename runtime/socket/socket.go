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
type Socket struct {
	id     uint64
	server *Server
	owner  Owner
	tags   []string
	hub    atomic.Pointer[Hub]
	heard  atomic.Int64 // clock when bytes last came in
	autoAt atomic.Int64 // Unix nanoseconds of the last auto-response; 0: never

	place        int       // in server.sockets, under server.mu
	newer, older *Socket   // in hub, the object's goroutine's
	nodes        []tagNode // in hub.index, the object's goroutine's

	mu         sync.Mutex
	changed    sync.Cond  // awaiting, writing, state or dead changed; only the reader waits
	conn       net.Conn   // nil until the 101
	try        *tryWriter // nil if conn can't be written to without waiting
	queue      []*Frame
	first      [1]*Frame // backs a queue of one, the usual length
	begun      int       // bytes of queue[0] that are written
	queued     int       // bytes of queue that are not
	inflight   int       // frames that the writer is writing now
	pinged     int64     // clock of the last ping
	closeTimer *time.Timer
	attachment []byte
	ourCode    uint16 // of the close that we queued
	ourReason  string
	state      State
	upgrading  bool // Upgrade has claimed the socket
	awaiting   bool // a message is with the owner, who hasn't called Next
	writing    bool // a writer goroutine runs
	broken     bool // a write failed: nothing goes out any more
	dead       bool // cut
}

// ID is unique within the Server, of which a process has one, and ascends in
// the order of New.
func (s *Socket) ID() uint64 { return s.id }

// Tags are those given to New; not to be changed.
func (s *Socket) Tags() []string { return s.tags }

// State is the state now.
func (s *Socket) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Attachment is what SetAttachment was last given, nil at first. It is kept
// after the end, for the handler of the close. Not to be changed.
func (s *Socket) Attachment() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attachment
}

// SetAttachment keeps data, which belongs to the socket from then on, in
// memory. The limit on its size is the caller's to check.
func (s *Socket) SetAttachment(data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.attachment = data
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

// send is Send; s.mu is held.
func (s *Socket) send(f *Frame) bool {
	if s.state > Open || s.broken {
		return false
	}
	if s.queued > 0 && s.queued+len(f.wire) > s.server.config.MaxQueued {
		s.server.stats.slowClosed.Add(1)
		s.truncate(s.underWay())
		s.startClose(CodeTryLater, ReasonSlow)
		return false
	}
	s.enqueue(f)
	s.flush()
	return true
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
	s.state, s.ourCode, s.ourReason = Closing, code, reason
	s.enqueue(closeFrame(code, reason))
	s.startCloseTimer()
	s.flush()
	s.changed.Broadcast()
}

// startCloseTimer bounds everything from a queued close to the end of the
// connection. Before the 101 there is nothing to bound. s.mu is held.
func (s *Socket) startCloseTimer() {
	if s.conn != nil && s.closeTimer == nil {
		s.closeTimer = time.AfterFunc(s.server.config.CloseTimeout, func() { s.cut("no answer to close") })
	}
}

// Drop ends a socket whose 101 never came: its queue is freed, and Closed is
// called, from within Drop, with 1006 and the reason (or, if that is empty,
// the usual one). On a socket that is upgraded it is Close(code, reason).
func (s *Socket) Drop(code uint16, reason string) {
	s.mu.Lock()
	if s.conn != nil || s.upgrading {
		s.mu.Unlock()
		s.Close(code, reason)
		return
	}
	if s.state == Closed {
		s.mu.Unlock()
		return
	}
	s.state = Closed
	s.truncate(0)
	s.mu.Unlock()
	if reason == "" {
		reason = ReasonAbnormal
	}
	s.owner.Closed(s, CodeAbnormal, reason, false)
}

// Next lets the next message be read. Without a message given to the owner
// since the last Next it does nothing.
func (s *Socket) Next() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.awaiting {
		s.awaiting = false
		s.heard.Store(s.server.clock()) // it could not be heard while it wasn't read
		s.changed.Broadcast()
	}
}

// cut ends the connection without a word; reader and writer fail and end.
func (s *Socket) cut(why string) {
	s.mu.Lock()
	if s.dead {
		s.mu.Unlock()
		return
	}
	s.dead = true
	conn := s.conn
	s.changed.Broadcast()
	s.mu.Unlock()
	s.server.stats.cut.Add(1)
	s.server.config.Log.Debug("socket cut", "socket", s.id, "why", why)
	if conn != nil { // else Upgrade, which is under way, will see that it's dead
		closeNow(conn)
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
