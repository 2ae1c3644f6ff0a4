package socket

import (
	"bufio"
	"encoding/binary"
	"net"
	"net/http"
	"time"

	"github.com/lxzan/gws"
)

// link is the connection as gws sees it. What gws reads is walked frame by
// frame first; what it writes does not leave: its 101 is swallowed, its close
// frame only tells how it judged, and the socket sends its own.
type link struct {
	socket  *Socket
	conn    net.Conn
	rest    []byte // came in together with the handshake
	walk    walker
	refused *violation // set once the walker has found a header to refuse
	closing []byte     // payload of the close frame that gws wrote
	end     ending     // how reading ended
}

// Read hands out what came in up to the first header to be refused.
func (l *link) Read(p []byte) (int, error) {
	if l.refused != nil {
		return 0, l.refused
	}
	var n int
	var err error
	if len(l.rest) > 0 {
		n = copy(p, l.rest)
		l.rest = l.rest[n:]
	} else {
		n, err = l.conn.Read(p)
	}
	srv := l.socket.server
	l.socket.heard.Store(srv.clock())
	srv.stats.bytesIn.Add(int64(n))
	before := l.walk.frames
	good, refused := l.walk.next(p[:n])
	srv.stats.framesIn.Add(l.walk.frames - before)
	if refused != nil {
		l.refused = refused
		if good == 0 {
			return 0, refused
		}
		return good, nil
	}
	return n, err
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

// Close and the deadlines are the socket's, not gws's.
func (l *link) Close() error                     { return nil }
func (l *link) SetDeadline(time.Time) error      { return nil }
func (l *link) SetReadDeadline(time.Time) error  { return nil }
func (l *link) SetWriteDeadline(time.Time) error { return nil }
func (l *link) LocalAddr() net.Addr              { return l.conn.LocalAddr() }
func (l *link) RemoteAddr() net.Addr             { return l.conn.RemoteAddr() }

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

// violation is a breach of the protocol by the peer.
type violation struct {
	code   uint16
	reason string
}

func (v *violation) Error() string { return v.reason }

// violationOf words a close code with which a peer is turned away.
func violationOf(code uint16) *violation {
	switch code {
	case CodeInvalidText:
		return &violation{code, "invalid UTF-8"}
	case CodeTooBig:
		return &violation{code, "message too big"}
	default:
		return &violation{code, "protocol error"}
	}
}

// maxHeader is the largest frame header: 2 bytes, 8 of length, 4 of mask.
const maxHeader = 14

// walker follows the frame headers in a stream. It refuses a length over max
// before gws sees it: gws reads a length of 2^63 or more as a negative number,
// and fails on it in a way that would end the process.
type walker struct {
	max    uint64
	frames int64
	left   uint64 // bytes of the current frame's payload still to come
	size   int    // bytes of the header that are in head
	head   [maxHeader]byte
}

// next takes the bytes that follow. It returns how many of them are good, all
// of them unless a header is refused.
func (w *walker) next(p []byte) (good int, refused *violation) {
	for i := 0; i < len(p); {
		if w.left > 0 {
			skip := min(w.left, uint64(len(p)-i))
			w.left -= skip
			i += int(skip)
			continue
		}
		start := i
		for i < len(p) && w.size < w.need() {
			w.head[w.size] = p[i]
			w.size++
			i++
		}
		if w.size < w.need() {
			return len(p), nil
		}
		length := w.length()
		if length > w.max {
			return start, violationOf(CodeTooBig)
		}
		w.frames++
		w.left, w.size = length, 0
	}
	return len(p), nil
}

// need is how long the header is, as far as its bytes tell.
func (w *walker) need() int {
	if w.size < 2 {
		return 2
	}
	need := 2
	switch w.head[1] & 0x7F {
	case 126:
		need += 2
	case 127:
		need += 8
	}
	if w.head[1]&0x80 != 0 {
		need += 4 // mask
	}
	return need
}

func (w *walker) length() uint64 {
	switch n := w.head[1] & 0x7F; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(w.head[2:]))
	case 127:
		return binary.BigEndian.Uint64(w.head[2:])
	default:
		return uint64(n)
	}
}
