package socket

import (
	"slices"
	"time"
)

const (
	// messageTimeout is how long a message may take from its first byte to its
	// last: the largest over a bad mobile link, and not for ever.
	messageTimeout = 60 * time.Second
	// freeHeld is how much of an unfinished message a socket may keep without a
	// share of Config.MaxHeld: what a chat sends fits, so that nobody who takes
	// up the budget is in the way of that.
	freeHeld = 4 << 10
)

// input is what came in and has not gone to the owner.
type input struct {
	held    []byte // of the stream, not parsed yet
	parts   []byte // what there is of a message in fragments, in clear
	opcode  byte   // of that message's first fragment; 0: there is none
	whole   bool   // a message ended in what was looked at last
	skip    uint64 // bytes to come of a frame that nobody wants any more
	ready   bool   // held was not looked at to its end, because the owner has a message
	charged int    // of the server's budget
}

// ending is how a socket ended, and so what its owner is told.
type ending struct {
	code   uint16
	reason string
	kind   endKind
}

type endKind uint8

const (
	vanished   endKind = iota // the connection ended without a close frame
	peerClosed                // the peer sent a valid close frame
	violated                  // the peer broke the protocol
)

// feed takes bytes that came in, behind those that are held, and gives the owner
// what is whole, up to one message. It keeps the rest. Without data it looks at
// what is held. Only who serves the socket may call it.
func (s *Socket) feed(data []byte) *ending {
	var fresh input
	in := s.in
	if in == nil {
		in = &fresh
	}
	held := len(in.held) > 0
	if held {
		in.held = append(in.held, data...)
		data = in.held
	}
	in.ready, in.whole = false, false
	rest, end := s.consume(in, data)
	if end != nil {
		return end
	}
	switch {
	case len(rest) == 0:
		in.held = nil
	case !held || len(rest) < len(data): // what is done with shall not stay behind it
		in.held = slices.Clone(rest)
	}
	if s.in == nil {
		if in.empty() {
			return nil // the usual case
		}
		kept := fresh
		s.in = &kept
	}
	return s.account()
}

func (in *input) empty() bool { return len(in.held) == 0 && in.opcode == 0 && in.skip == 0 }

// account bounds what the input holds in bytes and in time, and ends one that
// holds nothing.
func (s *Socket) account() *ending {
	in, srv := s.in, s.server
	total, grown := s.charge()
	s.mu.Lock()
	defer s.mu.Unlock()
	if in.whole && s.due != nil { // what is begun is another one
		s.due.message = 0
	}
	if in.opcode != 0 || len(in.held) > 0 && !in.ready {
		s.limitMessage()
	} else if s.due != nil {
		s.due.message = 0
		s.watch()
	}
	if grown && total > int64(srv.config.MaxHeld) && s.state == Open {
		srv.stats.overBudget.Add(1)
		s.startClose(CodeTryLater, ReasonBusy)
		s.mu.Unlock()
		rest, end := s.consume(in, in.held) // keeps nothing now
		s.mu.Lock()
		if end != nil {
			return end
		}
		in.held = slices.Clone(rest)
		s.charge()
	}
	if in.empty() {
		s.forget()
	}
	return nil
}

// charge takes what the input holds from the budget, or gives it back.
func (s *Socket) charge() (total int64, grown bool) {
	size := max(cap(s.in.held)+cap(s.in.parts)-freeHeld, 0)
	more := size - s.in.charged
	s.in.charged = size
	return s.server.held.Add(int64(more)), more > 0
}

// forget gives back what the input holds.
func (s *Socket) forget() {
	if s.in != nil {
		s.server.held.Add(-int64(s.in.charged))
		s.in = nil
	}
}

// consume gives the parser what is whole in data, frame by frame, until the owner
// has a message or data ends within a frame. It returns what is left. Once we have
// closed, nobody wants messages: their frames are passed over, and nothing of them
// is kept.
func (s *Socket) consume(in *input, data []byte) (rest []byte, end *ending) {
	srv := s.server
	unwanted := s.State() != Open
	for len(data) > 0 {
		if in.skip > 0 {
			n := min(in.skip, uint64(len(data)))
			in.skip -= n
			data = data[n:]
			continue
		}
		h, whole := parseHeader(data)
		if !whole {
			break
		}
		if h.wrong(srv.config.MaxMessage) {
			srv.stats.framesIn.Add(1)
			if h.unreadable() {
				return nil, violationOf(CodeTooBig)
			}
			return nil, s.parseWrong(data[:h.size])
		}
		size := h.size + int(h.length)
		if unwanted && !h.control() {
			srv.stats.framesIn.Add(1)
			in.parts, in.opcode, in.skip = nil, 0, uint64(size)
			continue
		}
		if len(data) < size {
			break
		}
		srv.stats.framesIn.Add(1)
		frame := data[:size:size]
		data = data[size:]
		switch {
		case h.opcode() == opPong: // what it says is nothing to anybody
		case h.opcode() == opPing:
			s.pong(h.unmask(frame))
		case h.control():
			end = s.parse(frame)
		default:
			end = s.parseData(in, h, frame)
		}
		if end != nil {
			return nil, end
		}
		if len(data) > 0 && s.full() {
			in.ready = true
			break
		}
	}
	return data, nil
}

// full reports that the owner has a message that it hasn't done with.
func (s *Socket) full() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paused() || s.dead
}

// parseData parses a data frame. Fragments are put together here, because the
// parser would keep them in a connection of its own; what it gets is the message.
// Where the protocol is broken, it gets the least that it breaks on.
func (s *Socket) parseData(in *input, h header, frame []byte) *ending {
	first := h.opcode() != 0
	switch {
	case first && in.opcode == 0 && h.fin():
		in.whole = true
		return s.parse(frame)
	case first && in.opcode != 0: // a message within a message
		return s.parseWrong(append(clientFrame(in.opcode, nil), frame...))
	case !first && in.opcode == 0: // a continuation of nothing
		return s.parseWrong(frame)
	case first:
		in.opcode = h.opcode()
	}
	payload := h.unmask(frame)
	if len(in.parts)+len(payload) > s.server.config.MaxMessage {
		return s.parseWrong(clientHeader(0x80|in.opcode, len(in.parts)+len(payload)))
	}
	in.parts = append(in.parts, payload...)
	if !h.fin() {
		return nil
	}
	message := clientFrame(0x80|in.opcode, in.parts)
	in.parts, in.opcode, in.whole = nil, 0, true
	return s.parse(message)
}

// parseWrong parses what breaks the protocol.
func (s *Socket) parseWrong(frames []byte) *ending {
	if end := s.parse(frames); end != nil {
		return end
	}
	return violationOf(CodeProtocolError)
}
