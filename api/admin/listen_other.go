//go:build !unix

package admin

import "net"

// listenPrivate binds a socket, which the folder's own permissions protect.
func listenPrivate(path string) (*net.UnixListener, error) {
	return net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
}
