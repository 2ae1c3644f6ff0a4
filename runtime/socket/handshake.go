package socket

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Errors of Upgrade, next to *HandshakeError and those of the HTTP server.
var (
	ErrShutdown   = errors.New("socket: server is shut down")
	ErrNotPending = errors.New("socket: already upgraded, or dropped")
)

// HandshakeError says why no 101 was sent. Nothing was written to the client:
// answer with Status and Reason.
type HandshakeError struct {
	Status int    // 4xx: the client's mistake; 500: the script's headers
	Reason string // for the client to read
}

func (e *HandshakeError) Error() string { return "socket: handshake: " + e.Reason }

// acceptGUID is fixed by RFC 6455, section 1.3.
const acceptGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// receiveBuffer is what the kernel keeps of a socket that we don't read, in bytes;
// it takes twice as much for it. Left to itself it may let a client send megabytes
// ahead, which then are worked off long after a flood. A message of the largest size
// takes 32 round trips: half of messageTimeout, if they last a second each.
const receiveBuffer = 32 << 10

// Keepalive of the kernel, which finds peers that are gone when pings are off:
// after a minute's silence four probes, so within two minutes, which is about
// the time that networks keep silent connections.
const (
	keepAliveIdle     = 60 * time.Second
	keepAliveInterval = 15 * time.Second
	keepAliveCount    = 4
)

// Upgrade checks the handshake, takes the connection over, writes the 101 with
// the given header, sends what waited, and starts reading. header may be nil;
// its names and values are checked; a Sec-WebSocket-Protocol in it must be one
// that the client offered. It returns as soon as the socket is upgraded, and
// neither w nor r are used after it.
//
// On an error the socket is still Connecting, and the caller must Drop it:
// *HandshakeError (also: "Upgrade" or "Sec-WebSocket-Version" were set on w, if
// they are to go with it), ErrNotPending, ErrShutdown (answer with 503), or
// what the HTTP server said when it didn't let the connection go.
//
// account, if it isn't 0, stands for somebody whom the socket counts for: Config.Rate
// holds for it then, and Config.Gone is told when it is gone; not if there was an error.
func (s *Socket) Upgrade(w http.ResponseWriter, r *http.Request, header http.Header, account uint32) error {
	if err := CheckHandshake(w, r); err != nil {
		return err
	}
	hello, err := switching(r, header)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.upgrading || s.state == Closed {
		s.mu.Unlock()
		return ErrNotPending
	}
	s.upgrading = true // Drop now is a close
	s.mu.Unlock()
	err = s.takeOver(w, hello, account)
	if err != nil {
		s.mu.Lock()
		s.upgrading = false
		s.mu.Unlock()
	}
	return err
}

// takeOver hijacks the connection and sets the socket going on it.
func (s *Socket) takeOver(w http.ResponseWriter, hello *Frame, account uint32) error {
	if !s.server.add(s) {
		return ErrShutdown
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		s.server.remove(s)
		return fmt.Errorf("socket: take over connection: %w", err)
	}
	if account != 0 {
		s.limited = true
		s.server.count(s, account)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		// A failure shows in the first write, or costs only the probing or memory.
		_ = tcp.SetReadBuffer(receiveBuffer)
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{
			Enable: true, Idle: keepAliveIdle, Interval: keepAliveInterval, Count: keepAliveCount,
		})
	}
	var early []byte
	if n := buffered.Reader.Buffered(); n > 0 {
		early, _ = buffered.Reader.Peek(n) // what is buffered can be peeked at
		early = bytes.Clone(early)
	}
	fd := s.detach(conn)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = s.server.clock()
	s.cork() // all that waited goes with the 101
	s.out.queue = slices.Insert(s.out.queue, 0, hello)
	s.out.queued += len(hello.wire)
	if s.fd = fd; fd < 0 {
		s.line = newLine(s, conn)
	}
	if s.state == Connecting {
		s.state = Open
	} else {
		s.limitClose() // it was closed before it opened
	}
	s.uncork()
	switch {
	case s.line != nil:
		if s.dead { // by Shutdown, meanwhile; the reader finds out
			closeNow(conn)
		}
		go s.attend(early)
	case len(early) > 0 || s.dead:
		if len(early) > 0 {
			s.in = &input{held: early, ready: true}
			s.server.stats.bytesIn.Add(int64(len(early)))
		}
		s.schedule()
	default:
		s.arm()
	}
	return nil
}

// IsHandshake reports whether a request means to be a handshake, be it a good one or not.
func IsHandshake(r *http.Request) bool { return hasToken(r.Header, "Upgrade", "websocket") }

// CheckHandshake is what Upgrade checks of the request (RFC 6455, section 4.2.1), with the
// same errors: for who wants to know before there is anything to upgrade to.
func CheckHandshake(w http.ResponseWriter, r *http.Request) error {
	if !hasToken(r.Header, "Connection", "upgrade") || !IsHandshake(r) {
		w.Header().Set("Upgrade", "websocket")
		return &HandshakeError{http.StatusUpgradeRequired, "expected a WebSocket upgrade"}
	}
	if r.Method != http.MethodGet || !r.ProtoAtLeast(1, 1) {
		return &HandshakeError{http.StatusBadRequest, "a WebSocket handshake is a GET of HTTP/1.1"}
	}
	if r.Header.Get("Sec-WebSocket-Version") != "13" {
		w.Header().Set("Sec-WebSocket-Version", "13")
		return &HandshakeError{http.StatusUpgradeRequired, "unsupported WebSocket version"}
	}
	key, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	if err != nil || len(key) != 16 {
		return &HandshakeError{http.StatusBadRequest, "Sec-WebSocket-Key must be 16 bytes in base64"}
	}
	return nil
}

// switching makes the 101.
func switching(r *http.Request, header http.Header) (*Frame, error) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + acceptGUID))
	var b bytes.Buffer
	b.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	b.WriteString(base64.StdEncoding.EncodeToString(sum[:]))
	b.WriteString("\r\n")
	for name, values := range header {
		if err := checkHeader(r, name, values); err != nil {
			return nil, err
		}
		for _, value := range values {
			fmt.Fprintf(&b, "%s: %s\r\n", name, value)
		}
	}
	b.WriteString("\r\n")
	return &Frame{wire: b.Bytes()}, nil
}

// checkHeader refuses what would break the 101, or promise what isn't so.
func checkHeader(r *http.Request, name string, values []string) error {
	if !isToken(name) {
		return &HandshakeError{http.StatusInternalServerError, fmt.Sprintf("invalid header name %q", name)}
	}
	for _, value := range values {
		if strings.ContainsFunc(value, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7F }) {
			return &HandshakeError{http.StatusInternalServerError, fmt.Sprintf("invalid value of header %q", name)}
		}
	}
	switch http.CanonicalHeaderKey(name) {
	case "Connection", "Upgrade", "Content-Length", "Transfer-Encoding", "Trailer",
		"Sec-Websocket-Accept", "Sec-Websocket-Extensions", "Sec-Websocket-Key", "Sec-Websocket-Version":
		return &HandshakeError{http.StatusInternalServerError, fmt.Sprintf("header %q can't be set on an upgrade", name)}
	case "Sec-Websocket-Protocol":
		if len(values) != 1 || !slices.Contains(tokens(r.Header, "Sec-WebSocket-Protocol"), values[0]) {
			return &HandshakeError{http.StatusInternalServerError, "subprotocol is not one that the client offered"}
		}
	}
	return nil
}

// tokens splits all values of a header at commas.
func tokens(h http.Header, name string) []string {
	var all []string
	for _, line := range h.Values(name) {
		for part := range strings.SplitSeq(line, ",") {
			if part = strings.TrimSpace(part); part != "" {
				all = append(all, part)
			}
		}
	}
	return all
}

func hasToken(h http.Header, name, want string) bool {
	return slices.ContainsFunc(tokens(h, name), func(t string) bool { return strings.EqualFold(t, want) })
}

// isToken is RFC 9110, section 5.6.2.
func isToken(s string) bool {
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}
