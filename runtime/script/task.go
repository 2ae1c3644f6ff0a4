package script

import (
	"reflect"
	"slices"
	"strings"

	"github.com/dop251/goja"

	"chat.example.com.ai/store"
)

// MaxHops bounds a chain of calls and events: what goes on for longer goes round in a circle.
const MaxHops = 32

// task is one event that a script handles, from entering until everything that
// its handlers returned is settled. It may take many turns.
type task struct {
	id      TaskID
	kind    string
	method  string // that it runs, if that is not its kind
	hops    int
	turn    int64      // the one in which it began
	pending int        // promises that are not settled yet
	result  goja.Value // of the last handler
	begun   bool       // every handler was called
	done    bool

	finish   func(t *task) // collects what the task's end means; nil for none
	delivery int64         // position in the outbox of what it handles; 0 if nothing
	handler  string        // of an event: who handles it
	alarm    int64         // of an alarm: its ID; else 0
	durable  []*Calls      // made and not awaited, in a VM of handlers: stored when it ends
	accepted []Socket      // sockets that wait for the 101 of this request
	user     *User         // whom this request is from
}

// begin starts a task: f calls its handlers and returns what they returned.
func (vm *VM) begin(t *task, f func() []goja.Value) {
	if vm.tasks == nil {
		vm.tasks = make(map[TaskID]*task)
	}
	vm.tasks[t.id] = t
	t.turn = vm.turns
	vm.current = t
	defer func() {
		// A handler that threw ends its task with this turn's error.
		if !t.begun && !t.done {
			vm.endTask(t)
		}
	}()
	t.pending++ // until every handler was called; calls that wait for arguments count too
	results := f()
	t.begun = true
	t.pending += len(results)
	for _, v := range results {
		vm.settle(v, func(v goja.Value) { vm.settled(t, v) }, func(reason goja.Value) { vm.rejectedTask(t, reason) })
	}
	vm.settled(t, nil)
}

// settled notes that one of the task's promises is fulfilled, and ends the task
// with the last of them.
func (vm *VM) settled(t *task, v goja.Value) {
	if v != nil {
		t.result = v
	}
	if t.pending--; t.pending > 0 || t.done {
		return
	}
	vm.current = t
	if t.finish != nil {
		// What it came to may be nothing that can be given out; that fails the turn.
		if ex := vm.rt.Try(func() { t.finish(t) }); ex != nil {
			vm.failTask(t, vm.toError(ex))
		}
	}
	if t.turn != vm.turns && t.finish == nil { // who sent the message is told if this turn is lost
		vm.collect(Finished{Task: t.id}, 0)
	}
	vm.endTask(t)
}

// rejectedTask fails the turn in which a promise of the task was rejected.
func (vm *VM) rejectedTask(t *task, reason goja.Value) {
	if t.done {
		vm.host.ScriptError("unhandled rejection", vm.errorOf(reason))
		return
	}
	vm.endTask(t)
	vm.failTask(t, vm.errorOf(reason))
}

// failTask fails the turn in which a task failed.
func (vm *VM) failTask(t *task, e *Error) {
	if t.turn != vm.turns { // else it is what entered
		vm.turn.kind = t.kind
	}
	vm.placeInTask(e, t)
	vm.failTurn(e)
}

// placeInTask has an error that knows no better point at the handler that ran.
func (vm *VM) placeInTask(e *Error, t *task) {
	if e.File != "" || e.Remote || e.ByCaller {
		return
	}
	if h, ok := vm.set.Handler(t.handler); ok {
		e.setPosition(h.position)
		return
	}
	if vm.noun == nil {
		return
	}
	method := t.kind
	if t.method != "" {
		method = t.method
	}
	for _, m := range vm.noun.parts {
		if owner := vm.noun.owner[method]; owner != nil && owner != m {
			continue
		}
		if at := m.positions[method]; at != "" {
			e.setPosition(at)
			return
		}
	}
}

// TaskError makes an error about a running task that points at its handler.
func (vm *VM) TaskError(id TaskID, name, format string, args ...any) *Error {
	e := NewError(name, format, args...)
	if t := vm.tasks[id]; t != nil {
		vm.placeInTask(e, t)
	}
	return e
}

func (vm *VM) endTask(t *task) {
	t.done = true
	delete(vm.tasks, t.id)
	vm.forgetUnsent(t)
	vm.turn.finished = append(vm.turn.finished, t)
	vm.turn.orphans = append(vm.turn.orphans, t.accepted...)
	t.accepted = nil
}

// Abandon forgets a task whose time is up; what it still does counts for nothing.
// The sockets that waited for its 101 are returned.
func (vm *VM) Abandon(id TaskID) []Socket {
	t := vm.tasks[id]
	if t == nil {
		return nil
	}
	t.done = true
	delete(vm.tasks, id)
	vm.forgetUnsent(t)
	return t.accepted
}

// Tasks lists the tasks that are running.
func (vm *VM) Tasks() []TaskID {
	ids := make([]TaskID, 0, len(vm.tasks))
	for id := range vm.tasks {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// hops is how many calls and events led to what runs now.
func (vm *VM) hops() int {
	if vm.current == nil {
		return 0
	}
	return vm.current.hops
}

var promiseType = reflect.TypeFor[*goja.Promise]()

// settle calls one of the two functions with the outcome of a value: at once if
// it is no promise or a settled one, else in a later job.
func (vm *VM) settle(v goja.Value, fulfilled, rejected func(goja.Value)) {
	o, ok := v.(*goja.Object)
	if !ok {
		fulfilled(v)
		return
	}
	if o.ExportType() == promiseType {
		if p, ok := o.Export().(*goja.Promise); ok {
			switch p.State() {
			case goja.PromiseStateFulfilled:
				fulfilled(p.Result())
				return
			case goja.PromiseStateRejected:
				delete(vm.mishaps().rejections, p)
				rejected(p.Result())
				return
			}
		}
	}
	then, ok := goja.AssertFunction(o.Get("then"))
	if !ok {
		fulfilled(v)
		return
	}
	called := false // a thenable of a script may call both, and twice
	once := func(f func(goja.Value)) func(goja.FunctionCall) goja.Value {
		return func(call goja.FunctionCall) goja.Value {
			if !called {
				called = true
				f(call.Argument(0))
			}
			return goja.Undefined()
		}
	}
	_, err := then(o, vm.rt.ToValue(once(fulfilled)), vm.rt.ToValue(once(rejected)))
	vm.check(err)
}

// Boot loads the scripts into the VM, registers the routes and runs init.
func (vm *VM) Boot(id TaskID) Outcome {
	return vm.run(func() {
		t := &task{id: id, kind: "init"}
		vm.blocks++
		t.finish = func(t *task) {
			vm.blocks--
			vm.booted = true
			vm.collect(Finished{Task: t.id}, 0)
		}
		vm.begin(t, func() []goja.Value {
			if vm.noun == nil {
				vm.loadHandlers()
				return nil
			}
			if vm.instance == nil { // else it was preloaded
				vm.assemble()
			}
			return vm.hook("init")
		})
	})
}

// loadHandlers loads the script of the handler that this VM runs.
func (vm *VM) loadHandlers() {
	vm.handlers = make(map[string]goja.Callable)
	h, _ := vm.set.Handler(vm.host.Key().ID) // if it's gone, its events are told so
	for _, m := range vm.set.modules {
		if m.file == h.File {
			vm.load(m)
		}
	}
}

// Message gives a whole message of a client to the object's parts.
func (vm *VM) Message(id TaskID, s Socket, text bool, data []byte) Outcome {
	return vm.run(func() {
		vm.begin(&task{id: id, kind: "webSocketMessage"}, func() []goja.Value {
			var message goja.Value
			if text {
				message = vm.rt.ToValue(string(data))
			} else {
				message = vm.rt.ToValue(vm.rt.NewArrayBuffer(data))
			}
			return vm.hook("webSocketMessage", vm.socketObject(s).self, message)
		})
	})
}

// Closed tells the object's parts that a socket is gone. It stays listed, and its
// object the same, until the turn is over.
func (vm *VM) Closed(id TaskID, s Socket, code uint16, reason string, clean bool) Outcome {
	defer vm.Forget(s)
	return vm.run(func() {
		t := &task{id: id, kind: "webSocketClose"}
		vm.begin(t, func() []goja.Value {
			ws := vm.socketObject(s)
			ws.host.(*webSocket).closed = true
			return vm.hook("webSocketClose", ws.self, vm.rt.ToValue(int(code)), vm.rt.ToValue(reason), vm.rt.ToValue(clean))
		})
	})
}

// Failed tells the object's parts that a socket broke; Closed follows.
func (vm *VM) Failed(id TaskID, s Socket, err string) Outcome {
	return vm.run(func() {
		vm.begin(&task{id: id, kind: "webSocketError"}, func() []goja.Value {
			return vm.hook("webSocketError", vm.socketObject(s).self, vm.newError("Error", err))
		})
	})
}

// Request gives a request to the routes of the object. The response comes as
// Finished, in this turn or a later one.
func (vm *VM) Request(id TaskID, r *Request) Outcome {
	return vm.run(func() {
		t := &task{id: id, kind: "request", method: "onRequest", user: r.User}
		t.finish = func(t *task) { vm.respond(t, t.result) }
		vm.begin(t, func() []goja.Value {
			if vm.app == nil {
				vm.app = vm.newApp()
			}
			req := vm.newRequest(r.Method, r.URL, r.Header, r.Body)
			req.host.(*request).user = r.User
			return []goja.Value{vm.dispatch(vm.app.host.(*app), req)}
		})
	})
}

// respond ends a request task with what the script returned.
func (vm *VM) respond(t *task, v goja.Value) {
	res, ok := vm.responseOf(v)
	if !ok {
		vm.throwType("the route's handler returned %s, not a Response", vm.describe(v))
	}
	out := &Response{Status: res.status, Header: res.headers.httpHeader(), Body: res.body}
	if res.status == 101 {
		ws, ok := hostOf[*webSocket](res.socket)
		if !ok || ws.pair == nil || ws.pair.server.socket == nil || ws.socket != nil {
			vm.throwType("a response with status 101 needs the webSocket of a WebSocketPair whose other end went through this.ctx.acceptWebSocket")
		}
		out.Socket = ws.pair.server.socket
		if !slices.Contains(t.accepted, out.Socket) { // and so perhaps with another user
			vm.throwType("the WebSocket was accepted in the answer to another request")
		}
		t.accepted = slices.DeleteFunc(t.accepted, func(s Socket) bool { return s == out.Socket })
	}
	vm.collect(Finished{Task: t.id, Response: out}, len(out.Body))
}

// Event gives an event to one handler. Its end takes the delivery out of the outbox.
func (vm *VM) Event(id TaskID, seq int64, handler string, hops int, e Event) Outcome {
	return vm.run(func() {
		t := &task{id: id, kind: "event", hops: hops, delivery: seq, handler: handler}
		t.finish = vm.finishDelivery
		vm.begin(t, func() []goja.Value {
			f, ok := vm.handlers[handler]
			if !ok {
				vm.failTurn(&Error{Name: "Error", Message: "the event handler " + handler + " is gone", Permanent: true})
				return nil
			}
			data, err := vm.decode(e.Data)
			vm.check(err)
			if e.Scheduled {
				v, err := f(goja.Undefined(), data)
				vm.check(err)
				return []goja.Value{v}
			}
			event := vm.rt.NewObject()
			must(event.Set("id", e.ID))
			must(event.Set("type", e.Type))
			must(event.Set("source", e.Source))
			must(event.Set("data", data))
			must(event.Set("timestamp", vm.newDate(e.At)))
			must(event.Set("attempt", e.Attempt))
			v, err := f(goja.Undefined(), event)
			vm.check(err)
			return []goja.Value{v}
		})
	})
}

// finishDelivery marks a delivery done in the same transaction as its effects,
// and stores the calls that its handler made and did not await.
func (vm *VM) finishDelivery(t *task) {
	for _, call := range t.durable {
		if call.sent || call.awaited { // awaited ones leave with the turn
			continue
		}
		call.sent = true
		for _, op := range call.Ops {
			vm.addDelivery(store.Delivery{
				Kind:    store.CallDelivery,
				Target:  call.Target,
				Handler: t.handler,
				Type:    call.Target.Type + "." + strings.Join(op.Path, "."),
				Data:    encodeOp(op),
				Hops:    call.Hops,
			}, op.At)
			vm.forgetCall(op.ID)
		}
	}
	if t.delivery != 0 {
		vm.host.View().Write(store.DoneDelivery{Seq: t.delivery})
	}
	vm.collect(Finished{Task: t.id}, 0)
}

// addDelivery puts something into the outbox, or, after too many hops, among
// the dead letters. at is where the script made it.
func (vm *VM) addDelivery(d store.Delivery, at string) {
	d.Seq = vm.host.NextSeq()
	if d.ID == "" {
		d.ID = vm.host.NewID()
	}
	d.Source = vm.host.Key().String()
	d.At = vm.now().UnixMilli()
	if d.Hops > MaxHops {
		letter := store.DeadLetter{Delivery: d, Error: hopsMessage, Position: at, DiedAt: d.At}
		vm.host.View().Write(store.BuryDelivery{Letter: letter})
		vm.wrote(vm.host.View())
		vm.collect(Buried{letter}, len(d.Data))
		return
	}
	vm.host.View().Write(store.AddDelivery{Delivery: d})
	vm.wrote(vm.host.View())
	vm.collect(Committed{Delivery: d}, len(d.Data))
}

const hopsMessage = "more than 32 hops: calls and events go round in a circle"

// Timer runs a timer that is due.
func (vm *VM) Timer(id int64, task TaskID) Outcome {
	return vm.run(func() { vm.fireTimer(id, task) })
}

// newDate makes a Date of milliseconds since 1970.
func (vm *VM) newDate(ms int64) goja.Value {
	return vm.newDateObject(ms, true)
}
