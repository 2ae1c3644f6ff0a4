package object

import (
	"context"
	"fmt"
	"maps"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/runtime/script"
	"chat.example.com.ai/store"
)

// Bounds of alarms.
const (
	// maxAlarms is how many run at a time: what a start finds overdue is not to wake
	// every room at once. One that awaits holds its place for taskTimeout at most.
	maxAlarms = 256
	// An alarm that fails is tried again after firstAlarmDelay, then after twice as
	// long each time, as on Cloudflare; after maxAlarmRetries, two minutes later, it
	// is a dead letter.
	firstAlarmDelay = 2 * time.Second
	maxAlarmRetries = 6
	// alarmLook is how often the clock is looked at while alarms are pending: the
	// system's may be set while a timer runs.
	alarmLook = time.Minute
)

// alarms fires the alarms of all objects. A pending alarm is a row in the store and
// nothing in memory: one goroutine knows when the first of them is due, and reads
// the rows as they come due. Those that run are in memory until their end is stored.
type alarms struct {
	node *Node

	ctx    context.Context
	cancel context.CancelFunc
	kick   chan struct{} // holds a token when there may be something to do earlier than planned
	next   atomic.Int64  // when it looks again, milliseconds; the first while it looks

	mu      sync.Mutex
	running map[key.Key]bool
	resume  time.Time // the store failed: nothing is fired before
}

func (a *alarms) init(n *Node) {
	a.node = n
	a.ctx, a.cancel = context.WithCancel(context.Background())
	a.kick = make(chan struct{}, 1)
	a.running = make(map[key.Key]bool)
	a.next.Store(math.MaxInt64)
}

// run fires what is due, until cancel. What runs then is left to its object.
func (a *alarms) run() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-a.ctx.Done():
			return
		case <-a.kick:
		case <-timer.C:
		}
		a.next.Store(math.MaxInt64) // whatever is set from here on is told
		at := a.fire(time.Now())
		if at.IsZero() {
			timer.Stop()
			continue
		}
		a.next.Store(at.UnixMilli())
		timer.Reset(time.Until(at))
	}
}

// set says that an alarm is stored which is due at a time, in milliseconds.
func (a *alarms) set(at int64) {
	if at < a.next.Load() {
		a.wake()
	}
}

// AlarmSet says that somebody else than an object's turn has stored an alarm which is
// due at a time, in milliseconds.
func (n *Node) AlarmSet(due int64) { n.alarms.set(due) }

func (a *alarms) wake() {
	select {
	case a.kick <- struct{}{}:
	default: // a token lies there already
	}
}

// fire has the alarms run that are due, and returns when to look again; zero is when
// it is told to.
func (a *alarms) fire(now time.Time) time.Time {
	a.mu.Lock()
	running, resume := maps.Clone(a.running), a.resume
	a.mu.Unlock()
	if resume.After(now) {
		return resume
	}
	if len(running) >= maxAlarms {
		return time.Time{} // the end of one leads here again
	}
	// Those that run are still in the store, and due. What is read of them may be
	// over by then, so they are left out even if it is; that leads here again.
	due, err := a.node.store.DueAlarms(a.ctx, now.UnixMilli(), len(running)+maxAlarms)
	if err != nil {
		return a.failed("the alarms could not be read", err)
	}
	for _, alarm := range due {
		if running[alarm.Object] {
			continue
		}
		if !a.enter(alarm.Object) {
			return time.Time{}
		}
		a.start(alarm)
	}
	if len(due) == len(running)+maxAlarms {
		return now // there may be more
	}
	next, found, err := a.node.store.NextAlarm(a.ctx, now.UnixMilli())
	if err != nil {
		return a.failed("the alarms could not be read", err)
	}
	if !found {
		return time.Time{}
	}
	if at := time.UnixMilli(next); at.Before(now.Add(alarmLook)) {
		return at
	}
	return now.Add(alarmLook)
}

// failed waits with everything after an error of the store: a disk that fails is not
// asked all the time.
func (a *alarms) failed(what string, err error) time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	told := a.resume.After(now) // many that run at once fail together
	a.resume = now.Add(firstAlarmDelay)
	if a.ctx.Err() == nil && !told {
		a.node.log.Error(what, "error", err)
	}
	return a.resume
}

// enter takes one of the places of those that run. It reports false if none is free.
func (a *alarms) enter(k key.Key) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.running) >= maxAlarms {
		return false
	}
	a.running[k] = true
	return true
}

// start puts an alarm into the inbox of its object.
func (a *alarms) start(alarm store.Alarm) {
	a.node.stats.Alarms.Add(1)
	e := &alarmEvent{alarm: alarm, node: a.node}
	for !a.node.Object(alarm.Object).offer(e, false) {
	}
}

// ended takes how an alarm ended. Its row is gone if that was well. An attempt that
// failed through no fault of the alarm is not counted.
func (a *alarms) ended(alarm store.Alarm, err *script.Error, counts bool) {
	if err == nil {
		a.leave(alarm.Object)
		return
	}
	n := a.node
	n.stats.AlarmsFailed.Add(1)
	if n.closing.Load() {
		return // the row is as it was: it is fired at the next start
	}
	var writes []store.Write
	retries := alarm.Attempts
	if counts {
		retries++
	}
	if retries > maxAlarmRetries {
		n.log.Error("an alarm is given up", "object", alarm.Object.String(), "attempts", retries, "at", err.Position(), "error", err)
		letter := store.Delivery{Seq: n.store.NextSeq(), Kind: store.AlarmDelivery, Target: alarm.Object, ID: n.newID(), Type: "alarm",
			Source: alarm.Object.String(), Data: fmt.Appendf(nil, "%d", alarm.Scheduled), At: alarm.Scheduled, Attempts: retries}
		writes = []store.Write{store.EndAlarm{ID: alarm.ID}, store.BuryDelivery{Letter: store.DeadLetter{
			Delivery: letter, Error: err.Error(), Position: err.Position(), DiedAt: time.Now().UnixMilli()}}}
	} else {
		wait := firstAlarmDelay << max(retries-1, 0)
		writes = []store.Write{store.RetryAlarm{ID: alarm.ID, Attempts: retries, Due: time.Now().Add(wait).UnixMilli()}}
	}
	n.begin()
	n.store.Commit(&store.Batch{Object: alarm.Object, Token: n.config.Placement.Token(alarm.Object), Writes: writes}, func(err error) {
		if err != nil { // the row is as it was, and due
			a.failed("what became of an alarm could not be stored", err)
		}
		a.leave(alarm.Object)
		n.finish()
	})
}

// leave forgets an alarm that has run. The object may have set the next one, which
// wasn't looked at meanwhile.
func (a *alarms) leave(k key.Key) {
	a.mu.Lock()
	delete(a.running, k)
	a.mu.Unlock()
	a.wake()
}

// alarmEvent is an alarm that is due.
type alarmEvent struct {
	alarm   store.Alarm
	node    *Node
	entered atomic.Bool
	called  atomic.Bool
}

func (e *alarmEvent) wakes(o *Object) bool {
	return o.node.Scripts().HasHook(o.key.Type, "alarm")
}

// ignored counts as a failed attempt: the script may come back.
func (e *alarmEvent) ignored(o *Object) {
	err := &script.Error{Name: "TypeError", Message: "no part of " + o.key.Type + " has a method alarm() any more"}
	o.node.log.Error("script error", "object", o.key.String(), "event", "alarm", "error", err)
	o.node.config.Observe.scriptError("alarm")
	e.refuse(err)
}

func (e *alarmEvent) enter(o *Object, act *activation) {
	e.entered.Store(true)
	id := act.newTask("alarm", e)
	o.settle(act, act.vm.Alarm(id, e.alarm), nil)
	act.limit(id, taskTimeout)
}

func (e *alarmEvent) reply([]byte, *script.Response) { e.end(nil) }
func (e *alarmEvent) refuse(err *script.Error)       { e.end(err) }

// end reports once. An object that is out of service was so before, or is because of
// this alarm.
func (e *alarmEvent) end(err *script.Error) {
	if e.called.CompareAndSwap(false, true) {
		counts := err != nil && (!err.IsTransient() || err.Name == script.OutOfServiceError && e.entered.Load())
		e.node.alarms.ended(e.alarm, err, counts)
	}
}
