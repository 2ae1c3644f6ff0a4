package socket

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what a test waits for when something is wrong.
const patience = 10 * time.Second

// told is a call of Owner.
type told struct {
	socket *Socket
	text   bool
	data   string
	closed bool
	code   uint16
	reason string
	clean  bool
}

// owner writes down what it's told; it calls Next at once unless hold is set.
type owner struct {
	told chan told
	hold bool
}

func newOwner() *owner { return &owner{told: make(chan told, 1024)} }

func (o *owner) Message(s *Socket, text bool, data []byte) {
	o.told <- told{socket: s, text: text, data: string(data)}
	if !o.hold {
		s.Next()
	}
}

func (o *owner) Closed(s *Socket, code uint16, reason string, clean bool) {
	o.told <- told{socket: s, closed: true, code: code, reason: reason, clean: clean}
}

func (o *owner) next(t testing.TB) told {
	t.Helper()
	select {
	case got := <-o.told:
		return got
	case <-time.After(patience):
		t.Fatal("the owner was told nothing")
		panic("unreachable")
	}
}

func (o *owner) wantMessage(t testing.TB, data string) *Socket {
	t.Helper()
	got := o.next(t)
	if got.closed || got.data != data {
		t.Fatalf("told %.200v, want message %.100q", got, data)
	}
	return got.socket
}

func (o *owner) wantClosed(t testing.TB, code uint16, reason string, clean bool) {
	t.Helper()
	got := o.next(t)
	if !got.closed || got.code != code || got.reason != reason || got.clean != clean {
		t.Fatalf("told %.200v, want closed %d %q clean=%v", got, code, reason, clean)
	}
	if got.socket.State() != Closed {
		t.Fatalf("state in Closed is %v", got.socket.State())
	}
}

func newServer(t testing.TB, config Config) *Server {
	srv := NewServer(config)
	t.Cleanup(func() { shutdown(t, srv) })
	return srv
}

func shutdown(t testing.TB, srv *Server) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = srv.Shutdown(ctx) // some tests leave peers that don't answer
	if n := srv.Len(); n != 0 {
		t.Errorf("%d sockets left", n)
	}
}

// site serves one kind of socket over real TCP.
type site struct {
	*httptest.Server
	sockets *Server
	owner   *owner
	opened  chan *Socket
	prepare func(*Socket) // before the upgrade
	header  http.Header
	account uint32
}

func newSite(t testing.TB, config Config, prepare func(*Socket)) *site {
	s := unstartedSite(t, config, prepare)
	s.Start()
	return s
}

func unstartedSite(t testing.TB, config Config, prepare func(*Socket)) *site {
	s := &site{sockets: NewServer(config), owner: newOwner(), opened: make(chan *Socket, 1024), prepare: prepare}
	s.Server = httptest.NewUnstartedServer(s)
	t.Cleanup(func() {
		shutdown(t, s.sockets)
		s.Server.Close()
	})
	return s
}

func (s *site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	socket := s.sockets.New(s.owner, []string{"room"})
	if s.prepare != nil {
		s.prepare(socket)
	}
	if err := socket.Upgrade(w, r, s.header, s.account); err != nil {
		if refused, ok := err.(*HandshakeError); ok {
			http.Error(w, refused.Reason, refused.Status)
		}
		socket.Drop(0, "")
		return
	}
	s.opened <- socket
}

func (s *site) addr() string { return s.Listener.Addr().String() }

// peer is a client that speaks in single frames.
type peer struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

const handshake = "GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat, other\r\n"

// dial opens a connection and shakes hands.
func (s *site) dial(t testing.TB) (*peer, *Socket) {
	t.Helper()
	conn, err := net.Dial("tcp", s.addr())
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, conn)
	p.shake()
	return p, <-s.opened
}

func newPeer(t testing.TB, conn net.Conn) *peer {
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	return &peer{t, conn, bufio.NewReader(conn)}
}

func (p *peer) shake() *http.Response {
	p.t.Helper()
	p.write([]byte(handshake + "\r\n"))
	return p.response()
}

func (p *peer) response() *http.Response {
	p.t.Helper()
	resp, err := http.ReadResponse(p.in, &http.Request{Method: http.MethodGet})
	if err != nil {
		p.t.Fatal(err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		p.t.Fatalf("handshake: %s", resp.Status)
	}
	return resp
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) send(opcode byte, data string) { p.t.Helper(); p.write(masked(0x80|opcode, data)) }

func (p *peer) close(code uint16, reason string) {
	p.t.Helper()
	p.send(opClose, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}

// masked encodes a frame as a client does.
func masked(first byte, data string) []byte {
	n := len(data)
	b := []byte{first}
	switch {
	case n <= 125:
		b = append(b, 0x80|byte(n))
	case n <= 0xFFFF:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := [4]byte{1, 2, 3, 4}
	b = append(b, mask[:]...)
	for i := range n {
		b = append(b, data[i]^mask[i&3])
	}
	return b
}

// read returns the next frame.
func (p *peer) read() (opcode byte, data string, err error) {
	var head [2]byte
	if _, err := io.ReadFull(p.in, head[:]); err != nil {
		return 0, "", err
	}
	size := uint64(head[1])
	switch size {
	case 126:
		var b [2]byte
		_, err = io.ReadFull(p.in, b[:])
		size = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		_, err = io.ReadFull(p.in, b[:])
		size = binary.BigEndian.Uint64(b[:])
	}
	if err != nil {
		return 0, "", err
	}
	body := make([]byte, size)
	_, err = io.ReadFull(p.in, body)
	return head[0] &^ 0x80, string(body), err
}

func (p *peer) want(opcode byte, data string) {
	p.t.Helper()
	gotOp, got, err := p.read()
	if err != nil || gotOp != opcode || got != data {
		p.t.Fatalf("got opcode %#x %.100q %v, want %#x %.100q", gotOp, got, err, opcode, data)
	}
}

func (p *peer) wantClose(code uint16, reason string) {
	p.t.Helper()
	p.want(opClose, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}

// wantEnd wants nothing more and an orderly end.
func (p *peer) wantEnd() {
	p.t.Helper()
	if rest, err := io.ReadAll(p.in); err != nil || len(rest) > 0 {
		p.t.Fatalf("after the end: %.100q %v", rest, err)
	}
}

// pipeWriter is an http.ResponseWriter over one end of a net.Pipe.
type pipeWriter struct {
	httptest.ResponseRecorder
	conn net.Conn
}

func (w *pipeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.conn, bufio.NewReadWriter(bufio.NewReader(w.conn), bufio.NewWriter(w.conn)), nil
}

func request() *http.Request {
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(handshake + "\r\n")))
	if err != nil {
		panic(fmt.Sprint("the sample handshake is wrong: ", err))
	}
	return r
}

// pipe opens a socket over net.Pipe, for tests of time.
func pipe(t testing.TB, srv *Server, owner Owner) (*peer, *Socket) {
	t.Helper()
	s := srv.New(owner, nil)
	return pipeTo(t, func(w http.ResponseWriter) error { return s.Upgrade(w, request(), nil, 0) }), s
}

// pipeTo is the peer of a socket that upgrade upgrades.
func pipeTo(t testing.TB, upgrade func(http.ResponseWriter) error) *peer {
	t.Helper()
	ours, theirs := net.Pipe()
	if err := upgrade(&pipeWriter{conn: ours}); err != nil {
		t.Fatal(err)
	}
	p := &peer{t, theirs, bufio.NewReader(theirs)}
	p.response()
	return p
}

// eventually waits for what other goroutines are about to do.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never came true that " + what)
		}
	}
}
