package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"
)

// Limits of the clients.
const (
	connectAtOnce  = 16               // handshakes at a time: a crowd that comes, not a flood
	connectTimeout = 30 * time.Second // for each
	clientBuffer   = 1 << 10          // bytes to read into, per socket: a message or two
)

// fleet is the clients: for each room its members' sockets.
type fleet struct {
	rooms, members int
	sockets        []*gws.Conn // room r's member m is number r*members+m; nil is not connected
	received       func(n int) // is told of every arrival of message n, by the readers
	readers        sync.WaitGroup
	closing        atomic.Bool
	welcomed       atomic.Int64 // sockets that the server has greeted
	errors         atomic.Int64 // messages that told of an error
	lost           atomic.Int64 // sockets that closed before close
}

// connect opens all sockets to ws://addr/ws/<room>?user=<name>. close must be
// called whether it fails or not.
func (f *fleet) connect(ctx context.Context, url string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f.sockets = make([]*gws.Conn, f.rooms*f.members)
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(connectAtOnce, len(f.sockets)) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= len(f.sockets) {
					return
				}
				if err := f.open(ctx, url, i); err != nil {
					cancel(fmt.Errorf("socket %d of %d: %w", i+1, len(f.sockets), err))
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

func (f *fleet) open(ctx context.Context, url string, i int) error {
	address := fmt.Sprintf("%s/ws/bench-%d?user=user-%d", url, i/f.members, i%f.members)
	socket, response, err := gws.NewClient(&client{fleet: f}, &gws.ClientOption{
		Addr: address, HandshakeTimeout: connectTimeout, ReadBufferSize: clientBuffer,
		NewDialer: func() (gws.Dialer, error) { return dialer{ctx}, nil },
	})
	if err != nil {
		if response != nil {
			err = fmt.Errorf("%w (%s)", err, response.Status)
		}
		return err
	}
	f.sockets[i] = socket
	f.readers.Go(socket.ReadLoop)
	return nil
}

// dialer dials for as long as its context lasts.
type dialer struct{ ctx context.Context }

func (d dialer) Dial(network, addr string) (net.Conn, error) {
	nd := net.Dialer{Timeout: connectTimeout}
	return nd.DialContext(d.ctx, network, addr)
}

// setDeadline ends all sends that take longer.
func (f *fleet) setDeadline(t time.Time) error {
	var errs []error
	for _, socket := range f.sockets {
		errs = append(errs, socket.NetConn().SetWriteDeadline(t))
	}
	return errors.Join(errs...)
}

// send sends message n: to the rooms in turn, by the members of each in turn. It
// reports whether the connection took it.
func (f *fleet) send(n int) bool {
	room, member := n%f.rooms, n/f.rooms%f.members
	return f.sockets[room*f.members+member].WriteString(content(n)) == nil
}

// close ends all sockets and waits for their readers.
func (f *fleet) close() {
	f.closing.Store(true)
	for _, socket := range f.sockets {
		if socket != nil {
			_ = socket.NetConn().Close()
		}
	}
	f.readers.Wait()
}

// client is the reader of one socket.
type client struct {
	gws.BuiltinEventHandler
	fleet   *fleet
	greeted bool
}

func (c *client) OnMessage(_ *gws.Conn, m *gws.Message) {
	data := m.Bytes()
	if n, ok := number(data); ok {
		c.fleet.received(n)
	} else if bytes.Contains(data, []byte(`"type":"error"`)) {
		c.fleet.errors.Add(1)
	} else if !c.greeted && bytes.Contains(data, []byte(`"type":"welcome"`)) {
		c.greeted = true
		c.fleet.welcomed.Add(1)
	}
	_ = m.Close()
}

func (c *client) OnClose(*gws.Conn, error) {
	if !c.fleet.closing.Load() {
		c.fleet.lost.Add(1)
	}
}

// What people say is about this long; the number tells when it was due.
const (
	contentBefore = `"content":"no. `
	contentAfter  = `: the quick brown fox jumps over the lazy dog"`
)

// content is message n as a client sends it.
func content(n int) string {
	return `{"type":"message",` + contentBefore + strconv.Itoa(n) + contentAfter + `}`
}

// number finds the number of a message in what a server makes of it. It looks at
// no more than it must: the load should cost little beside the server.
func number(data []byte) (n int, ok bool) {
	i := bytes.Index(data, []byte(contentBefore))
	if i < 0 {
		return 0, false
	}
	for _, c := range data[i+len(contentBefore):] {
		if c < '0' || c > '9' {
			break
		}
		n, ok = n*10+int(c-'0'), true
	}
	return n, ok
}
