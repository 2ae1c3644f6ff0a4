//go:build unix

package admin

import (
	"context"
	"net"
	"os"
	"syscall"
)

const mode = 0o600 // of the socket: nobody else's business

// listenPrivate binds a socket that only this user may open. Linux takes the mode of
// the descriptor for the file, so there is no moment at which others could connect;
// elsewhere it is set right after, in a folder that is this user's own.
func listenPrivate(path string) (*net.UnixListener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { _ = syscall.Fchmod(int(fd), mode) }) // below it is set in any case
	}}
	l, err := config.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	unix := l.(*net.UnixListener)
	if err := os.Chmod(path, mode); err != nil {
		_ = unix.Close()
		return nil, err
	}
	return unix, nil
}
