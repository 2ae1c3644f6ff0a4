package fetch

import (
	"errors"
	"net/netip"
	"syscall"
)

// errPrivate refuses an address that is not of the public Internet.
var errPrivate = errors.New("not a public address")

// dialPublic refuses, before anything is sent, to connect to an address that is
// not public. It is the Control of a net.Dialer, which calls it for every address
// that it tries.
func dialPublic(_, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || !public(a.Addr()) {
		return errPrivate
	}
	return nil
}

// The registries of special-purpose addresses (RFC 6890) say which are not
// globally reachable. Those of IPv4 are listed whole.
var specialIPv4 = prefixes(
	"0.0.0.0/8",       // this network: the machine itself
	"10.0.0.0/8",      // private
	"100.64.0.0/10",   // behind a carrier's translation
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link-local; where clouds keep the secrets of a machine
	"172.16.0.0/12",   // private
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.88.99.0/24",  // relays of 6to4
	"192.168.0.0/16",  // private
	"198.18.0.0/15",   // benchmarks
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, and broadcast
)

// Of IPv6, what is given out at all is one block, with exceptions; all else
// (loopback, unique local, link-local, multicast, ...) is outside of it.
var (
	globalIPv6  = netip.MustParsePrefix("2000::/3")
	specialIPv6 = prefixes(
		"2001::/23",     // protocol assignments; Teredo, which has an IPv4 address inside
		"2001:db8::/32", // documentation
		"2002::/16",     // 6to4, which has an IPv4 address inside
		"3fff::/20",     // documentation
	)
	// nat64 is how networks without IPv4 reach IPv4: the address is in the last four bytes.
	nat64 = netip.MustParsePrefix("64:ff9b::/96")
)

func prefixes(list ...string) (all []netip.Prefix) {
	for _, p := range list {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// public reports whether an address is one of the public Internet.
func public(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	special := specialIPv4
	if !a.Is4() {
		if !globalIPv6.Contains(a) {
			return false
		}
		special = specialIPv6
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return a.IsValid()
}
