package object

import (
	"container/list"
	"errors"
	"runtime"
	"sync"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/runtime/script"
	"chat.example.com.ai/runtime/socket"
	"chat.example.com.ai/store"
)

// Bounds of one object.
const (
	// maxInbox is how many requests and calls may wait. Messages of sockets are
	// bounded by the sockets: one of each is here at a time.
	maxInbox = 1024
	// maxUnreleased and maxUnreleasedBytes are how far an object may run ahead of
	// the disk before it takes nothing new from outside.
	maxUnreleased      = 64
	maxUnreleasedBytes = 4 << 20
	// taskTimeout ends requests, calls and event handlers that don't settle;
	// handlers of sockets and timers, which nobody waits for, have longer.
	taskTimeout = 30 * time.Second
	lingering   = 15 * time.Minute
)

// Object is one durable object: what outlives its VM. It has a goroutine, a worker,
// only while its inbox has something to do. Most objects rest most of the time, so it
// holds little itself.
type Object struct {
	node *Node
	key  key.Key

	mu      sync.Mutex // guards the flags, and whether there is an agenda
	running bool       // a worker has it, or it is in line for one
	gone    bool       // forgotten: whoever holds it must look it up again
	broken  bool       // a turn is stuck in something that cannot be interrupted
	*agenda            // nil while the object hibernates and has nothing to do

	// The object's goroutine owns what follows.
	hub socket.Hub
	act *activation // nil while it hibernates
}

// agenda is what an object needs only while it is awake or has something to do.
type agenda struct {
	// The object's mutex guards what is up to the blank line.
	inbox   inbox
	waiting int       // requests and calls among the events
	calls   int       // live calls among the events
	line    list.List // of *requestEvent, for whom the inbox has no room; empty unless it is full. Connections bound it
	place   place     // its own mutex guards it
	current event     // what is handled

	// The object's goroutine owns what follows.
	by         *worker // that goroutine
	unreleased []*turn // in order; those before the first uncommitted one are released
	ahead      int     // bytes that they write
	bootError  *script.Error
	unflushed  []*socket.Socket // to which turns were released
}

// turn is one turn of the object that has not left yet.
type turn struct {
	batch   *store.Batch // nil if it wrote nothing
	done    bool         // the batch is durable, or there is none
	effects []script.Effect
	replies map[script.TaskID]replier
	failed  []failure
	orphans []script.Socket
	origin  event // what it handled; nil for completions
	act     *activation
}

// replier is told how a task ended.
type replier interface {
	// reply brings the result; value or response is set for a call or a request.
	reply(value []byte, response *script.Response)
	refuse(err *script.Error)
}

type failure struct {
	replier replier
	err     *script.Error
}

// offer puts an event into the inbox, or a request in line for it if that is full. It
// reports false if the object was forgotten meanwhile.
func (o *Object) offer(e event, counted bool) (ok bool) {
	o.mu.Lock()
	if o.gone {
		o.mu.Unlock()
		return false
	}
	if o.broken {
		o.mu.Unlock()
		e.refuse(errBroken())
		return true
	}
	o.needAgenda()
	if r, ok := e.(*requestEvent); ok && o.waiting >= maxInbox {
		r.inLine = o.line.PushBack(r)
		o.mu.Unlock()
		return true
	}
	if counted {
		o.waiting++
	}
	if _, call := e.(*callEvent); call {
		o.calls++
	}
	o.inbox.pushEvent(e)
	o.start()
	o.mu.Unlock()
	return true
}

// needAgenda makes sure that there is one. The mutex is held.
func (o *Object) needAgenda() {
	if o.agenda == nil {
		o.agenda = new(agenda)
	}
}

// full reports whether the inbox has no room for requests and calls.
func (o *Object) full() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.agenda != nil && o.waiting >= maxInbox
}

// leaveLine takes a request out of the line. It reports false if it is in the inbox,
// or was, by now.
func (o *Object) leaveLine(e *requestEvent) (left bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e.inLine == nil {
		return false
	}
	o.line.Remove(e.inLine)
	e.inLine = nil
	return true
}

// makeRoom takes events off the count, and lets in who is first in line. One comes in
// for one that has entered: to wake all of them would be work for each of them, each
// time. The mutex is held.
func (o *Object) makeRoom(events int) {
	o.waiting -= events
	for o.waiting < maxInbox && o.line.Len() > 0 {
		o.waiting++
		o.inbox.pushEvent(o.firstInLine())
	}
}

func (o *Object) firstInLine() *requestEvent {
	e := o.line.Remove(o.line.Front()).(*requestEvent)
	e.inLine = nil
	return e
}

// complete puts a completion into the inbox.
func (o *Object) complete(c completion) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gone {
		return // nothing pinned it: nothing waits for this
	}
	o.needAgenda()
	o.inbox.pushCompletion(c)
	o.start()
}

// expire is complete for timers: a node that is closing has no use for them.
func (o *Object) expire(c completion) {
	if !o.node.closing.Load() {
		o.complete(c)
	}
}

// start has the object run, unless it does or is about to. The mutex is held.
func (o *Object) start() {
	if !o.running {
		o.running = true
		o.node.begin()
		o.node.workers.enter(o)
	}
}

// run is what a worker does with an object. It reports whether there is more to do, and
// the object hands on.
func (o *Object) run(by *worker) (more bool) {
	o.by = by
	more = o.handleAll()
	o.node.balance()
	if !more {
		o.node.finish()
	}
	return more
}

// handleAll handles what is in the inbox until there is nothing that may enter, or
// others are to have their turns.
func (o *Object) handleAll() (more bool) {
	n, began := 0, time.Now()
	for {
		if (n >= eventsAtATime || time.Since(began) >= slice) && !o.idle() {
			if !o.by.goesOn() {
				o.flush() // what was released doesn't wait in line
				return true
			}
			runtime.Gosched() // there are other goroutines than workers
			n, began = 0, time.Now()
		}
		if o.outdated() {
			o.renew()
		}
		o.mu.Lock()
		e, c, ok := o.inbox.pop(o.gated())
		if !ok && len(o.unflushed) > 0 {
			o.mu.Unlock()
			o.flush()
			continue
		}
		if !ok {
			if o.act == nil && o.inbox.empty() {
				o.node.places.forgo(o)
			}
			if o.inbox.empty() && o.act == nil && len(o.unreleased) == 0 && o.hub.Len() == 0 {
				o.mu.Unlock()
				if o.node.forget(o) {
					return false
				}
				continue
			}
			o.rest()
			o.current = nil
			if o.act == nil && o.inbox.empty() && len(o.unreleased) == 0 {
				o.agenda = nil
			}
			o.running = false
			o.mu.Unlock()
			return false
		}
		if _, counted := e.(countedEvent); counted {
			o.makeRoom(1)
		}
		if _, call := e.(*callEvent); call {
			o.calls--
		}
		o.current = e
		o.mu.Unlock()
		if c != nil {
			c(o)
		} else {
			o.flush()
			o.handle(e)
		}
		n++
	}
}

// idle reports whether nothing is in the inbox.
func (o *Object) idle() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.inbox.empty()
}

// countedEvent marks the events that the inbox's bound counts.
type countedEvent interface{ counted() }

// gated reports whether events have to wait: the object runs init or
// blockConcurrencyWhile, or is too far ahead of the disk, or has lost its VM while
// turns of that one still wait for the disk: a new one would not see them. And an
// object that is asleep waits for a place among those that are awake. The mutex is
// held.
func (o *Object) gated() bool {
	if o.act == nil {
		if len(o.unreleased) > 0 {
			return true
		}
		return o.inbox.events.len() > 0 && o.inbox.events.first().wakes(o) && !o.node.places.take(o, o.calls > 0)
	}
	if o.act.vm.Blocked() {
		return true
	}
	if o.act.leaving && o.key.Type == script.HandlerNoun {
		return true // the new scripts are to have what comes by now, and those that go a chance to finish
	}
	return o.farAhead()
}

// farAhead reports whether too much of what the object did waits for the disk.
func (o *Object) farAhead() bool {
	return len(o.unreleased) >= maxUnreleased || o.ahead >= maxUnreleasedBytes
}

// handle gives an event to the scripts, awake first if need be.
func (o *Object) handle(e event) {
	if !e.wakes(o) {
		e.ignored(o)
		return
	}
	if o.act == nil {
		o.act = newActivation(o)
		o.bootError = nil
		id := o.act.newTask("init", nil)
		o.settle(o.act, o.act.vm.Boot(id), nil)
		o.flush()         // what was released doesn't wait for a turn
		if o.act == nil { // the scripts failed to load, or init threw
			e.refuse(o.bootError)
			return
		}
		if o.act.vm.Blocked() { // init goes on: the event stays first in line
			o.act.booting = e
			o.act.limitBoot(id)
			return
		}
	}
	e.enter(o, o.act)
}

// booted lets the event enter that woke the object, once init is through.
func (o *Object) booted(act *activation) {
	if e := act.booting; e != nil && !act.vm.Blocked() {
		act.booting = nil
		e.enter(o, act)
	}
}

// settle takes the outcome of a turn: what it wrote goes to the store, and what
// it did to the world waits for that, behind the turns before it.
func (o *Object) settle(act *activation, out script.Outcome, origin event) {
	act.endTurn()
	for _, s := range out.Orphans {
		o.hub.Remove(s.(client).Socket) // at once: later turns must not see it; it's dropped in its turn
	}
	o.node.stats.Turns.Add(1)
	o.node.config.Observe.turn(out.Took)
	t := &turn{orphans: out.Orphans, origin: origin, act: act}
	for _, f := range out.Failed {
		if r := act.takeReplier(f.Task); r != nil {
			t.failed = append(t.failed, failure{r, f.Err})
		}
	}
	if out.Err != nil {
		act.view.Discard()
		if out.Kind == "" {
			out.Kind = act.kind
		}
		if !out.Err.Remote && !out.Err.ByCaller && !out.Err.IsStorage() {
			act.ScriptError(out.Kind, out.Err)
		}
		if r, ok := origin.(replier); ok && out.Err.IsStorage() { // nobody else tells the client
			t.failed = append(t.failed, failure{r, out.Err})
		}
		for _, id := range out.Rejected {
			o.complete(act.settleCall(id, nil, out.Err))
		}
	} else {
		t.effects = out.Effects
		if seq, only := act.view.EndsOnly(); only {
			// A handler that wrote nothing else: no one is told anything that a
			// crash could take back.
			act.view.Discard()
			o.node.store.EndDelivery(seq)
		}
		t.batch = act.view.Seal()
		for _, e := range out.Effects {
			if f, ok := e.(script.Finished); ok {
				if r := act.takeReplier(f.Task); r != nil {
					if t.replies == nil {
						t.replies = make(map[script.TaskID]replier, 1)
					}
					t.replies[f.Task] = r
					if c, ok := r.(*callEvent); ok {
						c.trip.finished(c.op, f.Value, nil)
					}
				}
			}
		}
	}
	for _, f := range t.failed {
		if c, ok := f.replier.(*callEvent); ok {
			c.trip.finished(c.op, nil, f.err)
		}
	}
	o.queue(t)
	if out.Dropped || (out.Err != nil && !act.vm.Booted()) {
		o.bootError = out.Err
		o.drop(act, out.Err)
		return
	}
	o.booted(act)
}

// queue puts a turn behind those that wait for the disk, and releases what may go.
func (o *Object) queue(t *turn) {
	if t.batch == nil {
		t.done = true
		if len(o.unreleased) == 0 {
			o.release(t)
			return
		}
		o.unreleased = append(o.unreleased, t)
		return
	}
	o.unreleased = append(o.unreleased, t)
	o.ahead += t.batch.Bytes
	o.node.begin()
	o.node.store.Commit(t.batch, func(err error) {
		o.complete(func(o *Object) { o.committed(t, err) })
		o.node.finish()
	})
}

// committed notes that a turn is durable, or that it and all after it are lost.
func (o *Object) committed(t *turn, err error) {
	if t.done {
		return // lost with an earlier one already
	}
	if err != nil {
		o.lose(t, err)
		return
	}
	t.act.view.Settled(t.batch)
	t.done = true
	o.ahead -= t.batch.Bytes
	n := 0
	for n < len(o.unreleased) && o.unreleased[n].done {
		o.release(o.unreleased[n])
		o.unreleased[n] = nil
		n++
	}
	o.unreleased = o.unreleased[n:]
	if len(o.unreleased) == 0 {
		o.unreleased = nil
	}
}

// lose ends a turn whose commit failed, and every later one: they were computed
// from what is not there. The VM goes; the next event starts from what is stored.
func (o *Object) lose(t *turn, cause error) {
	if !errors.Is(cause, store.ErrDisk) { // of which the store tells, once for all
		o.node.log.Error("commit failed", "object", o.key.String(), "error", cause)
	}
	o.node.stats.CommitErrors.Add(1)
	e := script.NewError(script.UnavailableError, "what was to be stored could not be")
	e.Reported = true
	if errors.Is(cause, store.ErrNotFound) { // the delivery that it handled was done before
		for _, r := range t.replies {
			if d, ok := r.(*deliveryEvent); ok {
				d.end(nil)
			}
		}
	}
	for i, first := range o.unreleased {
		if first != t {
			continue
		}
		lost := o.unreleased[i:]
		o.unreleased = o.unreleased[:i:i]
		for _, l := range lost {
			if l.batch != nil {
				o.ahead -= l.batch.Bytes
			}
			l.done = true
			o.abort(l, e)
		}
		break
	}
	o.drop(t.act, e)
}

// abort tells everybody who waits for a lost turn.
func (o *Object) abort(t *turn, e *script.Error) {
	for _, r := range t.replies {
		r.refuse(e)
	}
	for _, f := range t.failed {
		f.replier.refuse(f.err)
	}
	for _, effect := range t.effects {
		if f, ok := effect.(script.Finished); ok && f.Response != nil && f.Response.Socket != nil {
			t.orphans = append(t.orphans, f.Response.Socket)
		}
	}
	o.dropSockets(t.orphans)
	if t.origin != nil {
		t.origin.refuse(e)
	}
}

// drop throws the activation away and tells all that was pending in it.
func (o *Object) drop(act *activation, cause *script.Error) {
	if o.act != act {
		return
	}
	o.act = nil
	act.end()
	o.mu.Lock()
	o.broken = false // if a turn was stuck, it is over now
	o.mu.Unlock()
	e := cause
	if act.vm.Booted() && (e == nil || e.Name != script.UnavailableError && e.Name != script.ReloadedError) {
		// What was pending is not to blame for what another handler did.
		e = script.NewError(script.HibernatedError, "the object was reset")
	}
	var orphans []script.Socket
	for _, id := range act.vm.Tasks() {
		orphans = append(orphans, act.vm.Abandon(id)...)
	}
	for _, r := range act.takeAll() {
		o.queue(&turn{failed: []failure{{r, e}}})
	}
	o.dropSockets(orphans)
	if act.booting != nil {
		act.booting.refuse(e)
		act.booting = nil
	}
}

func (o *Object) dropSockets(list []script.Socket) {
	for _, s := range list {
		c := s.(client)
		o.hub.Remove(c.Socket)
		if o.act != nil {
			o.act.vm.Forget(c)
		}
		c.Drop(closeInternalError, "")
	}
}

// rest is called when the object has nothing to do for now: an activation that
// nothing pins may hibernate after a while.
func (o *Object) rest() {
	if o.act != nil && len(o.unreleased) == 0 && o.act.vm.Idle() {
		o.node.places.rested(o.act)
	}
}
