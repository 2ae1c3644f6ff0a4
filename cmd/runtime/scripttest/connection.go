package scripttest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/lxzan/gws"

	"chat.example.com.ai/runtime/script"
)

// handshakeWithin bounds an upgrade, on the test's clock: more than a request may take.
const handshakeWithin = time.Minute

// connection is a client's end of a WebSocket. What comes is a step of the test.
type connection struct {
	gws.BuiltinEventHandler
	id   int64
	run  *run
	conn *gws.Conn

	mu  sync.Mutex
	own *gws.CloseError // how the test has closed it
}

// connect opens a socket to a path. The server's refusal is an error that has its
// status and body.
func (r *run) connect(path string, header http.Header) (*connection, error) {
	if !strings.HasPrefix(path, "/") {
		return nil, fmt.Errorf("connect: the path %q does not begin with /", path)
	}
	raw, err := r.world.listener.dial(r.ctx, "", "")
	if err != nil {
		return nil, err
	}
	c := &connection{id: r.lastConnection.Add(1), run: r}
	wire := newWire(raw)
	r.work.Go(wire.pump)
	conn, response, err := gws.NewClientFromConn(c, &gws.ClientOption{
		Addr: "ws://" + host + path, RequestHeader: header, HandshakeTimeout: handshakeWithin,
		ReadMaxPayloadSize: maxFrame, WriteMaxPayloadSize: maxFrame,
	}, wire)
	if err != nil {
		wire.shut()
		if response != nil && response.StatusCode != http.StatusSwitchingProtocols {
			body, _ := io.ReadAll(response.Body) // what had come with the head, which is all of a short one
			return nil, fmt.Errorf("connect %s: the answer was %d %s", path, response.StatusCode, bytes.TrimSpace(body))
		}
		return nil, fmt.Errorf("connect %s: %w", path, err)
	}
	c.conn = conn
	r.work.Go(func() { defer wire.shut(); conn.ReadLoop() })
	return c, nil
}

// maxFrame is more than the server takes or sends: that it refuses a message is
// for a test to see.
const maxFrame = 4 << 20 // bytes

func (c *connection) OnMessage(_ *gws.Conn, m *gws.Message) {
	data, text := bytes.Clone(m.Bytes()), m.Opcode == gws.OpcodeText
	_ = m.Close()
	c.run.push(func() script.Outcome { return c.run.vm.Frame(c.id, text, data) })
}

func (c *connection) OnPing(conn *gws.Conn, payload []byte) { _ = conn.WritePong(payload) }

func (c *connection) OnClose(_ *gws.Conn, err error) {
	code, reason := uint16(1006), "" // as browsers say that there was no close frame
	var end *gws.CloseError
	c.mu.Lock()
	own := c.own
	c.mu.Unlock()
	if own != nil {
		code, reason = own.Code, string(own.Reason)
	} else if errors.As(err, &end) {
		code, reason = end.Code, string(end.Reason)
	}
	c.run.push(func() script.Outcome { return c.run.vm.Closed(c.id, code, reason) })
}

// send queues a message behind those before it.
func (c *connection) send(text string, data []byte) {
	if data != nil {
		c.conn.WriteAsync(gws.OpcodeBinary, data, nil)
	} else {
		c.conn.WriteAsync(gws.OpcodeText, []byte(text), nil)
	}
}

// close sends a close frame behind the messages.
func (c *connection) close(code uint16, reason string) {
	c.mu.Lock()
	c.own = &gws.CloseError{Code: code, Reason: []byte(reason)}
	c.mu.Unlock()
	c.conn.Async(func() { c.conn.WriteClose(code, []byte(reason)) })
}
