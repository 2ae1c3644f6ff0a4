package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/cors"

	"chat.example.com.ai/api/web"
	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/runtime/object"
	"chat.example.com.ai/runtime/script"
	"chat.example.com.ai/runtime/socket"
)

// Limits of a request. They are as wide as a chat needs, so that a client that
// sends slowly or without end costs little.
const (
	maxBody           = 1 << 20          // bytes; what a message may be
	maxHeader         = 16 << 10         // bytes of all headers
	requestTimeout    = 30 * time.Second // until an object has answered
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 60 * time.Second // more than requestTimeout, and the time to send the answer
	idleTimeout       = 2 * time.Minute
)

// Server answers HTTP requests. It is an http.Handler, safe for concurrent use.
type Server struct {
	node    *object.Node
	metrics *Metrics
	log     *slog.Logger

	addresses *AddressLimit // nil: none
	rates     *RequestLimit // nil: none
	proxies   Proxies
	origins   Origins
	sharing   *cors.Cors   // nil: nobody else's page may read
	local     bool         // it listens on loopback only
	own       string       // name of the host that it listens on, if local
	foreign   episode      // requests of pages that may not
	unknown   episode      // requests for hosts that are not known
	page      *web.Page    // nil: none
	identity  Identity     // nil: nobody is verified
	refused   atomic.Int64 // requests without a token that holds
	requests  budget       // bodies of requests
	responses budget

	upgrading chan struct{} // a token for each upgrade that runs
}

// New makes the edge of a node.
func New(node *object.Node, metrics *Metrics, log *slog.Logger) *Server {
	s := &Server{node: node, metrics: metrics, log: log, upgrading: make(chan struct{}, maxUpgrading)}
	s.requests.trouble = episode{log: log, over: "bodies of requests fit into memory again"}
	s.responses.trouble = episode{log: log, over: "responses fit into memory again"}
	s.foreign = episode{log: log, over: "no page of another origin asks any more"}
	s.unknown = episode{log: log, over: "nobody asks for an unknown host any more"}
	metrics.watchBodies(s)
	metrics.watchEntry(s)
	return s
}

// LimitAddresses has requests within the limits of their addresses. It is called
// before anything is served.
func (s *Server) LimitAddresses(l *AddressLimit) { s.addresses = l }

// LimitRequests has addresses, and verified users, keep to their rates. It is called
// before anything is served.
func (s *Server) LimitRequests(l *RequestLimit) { s.rates = l }

// TrustProxies takes their word. It is called before anything is served.
func (s *Server) TrustProxies(p Proxies) { s.proxies = p }

// AllowOrigins lets in their pages. It is called before anything is served.
func (s *Server) AllowOrigins(o Origins) { s.origins, s.sharing = o, o.sharing() }

// CheckHosts refuses requests for a host that is neither this machine's for every
// browser, nor that of an allowed origin, nor own, which has a port or not: for a
// program that listens on loopback only. It is called before anything is served.
func (s *Server) CheckHosts(own string) { s.local, s.own = true, hostName(own) }

// ServePage has the server answer with the page where no script does. It is called
// before anything is served.
func (s *Server) ServePage(p *web.Page) { s.page = p }

// Close ends what the log is told of. Serving must have ended.
func (s *Server) Close() {
	for _, e := range []*episode{&s.requests.trouble, &s.responses.trouble, &s.foreign, &s.unknown} {
		e.close()
	}
}

// HTTP returns an http.Server with the time-outs and limits that the edge needs.
func (s *Server) HTTP() *http.Server {
	return &http.Server{
		Handler:           s,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// ServeHTTP answers the program's own paths, and brings everything else to the
// object that the scripts' routes name, if the request may come in at all. The page is
// there unless they have a GET /.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter(w, r) {
		return
	}
	switch path := r.URL.Path; {
	case path == "/healthz":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "ok\n")
	case path == "/metrics":
		s.metrics.handler.ServeHTTP(w, r)
	case strings.HasPrefix(path, "/_/"):
		s.servePage(w, r)
	default:
		s.serveObject(w, r)
	}
}

func (s *Server) serveObject(w http.ResponseWriter, r *http.Request) {
	who := takeCredentials(r)
	path := r.URL.EscapedPath()
	routes := s.node.Scripts().Routes()
	for i := range routes {
		target, ok, err := routes[i].Match(r.Method, path)
		if !ok {
			continue
		}
		user, ok := s.userOf(w, who)
		if !ok {
			return
		}
		if err != nil {
			writeError(w, http.StatusBadRequest, err.Error())
			return
		}
		if !s.admitUser(w, r, user) || !checkHandshake(w, r) || !s.admit(w, r, target) {
			return
		}
		body, taken, err := s.readBody(w, r)
		defer s.requests.give(taken)
		if err != nil {
			if err == errNoRoom {
				s.requests.trouble.note(1, "bodies of requests take up their memory: others get 503", "bytes", maxBodies)
				writeRetry(w, http.StatusServiceUnavailable, time.Second)
				return
			}
			var tooLarge *http.MaxBytesError
			if errors.As(err, &tooLarge) {
				writeError(w, http.StatusRequestEntityTooLarge, "the body is larger than "+strconv.Itoa(maxBody)+" bytes")
				return
			}
			writeError(w, http.StatusBadRequest, "the body could not be read")
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
		defer cancel()
		response, err := s.node.Request(ctx, target, &script.Request{
			Method: r.Method, URL: requestURL(r, path), Header: r.Header, Body: body, User: user,
		})
		if err != nil {
			s.writeFailure(w, err)
			return
		}
		who.answerSubprotocol(response)
		s.writeResponse(w, r, response)
		return
	}
	s.servePage(w, r)
}

func (s *Server) servePage(w http.ResponseWriter, r *http.Request) {
	if s.page == nil || !s.page.Serve(w, r) {
		writeError(w, http.StatusNotFound, "Not Found")
	}
}

// checkHandshake reports whether a request is no handshake, or a good one. If not, it has
// answered, before a script does something for a socket that can't be.
func checkHandshake(w http.ResponseWriter, r *http.Request) bool {
	return !socket.IsHandshake(r) || !writeHandshakeError(w, socket.CheckHandshake(w, r))
}

// writeHandshakeError answers if an error is one of the handshake.
func writeHandshakeError(w http.ResponseWriter, err error) bool {
	handshake, ok := errors.AsType[*socket.HandshakeError](err)
	if ok {
		writeError(w, handshake.Status, handshake.Reason)
	}
	return ok
}

// admit reports whether the limits of the request's address let it through to its
// object. If not, it has answered.
func (s *Server) admit(w http.ResponseWriter, r *http.Request, target key.Key) bool {
	if s.addresses == nil {
		return true
	}
	from := clientOf(r)
	if r.Header.Get("Upgrade") != "" && !s.addresses.roomForSocket(from) { // before it costs a virtual machine
		writeRetry(w, http.StatusTooManyRequests, readHeaderTimeout)
		return false
	}
	if !s.addresses.limitsNames(from) {
		return true
	}
	known, err := s.node.Exists(r.Context(), target)
	if err != nil {
		s.log.Error("an object cannot be looked up", "object", target.String(), "error", err)
		writeRetry(w, http.StatusServiceUnavailable, time.Second)
		return false
	}
	if known {
		return true
	}
	wait, ok := s.addresses.allowName(from, target)
	if !ok {
		writeRetry(w, http.StatusTooManyRequests, wait)
	}
	return ok
}

// requestURL is the absolute URL as the client has it.
func requestURL(r *http.Request, path string) string {
	u := r.URL.Scheme + "://" + r.Host + path
	if r.URL.RawQuery != "" {
		u += "?" + r.URL.RawQuery
	}
	return u
}

// writeFailure answers for an object that did not. What went wrong inside is in
// the log, not in the answer.
func (s *Server) writeFailure(w http.ResponseWriter, err error) {
	var e *script.Error
	if errors.As(err, &e) && e.IsTransient() {
		writeRetry(w, http.StatusServiceUnavailable, time.Second)
		return
	}
	writeError(w, http.StatusInternalServerError, "Internal Server Error")
}

func (s *Server) writeResponse(w http.ResponseWriter, r *http.Request, response *object.Response) {
	if response.Socket != nil {
		s.upgrade(w, r, response)
		return
	}
	taken := max(len(response.Body)-freeBody, 0)
	if !s.responses.take(taken) {
		s.responses.trouble.note(1, "responses that clients are slow to read take up their memory: others get 503", "bytes", maxBodies)
		writeRetry(w, http.StatusServiceUnavailable, time.Second)
		return
	}
	defer s.responses.give(taken)
	header := w.Header()
	for name, values := range response.Header {
		if name == "Vary" { // each says what its own part depends on
			values = slices.Concat(header[name], values)
		}
		header[name] = values
	}
	if r.Method != http.MethodHead {
		header.Del("Content-Length") // as a script has it: perhaps of a response that it fetched, with another body
	}
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(response.Status)
	_, _ = w.Write(response.Body) // a client that is gone is no error
}

func (s *Server) upgrade(w http.ResponseWriter, r *http.Request, response *object.Response) {
	var account uint32
	if s.addresses != nil {
		from := clientOf(r)
		if !s.addresses.roomForSocket(from) {
			response.Socket.Drop(socket.CodeAbnormal, "")
			writeRetry(w, http.StatusTooManyRequests, readHeaderTimeout)
			return
		}
		account = s.addresses.addSocket(from)
	}
	err := s.takeOver(w, r, response, account)
	if err != nil && account != 0 {
		s.addresses.Gone(account)
	}
	if err == nil {
		return
	}
	response.Socket.Drop(socket.CodeAbnormal, "")
	switch {
	case writeHandshakeError(w, err):
	case errors.Is(err, socket.ErrShutdown):
		writeError(w, http.StatusServiceUnavailable, "Service Unavailable")
	default:
		s.log.Debug("an upgrade failed", "error", err)
		writeError(w, http.StatusInternalServerError, "Internal Server Error")
	}
}

// takeOver upgrades, a few connections at a time: see maxUpgrading. An upgrade is
// quick, and waits for no client.
func (s *Server) takeOver(w http.ResponseWriter, r *http.Request, response *object.Response, account uint32) error {
	s.upgrading <- struct{}{}
	defer func() { <-s.upgrading }()
	return response.Socket.Upgrade(w, r, response.Header, account)
}

// writeRetry answers that the request may be tried again, after so long.
func writeRetry(w http.ResponseWriter, status int, after time.Duration) {
	w.Header().Set("Retry-After", strconv.Itoa(max(1, int((after+time.Second-1)/time.Second))))
	writeError(w, status, http.StatusText(status))
}

// writeError answers with {"error": message}.
func writeError(w http.ResponseWriter, status int, message string) {
	body, err := json.Marshal(map[string]string{"error": message})
	if err != nil {
		panic(err) // a map of strings is always JSON
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
