package admin

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"

	"chat.example.com.ai/store"
)

// SocketName is the socket's name in the data folder.
const SocketName = store.SocketName

const (
	// maxPath is how long the path of a socket may be, in bytes: what the systems with
	// the least of it take.
	maxPath = 103
	// maxConnections is how many commands are connected at a time; others wait.
	maxConnections = 8
)

// socketPath is the path to bind or connect to. Where the folder's own is too long for
// the system, it leads through a descriptor of the folder, on systems that have such
// paths; it is good until release is called.
func socketPath(folder string) (path string, release func(), err error) {
	path = filepath.Join(folder, SocketName)
	if len(path) <= maxPath {
		return path, func() {}, nil
	}
	dir, err := os.Open(folder)
	if err != nil {
		return "", nil, err
	}
	short := fmt.Sprintf("/proc/self/fd/%d", dir.Fd())
	if _, err := os.Stat(short); err != nil {
		return "", nil, fmt.Errorf("the path %s is too long for a socket (%d bytes at most), and this system has no way round: choose a shorter --data", path, maxPath)
	}
	return filepath.Join(short, SocketName), func() { _ = dir.Close() }, nil
}

// listen binds the socket, in place of one that a process left which was killed. The
// caller has the lock of the folder.
func listen(folder string) (net.Listener, error) {
	path, release, err := socketPath(folder)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		release()
		return nil, err
	}
	l, err := listenPrivate(path)
	if err != nil {
		release()
		return nil, err
	}
	l.SetUnlinkOnClose(false)
	return &listener{Listener: l, tokens: make(chan struct{}, maxConnections), closed: make(chan struct{}),
		release: func() {
			_ = os.Remove(path)
			release()
		}}, nil
}

// listener gives out so many connections at a time.
type listener struct {
	net.Listener
	tokens  chan struct{}
	once    sync.Once
	closed  chan struct{}
	release func()
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.tokens <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.tokens
		return nil, err
	}
	return &connection{Conn: conn, leave: sync.OnceFunc(func() { <-l.tokens })}, nil
}

// Close ends Accept, and removes the socket.
func (l *listener) Close() (err error) {
	l.once.Do(func() {
		close(l.closed)
		err = l.Listener.Close()
		l.release()
	})
	return err
}

type connection struct {
	net.Conn
	leave func()
}

func (c *connection) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
