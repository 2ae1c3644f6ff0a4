package event

import (
	"math"
	"time"

	"chat.example.com.ai/store"
)

// due brings back what is to be tried again, at its time. It is in the store alone
// until then. Each row is met once: what its lane has no room for is read by the lane
// itself. The dispatcher's mutex guards it.
type due struct {
	sweptAt, sweptSeq int64 // all up to here was met: time in milliseconds, and position

	at       int64       // when it looks next, milliseconds; 0 is not at all
	timer    *time.Timer // of that
	sweeping bool
	again    bool // its time came meanwhile
}

func (u *due) stop() {
	if u.timer != nil {
		u.timer.Stop()
	}
}

// lookFor takes note that a delivery is to be tried again. The mutex is held.
func (d *Dispatcher) lookFor(l *lane, again store.RetryDelivery) {
	if u := &d.due; again.NextAt < u.sweptAt || again.NextAt == u.sweptAt && again.Seq <= u.sweptSeq {
		// it took so long to be stored that its time was met without it
		l = d.lane(l.target)
		l.overdue = true
		d.pump(l)
		return
	}
	d.lookAt(again.NextAt)
}

// lookAt has the outbox swept at a time, if not before. The mutex is held.
func (d *Dispatcher) lookAt(at int64) {
	u := &d.due
	if u.at != 0 && u.at <= at {
		return
	}
	u.at = at
	wait := max(time.Until(time.UnixMilli(at)), 0)
	if u.timer == nil {
		u.timer = time.AfterFunc(wait, d.beginSweep)
	} else {
		u.timer.Reset(wait)
	}
}

func (d *Dispatcher) beginSweep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	u := &d.due
	u.at = 0
	switch {
	case d.closed:
	case u.sweeping:
		u.again = true
	default:
		u.sweeping = true
		d.wg.Add(1)
		go d.sweep()
	}
}

// sweep gives their lanes what is due by now, and finds out when to look again.
func (d *Dispatcher) sweep() {
	defer d.wg.Done()
	for d.awaitLanes() {
		until := time.Now().UnixMilli()
		d.mu.Lock()
		at, seq := d.due.sweptAt, d.due.sweptSeq
		d.mu.Unlock()
		rows, more, err := d.store.DueDeliveries(d.ctx, at, seq, until, d.bounds.readBatch)
		next := int64(0)
		if err == nil && !more {
			next, _, err = d.store.NextDelivery(d.ctx, until)
		}
		if d.swept(rows, more, until, next, err) {
			return
		}
	}
}

// swept takes what a sweep has read, and reports whether it is over.
func (d *Dispatcher) swept(rows []store.Delivery, more bool, until, next int64, err error) (over bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	u := &d.due
	if d.closed {
		return true
	}
	if err != nil { // nothing is lost: it begins where it began
		d.log.Error("the outbox could not be read; trying again", "error", err)
		u.sweeping, u.again = false, false
		d.lookAt(time.Now().Add(firstDelay).UnixMilli())
		return true
	}
	for _, row := range rows {
		u.sweptAt, u.sweptSeq = row.NextAt, row.Seq
		l := d.lane(row.Target)
		if l.overdue || l.reading || d.full(l) || d.held[row.Seq] != nil {
			l.overdue = true // it reads by itself when it has room
		} else {
			d.queue(l, row)
		}
		d.pump(l)
	}
	if more {
		return false
	}
	u.sweptAt, u.sweptSeq = max(u.sweptAt, until), math.MaxInt64
	if u.again {
		u.again = false
		return false
	}
	u.sweeping = false
	if next != 0 {
		d.lookAt(next)
	}
	return true
}
