package api

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// knowsHost reports whether a request may ask for its host where the program listens
// on loopback. A page of anybody can have its own name point to this machine, and is
// of the same origin then as what it finds here (DNS rebinding); it cannot have
// localhost or an address do so.
func (s *Server) knowsHost(r *http.Request) bool {
	name := hostName(r.Host)
	return isLocal(name) || name != "" && name == s.own || s.origins.hasHost(name)
}

// hostName is a host without its port, in lower case.
func hostName(host string) string {
	return strings.TrimSuffix(strings.ToLower((&url.URL{Host: host}).Hostname()), ".")
}

// isLocal reports whether a name is an address, or one that is of this machine for
// every browser.
func isLocal(name string) bool {
	if name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	_, err := netip.ParseAddr(name)
	return err == nil
}
