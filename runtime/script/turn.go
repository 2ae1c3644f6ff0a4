package script

import (
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/dop251/goja"

	"chat.example.com.ai/store"
)

// Bounds of what one turn may collect. They keep one object's mistake from
// taking the memory of all: a broadcast of 1 MiB to everyone is one payload.
const (
	maxTurnEffects = 200_000 // sends to 32,768 sockets, six times over
	maxTurnBytes   = 32 << 20
	maxTurnWrites  = 10_000
)

// turn is what the running turn has collected.
type turn struct {
	effects  []Effect
	bytes    int
	err      *Error
	kind     string // of the task that failed in it, if it began in an earlier turn
	dropped  bool
	finished []*task // tasks that ended in this turn
	calls    []int64 // calls that were made in this turn
	outgoing []*Calls
	accepted []Socket // in this turn
	orphans  []Socket // accepted for a request that ended without a 101
	closings []*webSocket
	attached []attachment // attachments before this turn, to go back to
	mishaps  *mishaps     // made when there is one
	lines    int          // of console

	// The auto-response before this turn changed it.
	autoBefore  *SetAutoResponse
	autoChanged bool

	sent [4]sentText // the newest first: what one loop sends to each socket is rarely more
}

// mishaps is what has gone wrong in the turn, without failing it so far.
type mishaps struct {
	rejections map[*goja.Promise]struct{} // of promises that nobody has looked at
	unheard    []*pendingCall             // that failed when nobody had asked for their results
	thrown     place                      // of the last thrown value that is no Error
}

func (vm *VM) mishaps() *mishaps {
	if vm.turn.mishaps == nil {
		vm.turn.mishaps = &mishaps{rejections: make(map[*goja.Promise]struct{})}
	}
	return vm.turn.mishaps
}

// sentText is a payload that was sent, and the string it was made of.
type sentText struct {
	value   goja.Value
	message *Message
}

type attachment struct {
	socket *webSocket
	before []byte
}

// run is one turn: f, and then every job that it queued. Nothing of it has left
// when run returns; the outcome says what may.
func (vm *VM) run(f func()) (out Outcome) {
	vm.turn = turn{}
	vm.turns++
	started := time.Now()
	vm.watch.start()
	err := vm.protect(f)
	t := vm.current
	vm.current = nil
	// What went wrong is told within the turn's time: to read an error may run a script.
	vm.carefully(func() {
		if err == nil && vm.turn.err == nil {
			vm.flushCalls()
		}
	})
	if err != nil {
		if _, exception := err.(*goja.Exception); !exception {
			vm.turn.dropped = true // an interrupt, an overflow, a panic: the VM's state is anybody's guess
		}
		vm.carefully(func() {
			e := vm.toError(err)
			if t != nil {
				vm.failTask(t, e)
			}
			vm.failTurn(e)
		})
	}
	vm.carefully(vm.reportRejections)
	vm.carefully(vm.reportUnheard)
	if vm.watch.stop() {
		vm.turn.dropped = true
		vm.failTurn(NewError(TimeoutError, "the turn ran longer than %v", vm.watch.timeout))
	}
	out = vm.outcome()
	out.Took = time.Since(started)
	return out
}

// protect runs f inside the VM, drains the job queue, and returns what went wrong.
func (vm *VM) protect(f func()) (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = panicked(x)
		}
	}()
	vm.body = f
	_, err = vm.trampoline(goja.Undefined())
	return err
}

// carefully runs f after the jobs of a turn. A script may have made properties of what it
// throws getters, and neither an interrupt nor an overflow in them is caught by Try. In
// a VM that is given up, no script runs any more: its time may be over.
func (vm *VM) carefully(f func()) {
	defer func() {
		if x := recover(); x != nil {
			vm.turn.dropped = true
			vm.failTurn(vm.toError(panicked(x)))
		}
	}()
	if vm.turn.dropped {
		vm.rt.Interrupt(NewError(internalError, "the turn is over"))
	}
	f()
}

// panicked makes an error of a recovered value that is no exception of a script.
func panicked(x any) error {
	switch e := x.(type) {
	case *goja.InterruptedError:
		return e
	case *goja.StackOverflowError:
		return e
	case *Error:
		return e
	}
	return &Error{Name: internalError, Message: fmt.Sprintf("panic: %v", x), Stack: string(debug.Stack())}
}

// failTurn fails the running turn. The first error counts.
func (vm *VM) failTurn(e *Error) {
	if vm.turn.err == nil {
		vm.turn.err = e
	}
}

// collect adds an effect to the turn. Passing a bound ends it.
func (vm *VM) collect(e Effect, bytes int) {
	vm.needHost("this")
	t := &vm.turn
	t.bytes += bytes
	if len(t.effects) >= maxTurnEffects || t.bytes > maxTurnBytes {
		vm.limit("a turn may collect at most %d sends and calls of %d MiB together", maxTurnEffects, maxTurnBytes>>20)
	}
	t.effects = append(t.effects, e)
}

// wrote checks the turn's writes, as a view sees them, against their bounds.
func (vm *VM) wrote(view *store.View) {
	if n, bytes := view.Turn(); n > maxTurnWrites || bytes > maxTurnBytes {
		vm.limit("a turn may write at most %d rows of %d MiB together", maxTurnWrites, maxTurnBytes>>20)
	}
}

// limit ends the turn, and with it the VM: a script cannot catch it.
func (vm *VM) limit(format string, args ...any) {
	e := NewError(LimitError, format, args...)
	e.setPosition(vm.caller())
	vm.turn.dropped = true
	vm.failTurn(e)
	vm.rt.Interrupt(e)
	panic(vm.newError(e.Name, e.Message)) // unwinds to the next instruction, where the interrupt waits
}

// outcome closes the turn and says how it ended.
func (vm *VM) outcome() Outcome {
	t := &vm.turn
	out := Outcome{Err: t.err, Kind: t.kind, Dropped: t.dropped, Orphans: t.orphans}
	if t.err == nil {
		out.Effects = t.effects
		return out
	}
	for _, task := range t.finished {
		out.Failed = append(out.Failed, TaskFailure{Task: task.id, Err: t.err})
	}
	for _, s := range t.accepted {
		if !slices.Contains(out.Orphans, s) {
			out.Orphans = append(out.Orphans, s)
		}
	}
	for _, s := range t.accepted {
		delete(vm.sockets, s.ID())
		for _, task := range vm.tasks {
			task.accepted = slices.DeleteFunc(task.accepted, func(other Socket) bool { return other == s })
		}
	}
	for _, a := range slices.Backward(t.attached) {
		a.socket.attachment = a.before
	}
	for _, ws := range t.closings {
		ws.closing = false
	}
	out.Rejected = t.calls
	for _, id := range t.calls { // they are rejected in a turn of their own, and others may come before that
		if c := vm.calls[id]; c != nil {
			c.lost = true
		}
	}
	if t.autoChanged {
		vm.autoResponse = t.autoBefore
	}
	return out
}

// trackRejection keeps the promises that are rejected and that nobody has
// looked at.
func (vm *VM) trackRejection(p *goja.Promise, op goja.PromiseRejectionOperation) {
	m := vm.mishaps()
	switch op {
	case goja.PromiseRejectionReject:
		m.rejections[p] = struct{}{}
		if v := m.thrown.value; v == nil || !v.SameAs(p.Result()) { // else it is known better
			vm.notePlace(p.Result())
		}
	case goja.PromiseRejectionHandle:
		delete(m.rejections, p)
	}
}

// reportRejections logs what was rejected in this turn and awaited by nobody,
// each reason once. It fails nothing.
func (vm *VM) reportRejections() {
	if vm.turn.mishaps == nil {
		return
	}
	var reasons []goja.Value
	for p := range vm.turn.mishaps.rejections {
		reason := p.Result()
		if slices.ContainsFunc(reasons, reason.SameAs) {
			continue
		}
		reasons = append(reasons, reason)
		e := vm.errorOf(reason)
		switch {
		case e.Remote || e.same(vm.turn.err): // reported
		case vm.host == nil:
			vm.failTurn(e)
		default:
			vm.host.ScriptError("unhandled rejection", e)
		}
	}
	clear(vm.turn.mishaps.rejections)
}

// Idle reports whether nothing pins the VM: no timer, no handler that goes on,
// no call, no waitUntil.
func (vm *VM) Idle() bool {
	return len(vm.tasks) == 0 && len(vm.timers) == 0 && len(vm.calls) == 0 && vm.waits == 0 && vm.blocks == 0
}

// Timed reports whether timers pin the VM.
func (vm *VM) Timed() bool { return len(vm.timers) > 0 }

// Awaited lists the calls whose results a script waits for, in the order they were made.
func (vm *VM) Awaited() []int64 {
	var ids []int64
	for id, c := range vm.calls {
		if c.awaited {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Blocked reports whether init or blockConcurrencyWhile is still running: no
// event from outside may enter.
func (vm *VM) Blocked() bool { return vm.blocks > 0 }

// Booted reports whether init is through.
func (vm *VM) Booted() bool { return vm.booted }

// Running reports whether a task is not settled yet.
func (vm *VM) Running(id TaskID) bool { return vm.tasks[id] != nil }

// Forget drops the script's object of a socket that is gone, for one whose end no
// part wants to hear of.
func (vm *VM) Forget(s Socket) { delete(vm.sockets, s.ID()) }
