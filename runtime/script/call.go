package script

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/dop251/goja"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

const (
	maxCallValue = 2 << 20 // bytes of the arguments of one call, or of its result
	maxCallPath  = 16      // names in a chain of property reads
	maxCalls     = 10_000  // unsettled ones of one object
)

// pendingCall is a call that was made, until its result is here.
type pendingCall struct {
	id       int64
	calls    *Calls // nil while it waits for its arguments
	op       int    // index into calls.Ops
	settled  bool
	lost     bool // the turn that made it failed: it is never made, and its rejection is on the way
	value    goja.Value
	err      goja.Value
	position string // of the caller, for a rejection that nobody awaits
	awaited  bool   // somebody has asked for the result
	durable  bool
	waiting  []func(value, err goja.Value)
}

// makeCall adds an op to the round trip of this turn to the target. Calls are
// eager: whether anybody awaits the result or not, it is made when the turn ends.
func (vm *VM) makeCall(target key.Key, path []string, isCall bool, args []goja.Value) *pendingCall {
	vm.needHost("$." + target.Type + "(id)")
	if len(vm.calls) >= maxCalls {
		vm.throwError("RangeError", "more than %d calls wait for their results", maxCalls)
	}
	for _, a := range args {
		if vm.mustWait(target, a) {
			return vm.deferCall(target, path, isCall, args)
		}
	}
	c := vm.newCall()
	vm.addOp(c, target, path, isCall, args)
	return c
}

// newCall makes a call that pins the VM until it is settled, and goes down with
// the turn that makes it.
func (vm *VM) newCall() *pendingCall {
	c := &pendingCall{id: vm.id(), position: vm.caller()}
	if vm.calls == nil {
		vm.calls = make(map[int64]*pendingCall)
	}
	vm.calls[c.id] = c
	vm.turn.calls = append(vm.turn.calls, c.id)
	return c
}

// mustWait reports whether an argument is a promise whose value is needed before
// the call can be made: anything but the result of a call to the same target in
// the same round trip, which the target itself fills in.
func (vm *VM) mustWait(target key.Key, arg goja.Value) bool {
	if s := vm.stubOf(arg); s != nil {
		if s.call == nil {
			return s.path != nil
		}
		calls := s.call.calls
		return s.call.settled || vm.handlers != nil || calls == nil || calls.sent ||
			calls.Target != target || calls.Hops != vm.hops()+1 || !slices.Contains(vm.turn.outgoing, calls)
	}
	o, ok := arg.(*goja.Object)
	return ok && o.ExportType() == promiseType
}

// deferCall makes a call once the promises among its arguments are settled.
func (vm *VM) deferCall(target key.Key, path []string, isCall bool, args []goja.Value) *pendingCall {
	c := vm.newCall()
	args = slices.Clone(args)
	t := vm.current
	if t != nil {
		t.pending++ // the task isn't over before its call is made
	}
	left := 1
	failed := false
	step := func() {
		if left--; left > 0 || failed {
			return
		}
		previous := vm.current
		vm.current = t
		if !c.settled && !c.lost {
			if ex := vm.rt.Try(func() { vm.addOp(c, target, path, isCall, args) }); ex != nil {
				vm.settleCall(c, nil, ex.Value())
			}
		}
		vm.current = previous
		if t != nil {
			vm.settled(t, nil)
		}
	}
	for i, a := range args {
		if s := vm.stubOf(a); (s == nil || s.call == nil) && !vm.mustWait(target, a) {
			continue // a value; the results of all calls are waited for, as the trip they are in leaves without this one
		}
		left++
		vm.settle(a, func(v goja.Value) { args[i] = v; step() }, func(reason goja.Value) {
			if failed {
				return
			}
			failed = true
			if !c.settled {
				vm.settleCall(c, nil, reason)
			}
			if t != nil {
				vm.settled(t, nil)
			}
		})
	}
	step()
	return c
}

// addOp puts a call into the round trip of this turn.
func (vm *VM) addOp(c *pendingCall, target key.Key, path []string, isCall bool, args []goja.Value) {
	// A handler that has ended can't store calls any more: what goes on after it
	// makes live ones.
	handling := vm.handlers != nil && vm.current != nil && vm.current.kind == "event" && !vm.current.done
	hops := vm.hops() + 1
	if hops > MaxHops && !handling { // a durable one becomes a dead letter
		vm.settleCall(c, nil, vm.newError("Error", hopsMessage))
		return
	}
	op := Op{ID: c.id, Path: path, Call: isCall, At: c.position}
	bytes := 0
	for i, a := range args {
		arg := Arg{}
		if s := vm.stubOf(a); s != nil && s.call != nil { // in this very trip: mustWait has seen to it
			arg.Ref, arg.Path = s.call.op+1, s.path
			s.call.awaited = true
		} else {
			data, err := vm.encode(a, maxCallValue-bytes)
			if err != nil {
				vm.throwType("%s.%s: argument %d cannot be sent: %s", target.Type, strings.Join(path, "."), i+1, vm.toError(err).Message)
			}
			arg.Value = data
			bytes += len(data)
		}
		op.Args = append(op.Args, arg)
	}
	var calls *Calls
	if !handling {
		for _, o := range vm.turn.outgoing {
			if o.Target == target && o.Hops == hops && o.task == nil {
				calls = o
			}
		}
	}
	if calls == nil {
		calls = &Calls{Target: target, Hops: hops}
		if handling {
			calls.task = vm.current
			vm.current.durable = append(vm.current.durable, calls)
		}
		vm.turn.outgoing = append(vm.turn.outgoing, calls)
		vm.collect(calls, 0)
	}
	vm.turn.bytes += bytes
	c.calls, c.op = calls, len(calls.Ops)
	if c.awaited {
		calls.awaited = true
	}
	calls.Ops = append(calls.Ops, op)
}

// await has done called with the outcome of a call.
func (vm *VM) await(c *pendingCall, done func(value, err goja.Value)) {
	c.awaited = true
	switch {
	case c.settled:
		done(c.value, c.err)
		return
	case c.durable:
		done(nil, vm.newError("TypeError", "the handler that made this call has ended: its result comes to nobody"))
		return
	}
	if c.calls != nil && c.calls.Hops > MaxHops { // it stays where it is, whoever awaits it
		c.calls.Ops, c.calls.awaited = nil, true
		vm.settleCall(c, nil, vm.newError("Error", hopsMessage))
		done(nil, c.err)
		return
	}
	c.waiting = append(c.waiting, done)
	if c.calls != nil && !c.lost {
		c.calls.awaited = true
		if !c.calls.sent && !slices.Contains(vm.turn.outgoing, c.calls) { // made in an earlier turn of an event handler
			vm.turn.outgoing = append(vm.turn.outgoing, c.calls)
			vm.collect(c.calls, 0)
			vm.turn.calls = append(vm.turn.calls, c.id)
		}
	}
}

// flushCalls marks what leaves with this turn. A call that an event handler made
// and has not awaited stays until the handler ends.
func (vm *VM) flushCalls() {
	for _, c := range vm.turn.outgoing {
		if c.task == nil || c.awaited {
			c.sent = true
		}
	}
	vm.turn.effects = slices.DeleteFunc(vm.turn.effects, func(e Effect) bool {
		c, ok := e.(*Calls)
		return ok && (!c.sent || len(c.Ops) == 0 || c.task != nil && !c.awaited)
	})
}

// forgetCall ends the wait for a call that became durable.
func (vm *VM) forgetCall(id int64) {
	if c := vm.calls[id]; c != nil {
		c.durable = true
		delete(vm.calls, id)
	}
}

// forgetUnsent forgets the calls of a handler that ended without success: they
// were neither awaited nor stored.
func (vm *VM) forgetUnsent(t *task) {
	for _, calls := range t.durable {
		if !calls.sent && !calls.awaited {
			calls.sent = true
			for _, op := range calls.Ops {
				vm.forgetCall(op.ID)
			}
		}
	}
}

// Settle brings the result of a call.
func (vm *VM) Settle(id int64, value []byte, failure *Error) Outcome {
	return vm.run(func() {
		c := vm.calls[id]
		if c == nil {
			return
		}
		if failure != nil {
			if failure.File == "" { // then the call's own place says most
				at := *failure
				at.setPosition(c.position)
				failure = &at
			}
			vm.settleCall(c, nil, vm.errorValue(failure))
			return
		}
		v := goja.Undefined()
		if value != nil {
			var err error
			v, err = vm.decode(value)
			vm.check(err)
		}
		vm.settleCall(c, v, nil)
	})
}

func (vm *VM) settleCall(c *pendingCall, value, err goja.Value) {
	delete(vm.calls, c.id)
	c.settled, c.value, c.err = true, value, err
	waiting := c.waiting
	c.waiting = nil
	for _, done := range waiting {
		done(value, err)
	}
	if err != nil && !c.awaited {
		m := vm.mishaps()
		m.unheard = append(m.unheard, c)
	}
}

// reportUnheard logs the calls that failed in this turn, and whose results nobody
// has asked for.
func (vm *VM) reportUnheard() {
	if vm.turn.mishaps == nil {
		return
	}
	for _, c := range vm.turn.mishaps.unheard {
		if c.awaited {
			continue
		}
		e := vm.errorOf(c.err)
		if e.File == "" {
			e.setPosition(c.position)
		}
		if (!e.Remote || vm.test != nil) && !e.same(vm.turn.err) {
			vm.host.ScriptError("unhandled rejection of a call", e)
		}
	}
}

// pick reads a chain of own properties of a result.
func (vm *VM) pick(v goja.Value, path []string) goja.Value {
	for _, name := range path {
		o, ok := v.(*goja.Object)
		if !ok {
			if s, isString := stringOf(v); isString && name == "length" {
				return vm.rt.ToValue(len([]rune(s)))
			}
			vm.throwType("cannot read %q of %s", name, vm.describe(v))
		}
		if !vm.hasOwn(o, name) {
			return goja.Undefined()
		}
		v = o.Get(name)
	}
	return v
}

func (vm *VM) hasOwn(o *goja.Object, name string) bool {
	hasOwn, _ := goja.AssertFunction(vm.intrinsic("Object").ToObject(vm.rt).Get("hasOwn"))
	v, err := hasOwn(goja.Undefined(), o, vm.rt.ToValue(name))
	vm.check(err)
	return v.ToBoolean()
}

// Incoming is a call that another object, or the outbox, makes of this one.
type Incoming struct {
	Hops     int
	Delivery int64 // position in the outbox of a durable call; 0 if it's live
	Path     []string
	Call     bool
	At       string            // where a script made it; "" of a live call: its maker knows
	Args     []json.RawMessage // encoded
}

// Call runs a method, or reads a field, for another object.
func (vm *VM) Call(id TaskID, in Incoming) Outcome {
	return vm.run(func() {
		t := &task{id: id, kind: "call", hops: in.Hops, delivery: in.Delivery}
		if len(in.Path) > 0 {
			t.method = in.Path[0]
		}
		t.finish = func(t *task) {
			if in.Delivery != 0 {
				vm.finishDelivery(t)
				return
			}
			f := Finished{Task: t.id}
			if t.result != nil && !goja.IsUndefined(t.result) {
				data, err := vm.encode(t.result, maxCallValue)
				vm.explain(err, "the result of %s cannot be sent", t.method)
				f.Value = data
			}
			vm.collect(f, len(f.Value))
		}
		vm.begin(t, func() []goja.Value {
			v, err := vm.reach(in)
			if unknown, ok := err.(*Error); ok {
				vm.failTurn(unknown)
				return nil
			}
			vm.check(err)
			return []goja.Value{v}
		})
	})
}

// reach finds what a call addresses. Only what parts define can be reached.
func (vm *VM) reach(in Incoming) (goja.Value, error) {
	typ := vm.host.Key().Type
	unknown := func(message string) error {
		e := &Error{Name: "TypeError", Message: message, Permanent: true, ByCaller: in.Delivery == 0}
		e.setPosition(in.At)
		return e
	}
	if len(in.Path) == 0 {
		return nil, unknown("a call without a name")
	}
	name := in.Path[0]
	full := typ + "." + strings.Join(in.Path, ".")
	if vm.noun == nil || len(vm.noun.parts) == 0 {
		return nil, unknown(full + " does not exist: no script has a part for " + typ)
	}
	if vm.noun.owner[name] == nil || strings.HasPrefix(name, "_") {
		return nil, unknown(full + " does not exist: no part of " + typ + " defines " + name)
	}
	member := vm.instance.Get(name)
	if !in.Call {
		if len(in.Path) == 1 {
			return member, nil
		}
		p, resolve, reject := vm.rt.NewPromise()
		vm.settle(member,
			func(v goja.Value) {
				if ex := vm.rt.Try(func() { v = vm.pick(v, in.Path[1:]) }); ex != nil {
					vm.check(reject(ex.Value()))
					return
				}
				vm.check(resolve(v))
			},
			func(reason goja.Value) { vm.check(reject(reason)) })
		return vm.rt.ToValue(p), nil
	}
	f, ok := goja.AssertFunction(member)
	if !ok || len(in.Path) > 1 {
		return nil, unknown(full + " is not a method")
	}
	args := make([]goja.Value, len(in.Args))
	for i, data := range in.Args {
		v, err := vm.decode(data)
		if err != nil {
			return nil, err
		}
		args[i] = v
	}
	return f(vm.instance, args...)
}

// Pick reads a chain of own properties out of an encoded value, for a call that
// takes the result of another as an argument.
func (vm *VM) Pick(data []byte, path []string) (picked json.RawMessage, err *Error) {
	e := vm.protect(func() {
		v, err := vm.decode(data)
		vm.check(err)
		picked, err = vm.encode(vm.pick(v, path), maxCallValue)
		vm.check(err)
	})
	if e != nil {
		return nil, vm.toError(e)
	}
	return picked, nil
}

// encodeOp is the form of a durable call in the outbox; DecodeOp reads it.
func encodeOp(op Op) []byte {
	data, err := json.Marshal(op)
	must(err)
	return data
}

// DecodeCall reads a durable call from the outbox.
func DecodeCall(d store.Delivery) (Incoming, error) {
	var op Op
	if err := json.Unmarshal(d.Data, &op); err != nil {
		return Incoming{}, err
	}
	in := Incoming{Hops: d.Hops, Delivery: d.Seq, Path: op.Path, Call: op.Call, At: op.At}
	for _, a := range op.Args {
		in.Args = append(in.Args, a.Value)
	}
	return in, nil
}
