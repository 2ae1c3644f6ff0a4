package api

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"chat.example.com.ai/runtime/fetch"
	"chat.example.com.ai/runtime/object"
)

// Descriptors that no connection gets. They are few beside any usual limit, and
// enough that neither a commit nor a reload of the scripts ever lacks one.
const (
	// maxRefusing is how many connections are told at once that there is no room.
	// Each holds a descriptor meanwhile; more at a time are closed without a word.
	maxRefusing = 32
	// maxUpgrading is how many upgrades run at once. Each may need a second
	// descriptor for its connection, for as long as it takes to detach it.
	maxUpgrading = 16
	// ownDescriptors are for the rest: 10 connections to the database with two
	// files each, the 32 files that the bundler reads at a time, 10 for commands on the
	// program's own socket, and the lock, standard streams, pollers, listeners and what
	// they have just accepted.
	ownDescriptors = 80
	// fetchDescriptors are for the fetches of scripts: each that is under way may
	// look up a name, or try two addresses at a time, and some connections wait to
	// be used again.
	fetchDescriptors = 2*object.MaxFetching + fetch.MaxIdle

	reservedDescriptors = ownDescriptors + fetchDescriptors + maxRefusing + maxUpgrading
)

const (
	// refuseTimeout is how long a refused client may take to send its request and
	// to read the answer: a few round trips over a bad mobile link.
	refuseTimeout = time.Second
	// Accepting that failed is tried again after a delay that doubles between these:
	// at once for what passes, and once a second costs nothing.
	minAcceptDelay = 5 * time.Millisecond
	maxAcceptDelay = time.Second
)

// What a refused client reads: no room, and too many connections of its address.
// Each is one write, smaller than any send buffer.
var (
	busy    = refusal(http.StatusServiceUnavailable, 1)
	tooMany = refusal(http.StatusTooManyRequests, int(readHeaderTimeout/time.Second))
)

func refusal(status, retryAfter int) []byte {
	body := `{"error":"` + http.StatusText(status) + `"}` + "\n"
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: application/json; charset=utf-8\r\n"+
		"X-Content-Type-Options: nosniff\r\nRetry-After: %d\r\nConnection: close\r\n"+
		"Content-Length: %d\r\n\r\n%s", status, http.StatusText(status), retryAfter, len(body), body)
}

// ConnLimit keeps connections within the files that the process may have open, so
// that what runs never lacks one: over the limit, new connections get 503. The
// log says once that it begins and once that it is over. Its methods are safe for
// concurrent use. It must be ended with Close.
type ConnLimit struct {
	files     int // what the process may have open
	room      int // connections that fit
	sockets   func() int
	addresses *AddressLimit // nil: none

	requests atomic.Int64 // connections that an http.Server has: neither closed nor hijacked
	failed   atomic.Int64
	refusing chan struct{} // a token for each answer under way
	answers  sync.WaitGroup
	trouble  episode

	mu sync.Mutex // so that only so many are admitted as there is room for
}

// NewConnLimit makes the limit of a process that may have so many files open, of
// which some are kept for the program itself. sockets is the number of upgraded
// connections; it is called for each new one, and a socket must be in it before
// its connection is hijacked. An error means that no connection would fit.
func NewConnLimit(files int, sockets func() int, log *slog.Logger) (*ConnLimit, error) {
	room := files - reservedDescriptors
	if room < 1 {
		return nil, fmt.Errorf("the limit of open files is %d, and the program needs %d for itself: raise it (ulimit -n)",
			files, reservedDescriptors)
	}
	c := &ConnLimit{files: files, room: room, sockets: sockets, refusing: make(chan struct{}, maxRefusing)}
	relaxed := room - max(1, room/20) // or the log would tell of each who leaves
	c.trouble = episode{log: log, over: "new connections are taken again", can: func() bool { return c.Open() <= relaxed }}
	return c, nil
}

// LimitAddresses has new connections of an address that has too many get 429. It is
// called before anything is accepted.
func (c *ConnLimit) LimitAddresses(l *AddressLimit) { c.addresses = l }

// Room is how many connections fit, sockets among them.
func (c *ConnLimit) Room() int { return c.room }

// Open is the number of connections, sockets among them. One that is being
// upgraded may count twice.
func (c *ConnLimit) Open() int {
	// In this order none that is upgraded meanwhile is missed.
	requests := c.requests.Load()
	return int(requests) + c.sockets()
}

// Refused is how many connections found no room so far.
func (c *ConnLimit) Refused() int64 { return c.trouble.count() }

// AcceptErrors is how often accepting failed so far for lack of descriptors or memory.
func (c *ConnLimit) AcceptErrors() int64 { return c.failed.Load() }

// Watch lets the limit know which connections the server is done with. It must
// serve the listeners that Listener returned, and nothing else.
func (c *ConnLimit) Watch(server *http.Server) {
	server.ConnState = func(conn net.Conn, state http.ConnState) {
		if c.addresses != nil {
			c.addresses.note(conn, state)
		}
		if state == http.StateClosed || state == http.StateHijacked {
			c.requests.Add(-1)
		}
	}
}

// Listener returns a listener that gives out what there is room for, refuses the
// rest, and waits where accepting fails because something has run out.
func (c *ConnLimit) Listener(l net.Listener) net.Listener {
	return &listener{Listener: l, limit: c, closed: make(chan struct{})}
}

// Close waits for the answers under way, for at most a second. Serving of all
// listeners must have ended.
func (c *ConnLimit) Close() {
	c.answers.Wait()
	c.trouble.close()
}

// admit counts a new connection if there is room for it. If not, it returns what
// its client is to read.
func (c *ConnLimit) admit(conn net.Conn) (refusal []byte) {
	if c.addresses != nil && !c.addresses.admit(conn) {
		return tooMany
	}
	c.mu.Lock()
	open := c.Open()
	if open < c.room {
		c.requests.Add(1)
		c.mu.Unlock()
		return nil
	}
	c.mu.Unlock()
	if c.addresses != nil {
		c.addresses.note(conn, http.StateClosed)
	}
	c.trouble.note(1, "the limit of open files is reached: new connections get 503", "connections", open, "files", c.files)
	return busy
}

// acceptFailed notes that nothing can be accepted at all, though there should be room.
func (c *ConnLimit) acceptFailed(err error) {
	c.trouble.note(0, "connections cannot be accepted: new ones wait", "error", err, "connections", c.Open(), "files", c.files)
	c.failed.Add(1)
}

// refuse answers and closes the connection, or only closes it when too many are
// being answered.
func (c *ConnLimit) refuse(conn net.Conn, refusal []byte) {
	select {
	case c.refusing <- struct{}{}:
		c.answers.Go(func() {
			say(conn, refusal)
			<-c.refusing
		})
	default:
		_ = conn.Close()
	}
}

// say answers and closes the connection. The request is read first, as
// some clients take what comes before it for garbage; and what follows is read
// after it, as closing on unread bytes resets the connection, and the answer with it.
func say(conn net.Conn, refusal []byte) {
	defer func() { _ = conn.Close() }()
	if conn.SetDeadline(time.Now().Add(refuseTimeout)) != nil || !readHead(conn) {
		return
	}
	if _, err := conn.Write(refusal); err != nil {
		return
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, conn, maxBody)
	}
}

// readHead reads up to the end of a request's headers, or as much of them as is
// read at all. It reports whether there was anything.
func readHead(conn net.Conn) bool {
	head := make([]byte, maxHeader)
	n := 0
	for n < len(head) {
		m, err := conn.Read(head[n:])
		from := max(0, n-3)
		n += m
		if err != nil || bytes.Contains(head[from:n], []byte("\r\n\r\n")) {
			break
		}
	}
	return n > 0
}

// listener is a net.Listener within a ConnLimit. Accept is called by one
// goroutine at a time, as http.Server does.
type listener struct {
	net.Listener
	limit  *ConnLimit
	once   sync.Once
	closed chan struct{}
}

// Accept returns the next connection that there is room for. It keeps errors that
// pass to itself: http.Server would log each of them.
func (l *listener) Accept() (net.Conn, error) {
	delay := minAcceptDelay
	for {
		conn, err := l.Listener.Accept()
		switch {
		case err == nil:
			refusal := l.limit.admit(conn)
			if refusal == nil {
				return conn, nil
			}
			l.limit.refuse(conn, refusal)
			delay = minAcceptDelay
		case hasRunOut(err):
			l.limit.acceptFailed(err)
			select {
			case <-time.After(delay):
			case <-l.closed:
				return nil, net.ErrClosed
			}
			delay = min(2*delay, maxAcceptDelay)
		default:
			return nil, err
		}
	}
}

// Close ends Accept, also where it waits to try again.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// hasRunOut reports whether an accept failed for want of descriptors, of this
// process or of the system, or of memory.
func hasRunOut(err error) bool {
	for _, e := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
