package socket

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/lxzan/gws"
)

// link is a connection as gws sees it: it reads the frames that it is to parse,
// and then there is nothing more. What it writes does not leave: its 101 is
// swallowed, its close frame only tells how it judged, and the socket sends its
// own.
type link struct {
	socket  *Socket
	frames  []byte
	closing []byte // payload of the close frame that gws wrote
	end     *ending
}

// parse gives frames to gws, which tells events of them. They must be whole: gws
// keeps nothing from one parse to the next. A fresh gws.Conn takes its reader
// from a pool, and costs less than to keep one would.
func (s *Socket) parse(frames []byte) *ending {
	l := &link{socket: s, frames: frames}
	conn, err := s.server.upgrader.Upgrade(hijacked{l}, s.server.request)
	if err != nil {
		panic(err) // the canned request is a valid handshake, and a link never fails to write
	}
	conn.ReadLoop()
	return l.end
}

// Read hands out the frames.
func (l *link) Read(p []byte) (int, error) {
	if len(l.frames) == 0 {
		return 0, io.EOF
	}
	n := copy(p, l.frames)
	l.frames = l.frames[n:]
	return n, nil
}

// Write takes the 101, which is not wanted, and the close frame.
func (l *link) Write(p []byte) (int, error) {
	if len(p) >= 2 && p[0] == 0x80|opClose {
		l.closing = append([]byte(nil), p[2:]...)
	}
	return len(p), nil
}

// closingCode is the code that gws chose to close with, 0 if none.
func (l *link) closingCode() uint16 {
	if len(l.closing) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(l.closing)
}

// gwsReadFailed is the code with which gws answers a failed read.
const gwsReadFailed = 1000

// judge tells from gws's error, and from the close frame that it would have
// sent, what the peer did; nil if gws has only come to the end of the frames.
// (gws answers every valid code below 1016 with 1000, so a 1002 or 1007 of its
// own is never an echo.)
func (l *link) judge(err error) *ending {
	code := l.closingCode()
	var sent *gws.CloseError
	switch {
	case errors.As(err, &sent):
		if code == CodeProtocolError || code == CodeInvalidText {
			return violationOf(code)
		}
		if sent.Code == 0 {
			return &ending{CodeNoStatus, "", peerClosed}
		}
		return &ending{sent.Code, string(sent.Reason), peerClosed}
	case code != 0 && code != gwsReadFailed:
		return violationOf(code)
	default:
		return nil
	}
}

// violationOf words a close code with which a peer is turned away.
func violationOf(code uint16) *ending {
	switch code {
	case CodeInvalidText:
		return &ending{code, "invalid UTF-8", violated}
	case CodeTooBig:
		return &ending{code, "message too big", violated}
	default:
		return &ending{code, "protocol error", violated}
	}
}

// events is what gws calls; it has no state but the connection's link.
type events struct{}

func (events) OnOpen(*gws.Conn)         {}
func (events) OnPing(*gws.Conn, []byte) {} // pings and pongs don't come here
func (events) OnPong(*gws.Conn, []byte) {}

func (events) OnMessage(conn *gws.Conn, message *gws.Message) {
	s := conn.NetConn().(*link).socket
	text := message.Opcode == gws.OpcodeText
	s.mu.Lock()
	s.spend()
	if s.expired() { // the timer may be late
		s.expire()
	}
	open := s.state == Open
	s.mu.Unlock()
	if !open || text && s.autoRespond(message.Bytes()) {
		_ = message.Close() // returns the buffer; never fails
		return
	}
	data := bytes.Clone(message.Bytes()) // the right size: pooled buffers are up to twice that
	if data == nil {
		data = []byte{}
	}
	_ = message.Close()
	s.mu.Lock()
	s.awaiting = true
	s.mu.Unlock()
	s.owner.Message(s, text, data)
}

// OnClose is called once, when gws has stopped reading.
func (events) OnClose(conn *gws.Conn, err error) {
	l := conn.NetConn().(*link)
	l.end = l.judge(err)
}

// pong answers a ping.
func (s *Socket) pong(data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spend()
	s.send(encode(opPong, data))
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

// Close and the deadlines are the socket's, not gws's.
func (l *link) Close() error                     { return nil }
func (l *link) SetDeadline(time.Time) error      { return nil }
func (l *link) SetReadDeadline(time.Time) error  { return nil }
func (l *link) SetWriteDeadline(time.Time) error { return nil }
func (l *link) LocalAddr() net.Addr              { return nil }
func (l *link) RemoteAddr() net.Addr             { return nil }

// hijacked gives gws the link through its front door, where it takes a pooled
// reader.
type hijacked struct{ link *link }

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) { return h.link, nil, nil }
func (h hijacked) Header() http.Header                          { return http.Header{} }
func (h hijacked) Write(p []byte) (int, error)                  { return len(p), nil }
func (h hijacked) WriteHeader(int)                              {}

// cannedRequest is a valid handshake: the real one was checked and answered.
func cannedRequest() *http.Request {
	return &http.Request{Method: http.MethodGet, Header: http.Header{
		"Connection":            {"Upgrade"},
		"Upgrade":               {"websocket"},
		"Sec-Websocket-Version": {"13"},
		"Sec-Websocket-Key":     {"AAAAAAAAAAAAAAAAAAAAAA=="},
	}}
}

func newUpgrader(maxMessage int) *gws.Upgrader {
	return gws.NewUpgrader(events{}, &gws.ServerOption{
		ReadMaxPayloadSize: maxMessage,
		CheckUtf8Enabled:   true,
		NewSession:         func() gws.SessionStorage { return nil }, // unused, and a map each
	})
}
