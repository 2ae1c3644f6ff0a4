package object

import (
	"bytes"
	"context"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/runtime/script"
	"chat.example.com.ai/runtime/socket"
	"chat.example.com.ai/store"
)

// activation is an object awake: its VM, and what it waits for. It is the VM's
// host. Results that come for an activation that is gone are dropped.
type activation struct {
	object *Object
	set    *script.Set
	vm     *script.VM
	view   *store.View
	kind   string // of the event that is handled, for the log

	lastTask  script.TaskID
	lastTimer int64 // of the object's own timers, counted down; the VM counts up
	replies   map[script.TaskID]replier
	deadlines map[script.TaskID]time.Time // of tasks that took more than one turn
	timers    map[int64]*time.Timer
	trips     map[int64]*roundTrip // by call
	fetching  chan struct{}        // holds one of each fetch that is under way; nil before the first
	booting   event                // waits for init
	leaving   bool                 // its scripts were replaced, and its time is running out
	lastTurn  time.Time
	rank      rank // among those that are awake

	reads      context.Context // of the running turn, made at its first read
	cancelRead context.CancelFunc
}

// client is a client's socket as the scripts' VM sees it.
type client struct{ *socket.Socket }

// ReadyState is the socket's state in the WebSocket API's numbers.
func (c client) ReadyState() int { return int(c.State()) }

// User is whom the socket was accepted for. An ID has no control characters, so one
// separates it from the claims.
func (c client) User() *script.User {
	who, expires := c.Identity()
	if who == nil {
		return nil
	}
	id, claims, _ := bytes.Cut(who, []byte{0})
	return &script.User{ID: string(id), Claims: claims, Expires: expires}
}

var _ script.Host = (*activation)(nil)

func newActivation(o *Object) *activation {
	act := &activation{object: o, set: o.node.Scripts()}
	act.view = o.node.store.View(o.key, o.node.config.Placement.Token(o.key))
	if act.vm = o.node.ready.take(act.set, o.key.Type); act.vm != nil {
		act.vm.Attach(act)
		o.node.stats.Ready.Add(1)
	} else {
		act.vm = act.set.NewObject(act)
	}
	o.node.places.enter(o)
	o.node.stats.Awake.Add(1)
	o.node.stats.Wakes.Add(1)
	return act
}

// end stops what the activation has running outside of the VM.
func (act *activation) end() {
	for _, t := range act.timers {
		t.Stop()
	}
	act.timers = nil
	for _, t := range act.trips {
		t.timer.Stop()
	}
	act.trips = nil
	act.object.node.stats.Awake.Add(-1)
	act.object.node.wave.rise()
	act.object.node.places.leave(act)
}

// newTask starts a turn for a task that r waits for, if anybody does.
func (act *activation) newTask(kind string, r replier) script.TaskID {
	act.kind = kind
	act.lastTask++
	if r != nil {
		act.wait(act.lastTask, r)
	}
	return act.lastTask
}

// wait has r told how a task ends.
func (act *activation) wait(id script.TaskID, r replier) {
	if act.replies == nil {
		act.replies = make(map[script.TaskID]replier, 1)
	}
	act.replies[id] = r
}

func (act *activation) takeReplier(id script.TaskID) replier {
	r := act.replies[id]
	delete(act.replies, id)
	return r
}

func (act *activation) takeAll() (all []replier) {
	for _, r := range act.replies {
		all = append(all, r)
	}
	act.replies = nil
	return all
}

// endTurn closes what was open for the turn only.
func (act *activation) endTurn() {
	act.lastTurn = time.Now()
	if act.cancelRead != nil {
		act.cancelRead()
		act.reads, act.cancelRead = nil, nil
	}
}

// sweepEvery is how often tasks that go on over several turns are looked at.
const sweepEvery = time.Second

// limit has a task abandoned that is not settled after d, and whoever waits for
// it told. It reports whether the task goes on. Most tasks are over with their first turn, and cost nothing here.
func (act *activation) limit(id script.TaskID, d time.Duration) (goesOn bool) {
	if act.object.act != act || !act.vm.Running(id) {
		return false
	}
	if act.deadlines == nil {
		act.deadlines = make(map[script.TaskID]time.Time)
	}
	act.deadlines[id] = time.Now().Add(d)
	if len(act.deadlines) == 1 {
		act.after(act.sweep, sweepEvery)
	}
	return true
}

// sweep abandons the tasks whose time is up.
func (act *activation) sweep(o *Object) {
	now := time.Now()
	for id, deadline := range act.deadlines {
		if !act.vm.Running(id) {
			delete(act.deadlines, id)
		} else if now.After(deadline) {
			delete(act.deadlines, id)
			act.abandon(id)
		}
	}
	if len(act.deadlines) > 0 {
		act.after(act.sweep, sweepEvery)
	}
}

func (act *activation) abandon(id script.TaskID) {
	o := act.object
	err := act.vm.TaskError(id, script.TimeoutError, "no result within %v: a promise of the handler is not settled", taskTimeout)
	o.dropSockets(act.vm.Abandon(id))
	r := act.takeReplier(id)
	if r == nil {
		return
	}
	act.ScriptError("pending handler", err)
	if c, ok := r.(*callEvent); ok {
		c.trip.finished(c.op, nil, err)
	}
	o.queue(&turn{failed: []failure{{r, err}}})
}

// after runs a completion later, unless the activation has ended.
func (act *activation) after(c completion, d time.Duration) {
	act.lastTimer--
	act.startTimer(act.lastTimer, d, c)
}

func (act *activation) startTimer(id int64, d time.Duration, c completion) {
	if act.timers == nil {
		act.timers = make(map[int64]*time.Timer)
	}
	o := act.object
	act.timers[id] = time.AfterFunc(d, func() {
		o.expire(func(o *Object) {
			if o.act == act && act.timers[id] != nil {
				delete(act.timers, id)
				c(o)
			}
		})
	})
}

// limitBoot fails the activation if init is not through in time.
func (act *activation) limitBoot(id script.TaskID) {
	act.after(func(o *Object) {
		if !act.vm.Booted() {
			err := act.vm.TaskError(id, script.TimeoutError, "init took longer than %v", taskTimeout)
			act.ScriptError("init", err)
			o.drop(act, err)
		}
	}, taskTimeout)
}

// The methods of script.Host.

func (act *activation) Key() key.Key      { return act.object.key }
func (act *activation) Now() time.Time    { return time.Now() }
func (act *activation) NewID() string     { return act.object.node.newID() }
func (act *activation) View() *store.View { return act.view }
func (act *activation) NextSeq() int64    { return act.object.node.store.NextSeq() }

func (act *activation) Reads() context.Context {
	if act.reads == nil {
		act.reads, act.cancelRead = context.WithDeadline(context.Background(), act.vm.TurnDeadline())
	}
	return act.reads
}

func (act *activation) Accept(tags []string, user *script.User) script.Socket {
	s := act.object.node.sockets.New(act.object, tags)
	if user != nil {
		s.Identify(slices.Concat([]byte(user.ID), []byte{0}, user.Claims), user.Expires)
	}
	act.object.hub.Add(s)
	return client{s}
}

func (act *activation) Sockets() iter.Seq[script.Socket] { return clients(act.object.hub.All()) }

func (act *activation) TaggedSockets(tag string) iter.Seq[script.Socket] {
	return clients(act.object.hub.Tagged(tag))
}

func clients(all iter.Seq[*socket.Socket]) iter.Seq[script.Socket] {
	return func(yield func(script.Socket) bool) {
		for s := range all {
			if !yield(client{s}) {
				return
			}
		}
	}
}

func (act *activation) SocketCount() int { return act.object.hub.Len() }

func (act *activation) Listed(s script.Socket) bool { return act.object.hub.Has(s.(client).Socket) }

func (act *activation) AutoResponse() (request, response string, ok bool) {
	return act.object.hub.AutoResponse()
}

func (act *activation) HandlersOf(eventType string) []script.Handler {
	return act.object.node.Scripts().HandlersOf(eventType) // those that will take it
}

// timerWait is how long a timer that is due waits for the disk before it is due again:
// about the time of a commit or two.
const timerWait = 10 * time.Millisecond

func (act *activation) StartTimer(id int64, d time.Duration) {
	act.startTimer(id, d, func(o *Object) {
		if o.farAhead() { // or timers would fill the memory with what the disk can't take
			act.StartTimer(id, timerWait)
			return
		}
		o.flush() // what was released doesn't wait for a turn
		out := act.vm.Timer(id, act.newTask("timer", nil))
		o.settle(act, out, nil)
	})
}

func (act *activation) StopTimer(id int64) {
	if t := act.timers[id]; t != nil {
		t.Stop()
		delete(act.timers, id)
	}
}

// Hung takes the object out of service while a turn runs that nothing can end.
// The watch calls it and holds up the end of that turn meanwhile, so nothing
// else touches what the object's goroutine owns.
func (act *activation) Hung() {
	o := act.object
	o.node.log.Error("a turn cannot be interrupted: its object is out of service, and a core is lost until it ends",
		"object", o.key.String(), "event", act.kind)
	o.node.stats.Hung.Add(1)
	o.by.lose()
	o.mu.Lock()
	o.broken = true
	var waiting []event
	for o.inbox.events.len() > 0 {
		waiting = append(waiting, o.inbox.events.pop())
	}
	for o.line.Len() > 0 {
		waiting = append(waiting, o.firstInLine())
	}
	o.makeRoom(o.waiting)
	o.calls = 0
	hanging := o.current
	if hanging != nil {
		waiting = append(waiting, hanging)
	}
	if act.booting != nil {
		waiting = append(waiting, act.booting)
	}
	o.mu.Unlock()
	act.blame(hanging)
	for _, e := range waiting {
		e.refuse(errBroken())
	}
	for _, r := range act.replies {
		r.refuse(errBroken())
	}
	for _, t := range o.unreleased { // nobody is here to release them
		for _, r := range t.replies {
			r.refuse(errBroken())
		}
	}
	o.flush()
	for s := range o.hub.All() {
		s.Close(closeInternalError, "the room is out of service")
	}
}

// blame fails the delivery whose turn hangs as an attempt that counts, or it would be
// tried for ever: the one that is handled, or, in a later turn of one that was, any
// that goes on. All others are told only that the object is out of service.
func (act *activation) blame(hanging event) {
	fail := func(e any) {
		if d, ok := e.(*deliveryEvent); ok {
			h, _ := act.set.Handler(d.delivery.Handler)
			d.refuse(h.Errorf(script.OutOfServiceError, "a turn could not be interrupted"))
		}
	}
	if hanging != nil {
		fail(hanging)
		return
	}
	for _, r := range act.replies {
		fail(r)
	}
}

func (act *activation) Log() *slog.Logger {
	return act.object.node.log.With("object", act.object.key.String())
}

func (act *activation) ScriptError(kind string, err *script.Error) {
	err.Reported = true
	n := act.object.node
	attrs := []any{"object", act.object.key.String(), "event", kind, "error", err.Error()}
	if err.Stack != "" {
		attrs = append(attrs, "stack", err.Stack)
	}
	n.log.Error("script error", attrs...)
	label, _, _ := strings.Cut(kind, " ") // without the name of a method or an event
	n.config.Observe.scriptError(label)
}
