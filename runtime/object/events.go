package object

import (
	"container/list"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync/atomic"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/runtime/script"
	"chat.example.com.ai/runtime/socket"
	"chat.example.com.ai/store"
)

// Close codes that the runtime itself sends.
const (
	closeInternalError = 1011
	closeTryAgainLater = 1013
)

// messageEvent is a message of a client.
type messageEvent struct {
	socket *socket.Socket
	text   bool
	data   []byte
	passed bool // the socket's next message may come
}

// Message takes a message from a socket's reader. The next one of the same
// socket comes when the scripts have had this one.
func (o *Object) Message(s *socket.Socket, text bool, data []byte) {
	o.offer(&messageEvent{socket: s, text: text, data: data}, false)
}

func (e *messageEvent) wakes(o *Object) bool {
	return o.node.Scripts().HasHook(o.key.Type, "webSocketMessage")
}

func (e *messageEvent) ignored(*Object) { e.pass() }

func (e *messageEvent) pass() {
	if !e.passed {
		e.passed = true
		e.socket.Next()
	}
}

func (e *messageEvent) enter(o *Object, act *activation) {
	id := act.newTask("webSocketMessage", nil)
	out := act.vm.Message(id, client{e.socket}, e.text, e.data)
	e.data = nil
	o.settle(act, out, e)
	if act.limit(id, lingering) {
		act.wait(id, e)
	}
	e.pass()
}

func (e *messageEvent) reply([]byte, *script.Response) {}

// refuse closes the socket if what the message did is lost through no fault of
// its handler, so that the client can send it again. A handler that throws, an
// init that fails, is a matter between script and client.
func (e *messageEvent) refuse(err *script.Error) {
	switch {
	case err.Name == script.OutOfServiceError:
		e.socket.Close(closeInternalError, "out of service")
	case err.IsStorage():
		e.socket.Close(closeInternalError, "the storage could not be read")
	case err.Name == script.ReloadedError: // no socket closes; it was the handler's rest that was cut
	case err.IsTransient():
		e.socket.Close(closeTryAgainLater, "try again later")
	}
	e.pass()
}

// closedEvent is the end of a socket.
type closedEvent struct {
	object *Object
	socket *socket.Socket
	code   uint16
	reason string
	clean  bool

	reported bool // webSocketError has run
}

// Closed takes the end of a socket from its reader.
func (o *Object) Closed(s *socket.Socket, code uint16, reason string, clean bool) {
	o.offer(&closedEvent{object: o, socket: s, code: code, reason: reason, clean: clean}, false)
}

// A socket that never came to be, because its request failed, is not in the hub.
func (e *closedEvent) wakes(o *Object) bool {
	set := o.node.Scripts()
	return o.hub.Has(e.socket) &&
		(set.HasHook(o.key.Type, "webSocketClose") || e.violation() && set.HasHook(o.key.Type, "webSocketError"))
}

// violation reports whether the socket was closed because of what its peer sent,
// which is an error to the scripts; a peer that is just gone is none.
func (e *closedEvent) violation() bool {
	return !e.clean && e.code != socket.CodeAbnormal && !e.reported
}

func (e *closedEvent) ignored(o *Object) {
	o.hub.Remove(e.socket)
	if o.act != nil {
		o.act.vm.Forget(client{e.socket})
	}
}

func (e *closedEvent) enter(o *Object, act *activation) {
	if e.violation() {
		e.reported = true
		id := act.newTask("webSocketError", nil)
		o.settle(act, act.vm.Failed(id, client{e.socket}, fmt.Sprintf("the WebSocket was closed with %d: %s", e.code, e.reason)), nil)
		act.limit(id, lingering)
		o.flush()
		o.handle(e) // in a new activation, if that turn has cost this one
		return
	}
	id := act.newTask("webSocketClose", nil)
	out := act.vm.Closed(id, client{e.socket}, e.code, e.reason, e.clean)
	o.hub.Remove(e.socket)
	o.settle(act, out, nil)
	act.limit(id, lingering)
}

// refuse takes the socket off the list later, in the object's own goroutine.
func (e *closedEvent) refuse(*script.Error) {
	e.object.complete(e.ignored)
}

// requestEvent is an HTTP request, and its waiting client.
type requestEvent struct {
	request atomic.Pointer[script.Request] // nil once it is abandoned: its body may be large
	result  chan result
	state   atomic.Int32  // 0 waiting, 1 replied, 2 abandoned
	entered atomic.Bool   // the scripts have it, or had it
	inLine  *list.Element // of its object's line, whose mutex guards it; nil if it isn't there
}

type result struct {
	response *script.Response
	err      *script.Error
}

func (e *requestEvent) counted()           {}
func (e *requestEvent) wakes(*Object) bool { return e.state.Load() == 0 } // somebody waits for it
func (e *requestEvent) ignored(*Object)    {}

func (e *requestEvent) enter(o *Object, act *activation) {
	request := e.request.Load()
	e.entered.Store(true)
	if e.state.Load() != 0 { // whoever abandoned it may have been told that it did not enter
		return
	}
	id := act.newTask("request", e)
	o.settle(act, act.vm.Request(id, request), nil)
	act.limit(id, taskTimeout)
}

func (e *requestEvent) reply(_ []byte, response *script.Response) {
	if e.state.CompareAndSwap(0, 1) {
		e.result <- result{response: response}
	} else if s := response.Socket; s != nil {
		s.(client).Drop(closeInternalError, "")
	}
}

func (e *requestEvent) refuse(err *script.Error) {
	if e.state.CompareAndSwap(0, 1) {
		e.result <- result{err: err}
	}
}

// callEvent is a live call of another object.
type callEvent struct {
	trip *roundTrip
	op   int
}

func (e *callEvent) counted()           {}
func (e *callEvent) wakes(*Object) bool { return true }
func (e *callEvent) ignored(*Object)    {}

func (e *callEvent) enter(o *Object, act *activation) {
	in, ready, err := e.trip.incoming(e.op, act.vm, func() { o.offer(e, true) })
	if !ready {
		return // an argument is the result of a call that isn't there yet
	}
	if err != nil {
		e.trip.finished(e.op, nil, err)
		e.refuse(err)
		return
	}
	id := act.newTask("call "+in.Path[0], e)
	o.settle(act, act.vm.Call(id, in), nil)
	act.limit(id, taskTimeout)
}

func (e *callEvent) reply(value []byte, _ *script.Response) { e.trip.answer(e.op, value, nil) }
func (e *callEvent) refuse(err *script.Error) {
	e.trip.lost(e.op, err)
	e.trip.answer(e.op, nil, err)
}

// deliveryEvent brings something of the outbox: an event to a handler, or a
// durable call.
type deliveryEvent struct {
	delivery store.Delivery
	done     func(error)
	called   atomic.Bool
}

func (e *deliveryEvent) wakes(o *Object) bool {
	_, ok := o.node.Scripts().Handler(e.delivery.Handler)
	return ok || e.delivery.Kind == store.CallDelivery
}

func (e *deliveryEvent) ignored(*Object) {
	e.end(&script.Error{Name: "Error", Message: "the event handler " + e.delivery.Handler + " is gone", Permanent: true})
}

func (e *deliveryEvent) enter(o *Object, act *activation) {
	d := e.delivery
	if d.Kind == store.CallDelivery {
		in, err := script.DecodeCall(d)
		if err != nil {
			e.end(&script.Error{Name: "Error", Message: "the stored call cannot be read: " + err.Error(), Permanent: true})
			return
		}
		id := act.newTask("call "+d.Type, e)
		o.settle(act, act.vm.Call(id, in), nil)
		act.limit(id, taskTimeout)
		return
	}
	id := act.newTask("event "+d.Type, e)
	o.settle(act, act.vm.Event(id, d.Seq, d.Handler, d.Hops, script.Event{
		ID: d.ID, Type: d.Type, Source: d.Source, Data: d.Data, At: d.At, Attempt: d.Attempts + 1,
		Scheduled: d.Kind == store.ScheduleDelivery,
	}), nil)
	act.limit(id, taskTimeout)
}

func (e *deliveryEvent) reply([]byte, *script.Response) { e.end(nil) }
func (e *deliveryEvent) refuse(err *script.Error)       { e.end(err) }

// end reports once. A nil *script.Error is a nil error.
func (e *deliveryEvent) end(err *script.Error) {
	if !e.called.CompareAndSwap(false, true) {
		return
	}
	if err == nil {
		e.done(nil)
		return
	}
	e.done(err)
}

// Request gives a request to an object and waits for the response, for as long
// as ctx allows. The error is a *script.Error: OverloadedError and
// script.UnavailableError may be tried again.
func (n *Node) Request(ctx context.Context, k key.Key, r *script.Request) (*Response, error) {
	o := n.Object(k)
	e := &requestEvent{result: make(chan result, 1)}
	e.request.Store(r)
	for !o.offer(e, true) {
		o = n.Object(k)
	}
	select {
	case r := <-e.result:
		if r.response != nil && r.response.Socket != nil {
			n.wave.rise()
		}
		return r.unwrap()
	case <-ctx.Done():
		if o.leaveLine(e) {
			return nil, script.NewError(script.OverloadedError, "%s has %d requests and calls waiting", k, maxInbox)
		}
		if e.state.CompareAndSwap(0, 2) {
			e.request.Store(nil)
			if !e.entered.Load() {
				return nil, script.NewError(script.OverloadedError, "%s had no time for the request", k)
			}
			return nil, script.NewError(script.TimeoutError, "no response in time")
		}
		return (<-e.result).unwrap()
	}
}

// Response is what an object answers a request with. If Socket is not nil, the
// caller upgrades the connection to it.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	Socket *socket.Socket
}

func (r result) unwrap() (*Response, error) {
	if r.err != nil {
		return nil, r.err
	}
	out := &Response{Status: r.response.Status, Header: r.response.Header, Body: r.response.Body}
	if s := r.response.Socket; s != nil {
		out.Socket = s.(client).Socket
	}
	return out, nil
}

// Deliver brings a delivery of the outbox to its target; done is called once,
// with the error of a *script.Error if it failed.
func (n *Node) Deliver(d store.Delivery, done func(error)) {
	e := &deliveryEvent{delivery: d, done: done}
	if n.closing.Load() {
		e.refuse(script.NewError(script.UnavailableError, "the program is stopping"))
		return
	}
	for !n.Object(d.Target).offer(e, false) {
	}
}

// MaxRetries is how often a delivery is tried again after its first attempt has
// failed: as its handler says by now, or, of a call, the handler that made it.
func (n *Node) MaxRetries(d store.Delivery) int {
	if h, ok := n.Scripts().Handler(d.Handler); ok {
		return h.MaxRetries
	}
	return script.DefaultMaxRetries
}

// encoded arguments of an op whose references are filled in.
func resolveArgs(op script.Op, results []opResult, vm *script.VM) (args []json.RawMessage, err *script.Error) {
	for _, a := range op.Args {
		if a.Ref == 0 {
			args = append(args, a.Value)
			continue
		}
		r := &results[a.Ref-1]
		if r.err != nil {
			return nil, r.err
		}
		value := json.RawMessage(r.value)
		if len(value) == 0 {
			value = undefined
		}
		if len(a.Path) > 0 {
			if value, err = vm.Pick(value, a.Path); err != nil {
				return nil, err
			}
		}
		args = append(args, value)
	}
	return args, nil
}

// undefined is how a VM encodes that value.
var undefined = json.RawMessage(`{"$undefined":1}`)
