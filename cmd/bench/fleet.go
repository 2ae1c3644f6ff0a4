package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// connectAtOnce is the handshakes at a time: a crowd that comes, not a flood.
const connectAtOnce = 16

// pollEvery is how often this process looks at its own counters.
const pollEvery = 2 * time.Millisecond

// fleet is the clients: in each room as many, or one more in the first ones.
type fleet struct {
	name     string // of the server, for the progress
	addr     string // of the server, host:port
	tls      bool
	rooms    int
	received func(p *peer, n int) // is told of every arrival of message n, by the readers
	peers    []*peer              // member m of room r is number m*rooms+r; nil is not connected
	readers  sync.WaitGroup
	opened   atomic.Int64
	closing  atomic.Bool
	welcomed atomic.Int64 // sockets that the server has greeted
	errors   atomic.Int64 // messages that told of an error
	lost     atomic.Int64 // sockets that ended before close
}

// connect opens sockets to ws://addr/ws/<room>?user=<name> until there are so
// many. close must be called whether it fails or not.
func (f *fleet) connect(ctx context.Context, sockets int, progress io.Writer) error {
	fmt.Fprintf(progress, "%s: connecting %d sockets\n", f.name, sockets)
	stopProgress := tell(progress, func() string {
		return fmt.Sprintf("%s: %d of %d sockets are connected", f.name, f.opened.Load(), sockets)
	})
	defer stopProgress()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	next.Store(int64(len(f.peers)))
	f.peers = append(f.peers, make([]*peer, sockets-len(f.peers))...)
	var workers sync.WaitGroup
	for range min(connectAtOnce, sockets) {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= sockets {
					return
				}
				if err := f.open(ctx, i); err != nil {
					cancel(fmt.Errorf("socket %d of %d: %w", i+1, sockets, err))
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

func (f *fleet) open(ctx context.Context, i int) error {
	p := &peer{number: i, fleet: f}
	in, err := p.open(ctx, f.addr, f.tls, fmt.Sprintf("/ws/bench-%d?user=user-%d", i%f.rooms, i/f.rooms))
	if err != nil {
		return err
	}
	f.peers[i] = p
	f.opened.Add(1)
	f.readers.Go(func() { p.read(in) })
	return nil
}

// enter connects and waits until all are greeted: then they are in their rooms.
func (f *fleet) enter(ctx context.Context, sockets int, progress io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	if err := f.connect(ctx, sockets, progress); err != nil {
		return err
	}
	return poll(ctx, pollEvery, func() bool { return f.welcomed.Load() == int64(sockets) })
}

// setDeadline ends all sends that take longer.
func (f *fleet) setDeadline(t time.Time) error {
	var errs []error
	for _, p := range f.peers {
		errs = append(errs, p.conn.SetWriteDeadline(t))
	}
	return errors.Join(errs...)
}

// send sends message n: to the rooms in turn, by the members of each in turn. It
// reports whether the connection took it.
func (f *fleet) send(n int) bool {
	return f.peers[n%len(f.peers)].write(opText, []byte(content(n))) == nil
}

// drain waits until f holds, or no socket is left, or long enough: what is missing
// then is counted. It fails only if ctx ends.
func (f *fleet) drain(ctx context.Context, done func() bool) error {
	limited, cancel := context.WithTimeout(ctx, drainLimit)
	defer cancel()
	_ = poll(limited, pollEvery, func() bool { return done() || f.lost.Load() == int64(len(f.peers)) })
	return ctx.Err()
}

// take is told of every message, by its reader.
func (f *fleet) take(p *peer, data []byte) {
	if n, ok := number(data); ok {
		f.received(p, n)
	} else if bytes.Contains(data, []byte(`"type":"error"`)) {
		f.errors.Add(1)
	} else if !p.greeted && bytes.Contains(data, []byte(`"type":"welcome"`)) {
		p.greeted = true
		f.welcomed.Add(1)
	}
}

// ended is told of the end of every socket, by its reader.
func (f *fleet) ended() {
	if !f.closing.Load() {
		f.lost.Add(1)
	}
}

// close ends all sockets and waits for their readers.
func (f *fleet) close() {
	f.closing.Store(true)
	for _, p := range f.peers {
		if p != nil {
			_ = p.conn.Close()
		}
	}
	f.readers.Wait()
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
