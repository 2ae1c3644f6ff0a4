package socket

import (
	"bytes"
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

// output is what waits to be written.
type output struct {
	queue    []*Frame
	few      [4]*Frame // backs a short queue
	begun    int       // bytes of queue[0] that are written
	queued   int       // bytes of queue that are not
	inflight int       // frames that the writer is writing now
	corked   bool      // Flush comes
	writing  bool      // the writer of an attended socket runs
}

// pending returns s.out, made if need be. s.mu is held.
func (s *Socket) pending() *output {
	if s.out == nil {
		s.out = s.server.outputs.Get().(*output)
		s.out.queue = s.out.few[:0]
	}
	return s.out
}

// settle ends an output that has nothing to do. s.mu is held.
func (s *Socket) settle() {
	out := s.out
	if out == nil || len(out.queue) > 0 || out.corked || out.writing {
		return
	}
	s.out = nil
	*out = output{} // nothing stays reachable from an idle socket
	s.server.outputs.Put(out)
	if s.due != nil && s.due.write != 0 {
		s.due.write = 0
		s.watch()
	}
}

// send is Send; s.mu is held.
func (s *Socket) send(f *Frame) bool {
	if s.state > Open || s.broken {
		return false
	}
	if out := s.out; out != nil && out.queued > 0 && out.queued+len(f.wire) > s.server.config.MaxQueued {
		s.server.stats.slowClosed.Add(1)
		s.discard(out.underWay())
		s.startClose(CodeTryLater, ReasonSlow)
		return false
	}
	s.enqueue(f)
	s.flush()
	return true
}

// enqueue appends to the queue. s.mu is held.
func (s *Socket) enqueue(f *Frame) {
	out := s.pending()
	out.queue = append(out.queue, f)
	out.queued += len(f.wire)
}

// cork has writing wait for uncork. It reports whether it didn't before. s.mu is held.
func (s *Socket) cork() (first bool) {
	out := s.pending()
	first = !out.corked
	out.corked = true
	return first
}

// uncork writes what was held back. s.mu is held.
func (s *Socket) uncork() {
	if s.out == nil || !s.out.corked {
		return
	}
	s.out.corked = false
	s.flush()
	s.settle()
	if s.line != nil {
		s.line.changed.Broadcast()
	}
	if s.told {
		s.linger() // a parked socket; it has waited for this
	}
}

// underWay is how many frames of the queue can't be taken back: those being
// written, and one that is begun. s.mu is held.
func (out *output) underWay() int {
	if out.inflight == 0 && out.begun > 0 {
		return 1
	}
	return out.inflight
}

// discard keeps the first keep frames of the queue. s.mu is held.
func (s *Socket) discard(keep int) {
	out := s.out
	if out == nil {
		return
	}
	for _, f := range out.queue[keep:] {
		out.queued -= len(f.wire)
	}
	if keep == 0 {
		out.queued += out.begun // these were no longer counted
		out.begun = 0
	}
	clear(out.queue[keep:])
	out.queue = out.queue[:keep]
	s.settle()
}

// flush writes what the kernel takes without waiting; the rest goes when it
// takes more. The lock is kept over it, which takes microseconds and makes a
// second writer impossible. s.mu is held.
func (s *Socket) flush() {
	if !s.connected() || s.out == nil || s.out.corked || s.out.writing {
		return
	}
	if s.line != nil && s.line.try == nil {
		if len(s.out.queue) > 0 {
			s.startWriter()
		}
		return
	}
	progress := false
	for s.out != nil && len(s.out.queue) > 0 {
		data, joined := s.batch()
		n, err := s.tryWrite(data)
		s.endBatch(joined)
		s.took(n)
		if err != nil {
			s.breakOff()
			return
		}
		if n < len(data) {
			s.awaitWritable(progress || n > 0)
			return
		}
		progress = true
	}
	s.settle()
}

// tryWrite writes what the kernel takes now, perhaps nothing. s.mu is held.
func (s *Socket) tryWrite(data []byte) (int, error) {
	if s.line != nil {
		return s.line.try.write(data)
	}
	return writeOnce(uintptr(s.fd), data)
}

// awaitWritable has the writing go on when the kernel takes more. s.mu is held.
func (s *Socket) awaitWritable(progress bool) {
	if s.line != nil {
		s.startWriter()
		return
	}
	if progress || s.due == nil || s.due.write == 0 {
		s.limitWrite()
	}
	s.arm()
}

// batch is what to write next: the rest of the first frame, with as many of
// the following as fit into batchSize. joined, if not nil, is to be released
// after the write. s.mu is held; the queue is not empty.
func (s *Socket) batch() (data []byte, joined *bytes.Buffer) {
	out := s.out
	data = out.queue[0].wire[out.begun:]
	out.inflight = 1
	if s.line != nil && s.line.try == nil && len(data) > batchSize {
		// Of a TLS connection a deadline tells nothing about progress within
		// a write, so writes are small.
		return data[:batchSize], nil
	}
	size := len(data)
	for _, f := range out.queue[1:] {
		if size+len(f.wire) > batchSize {
			break
		}
		size += len(f.wire)
		out.inflight++
	}
	if out.inflight == 1 {
		return data, nil
	}
	joined = s.server.buffers.Get().(*bytes.Buffer)
	joined.Write(data)
	for _, f := range out.queue[1:out.inflight] {
		joined.Write(f.wire)
	}
	return joined.Bytes(), joined
}

// endBatch ends a batch. s.mu is held.
func (s *Socket) endBatch(joined *bytes.Buffer) {
	s.out.inflight = 0
	if joined != nil {
		joined.Reset()
		s.server.buffers.Put(joined)
	}
}

// took removes n written bytes from the queue. s.mu is held.
func (s *Socket) took(n int) {
	out := s.out
	out.queued -= n
	s.server.stats.bytesOut.Add(int64(n))
	n += out.begun
	done := 0
	for done < len(out.queue) && n >= len(out.queue[done].wire) {
		n -= len(out.queue[done].wire)
		out.queue[done] = nil
		done++
	}
	out.begun = n
	s.server.stats.framesOut.Add(int64(done))
	out.queue = out.queue[done:]
}

// breakOff gives up output after a failed write. Reading goes on: a close frame
// of the peer may still be there to be read, and if not, it fails too. s.mu is held.
func (s *Socket) breakOff() {
	s.broken = true
	s.discard(0)
}
