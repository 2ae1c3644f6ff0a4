package api

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rs/cors"
)

// preflightAge is how long a browser may remember what a preflight said: the most
// that Chromium does. It is a permission to ask, which each request is checked for anyway.
const preflightAge = 2 * time.Hour

// Origins are those of other pages that may change things here, open sockets and read
// answers. A page of the same origin always may, and so may who is no browser: who sends
// no Origin. The zero value has none. It is a flag.Value.
type Origins struct {
	any   bool
	named map[origin]bool
}

// origin is where a page is from, as browsers write it. host has the port, unless it
// is the scheme's own.
type origin struct{ scheme, host string }

func (o origin) String() string { return o.scheme + "://" + o.host }

// Set takes a list with commas: of origins, or of "*", which is any.
func (o *Origins) Set(list string) error {
	read := Origins{named: map[origin]bool{}}
	for text := range strings.SplitSeq(list, ",") {
		switch text = strings.TrimSpace(text); text {
		case "":
			continue
		case "*":
			read.any = true
			continue
		}
		one, ok := parseOrigin(text)
		if !ok || strings.Contains(text, "*") {
			return fmt.Errorf("%q is no origin: it is scheme://host[:port] as a browser sends it, or *", text)
		}
		read.named[one] = true
	}
	*o = read
	return nil
}

func (o *Origins) String() string {
	var all []string
	if o.any {
		all = append(all, "*")
	}
	for one := range maps.Keys(o.named) {
		all = append(all, one.String())
	}
	slices.Sort(all)
	return strings.Join(all, ",")
}

// some reports whether there is any origin at all.
func (o *Origins) some() bool { return o.any || len(o.named) > 0 }

// parseOrigin reads an origin. "null", which a page without one sends, is none.
func parseOrigin(text string) (o origin, ok bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Path != "" || strings.ContainsAny(text, "?#@%") {
		return o, false
	}
	o = origin{u.Scheme, portless(u.Host, u.Scheme)}
	return o, o.host != ""
}

// portless is a host as the origin of a page has it: in lower case, and without the
// port that the scheme has anyway. It is "" if there can be none such.
func portless(host, scheme string) string {
	u := url.URL{Host: host}
	name, port := strings.ToLower(u.Hostname()), u.Port()
	if a, err := netip.ParseAddr(name); err == nil {
		name = a.String()
	} else if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-._") != "" {
		return "" // browsers send xn-- for anything else
	}
	if scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		port = ""
	}
	switch {
	case name == "":
		return ""
	case port != "":
		return net.JoinHostPort(name, port)
	case strings.Contains(name, ":"):
		return "[" + name + "]"
	}
	return name
}

// allows reports whether a request says that it is from one of these origins.
func (o *Origins) allows(r *http.Request) bool {
	from := r.Header["Origin"]
	if len(from) != 1 {
		return false
	}
	if o.any {
		return true
	}
	one, ok := parseOrigin(from[0])
	return ok && o.named[one]
}

// admits reports whether a request that changes something or opens a socket is from
// a page that may, or from none. It is called after Proxies.resolve.
func (o *Origins) admits(r *http.Request) bool {
	from, site := r.Header["Origin"], r.Header.Get("Sec-Fetch-Site")
	switch {
	case o.any || site == "same-origin": // a page can't set this one
		return true
	case len(from) == 0:
		return site == "" || site == "none"
	case o.allows(r):
		return true
	}
	one, ok := parseOrigin(from[0])
	// A page over TLS is as good as one without, and it is the same one where a proxy
	// speaks TLS and nobody has said that it is to be trusted.
	return ok && len(from) == 1 && one.host == portless(r.Host, one.scheme) &&
		(one.scheme == r.URL.Scheme || one.scheme == "https")
}

// hasHost reports whether an origin is of a host, whatever its port is.
func (o *Origins) hasHost(name string) bool {
	if o.any {
		return true
	}
	for one := range o.named {
		if (&url.URL{Host: one.host}).Hostname() == name {
			return true
		}
	}
	return false
}

// sharing answers preflights of these origins, and lets their pages read other answers.
// nil if there are none.
func (o *Origins) sharing() *cors.Cors {
	if !o.some() {
		return nil
	}
	return cors.New(cors.Options{
		AllowOriginVaryRequestFunc: func(r *http.Request, _ string) (bool, []string) { return o.allows(r), nil },
		AllowedMethods: []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut,
			http.MethodPatch, http.MethodDelete, http.MethodOptions},
		AllowedHeaders: []string{"Authorization", "Content-Type"},
		ExposedHeaders: []string{"Retry-After"},
		MaxAge:         int(preflightAge / time.Second),
	})
}
