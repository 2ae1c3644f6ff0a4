package event

import (
	"errors"
	"math/rand/v2"
	"time"

	"chat.example.com.ai/store"
)

// failed takes an attempt that failed: it is tried again, or buried. The mutex is held.
func (d *Dispatcher) failed(a *attempt, err error) {
	permanent, position := false, ""
	var f Failure
	if errors.As(err, &f) {
		if f.IsTransient() {
			a.trouble++
			d.later(a, delay(a.trouble, maxTrouble), func() { d.attempt(a) })
			return
		}
		permanent, position = f.IsPermanent(), f.Position()
	}
	a.trouble = 0
	row := a.row
	row.Attempts++
	now := time.Now()
	if permanent || row.Attempts > d.deliver.MaxRetries(row) {
		letter := store.DeadLetter{Delivery: row, Error: err.Error(), Position: position, DiedAt: now.UnixMilli()}
		d.stats.Dead++
		d.logDead(&letter)
		d.commit(a, store.BuryDelivery{Letter: letter})
		return
	}
	d.stats.Retried++
	next := now.Add(delay(row.Attempts, maxDelay)).UnixMilli()
	d.commit(a, store.RetryDelivery{Seq: row.Seq, Attempts: row.Attempts, NextAt: next})
}

func (d *Dispatcher) logDead(l *store.DeadLetter) {
	attributes := []any{"type", l.Type, "target", l.Target.String(), "handler", l.Handler, "id", l.ID, "attempts", l.Attempts, "error", l.Error}
	if l.Position != "" {
		attributes = append(attributes, "at", l.Position)
	}
	d.log.Error("dead letter", attributes...)
}

// delay is how long to wait after so many attempts: it doubles with each, give or
// take a quarter, so that what failed together isn't tried again together.
func delay(attempts int, most time.Duration) time.Duration {
	wait := most
	if shift := attempts - 1; shift < 20 { // beyond, it is the longest anyway
		wait = min(firstDelay<<shift, most)
	}
	return wait*3/4 + rand.N(wait/2)
}

// commit writes what became of a delivery, which keeps its place in flight until that
// is stored. The mutex is held.
func (d *Dispatcher) commit(a *attempt, fate store.Write) {
	d.wg.Add(1)
	d.store.Commit(&store.Batch{Token: d.token, Writes: []store.Write{fate}}, func(err error) {
		defer d.wg.Done()
		d.result(result{a: a, err: err, fate: fate})
	})
}

// settled takes the end of such a commit. The mutex is held.
func (d *Dispatcher) settled(a *attempt, fate store.Write, err error) {
	if err != nil {
		if a.trouble++; a.trouble == 1 && !errors.Is(err, store.ErrDisk) { // once for each that waits; of a disk the store tells, once for all
			d.log.Error("what became of a delivery could not be stored; trying again", "id", a.row.ID, "error", err)
		}
		d.later(a, delay(a.trouble, maxTrouble), func() { d.commit(a, fate) })
		return
	}
	d.leave(a)
	if again, ok := fate.(store.RetryDelivery); ok {
		d.lookFor(a.lane, again)
	}
}

// later goes on with a delivery after a while. The mutex is held, and is when f runs.
func (d *Dispatcher) later(a *attempt, wait time.Duration, f func()) {
	a.timer = time.AfterFunc(wait, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if !d.closed {
			f()
		}
	})
}

// stop stops what later began.
func (a *attempt) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}
