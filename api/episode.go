package api

import (
	"log/slog"
	"sync"
	"time"
)

// calm is how long nothing must have been refused before the log says that it is
// over. It is longer than any delay between two tries to accept.
const calm = 2 * time.Second

// episode is a time in which something is refused again and again. The log says
// once that it begins and once that it is over. It is safe for concurrent use, and
// must be ended with close.
type episode struct {
	log  *slog.Logger
	over string      // what the log says at the end
	can  func() bool // whether it can be over; nil: it can

	mu      sync.Mutex
	since   time.Time // when it began; zero: there is none
	last    time.Time // when something was refused last
	refused int64     // since it began
	total   int64
	timer   *time.Timer
	closed  bool
}

// note counts so many that were refused. The first of an episode is logged, as
// message with args.
func (e *episode) note(refused int64, message string, args ...any) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last = time.Now()
	e.total += refused
	if !e.since.IsZero() || e.closed {
		e.refused += refused
		return
	}
	e.since, e.refused = e.last, refused
	e.log.Warn(message, args...)
	e.timer = time.AfterFunc(calm, e.look)
}

// look ends the episode if nothing was refused lately.
func (e *episode) look() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return
	}
	if time.Since(e.last) < calm || e.can != nil && !e.can() {
		e.timer.Reset(calm)
		return
	}
	e.log.Info(e.over, "refused", e.refused, "after", time.Since(e.since).Round(time.Millisecond))
	e.since = time.Time{}
}

// count is how many were refused so far.
func (e *episode) count() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.total
}

func (e *episode) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	if e.timer != nil {
		e.timer.Stop()
	}
}
