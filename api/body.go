package api

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

const (
	// maxBodies is how many bytes of bodies are in memory at a time: of requests
	// that are read or handled, and again of responses that clients are slow to
	// read. 64 of the largest requests; a response may be larger.
	maxBodies = 64 << 20
	// freeBody is how much of each has no share of that: what most requests and
	// many responses have, so that nobody who takes up the budget is in the way.
	freeBody = 4 << 10
)

// errNoRoom says that the bodies of others take up the budget.
var errNoRoom = errors.New("too many bodies are in memory")

// budget bounds what bodies take together.
type budget struct {
	held    atomic.Int64
	trouble episode
}

// take takes bytes, if they are there.
func (b *budget) take(n int) bool {
	if n > 0 && b.held.Add(int64(n)) > maxBodies {
		b.held.Add(-int64(n))
		return false
	}
	return true
}

func (b *budget) give(n int) { b.held.Add(-int64(n)) }

// readBody reads a request's body. What it takes of the budget grows with what has
// come, not with what is announced; taken is to be given back when the body is done
// with, also after an error.
func (s *Server) readBody(w http.ResponseWriter, r *http.Request) (body []byte, taken int, err error) {
	if r.Body == http.NoBody {
		return nil, 0, nil
	}
	in := http.MaxBytesReader(w, r.Body, maxBody)
	body = make([]byte, 0, 512)
	for {
		n, err := in.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if err == io.EOF {
			return body, taken, nil
		}
		if err != nil {
			return nil, taken, err
		}
		if len(body) < cap(body) {
			continue
		}
		size := min(2*cap(body), maxBody+1)
		more := max(size-freeBody, 0) - taken
		if !s.requests.take(more) {
			return nil, taken, errNoRoom
		}
		taken += max(more, 0)
		body = append(make([]byte, 0, size), body...)
	}
}
