package api

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Proxies are those whose word is taken for whom a request is from and what was asked:
// X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Host. Of anybody else they are
// taken out. The header Forwarded is not read. The zero value trusts nobody. It is a
// flag.Value.
type Proxies struct{ prefixes []netip.Prefix }

// loopbacks is what "loopback" in a list stands for.
var loopbacks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

// Set takes a list with commas: of addresses, CIDRs, and "loopback".
func (p *Proxies) Set(list string) error {
	var read Proxies
	for text := range strings.SplitSeq(list, ",") {
		switch text = strings.TrimSpace(text); text {
		case "":
			continue
		case "loopback":
			read.prefixes = append(read.prefixes, loopbacks...)
			continue
		}
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(text); err == nil {
				a = a.Unmap().WithZone("")
				prefix = netip.PrefixFrom(a, a.BitLen())
			}
		}
		if err != nil || prefix.Addr().Is4In6() {
			return fmt.Errorf("%q is neither an address nor a CIDR such as 10.0.0.0/8, nor loopback", text)
		}
		read.prefixes = append(read.prefixes, prefix.Masked())
	}
	*p = read
	return nil
}

func (p *Proxies) String() string {
	all := make([]string, len(p.prefixes))
	for i, prefix := range p.prefixes {
		all[i] = prefix.String()
	}
	return strings.Join(all, ",")
}

// trusts reports whether an address is one of them.
func (p *Proxies) trusts(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, prefix := range p.prefixes {
		if prefix.Contains(a) {
			return true
		}
	}
	return false
}

// resolve has a request say what its client asked, and of whom: RemoteAddr, Host and
// URL.Scheme are then what the client's connection has, as far as it is known. It
// reports whether a proxy is trusted to have said so.
func (p *Proxies) resolve(r *http.Request) (trusted bool) {
	r.URL.Scheme = "http"
	if r.TLS != nil {
		r.URL.Scheme = "https"
	}
	if here, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && r.Host == "" {
		r.Host = here.String() // of HTTP/1.0
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil || !p.trusts(peer.Addr()) {
		for name := range r.Header {
			if strings.HasPrefix(name, "X-Forwarded-") || name == "Forwarded" || name == "X-Real-Ip" {
				delete(r.Header, name)
			}
		}
		return false
	}
	if client := p.clientBehind(peer.Addr(), r.Header["X-Forwarded-For"]); client != peer.Addr() {
		r.RemoteAddr = netip.AddrPortFrom(client, 0).String() // its port is nobody's business
	}
	if host := last(r.Header["X-Forwarded-Host"]); isHost(host) {
		r.Host = host
	}
	switch strings.ToLower(last(r.Header["X-Forwarded-Proto"])) {
	case "http", "ws":
		r.URL.Scheme = "http"
	case "https", "wss":
		r.URL.Scheme = "https"
	}
	return true
}

// clientBehind goes through the lines of X-Forwarded-For from the right, where each
// proxy has put whom it heard from, for as long as those are trusted. What is no
// address ends it: whoever wrote that is the last one who is known.
func (p *Proxies) clientBehind(peer netip.Addr, lines []string) netip.Addr {
	client := peer
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var node string
			rest, node, more = cutLast(rest)
			a, ok := parseNode(node)
			if !ok {
				return client
			}
			if client = a; !p.trusts(a) {
				return client
			}
		}
	}
	return client
}

// parseNode reads one entry of X-Forwarded-For: an address, in brackets or not, with
// a port or not.
func parseNode(text string) (netip.Addr, bool) {
	bare := text
	if strings.HasPrefix(text, "[") && strings.HasSuffix(text, "]") {
		bare = text[1 : len(text)-1]
	}
	a, err := netip.ParseAddr(bare)
	if err != nil {
		var with netip.AddrPort
		with, err = netip.ParseAddrPort(text)
		a = with.Addr()
	}
	return a.Unmap().WithZone(""), err == nil
}

// last is the last entry of a header: what the nearest proxy has said.
func last(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	_, entry, _ := cutLast(lines[len(lines)-1])
	return entry
}

// cutLast takes the last entry off a list with commas.
func cutLast(list string) (rest, entry string, more bool) {
	i := strings.LastIndexByte(list, ',')
	return list[:max(i, 0)], strings.TrimSpace(list[i+1:]), i >= 0
}

// isHost reports whether a text is host[:port], and nothing that would change the
// meaning of a URL.
func isHost(text string) bool {
	u, err := url.Parse("http://" + text)
	return err == nil && u.Host == text && u.Hostname() != ""
}
