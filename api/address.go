package api

import (
	"net"
	"net/http"
	"net/netip"
)

// ipv6Bits is how much of an IPv6 address counts: a household or a server is given
// the rest, and chooses in it as it likes.
const ipv6Bits = 64

// clientOf is whom a request is from. It is the only place that says so, once
// Proxies.resolve has taken a trusted proxy's word for it.
func clientOf(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return counted(peer.Addr())
}

// peerOf is who is at the other end of a connection; zero if that is no address.
func peerOf(conn net.Conn) netip.Addr {
	if tcp, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr()
	}
	return netip.Addr{}
}

// counted is the part of an address that limits count.
func counted(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() && !a.IsLoopback() {
		a = netip.PrefixFrom(a, ipv6Bits).Masked().Addr()
	}
	return a
}
