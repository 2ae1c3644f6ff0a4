//go:build unix

package socket

import "syscall"

const canTry = true

// writeOnce writes what a non-blocking descriptor takes now, perhaps nothing.
func writeOnce(fd uintptr, data []byte) (int, error) {
	for {
		n, err := syscall.Write(int(fd), data)
		switch err {
		case nil:
			return n, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, nil
		default:
			return 0, err
		}
	}
}
