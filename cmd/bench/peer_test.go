package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lxzan/gws"
)

func reader(data string) *bufio.Reader {
	return bufio.NewReaderSize(strings.NewReader(data), clientBuffer)
}

func TestFramesOfEverySizeAreRead(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, clientBuffer, clientBuffer + 1, 65535, 65536, maxPayload} {
		var header []byte
		switch {
		case size < 126:
			header = []byte{0x81, byte(size)}
		case size < 1<<16:
			header = []byte{0x81, 126, byte(size >> 8), byte(size)}
		default:
			header = []byte{0x81, 127, 0, 0, 0, 0, byte(size >> 24), byte(size >> 16), byte(size >> 8), byte(size)}
		}
		text := strings.Repeat("x", size)
		in := reader(string(header) + text + "\x89\x01y")
		opcode, payload, err := readFrame(in)
		if err != nil || opcode != opText || string(payload) != text {
			t.Errorf("%d bytes: opcode %d, %d bytes, %v", size, opcode, len(payload), err)
		}
		if opcode, payload, err = readFrame(in); err != nil || opcode != opPing || string(payload) != "y" {
			t.Errorf("after %d bytes: opcode %d, %q, %v", size, opcode, payload, err)
		}
	}
}

func TestFramesThatAServerMustNotSendAreErrors(t *testing.T) {
	for name, data := range map[string]string{
		"masked":     "\x81\x81\x00\x00\x00\x00x",
		"a fragment": "\x01\x01x",
		"compressed": "\xC1\x01x",
		"too large":  "\x81\x7f\x00\x00\x00\x00\x40\x00\x00\x00",
		"cut":        "\x81\x05x",
		"cut early":  "\x81\x7e\x05",
		"nothing":    "",
	} {
		if _, _, err := readFrame(reader(data)); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestOnlyAWebSocketServerIsTaken(t *testing.T) {
	const good = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nsec-websocket-accept: " + handshakeAnswer + "\r\n"
	in := reader(good + "\r\n\x81\x01x")
	if err := readAnswer(in); err != nil {
		t.Error(err)
	}
	if _, payload, err := readFrame(in); err != nil || string(payload) != "x" {
		t.Errorf("behind the handshake there is %q, %v", payload, err)
	}
	for _, test := range []struct{ data, says string }{
		{"HTTP/1.1 503 Service Unavailable\r\n\r\n", "503 Service Unavailable"},
		{"HTTP/1.1 101 Switching Protocols\r\n\r\n", "without the key"},
		{"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n", "without the key"},
		{good + strings.Repeat("a: b\r\n", maxHeaders) + "\r\n", "too many headers"},
		{good, "EOF"},
		{strings.Repeat("a", 2*clientBuffer), "buffer full"},
	} {
		if err := readAnswer(reader(test.data)); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%.40q: error %v", test.data, err)
		}
	}
}

// echoServer is gws, which checks what a client sends.
type echoServer struct {
	gws.BuiltinEventHandler
	closed chan error
}

func (s *echoServer) OnMessage(c *gws.Conn, m *gws.Message) {
	_ = c.WritePing([]byte("are you there"))
	_ = c.WriteMessage(m.Opcode, bytes.Clone(m.Bytes()))
	_ = m.Close()
}

func (s *echoServer) OnPong(c *gws.Conn, payload []byte) {
	_ = c.WriteClose(1001, append([]byte("pong: "), payload...))
}

func (s *echoServer) OnClose(_ *gws.Conn, err error) { s.closed <- err }

func TestAPeerTalksAnswersPingsAndCloses(t *testing.T) {
	for _, size := range []int{1, 125, 126, 5000, 65535} {
		handler := &echoServer{closed: make(chan error, 1)}
		upgrader := gws.NewUpgrader(handler, nil)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if conn, err := upgrader.Upgrade(w, r); err == nil {
				conn.ReadLoop()
			}
		}))

		p := &peer{}
		in, err := p.open(t.Context(), strings.TrimPrefix(server.URL, "http://"), false, "/")
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Repeat("x", size)
		if err := p.write(opText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if opcode, payload, err := readFrame(in); err != nil || opcode != opPing || string(payload) != "are you there" {
			t.Errorf("opcode %d, %q, %v instead of a ping", opcode, payload, err)
		}
		if opcode, payload, err := readFrame(in); err != nil || opcode != opText || string(payload) != text {
			t.Errorf("opcode %d, %d bytes, %v instead of %d bytes back", opcode, len(payload), err, size)
		}
		if err := p.write(opPong, []byte("yes")); err != nil {
			t.Error(err)
		}
		if opcode, payload, err := readFrame(in); err != nil || opcode != opClose || !strings.HasSuffix(string(payload), "pong: yes") {
			t.Errorf("opcode %d, %q, %v instead of a close", opcode, payload, err)
		}
		_ = p.conn.Close()
		<-handler.closed
		server.Close()
	}
}

// The server is the other end of a pipe.
func TestAFleetAnswersPingsAndCountsWhatItLoses(t *testing.T) {
	ours, theirs := net.Pipe()
	f := &fleet{received: func(*peer, int) {}}
	p := &peer{fleet: f, conn: ours}
	f.readers.Go(func() { p.read(bufio.NewReaderSize(ours, clientBuffer)) })
	if _, err := theirs.Write([]byte("\x89\x02hi")); err != nil {
		t.Fatal(err)
	}
	pong := make([]byte, 8)
	if _, err := io.ReadFull(theirs, pong); err != nil || string(pong) != "\x8a\x82\x00\x00\x00\x00hi" {
		t.Errorf("a ping is answered with %q, %v", pong, err)
	}
	if _, err := theirs.Write([]byte("\x88\x05\x03\xe9bye")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(theirs, pong); err != nil || string(pong) != "\x88\x82\x00\x00\x00\x00\x03\xe9" {
		t.Errorf("a close is answered with %q, %v", pong, err)
	}
	_ = theirs.Close()
	f.readers.Wait()
	if n := f.lost.Load(); n != 1 {
		t.Errorf("%d sockets are lost", n)
	}
}

func TestManySocketsLeaveFromSeveralAddresses(t *testing.T) {
	for _, test := range []struct {
		addr string
		n    int
		want string
	}{
		{"127.0.0.1:80", 0, ""},
		{"127.0.0.1:80", perAddress - 1, ""},
		{"127.0.0.1:80", perAddress, "127.0.0.2:0"},
		{"127.0.0.1:80", maxIdle - 1, "127.0.0.50:0"},
		{"192.0.2.1:80", perAddress, ""},
		{"[::1]:80", perAddress, ""},
		{"localhost:80", perAddress, ""},
	} {
		got := ""
		if a := source(test.addr, test.n); a != nil {
			got = a.String()
		}
		if got != test.want {
			t.Errorf("socket %d to %s leaves from %q, not %q", test.n, test.addr, got, test.want)
		}
	}
}
