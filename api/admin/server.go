package admin

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"chat.example.com.ai/store"
)

const (
	maxBody    = 64 << 10 // bytes of a request: MaxNumbers and a filter are far less
	maxFailure = 64 << 10 // bytes of an answer that is an error
	// timeout is how long a request may take to come, and an answer to be taken. A page
	// waits for the disk only.
	timeout     = 30 * time.Second
	idleTimeout = time.Minute
)

// Server answers commands on the socket of a data folder.
type Server struct {
	http     http.Server
	letters  *Letters
	log      *slog.Logger
	serving  sync.WaitGroup
	requests sync.WaitGroup
}

// Serve begins to answer on the socket in a data folder, whose lock the caller has: it
// replaces a socket that lies there. Close ends it.
func Serve(folder string, letters *Letters, log *slog.Logger) (*Server, error) {
	l, err := listen(folder)
	if err != nil {
		return nil, err
	}
	s := &Server{letters: letters, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /deadletters", s.list)
	mux.HandleFunc("POST /deadletters/replay", s.act(letters.Replay))
	mux.HandleFunc("POST /deadletters/drop", s.act(letters.Drop))
	s.http = http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.requests.Add(1)
			defer s.requests.Done()
			mux.ServeHTTP(w, r)
		}),
		ReadTimeout: timeout, WriteTimeout: 2 * timeout, IdleTimeout: idleTimeout,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	s.serving.Go(func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			log.Error("commands are no longer answered", "socket", SocketName, "error", err)
		}
	})
	return s, nil
}

// Close removes the socket, waits for what is being answered until ctx ends, and then
// for no more than the disk.
func (s *Server) Close(ctx context.Context) {
	_ = s.http.Shutdown(ctx) // who takes longer is cut
	_ = s.http.Close()
	s.serving.Wait()
	s.requests.Wait()
}

func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	q, err := parseQuery(r.URL.Query())
	if err != nil {
		s.fail(w, r, err)
		return
	}
	letters, err := s.letters.List(r.Context(), q)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answer(w, http.StatusOK, letters)
}

func (s *Server) act(f func(context.Context, Selection) (Outcome, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var selection Selection
		d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		d.DisallowUnknownFields()
		if err := d.Decode(&selection); err != nil {
			s.fail(w, r, &RequestError{"the request cannot be read: " + err.Error()})
			return
		}
		outcome, err := f(r.Context(), selection)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if outcome.Done > 0 {
			s.log.Info("dead letters", "request", r.URL.Path, "done", outcome.Done)
		}
		answer(w, http.StatusOK, outcome)
	}
}

type failure struct {
	Error string `json:"error"`
}

// fail answers with what went wrong, all of it: who asks is whoever runs the program.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	status := http.StatusInternalServerError
	var wrong *RequestError
	switch {
	case errors.As(err, &wrong):
		status = http.StatusBadRequest
	case errors.Is(err, store.ErrClosed), r.Context().Err() != nil:
		status = http.StatusServiceUnavailable
	default:
		s.log.Error("a command failed", "request", r.URL.Path, "error", err)
	}
	answer(w, status, failure{err.Error()})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // a client that is gone is no error
}

// values are the query as parameters of a URL, and parseQuery reads them.
func (q Query) values() url.Values {
	v := url.Values{}
	for name, value := range q.fields() {
		if *value != "" {
			v.Set(name, *value)
		}
	}
	if q.After > 0 {
		v.Set("after", strconv.FormatInt(q.After, 10))
	}
	if q.Data {
		v.Set("data", "true")
	}
	return v
}

func parseQuery(v url.Values) (q Query, err error) {
	fields := q.fields()
	for name := range v {
		value := v.Get(name)
		switch field := fields[name]; {
		case field != nil:
			*field = value
		case name == "after":
			q.After, err = strconv.ParseInt(value, 10, 64)
		case name == "data":
			q.Data, err = strconv.ParseBool(value)
		default:
			return q, &RequestError{"unknown parameter " + strconv.Quote(name)}
		}
		if err != nil {
			return q, &RequestError{err.Error()}
		}
	}
	return q, nil
}

func (f *Filter) fields() map[string]*string {
	return map[string]*string{"kind": &f.Kind, "type": &f.Type, "handler": &f.Handler, "source": &f.Source, "target": &f.Target}
}
