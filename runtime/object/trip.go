package object

import (
	"sync"
	"time"

	"chat.example.com.ai/runtime/script"
)

// roundTrip is one request of one object to another, with the calls in it. Each
// is answered by itself, as soon as its turn is durable; together they are one
// trip.
type roundTrip struct {
	from  *Object
	act   *activation                                     // that made the calls
	home  func(id int64, value []byte, err *script.Error) // takes the results instead, if no object made the calls
	calls *script.Calls
	timer *time.Timer // of the whole trip

	mu      sync.Mutex
	results []opResult
}

// opResult is what a call came to, before its turn is durable: enough for the
// calls behind it in the same object, which go down with it if it fails.
type opResult struct {
	done     bool
	answered bool
	value    []byte
	err      *script.Error
	then     []func()
}

// call sends a round trip on its way. It is called at the release of the turn
// that made it, so order per target is the order of making.
func (o *Object) call(act *activation, calls *script.Calls) {
	n := o.node
	n.stats.RoundTrips.Add(1)
	n.stats.Calls.Add(int64(len(calls.Ops)))
	t := &roundTrip{from: o, act: act, calls: calls, results: make([]opResult, len(calls.Ops))}
	t.timer = time.AfterFunc(taskTimeout, t.timeout)
	if o.act == act {
		if act.trips == nil {
			act.trips = make(map[int64]*roundTrip)
		}
		for _, op := range calls.Ops {
			act.trips[op.ID] = t
		}
	}
	n.send(t)
}

// send gives the calls of a round trip to their target.
func (n *Node) send(t *roundTrip) {
	calls := t.calls
	target := n.Object(calls.Target)
	for i := range calls.Ops {
		e := &callEvent{trip: t, op: i}
		if n.closing.Load() {
			e.refuse(script.NewError(script.UnavailableError, "the program is stopping"))
			continue
		}
		if target.full() {
			e.refuse(script.NewError(script.OverloadedError, "%s has %d requests and calls waiting", calls.Target, maxInbox))
			continue
		}
		for !target.offer(e, true) {
			target = n.Object(calls.Target)
		}
	}
}

// incoming is what the target runs for an op. If an argument is the result of
// another op that isn't finished, retry is called when it is.
func (t *roundTrip) incoming(i int, vm *script.VM, retry func()) (in script.Incoming, ready bool, err *script.Error) {
	op := t.calls.Ops[i]
	t.mu.Lock()
	for _, a := range op.Args {
		if a.Ref > i { // never made: only earlier ops can be referred to
			t.mu.Unlock()
			return in, true, script.NewError("Error", "an argument refers to a later call")
		}
		if a.Ref != 0 && !t.results[a.Ref-1].done {
			r := &t.results[a.Ref-1]
			r.then = append(r.then, retry)
			t.mu.Unlock()
			return in, false, nil
		}
	}
	results := t.results
	t.mu.Unlock()
	args, err := resolveArgs(op, results, vm)
	return script.Incoming{Hops: t.calls.Hops, Path: op.Path, Call: op.Call, Args: args}, true, err
}

// finished notes what an op came to, for those that take its result.
func (t *roundTrip) finished(i int, value []byte, err *script.Error) {
	t.mu.Lock()
	r := &t.results[i]
	if r.done {
		t.mu.Unlock()
		return
	}
	r.done, r.value, r.err = true, value, err
	then := r.then
	r.then = nil
	t.mu.Unlock()
	for _, f := range then {
		f()
	}
}

// lost takes back what an op came to: its turn could not be stored.
func (t *roundTrip) lost(i int, err *script.Error) {
	t.mu.Lock()
	t.results[i].err = err
	t.mu.Unlock()
	t.finished(i, nil, err)
}

// answer brings the result home.
func (t *roundTrip) answer(i int, value []byte, err *script.Error) {
	t.mu.Lock()
	if t.results[i].answered {
		t.mu.Unlock()
		return
	}
	t.results[i].answered = true
	all := true
	for _, r := range t.results {
		all = all && r.answered
	}
	t.mu.Unlock()
	if all {
		t.timer.Stop()
	}
	if t.home != nil {
		t.home(t.calls.Ops[i].ID, value, err)
		return
	}
	t.from.complete(t.act.settleCall(t.calls.Ops[i].ID, value, err))
}

// timeout rejects what was not answered in time.
func (t *roundTrip) timeout() {
	for i, op := range t.calls.Ops {
		t.answer(i, nil, script.NewError(script.TimeoutError, "%s.%s gave no result within %v", t.calls.Target, op.Path[0], taskTimeout))
	}
}

// settleCall brings the result of a call into the VM, if it is still the one
// that made it.
func (act *activation) settleCall(id int64, value []byte, err *script.Error) completion {
	return func(o *Object) {
		if o.act != act {
			return
		}
		delete(act.trips, id)
		act.kind = "call result"
		o.flush() // what was released doesn't wait for a turn
		o.settle(act, act.vm.Settle(id, value, err), nil)
	}
}
