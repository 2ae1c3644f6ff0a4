//go:build linux && !noepoll

package socket

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"syscall"
)

// pollBatch is how many events are taken at a time.
const pollBatch = 128

// poller waits for parked sockets, all with one goroutine, and gives those that
// are ready to its pool. An interest is one-shot: epoll reports a socket once, and
// then not until it is armed again.
type poller struct {
	pool
	epoll   int
	file    *os.File // epoll, in the poller of Go's runtime: waiting holds no thread
	server  *Server
	waiting sync.WaitGroup
	end     sync.Once
}

func newPoller(srv *Server) (*poller, error) {
	epoll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("socket: epoll: %w", err)
	}
	if err := syscall.SetNonblock(epoll, true); err != nil { // else os takes it for a file that blocks
		_ = syscall.Close(epoll)
		return nil, fmt.Errorf("socket: epoll: %w", err)
	}
	p := &poller{epoll: epoll, file: os.NewFile(uintptr(epoll), "epoll"), server: srv}
	raw, err := p.file.SyscallConn()
	if err != nil {
		_ = p.file.Close()
		return nil, fmt.Errorf("socket: epoll: %w", err)
	}
	p.init()
	p.waiting.Go(func() { p.wait(raw) })
	return p, nil
}

// wait takes events until the poller is closed.
func (p *poller) wait(raw syscall.RawConn) {
	var events [pollBatch]syscall.EpollEvent
	for {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			var err error
			for {
				if n, err = syscall.EpollWait(int(fd), events[:], 0); err != syscall.EINTR {
					break
				}
			}
			return n > 0 || err != nil
		})
		if err != nil {
			return // closed
		}
		for _, e := range events[:max(n, 0)] {
			p.server.mu.Lock()
			s := p.server.sockets.at(place{uint32(e.Fd), uint32(e.Pad)})
			p.server.mu.Unlock()
			if s == nil {
				continue // gone, and perhaps its place is another's
			}
			var ready uint8
			if e.Events&(syscall.EPOLLIN|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
				ready |= readable
			}
			if e.Events&(syscall.EPOLLOUT|syscall.EPOLLHUP|syscall.EPOLLERR) != 0 {
				ready |= writable
			}
			p.push(job{s, ready})
		}
	}
}

// arm sets a socket's interest, once.
func (p *poller) arm(fd int32, interest uint8, at place) error {
	e := syscall.EpollEvent{Events: syscall.EPOLLONESHOT, Fd: int32(at.index), Pad: int32(at.generation)}
	if interest&readable != 0 {
		e.Events |= syscall.EPOLLIN
	}
	if interest&writable != 0 {
		e.Events |= syscall.EPOLLOUT
	}
	return syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_MOD, int(fd), &e)
}

// drop closes a descriptor. Nothing is to be done about a failure.
func (p *poller) drop(fd int32) {
	_ = syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_DEL, int(fd), &syscall.EpollEvent{})
	_ = syscall.Close(int(fd))
}

// close ends the poller and its pool, and waits for them. All sockets are gone.
func (p *poller) close() {
	p.end.Do(func() {
		_ = p.file.Close()
		p.waiting.Wait()
		p.stop()
	})
}

// detach takes the descriptor out of a TCP connection, and away from Go's poller:
// the connection is closed, the descriptor is a duplicate. It returns -1 if the
// socket has to be attended.
func (s *Socket) detach(conn net.Conn) int32 {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return -1
	}
	p := s.server.park()
	if p == nil {
		return -1
	}
	fd, err := duplicate(tcp)
	if err != nil {
		s.server.config.Log.Warn("a socket cannot be parked, it has a goroutine", "error", err)
		return -1
	}
	e := syscall.EpollEvent{Events: syscall.EPOLLONESHOT, Fd: int32(s.place.index), Pad: int32(s.place.generation)}
	if err := syscall.EpollCtl(p.epoll, syscall.EPOLL_CTL_ADD, fd, &e); err != nil {
		_ = syscall.Close(fd)
		s.server.config.Log.Warn("a socket cannot be parked, it has a goroutine", "error", err)
		return -1
	}
	_ = conn.Close() // the connection itself stays with the duplicate
	s.server.stats.parked.Add(1)
	return int32(fd)
}

func duplicate(conn *net.TCPConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, fmt.Errorf("socket: duplicate: %w", err)
	}
	fd, errno := -1, syscall.Errno(0)
	err = raw.Control(func(old uintptr) {
		var r uintptr
		r, _, errno = syscall.Syscall(syscall.SYS_FCNTL, old, syscall.F_DUPFD_CLOEXEC, 0)
		fd = int(r)
	})
	if err = errors.Join(err, errnoError(errno)); err != nil {
		return -1, fmt.Errorf("socket: duplicate: %w", err)
	}
	return fd, nil
}

func errnoError(errno syscall.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// readOnce reads what is there. 0 and no error is the end.
func readOnce(fd int32, buf []byte) (int, error) {
	for {
		n, err := syscall.Read(int(fd), buf)
		switch err {
		case nil:
			return n, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, errAgain
		default:
			return 0, err
		}
	}
}

// shutWrite ends our half of the connection.
func shutWrite(fd int32) error { return syscall.Shutdown(int(fd), syscall.SHUT_WR) }
