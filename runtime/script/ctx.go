package script

import (
	"slices"
	"time"

	"github.com/dop251/goja"
)

const (
	maxAutoResponse = 2048             // bytes of each string of the pair
	maxWaitUntil    = 15 * time.Minute // how long waitUntil keeps an object awake
	maxWaits        = 10_000           // pending promises of waitUntil, of one object
	maxBlock        = 30 * time.Second // how long blockConcurrencyWhile may keep events out
	maxBlockDepth   = 64               // of blockConcurrencyWhile within itself
)

// ctxClass is this.ctx, the state of a durable object.
var ctxClass = &class{
	name: "DurableObjectState",
	methods: map[string]method{
		"acceptWebSocket":                   ctxAccept,
		"getWebSockets":                     ctxGetWebSockets,
		"getTags":                           ctxGetTags,
		"setWebSocketAutoResponse":          ctxSetAutoResponse,
		"getWebSocketAutoResponse":          ctxGetAutoResponse,
		"getWebSocketAutoResponseTimestamp": ctxAutoResponseTimestamp,
		"waitUntil":                         ctxWaitUntil,
		"blockConcurrencyWhile":             ctxBlock,
	},
	getters: map[string]getter{
		"id": func(vm *VM, this *native) goja.Value {
			vm.needHost("this.ctx.id")
			return vm.newNative(idClass, nil).self
		},
		"storage": func(vm *VM, this *native) goja.Value {
			if vm.kv == nil {
				vm.kv = vm.newNative(storageClass, nil)
			}
			return vm.kv.self
		},
	},
}

// idClass is this.ctx.id.
var idClass = &class{
	name: "DurableObjectId",
	methods: map[string]method{
		"toString": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			return vm.rt.ToValue(vm.host.Key().String())
		},
		"toJSON": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			return vm.rt.ToValue(vm.host.Key().String())
		},
		"equals": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			n := nativeOf(call.Argument(0))
			return vm.rt.ToValue(n != nil && n.class == this.class)
		},
	},
	getters: map[string]getter{
		"name": func(vm *VM, this *native) goja.Value { return vm.rt.ToValue(vm.host.Key().ID) },
		"type": func(vm *VM, this *native) goja.Value { return vm.rt.ToValue(vm.host.Key().Type) },
	},
}

func ctxAccept(vm *VM, this *native, call goja.FunctionCall) goja.Value {
	vm.needHost("this.ctx")
	n := nativeOf(call.Argument(0))
	ws, ok := hostOf[*webSocket](call.Argument(0))
	switch {
	case !ok:
		vm.throwType("acceptWebSocket takes one end of a WebSocketPair, not %s", vm.describe(call.Argument(0)))
	case ws.socket != nil:
		vm.throwType("acceptWebSocket: this WebSocket is accepted already")
	case ws.pair == nil || ws.pair.used:
		vm.throwType("acceptWebSocket: the other end of this WebSocketPair is in use")
	case vm.current == nil || vm.current.kind != "request":
		vm.throwType("acceptWebSocket can only answer a request: call it in the handler of a route")
	case vm.host.SocketCount() >= maxSockets:
		vm.throwError("RangeError", "acceptWebSocket: the object has %d WebSockets, no more are allowed", maxSockets)
	}
	tags := vm.tags(call.Argument(1))
	ws.pair.used = true
	ws.pair.server = ws // the end that was accepted is the server's; the other goes into the Response
	s := vm.host.Accept(tags, vm.current.user)
	ws.socket = s
	vm.keepSocket(s, n)
	vm.turn.accepted = append(vm.turn.accepted, s)
	vm.current.accepted = append(vm.current.accepted, s)
	if ws.attachment != nil {
		vm.collect(Attach{Socket: s, Data: ws.attachment}, len(ws.attachment))
	}
	return goja.Undefined()
}

// tags reads the second argument of acceptWebSocket.
func (vm *VM) tags(v goja.Value) []string {
	if goja.IsUndefined(v) || goja.IsNull(v) {
		return nil
	}
	var tags []string
	vm.rt.ForOf(v, func(v goja.Value) bool {
		tag, ok := stringOf(v)
		if !ok {
			vm.throwType("acceptWebSocket: a tag is a string, not %s", vm.describe(v))
		}
		if len(tag) > maxTagBytes {
			vm.throwError("RangeError", "acceptWebSocket: a tag has %d bytes, more than %d", len(tag), maxTagBytes)
		}
		if !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
		if len(tags) > maxTags {
			vm.throwError("RangeError", "acceptWebSocket: more than %d tags", maxTags)
		}
		return true
	})
	return tags
}

func ctxGetWebSockets(vm *VM, this *native, call goja.FunctionCall) goja.Value {
	return vm.newSocketList(call.Argument(0))
}

// hibernatable returns the accepted WebSocket that a function of ctx was given.
func (vm *VM) hibernatable(what string, v goja.Value) *webSocket {
	ws, ok := hostOf[*webSocket](v)
	if !ok {
		vm.throwType("%s takes a WebSocket, not %s", what, vm.describe(v))
	}
	ws.accepted(vm, what)
	return ws
}

func ctxGetTags(vm *VM, this *native, call goja.FunctionCall) goja.Value {
	ws := vm.hibernatable("getTags", call.Argument(0))
	var tags []any
	for _, t := range ws.socket.Tags() {
		tags = append(tags, t)
	}
	return vm.rt.NewArray(tags...)
}

// autoResponsePair is the host value of a WebSocketRequestResponsePair.
type autoResponsePair struct{ request, response string }

var autoResponsePairClass = &class{
	name: "WebSocketRequestResponsePair",
	getters: map[string]getter{
		"request":  func(vm *VM, n *native) goja.Value { return vm.rt.ToValue(n.host.(*autoResponsePair).request) },
		"response": func(vm *VM, n *native) goja.Value { return vm.rt.ToValue(n.host.(*autoResponsePair).response) },
	},
}

func newAutoResponsePair(vm *VM) goja.Value {
	return vm.rt.ToValue(func(call goja.ConstructorCall) *goja.Object {
		p := &autoResponsePair{call.Argument(0).String(), call.Argument(1).String()}
		if len(p.request) > maxAutoResponse || len(p.response) > maxAutoResponse {
			vm.throwError("RangeError", "WebSocketRequestResponsePair: each string may have %d bytes", maxAutoResponse)
		}
		return vm.newNative(autoResponsePairClass, p).self
	})
}

func ctxSetAutoResponse(vm *VM, this *native, call goja.FunctionCall) goja.Value {
	vm.needHost("this.ctx")
	v := call.Argument(0)
	if goja.IsUndefined(v) || goja.IsNull(v) {
		vm.setAutoResponse(SetAutoResponse{})
		return goja.Undefined()
	}
	p, ok := hostOf[*autoResponsePair](v)
	if !ok {
		vm.throwType("setWebSocketAutoResponse takes a WebSocketRequestResponsePair")
	}
	vm.setAutoResponse(SetAutoResponse{Request: p.request, Response: p.response, Set: true})
	return goja.Undefined()
}

func (vm *VM) setAutoResponse(e SetAutoResponse) {
	vm.collect(e, len(e.Request)+len(e.Response))
	if !vm.turn.autoChanged {
		vm.turn.autoChanged, vm.turn.autoBefore = true, vm.autoResponse
	}
	vm.autoResponse = &e
}

func ctxGetAutoResponse(vm *VM, this *native, call goja.FunctionCall) goja.Value {
	vm.needHost("this.ctx")
	if e := vm.autoResponse; e != nil { // set in a turn that is not released yet, perhaps
		if !e.Set {
			return goja.Null()
		}
		return vm.newNative(autoResponsePairClass, &autoResponsePair{e.Request, e.Response}).self
	}
	request, response, ok := vm.host.AutoResponse()
	if !ok {
		return goja.Null()
	}
	return vm.newNative(autoResponsePairClass, &autoResponsePair{request, response}).self
}

func ctxAutoResponseTimestamp(vm *VM, this *native, call goja.FunctionCall) goja.Value {
	ws := vm.hibernatable("getWebSocketAutoResponseTimestamp", call.Argument(0))
	at := ws.socket.AutoResponseAt()
	if at.IsZero() {
		return goja.Null()
	}
	return vm.newDate(at.UnixMilli())
}

func ctxWaitUntil(vm *VM, this *native, call goja.FunctionCall) goja.Value {
	vm.needHost("this.ctx")
	if vm.waits >= maxWaits {
		vm.throwError("RangeError", "waitUntil: more than %d promises are pending", maxWaits)
	}
	vm.waits++
	done := false
	end := func() {
		if !done {
			done = true
			vm.waits--
		}
	}
	limit := vm.startTimer(maxWaitUntil, 0, end)
	release := func() {
		if !done {
			vm.stopTimer(limit)
		}
		end()
	}
	vm.settle(call.Argument(0),
		func(goja.Value) { release() },
		func(reason goja.Value) {
			release()
			vm.host.ScriptError("waitUntil", vm.errorOf(reason))
		})
	return goja.Undefined()
}

// ctxBlock keeps every event out until the function's promise is settled. If it
// rejects, or takes longer than maxBlock, the VM is dropped.
func ctxBlock(vm *VM, this *native, call goja.FunctionCall) goja.Value {
	vm.needHost("this.ctx")
	f, ok := goja.AssertFunction(call.Argument(0))
	if !ok {
		vm.throwType("blockConcurrencyWhile takes a function")
	}
	if vm.blocks >= maxBlockDepth {
		vm.throwError("Error", "blockConcurrencyWhile is nested more than %d deep", maxBlockDepth)
	}
	vm.blocks++
	limit := vm.startTimer(maxBlock, 0, func() {
		vm.turn.dropped = true
		vm.failTurn(NewError(TimeoutError, "blockConcurrencyWhile took longer than %v", maxBlock))
	})
	p, resolve, reject := vm.rt.NewPromise()
	fail := func(reason goja.Value) {
		vm.turn.dropped = true
		vm.failTurn(vm.errorOf(reason))
		vm.check(reject(reason))
	}
	v, err := f(goja.Undefined())
	if err != nil {
		if _, exception := err.(*goja.Exception); !exception {
			vm.check(err)
		}
		vm.turn.dropped = true
		vm.failTurn(vm.toError(err))
		vm.check(err)
	}
	vm.settle(v, func(v goja.Value) {
		vm.stopTimer(limit)
		vm.blocks--
		vm.check(resolve(v))
	}, fail)
	return vm.rt.ToValue(p)
}
