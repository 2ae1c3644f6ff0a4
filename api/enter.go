package api

import (
	"net/http"
	"strings"

	"chat.example.com.ai/runtime/script"
)

// strictTransport has browsers speak TLS with a host for a year, with the first answer
// over it: long enough that nobody who comes now and then is ever without. Other hosts
// below it are not ours to decide.
const strictTransport = "max-age=31536000"

// enter is what every request goes through first: whom it is from, the headers that
// every answer has, and whether it may come in at all. If not, it is answered.
func (s *Server) enter(w http.ResponseWriter, r *http.Request) bool {
	trusted := s.proxies.resolve(r)
	setUsual(w.Header(), r)
	preflight := isPreflight(r)
	if s.sharing != nil && !preflight {
		s.sharing.HandlerFunc(w, r) // before what is refused, so that the page can read why
	}
	switch {
	case !s.admitAddress(w, r):
		return false
	case s.local && !trusted && !s.knowsHost(r):
		s.unknown.note(1, "somebody asks for an unknown host: it gets 403", "host", clip(r.Host))
		writeError(w, http.StatusForbidden, "this host is not known here: see --allow-origin, and --trusted-proxy if there is a proxy")
		return false
	case preflight:
		return s.enterPreflight(w, r)
	case changes(r) && !s.origins.admits(r):
		s.refuseOrigin(w, r)
		return false
	}
	return true
}

// setUsual sets what every answer has. A script's own values count more, but for
// the first.
func setUsual(header http.Header, r *http.Request) {
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("X-Frame-Options", "DENY")
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")  // of what no CORS is asked for, such as images
	header.Set("Cache-Control", "no-store")                    // much is said to one person only
	if r.URL.Scheme == "https" && !isLocal(hostName(r.Host)) { // or nothing else on this machine could be without TLS
		header.Set("Strict-Transport-Security", strictTransport)
	}
}

// changes reports whether a request may do more than read.
func changes(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return r.Header.Get("Upgrade") != ""
	}
	return true
}

// isPreflight reports whether a browser asks on its own whether a page may ask.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// enterPreflight answers a preflight, unless a script does: one with a route for
// OPTIONS, or, where the origin is none that is allowed, for any method.
func (s *Server) enterPreflight(w http.ResponseWriter, r *http.Request) bool {
	allowed := s.origins.allows(r)
	path := r.URL.EscapedPath()
	for _, route := range s.node.Scripts().Routes() {
		if allowed && route.Method == "ALL" {
			continue
		}
		if _, ok, _ := route.Match(r.Method, path); ok {
			return true
		}
	}
	if allowed {
		s.sharing.HandlerFunc(w, r)
	} else {
		s.refuseOrigin(w, r)
	}
	return false
}

func (s *Server) refuseOrigin(w http.ResponseWriter, r *http.Request) {
	s.foreign.note(1, "a page of another origin asks: it gets 403", "origin", clip(strings.Join(r.Header["Origin"], ", ")), "host", clip(r.Host))
	writeError(w, http.StatusForbidden, "pages of this origin may not: see --allow-origin")
}

// clip is as much of what a client has sent as belongs into a log.
func clip(text string) string { return text[:min(len(text), 200)] }

// admitAddress reports whether the address of a request may make it. If not, it is
// answered.
func (s *Server) admitAddress(w http.ResponseWriter, r *http.Request) bool {
	from := clientOf(r)
	if s.rates == nil || s.addresses == nil || s.addresses.exempt(from) {
		return true
	}
	wait, ok := s.rates.allowAddress(from)
	if !ok {
		writeRetry(w, http.StatusTooManyRequests, wait)
	}
	return ok
}

// admitUser does the same for the verified user of a request.
func (s *Server) admitUser(w http.ResponseWriter, r *http.Request, user *script.User) bool {
	if user == nil || s.rates == nil || s.addresses == nil || s.addresses.exempt(clientOf(r)) {
		return true
	}
	wait, ok := s.rates.allowUser(user.ID)
	if !ok {
		writeRetry(w, http.StatusTooManyRequests, wait)
	}
	return ok
}
