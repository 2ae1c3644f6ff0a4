package main

import "net"

// notifyReady tells systemd, if that started the program, that it serves: who waits
// for systemctl start has a program that answers, or an error. See sd_notify(3).
func notifyReady(socket string) error {
	if socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte("READY=1"))
	return err
}
