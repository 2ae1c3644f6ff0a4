package socket

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/lxzan/gws"
)

// ending is how reading a socket ended, and so what its owner is told.
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

// read runs the socket from its 101 to its end. It's the reader's goroutine.
func (s *Socket) read(conn *gws.Conn, l *link) {
	defer s.server.remove(s)
	conn.ReadLoop()
	s.finish(l.end)
}

// events is what gws calls; it has no state but the connection's link.
type events struct{}

func (events) OnOpen(*gws.Conn)         {}
func (events) OnPong(*gws.Conn, []byte) {} // that bytes came was noted already

func (events) OnPing(conn *gws.Conn, payload []byte) {
	s := conn.NetConn().(*link).socket
	s.mu.Lock()
	defer s.mu.Unlock()
	s.send(encode(opPong, payload))
}

func (events) OnMessage(conn *gws.Conn, message *gws.Message) {
	s := conn.NetConn().(*link).socket
	text := message.Opcode == gws.OpcodeText
	if s.State() != Open || text && s.autoRespond(message.Bytes()) {
		_ = message.Close() // returns the buffer; never fails
		return
	}
	data := bytes.Clone(message.Bytes()) // the right size: pooled buffers are up to twice that
	if data == nil {
		data = []byte{}
	}
	_ = message.Close()
	s.deliver(text, data)
}

// deliver hands a message over and waits for Next, or for the end.
func (s *Socket) deliver(text bool, data []byte) {
	s.mu.Lock()
	s.awaiting = true
	s.mu.Unlock()
	s.owner.Message(s, text, data)
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.awaiting && s.state == Open && !s.dead {
		s.changed.Wait()
	}
}

// autoRespond answers a message that the hub has a response for.
func (s *Socket) autoRespond(data []byte) bool {
	hub := s.hub.Load()
	if hub == nil {
		return false
	}
	pair := hub.auto.Load()
	if pair == nil || string(data) != pair.request {
		return false
	}
	if s.Send(pair.frame) {
		s.autoAt.Store(time.Now().UnixNano())
	}
	return true
}

// OnClose is called once, when gws has stopped reading.
func (events) OnClose(conn *gws.Conn, err error) {
	l := conn.NetConn().(*link)
	l.end = l.judge(err)
}

// judge tells from gws's error, and from the close frame that it would have
// sent, what the peer did. (gws answers every valid code below 1016 with 1000,
// so a 1002 or 1007 of its own is never an echo.)
func (l *link) judge(err error) ending {
	code := l.closingCode()
	var sent *gws.CloseError
	switch {
	case l.refused != nil:
		return ending{l.refused.code, l.refused.reason, violated}
	case errors.As(err, &sent):
		if code == CodeProtocolError || code == CodeInvalidText {
			v := violationOf(code)
			return ending{v.code, v.reason, violated}
		}
		if sent.Code == 0 {
			return ending{CodeNoStatus, "", peerClosed}
		}
		return ending{sent.Code, string(sent.Reason), peerClosed}
	case code != 0 && code != gwsReadFailed:
		v := violationOf(code)
		return ending{v.code, v.reason, violated}
	default:
		return ending{CodeAbnormal, ReasonAbnormal, vanished}
	}
}

// gwsReadFailed is the code with which gws answers a failed read.
const gwsReadFailed = 1000

// finish answers the end, tells the owner, and only then sees the last bytes
// out: a peer that doesn't read shall not hold the news up.
func (s *Socket) finish(end ending) {
	s.mu.Lock()
	switch {
	case end.kind == vanished:
		s.broken = true
		if !s.writing {
			s.truncate(0) // else the writer does, as its write fails
		}
	case s.state == Open && !s.broken:
		reason := end.reason
		if end.kind == peerClosed {
			reason = "" // an echo has the code only: RFC 6455, 5.5.1
		}
		s.enqueue(closeFrame(end.code, reason))
	case end.kind == peerClosed && end.code == s.ourCode && end.reason == "":
		end.reason = s.ourReason
	}
	s.state = Closed
	s.startCloseTimer()
	s.flush()
	s.mu.Unlock()

	if end.kind == vanished {
		closeNow(s.conn)
	}
	s.owner.Closed(s, end.code, end.reason, end.kind == peerClosed)

	s.mu.Lock()
	for s.writing {
		s.changed.Wait()
	}
	s.mu.Unlock()
	if end.kind == violated {
		s.drain()
	}
	_ = s.conn.Close() // over either way
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closeTimer.Stop() {
		for !s.dead { // its function runs, and belongs to this socket
			s.changed.Wait()
		}
	}
}

// drain reads on after a violation, until the peer has hung up or the close
// timer cuts. To close with bytes unread would reset the connection, and the
// peer would lose the close frame that tells what it did wrong.
func (s *Socket) drain() {
	half, ok := s.conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	_, _ = io.Copy(io.Discard, s.conn) // ends with an error or without: the same
}
