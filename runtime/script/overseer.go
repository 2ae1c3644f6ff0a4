package script

import (
	"sync"
	"time"

	"github.com/dlclark/regexp2/v2"
)

// overseerTick is how exactly an Overseer measures: fine beside a turn time-out
// of a second, and next to nothing for the processor.
const overseerTick = 20 * time.Millisecond

// overseerLead is how much earlier than at its time-out a turn ends: a few ticks, so
// that it ends before a regular expression in it, which has the same time-out.
const overseerLead = 3 * overseerTick

// hungAfter is how long a turn may go on after its interrupt: longer than a busy
// machine, or a regular expression with a time-out of its own, needs to see it.
const hungAfter = 4 * time.Second

// Overseer ends turns that run too long by the clock on the wall, for sets whose
// turns run on another: on a clock that stands still while something runs, a loop
// would have no end. It is safe for concurrent use, and must be ended with Close.
type Overseer struct {
	hung func()
	stop chan struct{}
	done chan struct{}

	mu      sync.Mutex
	running map[*watch]time.Time // when it was first seen to run; zero until then
}

// NewOverseer starts one. hung is called at most once, from its goroutine, when a
// turn goes on for seconds after its time-out: something that cannot be interrupted.
func NewOverseer(hung func()) *Overseer {
	o := &Overseer{hung: sync.OnceFunc(hung), stop: make(chan struct{}), done: make(chan struct{}), running: make(map[*watch]time.Time)}
	startRegexpClock()
	go o.run()
	return o
}

// Close ends it.
func (o *Overseer) Close() {
	close(o.stop)
	<-o.done
}

func (o *Overseer) run() {
	defer close(o.done)
	tick := time.NewTicker(overseerTick)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			o.look(now)
		case <-o.stop:
			return
		}
	}
}

func (o *Overseer) look(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for w, since := range o.running {
		switch {
		case since.IsZero():
			o.running[w] = now
		case now.Sub(since) >= w.timeout+hungAfter:
			o.hung()
		case now.Sub(since) >= w.timeout-overseerLead:
			w.expire()
		}
	}
}

func (o *Overseer) begin(w *watch) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running[w] = time.Time{}
}

func (o *Overseer) end(w *watch) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.running, w)
}

// regexpClockRuns is how long the clock of startRegexpClock goes on: longer than
// anybody waits for tests.
const regexpClockRuns = 24 * time.Hour

// startRegexpClock has regular expressions timed by the clock on the wall. Their
// library starts a goroutine for that when a pattern is first matched, which would
// be on the wrong clock if that were in a test; it ends by itself.
func startRegexpClock() {
	pattern := regexp2.MustCompile(`(?=(a+))\1b`, regexp2.None) // nothing simpler, or it is matched without a clock
	pattern.MatchTimeout = regexpClockRuns
	_, err := pattern.MatchString("aab")
	must(err)
}
