package event

import (
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

// lane is what goes to one target. The dispatcher's mutex guards it.
type lane struct {
	target       key.Key
	waiting      []*attempt
	waitingBytes int
	inFlight     int
	flightBytes  int

	last    int64          // the last position that was read or queued
	behind  bool           // the store has more that was not tried yet than is waiting
	missed  int64          // the first position of that behind last; 0 if none
	overdue bool           // the store has more that is to be tried again by now
	reading bool           // the store is read, or is about to be again after an error
	done    map[int64]bool // what left since a read began, which may still bring it
	retry   *time.Timer    // of a read that failed
}

// lane finds the lane of a target, or makes it. The mutex is held.
func (d *Dispatcher) lane(target key.Key) *lane {
	l := d.lanes[target]
	if l == nil {
		l = &lane{target: target, behind: d.catchingUp}
		d.lanes[target] = l
	}
	return l
}

// full reports whether no more of a lane is to wait in memory.
func (d *Dispatcher) full(l *lane) bool {
	return len(l.waiting) >= d.bounds.waiting || l.waitingBytes >= maxWaitingBytes
}

// miss leaves a position to be read.
func (l *lane) miss(seq int64) {
	l.behind = true
	if l.missed == 0 || seq < l.missed {
		l.missed = seq
	}
}

// queue puts a delivery into its lane, unless it is in memory already. A reader
// and the turn that committed a row may both bring it. The mutex is held.
func (d *Dispatcher) queue(l *lane, row store.Delivery) {
	if row.NextAt == 0 {
		l.last = max(l.last, row.Seq)
	}
	if d.held[row.Seq] != nil || l.done[row.Seq] {
		return
	}
	a := &attempt{row: row, lane: l}
	d.held[row.Seq] = a
	l.waiting = append(l.waiting, a)
	l.waitingBytes += len(row.Data)
}

// pump delivers what may go. The mutex is held.
func (d *Dispatcher) pump(l *lane) {
	for len(l.waiting) > 0 && !d.closed && l.inFlight < d.bounds.inFlight && (l.inFlight == 0 || l.flightBytes < maxInFlightBytes) {
		a := l.waiting[0]
		l.waiting[0] = nil
		if l.waiting = l.waiting[1:]; len(l.waiting) == 0 {
			l.waiting = nil
		}
		bytes := len(a.row.Data)
		l.waitingBytes -= bytes
		l.flightBytes += bytes
		l.inFlight++
		d.attempt(a)
	}
	switch {
	case len(l.waiting) > 0 || d.closed:
	case (l.behind || l.overdue) && !l.reading:
		l.reading = true
		d.wg.Add(1)
		go d.read(l)
	case !l.behind && !l.overdue && !l.reading && l.inFlight == 0:
		delete(d.lanes, l.target)
	}
}

// attempt hands a delivery to its target. The mutex is held, and done may come
// while it is.
func (d *Dispatcher) attempt(a *attempt) {
	d.deliver.Deliver(a.row, func(err error) { d.result(result{a: a, err: err}) })
}

// leave forgets a delivery: it is done, or it is the store's again. The mutex is held.
func (d *Dispatcher) leave(a *attempt) {
	l := a.lane
	delete(d.held, a.row.Seq)
	l.inFlight--
	l.flightBytes -= len(a.row.Data)
	if l.reading { // which may have seen its row before
		if l.done == nil {
			l.done = make(map[int64]bool)
		}
		l.done[a.row.Seq] = true
	}
	d.pump(l)
}

// read fetches the next rows of a target from the store.
func (d *Dispatcher) read(l *lane) {
	defer d.wg.Done()
	select {
	case d.reads <- struct{}{}:
		defer func() { <-d.reads }()
	case <-d.ctx.Done():
		return
	}
	d.mu.Lock()
	behind, overdue, after, until := l.behind, l.overdue, l.last, d.due.sweptAt
	if l.missed != 0 { // positions are given out before the commit, so a lower one may come later
		after = min(after, l.missed-1)
	}
	l.behind, l.overdue, l.missed = false, false, 0
	l.done = nil
	d.mu.Unlock()

	var fresh, due []store.Delivery
	var moreFresh, moreDue bool
	var err error
	if overdue {
		due, moreDue, err = d.store.DueDeliveriesOf(d.ctx, l.target, until, d.bounds.readBatch)
	}
	if behind && err == nil {
		fresh, moreFresh, err = d.store.Deliveries(d.ctx, l.target, after, d.bounds.readBatch)
	}

	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	if err != nil {
		d.log.Error("the outbox could not be read; trying again", "target", l.target.String(), "error", err)
		l.overdue = l.overdue || overdue
		if behind {
			l.miss(after + 1)
		}
		l.retry = time.AfterFunc(firstDelay, func() { // until then it counts as reading
			d.mu.Lock()
			defer d.mu.Unlock()
			l.reading = false
			d.pump(l)
		})
		return
	}
	for _, row := range due {
		d.queue(l, row)
	}
	if behind && moreFresh && len(fresh) > 0 {
		l.last = fresh[len(fresh)-1].Seq // it may have been further, before a lower one came
	}
	for _, row := range fresh {
		d.queue(l, row)
	}
	l.behind = l.behind || moreFresh
	l.overdue = l.overdue || moreDue
	l.reading, l.done = false, nil
	d.pump(l)
}
