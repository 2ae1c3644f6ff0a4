package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

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
	requests  budget        // bodies of requests
	responses budget

	upgrading chan struct{} // a token for each upgrade that runs
}

// New makes the edge of a node.
func New(node *object.Node, metrics *Metrics, log *slog.Logger) *Server {
	s := &Server{node: node, metrics: metrics, log: log, upgrading: make(chan struct{}, maxUpgrading)}
	s.requests.trouble = episode{log: log, over: "bodies of requests fit into memory again"}
	s.responses.trouble = episode{log: log, over: "responses fit into memory again"}
	metrics.watchBodies(s)
	return s
}

// LimitAddresses has requests within the limits of their addresses. It is called
// before anything is served.
func (s *Server) LimitAddresses(l *AddressLimit) { s.addresses = l }

// Close ends what the log is told of. Serving must have ended.
func (s *Server) Close() {
	s.requests.trouble.close()
	s.responses.trouble.close()
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
// object that the scripts' routes name.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/healthz":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "ok\n")
	case "/metrics":
		s.metrics.handler.ServeHTTP(w, r)
	default:
		s.serveObject(w, r)
	}
}

func (s *Server) serveObject(w http.ResponseWriter, r *http.Request) {
	path := r.URL.EscapedPath()
	routes := s.node.Scripts().Routes()
	for i := range routes {
		target, ok, err := routes[i].Match(r.Method, path)
		if !ok {
			continue
		}
		if err != nil {
			writeError(w, http.StatusBadRequest, err.Error())
			return
		}
		if !s.admit(w, r, target) {
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
			Method: r.Method, URL: requestURL(r, path), Header: r.Header, Body: body,
		})
		if err != nil {
			s.writeFailure(w, err)
			return
		}
		s.writeResponse(w, r, response)
		return
	}
	writeError(w, http.StatusNotFound, "Not Found")
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
	u := "http://"
	if r.TLS != nil {
		u = "https://"
	}
	u += r.Host + path
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
	var handshake *socket.HandshakeError
	switch {
	case errors.As(err, &handshake):
		writeError(w, handshake.Status, handshake.Reason)
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
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n'))
}
