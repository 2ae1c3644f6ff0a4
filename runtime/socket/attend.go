package socket

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// attendBuffer is what a reader of its own reads at a time: small, because it is
// there for as long as the socket.
const attendBuffer = 2 << 10

// line is the connection of an attended socket: one that can't be parked, and has
// a goroutine that waits for it.
type line struct {
	conn    net.Conn
	changed sync.Cond  // awaiting, state, dead or out.writing changed; only the reader waits
	try     *tryWriter // nil if conn can't be written to without waiting
}

func newLine(s *Socket, conn net.Conn) *line {
	return &line{conn: conn, changed: sync.Cond{L: &s.mu}, try: newTryWriter(conn)}
}

// attend serves the socket from its 101 to its end, beginning with what came in
// with the handshake. It's the reader's goroutine.
func (s *Socket) attend(early []byte) {
	defer s.server.remove(s)
	end := s.feedAll(early)
	buf := make([]byte, attendBuffer)
	for end == nil {
		n, err := s.line.conn.Read(buf)
		if n > 0 {
			s.hear(n)
			end = s.feedAll(buf[:n])
		}
		if err != nil && end == nil {
			end = lost()
		}
	}
	s.forget()
	s.finish(*end)
	s.farewell(end.kind)
}

// feedAll is feed for everything that came, waiting for the owner in between.
func (s *Socket) feedAll(data []byte) *ending {
	end := s.feed(data)
	for end == nil {
		s.mu.Lock()
		for s.paused() {
			s.line.changed.Wait()
		}
		dead := s.dead
		s.mu.Unlock()
		if dead {
			return lost()
		}
		if s.in == nil || !s.in.ready {
			return nil
		}
		end = s.feed(nil)
	}
	return end
}

// farewell sees the last bytes out, and closes the connection.
func (s *Socket) farewell(kind endKind) {
	conn := s.line.conn
	s.mu.Lock()
	for s.out != nil && (s.out.writing || s.out.corked && len(s.out.queue) > 0 && !s.dead) {
		s.line.changed.Wait()
	}
	s.mu.Unlock()
	if kind == violated {
		discardRest(conn)
	}
	_ = conn.Close() // over either way
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	s.endDue()
}

// discardRest reads on after a violation, until the peer has hung up or the deadline
// cuts. To close with bytes unread would reset the connection, and the peer
// would lose the close frame that tells what it did wrong.
func discardRest(conn net.Conn) {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_, _ = io.Copy(io.Discard, conn) // ends with an error or without: the same
}

// startWriter starts the goroutine that writes what the kernel didn't take. The
// reader waits for its end. s.mu is held.
func (s *Socket) startWriter() {
	s.out.writing = true
	go s.writeLoop()
}

// writeLoop writes until the queue is empty.
func (s *Socket) writeLoop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	conn := s.line.conn
	for len(s.out.queue) > 0 {
		data, joined := s.batch()
		s.mu.Unlock()
		n, err := writeWaiting(conn, data)
		s.mu.Lock()
		s.endBatch(joined)
		s.took(n)
		if err == nil {
			continue
		}
		s.breakOff()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			s.cutLocked("stalled")
		}
	}
	_ = conn.SetWriteDeadline(time.Time{}) // else the next attempt would fail; harmless if closed
	s.out.writing = false
	s.settle()
	s.line.changed.Broadcast()
}

// writeWaiting writes until data is taken, or nothing was for stallLimit: then
// it returns os.ErrDeadlineExceeded.
func writeWaiting(conn net.Conn, data []byte) (int, error) {
	if err := conn.SetWriteDeadline(time.Now().Add(stallLimit)); err != nil {
		return 0, err
	}
	n, err := conn.Write(data)
	if n > 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil // slow, not stalled
	}
	return n, err
}

// tryWriter writes to a TCP connection without waiting. It keeps its arguments
// in fields, so that an attempt allocates nothing. Used under Socket.mu.
type tryWriter struct {
	raw     syscall.RawConn
	attempt func(fd uintptr) bool
	data    []byte
	n       int
	err     error
}

// newTryWriter returns nil if conn can't be written to without waiting.
func newTryWriter(conn net.Conn) *tryWriter {
	tcp, ok := conn.(*net.TCPConn)
	if !ok || !canTry {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil // it then is written to as any other
	}
	t := &tryWriter{raw: raw}
	t.attempt = func(fd uintptr) bool {
		t.n, t.err = writeOnce(fd, t.data)
		return true // done, whatever came of it: never wait
	}
	return t
}

// write returns 0 and no error if the kernel takes nothing now.
func (t *tryWriter) write(data []byte) (int, error) {
	t.data, t.n, t.err = data, 0, nil
	err := t.raw.Write(t.attempt)
	t.data = nil
	if err != nil {
		return 0, err
	}
	return t.n, t.err
}
