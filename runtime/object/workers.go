package object

import (
	"runtime"
	"sync"
	"time"
)

// Bounds of what runs at a time.
const (
	// runPerProcessor is how many objects run at a time for each processor: one that
	// computes, and one that waits for the disk in a read. More would be done no sooner,
	// but each would take longer, and a thousand at once longer than a turn may.
	// minRunning is for a small machine: as many as the store has connections that read.
	runPerProcessor = 2
	minRunning      = 4
	// eventsAtATime and slice are after how much an object hands on to those that wait:
	// many small steps, or a large one. One that is flooded would otherwise make many
	// answers ready at once, behind which every step of everybody else waits.
	eventsAtATime = 16
	slice         = 5 * time.Millisecond
	// newcomersAfter is after how many others at most one of the newcomers runs. Each costs
	// some ten times as much, and leaves a few small steps to do.
	newcomersAfter = 8
	// stallAfter is for how long none may have ended a step, while objects wait, until one
	// more of them runs: those that do must loop. A machine that is only slow for its
	// load ends one now and then, and more at a time would be slower still.
	stallAfter = 200 * time.Millisecond
	// stalledPerRunning bounds those that run so, for each that may in any case.
	stalledPerRunning = 3
	// maxIdleWorkers is more than objects run at a time on a small machine.
	maxIdleWorkers = 16
)

// workers are the goroutines that run objects, a few at a time, and the line of the
// objects that have something to do meanwhile, each once at most. A turn's time counts
// from when it runs, so those that wait lose none of it.
//
// There are two lines: of what goes on, and of newcomers, who wake an object or make a
// request, which costs much more. Where a thousand come back at once, those who talk
// meanwhile go first, but for a newcomer now and then: so none of the two is held up for
// as long as the other has something to do.
//
// A step of an object waits for nobody who needs a worker: not for commits, and not for
// other objects. It may wait for a read, and it may loop. If none of those that run comes
// to an end, another runs beside them; and one in place of each that nothing can end.
//
// Workers with nothing to do wait for the next object, a few of them: a turn needs a
// deep stack, and a new goroutine has to grow one.
type workers struct {
	run     func(o *Object, by *worker) (more bool)
	ready   *readyVMs
	atATime int

	next chan *Object // for those that are idle
	stop chan struct{}
	all  sync.WaitGroup

	mu        sync.Mutex // held for a moment only, and no other is taken under it
	running   int        // workers with an object, without those that are lost
	extra     int        // how many more may run, as others are stalled
	idle      int        // workers that nothing is on its way to
	ongoing   queue[*Object]
	newcomers queue[*Object]
	passed    int       // how many have passed the first newcomer in line
	lastEnd   time.Time // of a step
	timer     *time.Timer
	set       bool // the timer is
}

// worker is one of them. The mutex of the workers guards what is up to the blank line.
type worker struct {
	since time.Time // when it began with its object, or went on with it
	lost  bool      // what it does now may have no end

	*workers
}

func (w *workers) init(run func(*Object, *worker) bool, ready *readyVMs) {
	w.run, w.ready = run, ready
	w.atATime = max(minRunning, runPerProcessor*runtime.GOMAXPROCS(0))
	w.next, w.stop = make(chan *Object, maxIdleWorkers), make(chan struct{})
	w.timer = time.AfterFunc(time.Hour, w.look)
	w.timer.Stop()
}

// close ends those that are idle, and waits for them. No object may have anything to do.
func (w *workers) close() {
	w.timer.Stop()
	close(w.stop)
	w.all.Wait()
}

// enter puts an object in line that is in none, and that nobody runs. The object's
// mutex is held.
func (w *workers) enter(o *Object) {
	line := w.lineOf(o)
	w.mu.Lock()
	defer w.mu.Unlock()
	line.push(0, o)
	w.dispatch()
}

// lineOf is where an object waits. Its mutex is held.
func (w *workers) lineOf(o *Object) *queue[*Object] {
	if o.act == nil || o.inbox.newcomer() {
		return &w.newcomers
	}
	return &w.ongoing
}

// dispatch has the next object run, if one waits and one may. The mutex is held.
func (w *workers) dispatch() {
	o := w.take()
	w.watch()
	switch {
	case o == nil:
	case w.idle > 0:
		w.idle--
		w.next <- o // it has room for one for each of them
	default:
		w.all.Go(func() { w.work(o) })
	}
}

// waits reports whether any object does. The mutex is held.
func (w *workers) waits() bool { return w.ongoing.len() > 0 || w.newcomers.len() > 0 }

// take returns the next object, which counts as running from now on, or nil. The mutex
// is held.
func (w *workers) take() *Object {
	if w.running >= w.atATime+w.extra || !w.waits() {
		return nil
	}
	w.running++
	if w.ongoing.len() == 0 || w.passed == newcomersAfter && w.newcomers.len() > 0 {
		w.passed = 0
		return w.newcomers.pop()
	}
	if w.passed++; w.newcomers.len() == 0 {
		w.passed = 0
	}
	return w.ongoing.pop()
}

// watch has the timer look after those that wait, if any do. The mutex is held.
func (w *workers) watch() {
	if !w.set && w.waits() {
		w.set = true
		w.timer.Reset(stallAfter)
	}
}

// look has one more object run if none of those that do has ended a step for long.
func (w *workers) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.set = false
	if !w.waits() {
		return
	}
	if time.Since(w.lastEnd) >= stallAfter && w.extra < stalledPerRunning*w.atATime {
		w.extra++
	}
	w.dispatch()
}

// work is a worker: it runs an object, and then whatever is next.
func (w *workers) work(o *Object) {
	by := &worker{workers: w}
	for o != nil {
		w.ready.running.Add(1)
		by.begin()
		stays := false
		for o != nil {
			o, stays = by.swap(o, w.run(o, by))
		}
		w.ready.ran()
		if !stays {
			return
		}
		select {
		case o = <-w.next:
		case <-w.stop:
		}
	}
}

func (by *worker) begin() {
	by.mu.Lock()
	defer by.mu.Unlock()
	by.since = time.Now()
}

// swap takes the next object, perhaps the same, after one that has more to do, or
// hasn't. If there is none, it says whether the worker stays for one to come.
func (by *worker) swap(o *Object, more bool) (next *Object, stays bool) {
	var line *queue[*Object]
	if more { // else it may be somebody else's by now
		o.mu.Lock()
		line = by.lineOf(o)
		o.mu.Unlock()
	}
	by.mu.Lock()
	defer by.mu.Unlock()
	by.end()
	if line != nil {
		line.push(0, o)
	}
	next = by.take()
	by.watch()
	if next != nil {
		return next, true
	}
	if by.idle+len(by.next) < maxIdleWorkers {
		by.idle++
		return nil, true
	}
	return nil, false
}

// end takes what a worker did off the count. The mutex is held.
func (by *worker) end() {
	now := time.Now()
	if !by.lost {
		by.running--
		if now.Sub(by.since) >= stallAfter { // others may have run beside it
			by.extra = max(by.extra-1, 0)
		}
	}
	by.lost, by.since, by.lastEnd = false, now, now
}

// goesOn reports whether the worker's object may go on, as nobody waits.
func (by *worker) goesOn() bool {
	by.mu.Lock()
	defer by.mu.Unlock()
	if by.lost || by.waits() {
		return false
	}
	by.end()
	by.running++
	return true
}

// lose takes a worker off the count whose step may never end.
func (by *worker) lose() {
	by.mu.Lock()
	defer by.mu.Unlock()
	by.end()
	by.lost = true
	by.dispatch()
}
