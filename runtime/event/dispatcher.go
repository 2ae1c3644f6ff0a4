// Package event delivers what turns have put into the outbox: events to the
// handlers of $.on, and the durable calls that handlers made.
//
// A delivery is a row that committed with the turn that made it. The Dispatcher
// hands it to its target, whose own commit takes the row out; so each takes
// effect at least once, over a crash at any point, and once where the target's
// effects are rows of the same store.
//
// # Order
//
// Each target has a lane of its own, so none waits for another. First attempts go
// out in the order of the outbox per target. One that fails steps aside, is tried
// again after a growing delay, and becomes a dead letter when it has failed as often
// as its handler allows, or at once if another attempt would end the same way.
//
// # Bounds
//
// A lane has maxInFlight deliveries under way and maxWaiting behind them; what is
// beyond is in the store alone, and read when these are through. What waits for
// another attempt is in the store alone too, however much it is: one timer knows when
// the first of it is due. A delivery keeps its place in flight until what became of it
// is stored, so a disk that takes nothing stops the lanes, and they go on by
// themselves when it does. So does an attempt that failed through no fault of the
// delivery: its target is out of service, or its commit failed.
//
// # Goroutines
//
// Committed, Buried, and the callbacks of a Deliverer, may be called from any
// goroutine. The goroutines that read the outbox, and the one that takes results when
// many come at once, belong to the Dispatcher, and Close waits for them.
package event

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

// Bounds of delivery.
const (
	firstDelay = time.Second // before the second attempt; it doubles with each
	maxDelay   = 10 * time.Minute
	// maxTrouble is the longest delay of what fails through no fault of its own: what
	// ails its target or the store is over before anybody misses it.
	maxTrouble = 10 * time.Second
	// maxInFlight and maxInFlightBytes are what a target has at a time. Handlers that
	// hang end after 30 s, so what is behind that many waits no longer for them.
	maxInFlight      = 256
	maxInFlightBytes = 32 << 20
	// maxWaiting and maxWaitingBytes are what waits in memory for a target; the rest
	// stays in the store.
	maxWaiting      = 4096
	maxWaitingBytes = 16 << 20
	// readBatch is how many rows are read at a time, by maxReads readers, so that
	// scripts find a connection too.
	readBatch = 1024
	maxReads  = 2
	// maxLanes is how many targets there may be in memory until more of them are taken
	// from the store: those of an earlier run, and of what is to be tried again.
	maxLanes = 4096
)

// bounds are those of the numbers above that a test makes smaller.
type bounds struct{ inFlight, waiting, readBatch, lanes int }

// Deliverer brings deliveries to their targets.
type Deliverer interface {
	// Deliver brings one to its target, in order per target, without blocking. done is
	// called once: with nil when the target's commit has taken the row out of the
	// outbox, else with the error of the attempt.
	Deliver(d store.Delivery, done func(error))
	// MaxRetries is how many further attempts a delivery has after a first one that failed.
	MaxRetries(d store.Delivery) int
}

// Failure is what the dispatcher asks of an error: whether another attempt makes
// sense, and where in a script it came from.
type Failure interface {
	error
	IsPermanent() bool
	IsTransient() bool // not the delivery's fault: try again without counting
	Position() string
}

// Dispatcher moves deliveries from the outbox to their targets.
type Dispatcher struct {
	store   *store.Store
	deliver Deliverer
	token   uint64
	log     *slog.Logger
	bounds  bounds

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // readers of the outbox, and commits under way
	reads  chan struct{}  // has one of each read under way

	mu         sync.Mutex
	lanes      map[key.Key]*lane
	held       map[int64]*attempt // what is in memory, by position
	due        due
	catchingUp bool // lanes that are new read first what an earlier run has left
	closed     bool
	stats      Stats

	resultsMu sync.Mutex // guards the results of attempts; bounded by maxInFlight a target
	results   []result
	taking    bool // a goroutine handles them
	deaf      bool // nothing is taken any more: Close waits, or has waited
}

// attempt is a delivery in memory.
type attempt struct {
	row     store.Delivery
	lane    *lane
	trouble int         // attempts in a row that failed through no fault of it
	timer   *time.Timer // of the next one
}

// result is what became of an attempt, or of the commit of what became of it.
type result struct {
	a    *attempt
	err  error
	fate store.Write // that was to be committed; nil for an attempt
}

// Stats counts deliveries.
type Stats struct {
	Delivered int64
	Retried   int64 // failures after which another attempt was due
	Dead      int64 // given up
}

// New makes a dispatcher. It does nothing until Start or Committed is called.
func New(s *store.Store, to Deliverer, token uint64, log *slog.Logger) *Dispatcher {
	ctx, cancel := context.WithCancel(context.Background())
	return &Dispatcher{store: s, deliver: to, token: token, log: log, ctx: ctx, cancel: cancel,
		bounds: bounds{maxInFlight, maxWaiting, readBatch, maxLanes},
		reads:  make(chan struct{}, maxReads), lanes: make(map[key.Key]*lane), held: make(map[int64]*attempt)}
}

// Start takes up what an earlier run of the program has left in the outbox. It is
// called once at most, before anything is committed to the outbox.
func (d *Dispatcher) Start(ctx context.Context) error {
	targets, err := d.store.DeliveryTargets(ctx, key.Key{}, d.bounds.readBatch)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.catchingUp = true
	d.lookAt(time.Now().UnixMilli())
	d.wg.Add(1)
	go d.catchUp(targets)
	return nil
}

// catchUp takes up these targets and those behind them, as there is room for them.
func (d *Dispatcher) catchUp(targets []key.Key) {
	defer d.wg.Done()
	for len(targets) > 0 && d.awaitLanes() {
		d.mu.Lock()
		for _, t := range targets {
			if d.lanes[t] == nil { // else it reads what is there anyway
				d.pump(d.lane(t))
			}
		}
		d.mu.Unlock()
		last := targets[len(targets)-1]
		for {
			var err error
			if targets, err = d.store.DeliveryTargets(d.ctx, last, d.bounds.readBatch); err == nil {
				break
			}
			if d.ctx.Err() != nil {
				return
			}
			d.log.Error("the outbox could not be read; trying again", "error", err)
			d.sleep(firstDelay)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.catchingUp = false
}

// awaitLanes waits until there is room for more targets in memory. It reports false
// after Close.
func (d *Dispatcher) awaitLanes() bool {
	for d.ctx.Err() == nil {
		d.mu.Lock()
		room := len(d.lanes) < d.bounds.lanes
		d.mu.Unlock()
		if room {
			return true
		}
		d.sleep(firstDelay)
	}
	return false
}

// sleep waits a while, until Close.
func (d *Dispatcher) sleep(wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-d.ctx.Done():
	}
}

// Stats returns the counts so far.
func (d *Dispatcher) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stats
}

// Close stops delivering and waits for what is under way in this package. What
// was not delivered stays in the outbox for the next start.
func (d *Dispatcher) Close() {
	d.mu.Lock()
	d.closed = true
	d.due.stop()
	for _, a := range d.held {
		a.stop()
	}
	for _, l := range d.lanes {
		if l.retry != nil {
			l.retry.Stop()
		}
	}
	d.mu.Unlock()
	d.resultsMu.Lock()
	d.deaf = true // targets still end attempts, and must not begin what Close waits for
	d.resultsMu.Unlock()
	d.cancel()
	d.wg.Wait()
}

// Committed takes over a delivery whose row is durable.
func (d *Dispatcher) Committed(row store.Delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	l := d.lane(row.Target)
	if l.behind || l.reading || d.full(l) {
		l.miss(row.Seq) // it will be read, behind what is read before it
	} else {
		d.queue(l, row)
	}
	d.pump(l)
}

// Buried takes note of a dead letter that a turn has stored in place of a delivery.
func (d *Dispatcher) Buried(letter store.DeadLetter) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Dead++
	d.logDead(&letter)
}

// result takes up what came of an attempt, or of a commit. It may be called while the
// mutex is held, by the same goroutine.
func (d *Dispatcher) result(r result) {
	if d.mu.TryLock() { // the usual way; no goroutine needed
		defer d.mu.Unlock()
		d.take(r)
		return
	}
	d.resultsMu.Lock()
	defer d.resultsMu.Unlock()
	if d.deaf {
		return
	}
	d.results = append(d.results, r)
	if !d.taking {
		d.taking = true
		d.wg.Add(1)
		go d.takeAll()
	}
}

// takeAll handles results until there are none.
func (d *Dispatcher) takeAll() {
	defer d.wg.Done()
	for {
		d.resultsMu.Lock()
		results := d.results
		d.results = nil
		if len(results) == 0 {
			d.taking = false
			d.resultsMu.Unlock()
			return
		}
		d.resultsMu.Unlock()
		d.mu.Lock()
		for _, r := range results {
			d.take(r)
		}
		d.mu.Unlock()
	}
}

// take handles a result. The mutex is held.
func (d *Dispatcher) take(r result) {
	switch {
	case d.closed:
	case r.fate != nil:
		d.settled(r.a, r.fate, r.err)
	case r.err == nil:
		d.stats.Delivered++
		d.leave(r.a)
	default:
		d.failed(r.a, r.err)
	}
}
