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

	upgrading chan struct{} // a token for each upgrade that runs
}

// New makes the edge of a node.
func New(node *object.Node, metrics *Metrics, log *slog.Logger) *Server {
	return &Server{node: node, metrics: metrics, log: log, upgrading: make(chan struct{}, maxUpgrading)}
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
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
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
		w.Header().Set("Retry-After", "1")
		writeError(w, http.StatusServiceUnavailable, "Service Unavailable")
		return
	}
	writeError(w, http.StatusInternalServerError, "Internal Server Error")
}

func (s *Server) writeResponse(w http.ResponseWriter, r *http.Request, response *object.Response) {
	if response.Socket != nil {
		s.upgrade(w, r, response)
		return
	}
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
	err := s.takeOver(w, r, response)
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
func (s *Server) takeOver(w http.ResponseWriter, r *http.Request, response *object.Response) error {
	s.upgrading <- struct{}{}
	defer func() { <-s.upgrading }()
	return response.Socket.Upgrade(w, r, response.Header)
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
