// Package event delivers what turns have put into the outbox: events to the
// handlers of $.on, and the durable calls that handlers made.
//
// A delivery is a row that committed with the turn that made it. The Dispatcher
// hands it to its target, whose own commit takes the row out; so each takes
// effect at least once, over a crash at any point, and once where the target's
// effects are rows of the same store. First attempts go out in the order of the
// outbox per target. One that fails steps aside, is tried again after a growing
// delay, and is a dead letter after MaxAttempts.
//
// Committed, and the callbacks of a Deliverer, may be called from any goroutine.
// The goroutines that read the outbox belong to the Dispatcher, and Close waits
// for them.
package event

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

// Bounds of delivery.
const (
	// MaxAttempts is how often a delivery is tried before it is a dead letter:
	// over about half a minute with the delays below.
	MaxAttempts = 5
	firstDelay  = time.Second
	maxDelay    = 10 * time.Minute
	// maxInFlight is how many deliveries a target has at a time.
	maxInFlight = 256
	// maxWaiting is how many wait in memory for a target; the rest stays in the
	// store and is read when these are through.
	maxWaiting = 4096
	// maxRetries is how many wait in memory for another attempt, in all; what is
	// beyond is left for the next start.
	maxRetries = 10_000
	readBatch  = 1024
)

// Deliverer brings a delivery to its target, in order per target, without
// blocking. done is called once: with nil when the target's commit has taken the
// row out of the outbox, else with the error of the attempt.
type Deliverer interface {
	Deliver(d store.Delivery, done func(error))
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

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup // readers of the outbox, and commits under way

	mu     sync.Mutex
	lanes  map[key.Key]*lane
	timers map[int64]*time.Timer // of retries, by position
	known  map[int64]bool        // positions of what is in memory
	closed bool
	stats  Stats

	resultsMu sync.Mutex // guards the results of attempts; bounded by maxInFlight a target
	results   []result
	taking    bool // a goroutine handles them
	deaf      bool // nothing is taken any more: Close waits, or has waited
}

type result struct {
	row store.Delivery
	err error
}

// Stats counts deliveries.
type Stats struct{ Delivered, Retried, Dead int64 }

// lane is what goes to one target.
type lane struct {
	waiting  []store.Delivery
	inFlight int
	last     int64 // the last position that was read or queued
	behind   bool  // the store has more than is waiting
	missed   int64 // the first position that was left to be read; 0 if none
	reading  bool
	done     map[int64]bool // done since a read began, which may still bring them
	retry    *time.Timer    // of a read that failed
}

// New makes a dispatcher. It does nothing until Start or Committed is called.
func New(s *store.Store, to Deliverer, token uint64, log *slog.Logger) *Dispatcher {
	ctx, cancel := context.WithCancel(context.Background())
	return &Dispatcher{store: s, deliver: to, token: token, log: log, ctx: ctx, cancel: cancel,
		lanes: make(map[key.Key]*lane), timers: make(map[int64]*time.Timer), known: make(map[int64]bool)}
}

// Start takes up what an earlier run of the program has left in the outbox.
func (d *Dispatcher) Start(ctx context.Context) error {
	targets, err := d.store.DeliveryTargets(ctx)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range targets {
		l := d.lane(t)
		l.behind = true
		d.pump(t, l)
	}
	return nil
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
	for _, t := range d.timers {
		t.Stop()
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
	l := d.lanes[row.Target]
	if l == nil {
		l = d.lane(row.Target)
		l.last = row.Seq - 1 // what was before it is through
	}
	if row.Seq > l.last && (l.behind || l.reading || len(l.waiting) >= maxWaiting) {
		l.behind = true // it will be read, behind what is read before it
		if l.missed == 0 || row.Seq < l.missed {
			l.missed = row.Seq
		}
	} else {
		d.queue(l, row)
	}
	d.pump(row.Target, l)
}

// queue puts a delivery into its lane, unless it is in memory already. A reader
// and the turn that committed a row may both bring it. The mutex is held.
func (d *Dispatcher) queue(l *lane, row store.Delivery) {
	l.last = max(l.last, row.Seq)
	if !d.known[row.Seq] && !l.done[row.Seq] {
		d.known[row.Seq] = true
		l.waiting = append(l.waiting, row)
	}
}

func (d *Dispatcher) lane(target key.Key) *lane {
	l := d.lanes[target]
	if l == nil {
		l = &lane{}
		d.lanes[target] = l
	}
	return l
}

// pump delivers what may go. The mutex is held.
func (d *Dispatcher) pump(target key.Key, l *lane) {
	for l.inFlight < maxInFlight && len(l.waiting) > 0 && !d.closed {
		row := l.waiting[0]
		l.waiting = l.waiting[1:]
		l.inFlight++
		d.attempt(row)
	}
	switch {
	case len(l.waiting) > 0 || d.closed:
	case l.behind && !l.reading:
		l.reading, l.behind = true, false
		d.wg.Add(1)
		go d.read(target, l)
	case !l.behind && !l.reading && l.inFlight == 0:
		delete(d.lanes, target)
	}
}

// attempt hands a delivery to its target. The mutex is held, and done may come
// while it is, so results are taken up elsewhere.
func (d *Dispatcher) attempt(row store.Delivery) {
	d.deliver.Deliver(row, func(err error) {
		if d.mu.TryLock() { // the usual way; no goroutine needed
			defer d.mu.Unlock()
			d.done(row, err)
			return
		}
		d.resultsMu.Lock()
		defer d.resultsMu.Unlock()
		if d.deaf {
			return
		}
		d.results = append(d.results, result{row, err})
		if !d.taking {
			d.taking = true
			d.wg.Add(1)
			go d.take()
		}
	})
}

// take handles results until there are none.
func (d *Dispatcher) take() {
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
			d.done(r.row, r.err)
		}
		d.mu.Unlock()
	}
}

// read fetches the next rows of a target from the store.
func (d *Dispatcher) read(target key.Key, l *lane) {
	defer d.wg.Done()
	d.mu.Lock()
	after := l.last
	if l.missed != 0 { // positions are given out before the commit, so a lower one may come later
		after = min(after, l.missed-1)
		l.missed = 0
	}
	maps.DeleteFunc(l.done, func(seq int64, _ bool) bool { return seq <= after })
	d.mu.Unlock()
	rows, err := d.store.Deliveries(d.ctx, target, after, readBatch)
	d.mu.Lock()
	defer d.mu.Unlock()
	l.reading = false
	if d.closed {
		return
	}
	if err != nil {
		d.log.Error("the outbox could not be read", "target", target.String(), "error", err)
		l.behind, l.missed = true, after+1
		l.reading = true // until the next try
		l.retry = time.AfterFunc(firstDelay, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			l.reading = false
			d.pump(target, l)
		})
		return
	}
	now := time.Now().UnixMilli()
	for _, row := range rows {
		if wait := row.NextAt - now; wait > 0 && !d.known[row.Seq] && !l.done[row.Seq] {
			l.last = max(l.last, row.Seq)
			d.later(row, time.Duration(wait)*time.Millisecond)
			continue
		}
		d.queue(l, row)
	}
	l.behind = l.behind || len(rows) == readBatch
	d.pump(target, l)
}

// later puts a delivery back into its lane after a while. The mutex is held.
func (d *Dispatcher) later(row store.Delivery, wait time.Duration) {
	if len(d.timers) >= maxRetries {
		delete(d.known, row.Seq)
		d.log.Warn("too many deliveries wait for another attempt: one is left for the next start", "id", row.ID)
		return
	}
	d.known[row.Seq] = true
	d.timers[row.Seq] = time.AfterFunc(wait, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.timers, row.Seq)
		if d.closed {
			return
		}
		delete(d.known, row.Seq)
		l := d.lane(row.Target)
		d.queue(l, row)
		d.pump(row.Target, l)
	})
}

// done takes the result of an attempt. The mutex is held.
func (d *Dispatcher) done(row store.Delivery, err error) {
	if d.closed {
		return
	}
	l := d.lane(row.Target)
	l.inFlight--
	delete(d.known, row.Seq)
	if l.behind || l.reading { // its row may still be there when the outbox is read
		if l.done == nil {
			l.done = make(map[int64]bool)
		}
		l.done[row.Seq] = err == nil
	}
	if err == nil {
		d.stats.Delivered++
	} else {
		d.failed(row, err)
	}
	if !d.closed {
		d.pump(row.Target, l)
	}
}

// failed has a delivery tried again, or buried. The mutex is held.
func (d *Dispatcher) failed(row store.Delivery, err error) {
	permanent, transient, position := false, false, ""
	var f Failure
	if errors.As(err, &f) {
		permanent, transient, position = f.IsPermanent(), f.IsTransient(), f.Position()
	}
	if d.closed {
		return
	}
	now := time.Now()
	if !transient {
		row.Attempts++
	}
	if permanent || row.Attempts >= MaxAttempts {
		d.stats.Dead++
		d.log.Error("dead letter", "type", row.Type, "target", row.Target.String(), "handler", row.Handler, "id", row.ID,
			"attempts", row.Attempts, "at", position, "error", err)
		letter := store.DeadLetter{Delivery: row, Error: err.Error(), Position: position, DiedAt: now.UnixMilli()}
		d.commit(store.BuryDelivery{Letter: letter})
		return
	}
	d.stats.Retried++
	wait := delay(row.Attempts)
	row.NextAt = now.Add(wait).UnixMilli()
	d.commit(store.RetryDelivery{Seq: row.Seq, Attempts: row.Attempts, NextAt: row.NextAt})
	d.later(row, wait)
}

// delay doubles with each attempt, give or take a quarter, so that what failed
// together isn't tried again together.
func delay(attempts int) time.Duration {
	wait := min(firstDelay<<max(attempts-1, 0), maxDelay)
	return wait*3/4 + rand.N(wait/2)
}

// commit writes what became of a delivery. The mutex is held.
func (d *Dispatcher) commit(w store.Write) {
	d.wg.Add(1)
	d.store.Commit(&store.Batch{Token: d.token, Writes: []store.Write{w}}, func(err error) {
		defer d.wg.Done()
		if err != nil && !errors.Is(err, store.ErrDisk) { // the row is as it was: it is tried again at the next start
			d.log.Error("the outbox could not be written", "error", err)
		}
	})
}
