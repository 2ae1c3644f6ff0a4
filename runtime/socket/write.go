package socket

import (
	"bytes"
	"errors"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	// stallLimit is how long a peer may take nothing at all before it is cut:
	// longer than a mobile hand-over with its retransmissions lasts, and short
	// enough that a full queue isn't kept for someone who has gone.
	stallLimit = 30 * time.Second
	// batchSize is how many bytes of small frames are joined into one write.
	// Larger frames go out alone, uncopied. 16 KiB is also one TLS record.
	batchSize = 16 << 10
)

// enqueue appends to the queue. s.mu is held.
func (s *Socket) enqueue(f *Frame) {
	if s.queue == nil {
		s.queue = s.first[:0]
	}
	s.queue = append(s.queue, f)
	s.queued += len(f.wire)
}

// underWay is how many frames of the queue can't be taken back: those being
// written, and one that is begun. s.mu is held.
func (s *Socket) underWay() int {
	if s.inflight == 0 && s.begun > 0 {
		return 1
	}
	return s.inflight
}

// truncate keeps the first keep frames of the queue. s.mu is held.
func (s *Socket) truncate(keep int) {
	for _, f := range s.queue[keep:] {
		s.queued -= len(f.wire)
	}
	if keep == 0 {
		s.queued += s.begun // these were no longer counted
		s.begun = 0
		s.queue, s.first[0] = nil, nil
		return
	}
	clear(s.queue[keep:])
	s.queue = s.queue[:keep]
}

// flush makes one attempt to write without waiting; what is left is a
// writer's. The lock is kept over the attempt, which takes microseconds and
// makes a second writer impossible. s.mu is held.
func (s *Socket) flush() {
	if s.conn == nil || s.writing || len(s.queue) == 0 {
		return
	}
	if s.try != nil {
		data, joined := s.batch()
		n, err := s.try.write(data)
		s.release(joined)
		s.took(n)
		if err != nil {
			s.breakOff()
		}
		if len(s.queue) == 0 {
			return
		}
	}
	s.writing = true
	go s.writeLoop()
}

// writeLoop writes until the queue is empty. The reader waits for its end.
func (s *Socket) writeLoop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) > 0 {
		data, joined := s.batch()
		s.mu.Unlock()
		n, err := writeWaiting(s.conn, data)
		s.mu.Lock()
		s.release(joined)
		s.took(n)
		if err == nil {
			continue
		}
		s.breakOff()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			s.mu.Unlock()
			s.cut("stalled")
			s.mu.Lock()
		}
	}
	_ = s.conn.SetWriteDeadline(time.Time{}) // else the next attempt would fail; harmless if closed
	s.writing = false
	s.changed.Broadcast()
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

// batch is what to write next: the rest of the first frame, with as many of
// the following as fit into batchSize. joined, if not nil, is to be released
// after the write. s.mu is held; the queue is not empty.
func (s *Socket) batch() (data []byte, joined *bytes.Buffer) {
	data = s.queue[0].wire[s.begun:]
	s.inflight = 1
	if s.try == nil && len(data) > batchSize {
		// Of a TLS connection a deadline tells nothing about progress within
		// a write, so writes are small.
		return data[:batchSize], nil
	}
	size := len(data)
	for _, f := range s.queue[1:] {
		if size+len(f.wire) > batchSize {
			break
		}
		size += len(f.wire)
		s.inflight++
	}
	if s.inflight == 1 {
		return data, nil
	}
	joined = s.server.buffers.Get().(*bytes.Buffer)
	joined.Write(data)
	for _, f := range s.queue[1:s.inflight] {
		joined.Write(f.wire)
	}
	return joined.Bytes(), joined
}

// release ends a batch. s.mu is held.
func (s *Socket) release(joined *bytes.Buffer) {
	s.inflight = 0
	if joined != nil {
		joined.Reset()
		s.server.buffers.Put(joined)
	}
}

// took removes n written bytes from the queue. s.mu is held.
func (s *Socket) took(n int) {
	s.queued -= n
	s.server.stats.bytesOut.Add(int64(n))
	n += s.begun
	done := 0
	for done < len(s.queue) && n >= len(s.queue[done].wire) {
		n -= len(s.queue[done].wire)
		s.queue[done] = nil
		done++
	}
	s.begun = n
	s.server.stats.framesOut.Add(int64(done))
	if s.queue = s.queue[done:]; len(s.queue) == 0 {
		s.queue, s.first[0] = nil, nil // nothing stays reachable from an idle socket
	}
}

// breakOff gives up output after a failed write. The reader goes on: a close
// frame of the peer may still be there to be read, and if not, it fails too.
// s.mu is held.
func (s *Socket) breakOff() {
	s.broken = true
	s.truncate(0)
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
