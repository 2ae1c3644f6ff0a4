package socket

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lxzan/gws"
)

// course is what came of a stream of bytes: what the owner was told, what went
// back, and how it ended.
type course struct {
	messages []string // t or b, and the data
	pongs    []string
	code     uint16
	reason   string // of the peer; ours are worded here
	kind     endKind
}

func (c course) same(o course) bool {
	return slices.Equal(c.messages, o.messages) && slices.Equal(c.pongs, o.pongs) &&
		c.code == o.code && c.kind == o.kind && (c.kind != peerClosed || c.reason == o.reason)
}

// oracle is a gws connection that gets the whole stream at once, and then its end.
func oracle(maxMessage int, stream []byte) course {
	conn := &oracleConn{in: bytes.NewReader(stream)}
	upgrader := gws.NewUpgrader(&oracleEvents{conn: conn}, &gws.ServerOption{ReadMaxPayloadSize: maxMessage, CheckUtf8Enabled: true})
	c, err := upgrader.Upgrade(oracleWriter{hijacked{nil}, conn}, cannedRequest())
	if err != nil {
		panic(err)
	}
	c.ReadLoop()
	return conn.course
}

type oracleWriter struct {
	hijacked
	conn net.Conn
}

func (w oracleWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return w.conn, nil, nil }

type oracleConn struct {
	net.Conn
	in      *bytes.Reader
	closing uint16 // code of the close frame that was written
	course  course
}

func (c *oracleConn) Read(p []byte) (int, error) { return c.in.Read(p) }
func (c *oracleConn) Write(p []byte) (int, error) {
	if len(p) >= 4 && p[0] == 0x80|opClose {
		c.closing = binary.BigEndian.Uint16(p[2:])
	}
	return len(p), nil
}
func (c *oracleConn) Close() error                { return nil }
func (c *oracleConn) SetDeadline(time.Time) error { return nil }

type oracleEvents struct {
	gws.BuiltinEventHandler
	conn *oracleConn
}

func (e *oracleEvents) OnPing(_ *gws.Conn, payload []byte) {
	e.conn.course.pongs = append(e.conn.course.pongs, string(payload))
}

func (e *oracleEvents) OnMessage(_ *gws.Conn, m *gws.Message) {
	e.conn.course.messages = append(e.conn.course.messages, kindOf(m.Opcode == gws.OpcodeText)+string(m.Bytes()))
}

func (e *oracleEvents) OnClose(_ *gws.Conn, err error) {
	c, closed := e.conn, &gws.CloseError{}
	switch turnedAway := c.closing == 1002 || c.closing == 1007; {
	case errors.As(err, &closed) && !turnedAway:
		c.course.kind, c.course.code, c.course.reason = peerClosed, closed.Code, string(closed.Reason)
		if closed.Code == 0 {
			c.course.code = CodeNoStatus
		}
	case turnedAway || c.closing == 1009:
		c.course.kind, c.course.code = violated, c.closing
	default:
		c.course.kind, c.course.code = vanished, CodeAbnormal
	}
}

func kindOf(text bool) string {
	if text {
		return "t"
	}
	return "b"
}

// pieces cuts a stream where the bytes of cuts say.
func pieces(stream, cuts []byte) (all [][]byte) {
	for _, cut := range cuts {
		n := min(int(cut), len(stream))
		all = append(all, stream[:n])
		stream = stream[n:]
	}
	return append(all, stream)
}

// unreadableIn reports that gws itself would fail on the stream.
func unreadableIn(stream []byte) bool {
	for len(stream) > 0 {
		h, whole := parseHeader(stream)
		if !whole {
			return false
		}
		if h.unreadable() {
			return true
		}
		if h.length > uint64(len(stream)-h.size) {
			return false
		}
		stream = stream[h.size+int(h.length):]
	}
	return false
}

const fuzzMax = 300

// seeds are streams with everything that a socket has to get right.
func seeds(add func(stream, cuts []byte)) {
	join := func(frames ...[]byte) []byte { return bytes.Join(frames, nil) }
	text := masked(0x80|opText, "hello")
	close := masked(0x80|opClose, "\x03\xe8bye")
	for _, stream := range [][]byte{
		text,
		join(text, masked(0x80|opBinary, strings.Repeat("x", 200)), text, close),
		join(masked(opText, "one"), masked(0x80|opPing, "p"), masked(0, "two"), masked(0x80|opPong, ""), masked(0x80, "three"), close),
		join(masked(opText, ""), masked(0, ""), masked(0x80, ""), masked(0x80|opPing, "")),
		join(text, close, text),
		join(masked(opBinary, strings.Repeat("y", 200)), masked(0x80, strings.Repeat("z", 101))),
		join(masked(opText, "a\xc3"), masked(0x80, "\xa4")),
		join(masked(opText, "a"), masked(0x80|opText, "b")),
		join(text, masked(0x80, "nothing to go on with")),
		masked(0x80|opText, "\xff"),
		masked(0x80|opText, strings.Repeat("x", fuzzMax+1)),
		masked(0x80|opBinary, strings.Repeat("x", fuzzMax)),
		masked(0xC0|opText, "reserved"),
		masked(0xC0|opText, "reserved")[:7], // the header alone is wrong
		masked(opPing, "in fragments")[:7],
		append(masked(opBinary, strings.Repeat("y", fuzzMax)), masked(0, "z")...), // and it goes on
		masked(0x83, "unknown"),
		masked(0x8B, "unknown"),
		masked(opPing, "in fragments"),
		masked(0x80|opPing, strings.Repeat("x", 126)),
		masked(0x80|opClose, ""),
		masked(0x80|opClose, "x"),
		masked(0x80|opClose, "\x03\xed"),
		masked(0x80|opClose, "\x0f\xa0\xff"),
		{0x81, 1, 'x'},
		{0x81, 0xFE},
		{0x82, 0xFF, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5},
	} {
		add(stream, nil)
		add(stream, []byte{1, 1, 1, 1, 1, 1, 1, 1, 1})
		add(stream, []byte{3, 5, 0, 9})
	}
}

// FuzzFeed compares a stream that comes in pieces, to an owner that sometimes
// takes its time, with the oracle.
func FuzzFeed(f *testing.F) {
	seeds(func(stream, cuts []byte) {
		f.Add(stream, cuts, uint64(0))
		f.Add(stream, cuts, ^uint64(0))
	})
	f.Fuzz(func(t *testing.T, stream, cuts []byte, slow uint64) {
		if unreadableIn(stream) {
			t.Skip()
		}
		srv := NewServer(Config{MaxMessage: fuzzMax})
		defer shutdown(t, srv)
		var got course
		owner := &courseOwner{course: &got, slow: slow}
		s := srv.New(owner, nil)
		s.state = Open // as if it were upgraded; what it sends stays in its queue
		end := func() *ending {
			for _, piece := range pieces(stream, cuts) {
				if end := s.feed(bytes.Clone(piece)); end != nil {
					return end
				}
				for owner.waiting > 0 || s.in != nil && s.in.ready {
					s.Next()
					owner.waiting = 0
					if end := s.feed(nil); end != nil {
						return end
					}
				}
			}
			return lost()
		}()
		got.code, got.reason, got.kind = end.code, end.reason, end.kind
		if s.out != nil {
			for _, f := range s.out.queue {
				if f.wire[0] == 0x80|opPong {
					got.pongs = append(got.pongs, string(f.wire[2:]))
				}
			}
		}
		if want := oracle(fuzzMax, bytes.Clone(stream)); !got.same(want) {
			t.Fatalf("stream %q cut %v\n got %+v\nwant %+v", stream, cuts, got, want)
		}
		s.forget()
		if held := srv.held.Load(); held != 0 {
			t.Fatalf("%d bytes of the budget are not given back", held)
		}
		s.endDue()
	})
}

// courseOwner notes what it is told, and calls Next at once or leaves it.
type courseOwner struct {
	course  *course
	slow    uint64
	waiting int
}

func (o *courseOwner) Message(s *Socket, text bool, data []byte) {
	o.course.messages = append(o.course.messages, kindOf(text)+string(data))
	if late := o.slow&1 != 0; late {
		o.waiting++
	} else {
		s.Next()
	}
	o.slow >>= 1
}

func (o *courseOwner) Closed(*Socket, uint16, string, bool) {}

// FuzzConnection compares what a real connection does with the oracle: one that is
// parked, and one that has a goroutine, as where its descriptor is hidden.
func FuzzConnection(f *testing.F) {
	seeds(func(stream, cuts []byte) {
		f.Add(stream, cuts, false)
		f.Add(stream, cuts, true)
	})
	sites := map[bool]*site{false: newSite(f, Config{MaxMessage: fuzzMax}, nil), true: unstartedSite(f, Config{MaxMessage: fuzzMax}, nil)}
	sites[true].Listener = hidingListener{sites[true].Listener}
	sites[true].Start()
	f.Fuzz(func(t *testing.T, stream, cuts []byte, attended bool) {
		site := sites[attended]
		if unreadableIn(stream) || len(stream) > 4<<10 {
			t.Skip()
		}
		want := oracle(fuzzMax, bytes.Clone(stream))
		if len(want.messages) > cap(site.owner.told)/2 {
			t.Skip()
		}
		p, socket := site.dial(t)
		if attended && socket.line == nil {
			t.Fatal("the socket is parked")
		}
		for _, piece := range pieces(stream, cuts) {
			if _, err := p.Write(piece); err != nil {
				break // it has ended already
			}
		}
		_ = p.Conn.(*net.TCPConn).CloseWrite()
		var got course
		for {
			told := site.owner.next(t)
			if !told.closed {
				got.messages = append(got.messages, kindOf(told.text)+told.data)
				continue
			}
			got.code, got.reason = told.code, told.reason
			switch {
			case told.clean:
				got.kind = peerClosed
			case told.code == CodeAbnormal:
				got.kind = vanished
			default:
				got.kind = violated
			}
			break
		}
		closed := -1
		for {
			op, data, err := p.read()
			if err != nil {
				if want.kind == violated && !errors.Is(err, io.EOF) {
					t.Fatalf("stream %q: %v", stream, err)
				}
				break
			}
			switch op {
			case opPong:
				got.pongs = append(got.pongs, data)
			case opClose:
				closed = 0
				if len(data) >= 2 {
					closed = int(binary.BigEndian.Uint16([]byte(data)))
				}
			}
		}
		_ = p.Close()
		switch want.kind {
		case violated:
			if closed != int(want.code) {
				t.Fatalf("stream %q: closed with %d, want %d", stream, closed, want.code)
			}
		case peerClosed, vanished:
			// What came behind a close frame resets the connection, and a peer that
			// is gone is not told: replies may be lost.
			if len(got.pongs) <= len(want.pongs) && slices.Equal(got.pongs, want.pongs[:len(got.pongs)]) {
				got.pongs = want.pongs
			}
		}
		if !got.same(want) {
			t.Fatalf("stream %q cut %v\n got %+v\nwant %+v", stream, cuts, got, want)
		}
	})
}

// hidingListener hides the descriptors of its connections.
type hidingListener struct{ net.Listener }

type hiddenConn struct{ net.Conn }

func (c hiddenConn) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

func (l hidingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return hiddenConn{conn}, nil
}
