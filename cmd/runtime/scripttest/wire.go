package scripttest

import (
	"net"
	"sync"
	"time"
)

// lastBytes is how long a connection that was closed may take to see its last
// bytes out and the peer's, on the test's clock.
const lastBytes = 5 * time.Second

// wire is a client's end of a pipe that takes what is written without waiting for
// the server to read it, as a socket of the kernel would: a client that waits to
// write and is asked to answer a close at the same time would do neither. It
// doesn't bound what it takes: a test sends what a test sends.
type wire struct {
	net.Conn

	mu     sync.Mutex
	queue  []byte
	closed bool
	work   chan struct{} // holds a token when the queue has something, or is closed
	shut   func()
	timer  *time.Timer
}

func newWire(conn net.Conn) *wire {
	w := &wire{Conn: conn, work: make(chan struct{}, 1)}
	w.shut = sync.OnceFunc(func() {
		_ = conn.Close() // a pipe has no error to tell
		w.mu.Lock()
		defer w.mu.Unlock()
		w.closed = true
		if w.timer != nil {
			w.timer.Stop()
		}
		w.signal()
	})
	return w
}

func (w *wire) signal() {
	select {
	case w.work <- struct{}{}:
	default:
	}
}

func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return 0, net.ErrClosed
	}
	w.queue = append(w.queue, p...)
	w.signal()
	return len(p), nil
}

// Close lets the last bytes out; the connection ends with the server's.
func (w *wire) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.closed = true
		w.timer = time.AfterFunc(lastBytes, w.shut)
		w.signal()
	}
	return nil
}

// pump writes until the wire is closed and empty. It has a goroutine of its own.
func (w *wire) pump() {
	for {
		<-w.work
		w.mu.Lock()
		data, closed := w.queue, w.closed
		w.queue = nil
		w.mu.Unlock()
		if len(data) > 0 {
			if _, err := w.Conn.Write(data); err != nil {
				w.shut()
				return
			}
		}
		if closed {
			return
		}
	}
}
