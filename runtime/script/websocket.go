package script

import (
	"iter"
	"strings"

	"github.com/dop251/goja"
)

// Limits of client sockets, after Durable Objects.
const (
	maxTags        = 10
	maxTagBytes    = 256
	maxSockets     = 32_768 // of one object
	maxAttachment  = 16_384
	maxCloseReason = 123     // what a close frame holds besides its code
	maxMessage     = 1 << 20 // of one frame that a script sends
)

// States of a WebSocket, as in the WebSocket API.
const (
	stateConnecting = 0
	stateOpen       = 1
	stateClosing    = 2
	stateClosed     = 3
)

// socketPair is what new WebSocketPair() makes.
type socketPair struct {
	client, server *webSocket
	used           bool
}

// webSocket is the host value of a WebSocket in a VM. One with a socket is the
// server's end of a client's connection; one without is an end that was not
// accepted yet, or the one that a Response carries away.
type webSocket struct {
	pair       *socketPair
	socket     Socket
	attachment []byte     // as this VM has it, committed or not
	closing    bool       // the script has closed it
	closed     bool       // it is gone
	user       goja.Value // once a script has asked for it
}

var webSocketClass = &class{
	name: "WebSocket",
	methods: map[string]method{
		"send":                  wsSend,
		"close":                 wsClose,
		"serializeAttachment":   wsSerialize,
		"deserializeAttachment": wsDeserialize,
		"accept": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			vm.throwType("accept() would keep the object awake for as long as the socket is open: use this.ctx.acceptWebSocket(ws)")
			return nil
		},
		"addEventListener": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			vm.throwType("a hibernating socket has no listeners: define webSocketMessage, webSocketClose and webSocketError")
			return nil
		},
	},
	getters: map[string]getter{
		"readyState": func(vm *VM, this *native) goja.Value {
			return vm.rt.ToValue(this.host.(*webSocket).readyState())
		},
		"user": func(vm *VM, this *native) goja.Value {
			ws := this.host.(*webSocket)
			if ws.socket == nil {
				return goja.Undefined()
			}
			if ws.user == nil {
				ws.user = vm.userObject(ws.socket.User())
			}
			return ws.user
		},
	},
	prototype: func(vm *VM, proto *goja.Object) {
		must(proto.SetSymbol(goja.SymToStringTag, "WebSocket"))
	},
}

func (ws *webSocket) readyState() int {
	switch {
	case ws.closed:
		return stateClosed
	case ws.closing:
		return stateClosing
	case ws.socket == nil:
		return stateConnecting
	}
	// A socket whose 101 is still on its way takes sends, so it is open to a script.
	return max(ws.socket.ReadyState(), stateOpen)
}

// socketObject returns the script's object of a socket, the same one for as long
// as the VM lives and the socket is listed. One that is gone can still be in a
// list that was made before; nothing is kept of it here.
func (vm *VM) socketObject(s Socket) *native {
	if n := vm.sockets[s.ID()]; n != nil {
		return n
	}
	ws := &webSocket{socket: s, attachment: s.Attachment()}
	n := vm.newNative(webSocketClass, ws)
	if vm.host.Listed(s) {
		vm.keepSocket(s, n)
	} else {
		ws.closed = true
	}
	return n
}

func (vm *VM) keepSocket(s Socket, n *native) {
	if vm.sockets == nil {
		vm.sockets = make(map[uint64]*native)
	}
	vm.sockets[s.ID()] = n
}

func newWebSocketPair(vm *VM) goja.Value {
	return vm.rt.ToValue(func(call goja.ConstructorCall) *goja.Object {
		p := &socketPair{}
		p.client, p.server = &webSocket{pair: p}, &webSocket{pair: p}
		must(call.This.Set("0", vm.newNative(webSocketClass, p.client).self))
		must(call.This.Set("1", vm.newNative(webSocketClass, p.server).self))
		return nil
	})
}

// newWebSocketGlobal is the global WebSocket: a name for instanceof and the
// state constants. Outgoing sockets are not supported.
func newWebSocketGlobal(vm *VM) goja.Value {
	f := vm.rt.ToValue(func(call goja.ConstructorCall) *goja.Object {
		vm.throwType("outgoing WebSockets are not supported")
		return nil
	}).(*goja.Object)
	must(f.Set("prototype", vm.classState(webSocketClass).proto))
	for name, state := range map[string]int{"CONNECTING": stateConnecting, "OPEN": stateOpen, "CLOSING": stateClosing, "CLOSED": stateClosed} {
		must(f.Set(name, state))
	}
	return f
}

// accepted returns the socket of a WebSocket that may be used, or throws.
func (ws *webSocket) accepted(vm *VM, what string) Socket {
	if ws.socket == nil {
		vm.throwType("%s: the WebSocket was not accepted: call this.ctx.acceptWebSocket(ws) first", what)
	}
	return ws.socket
}

func wsSend(vm *VM, this *native, call goja.FunctionCall) goja.Value {
	ws := this.host.(*webSocket)
	s := ws.accepted(vm, "send")
	if ws.closing {
		vm.throwType("send: the WebSocket is closed")
	}
	m := vm.message(call.Argument(0))
	if ws.closed || s.ReadyState() == stateClosed {
		return goja.Undefined() // the peer is gone: no error, as on Cloudflare
	}
	vm.collect(Send{Socket: s, Message: m}, 0)
	return goja.Undefined()
}

// message makes the payload of a send. A string that is equal to one of the last
// few that were sent in the same turn is the same payload.
func (vm *VM) message(v goja.Value) *Message {
	if data, ok := vm.bytesOf(v); ok {
		if len(data) > maxMessage {
			vm.throwError("RangeError", "send: a message of %d bytes is larger than %d", len(data), maxMessage)
		}
		vm.turn.bytes += len(data)
		return &Message{Data: append([]byte(nil), data...)}
	}
	for _, sent := range vm.turn.sent {
		if sent.message != nil && v.StrictEquals(sent.value) {
			return sent.message
		}
	}
	s := vm.text(v)
	if len(s) > maxMessage {
		vm.throwError("RangeError", "send: a message of %d bytes is larger than %d", len(s), maxMessage)
	}
	s = strings.ToValidUTF8(s, "\uFFFD") // a lone surrogate has no UTF-8
	m := &Message{Text: true, Data: []byte(s)}
	vm.turn.bytes += len(s)
	if _, isString := v.(goja.String); isString { // an object may be another text the next time
		copy(vm.turn.sent[1:], vm.turn.sent[:])
		vm.turn.sent[0] = sentText{v, m}
	}
	return m
}

func wsClose(vm *VM, this *native, call goja.FunctionCall) goja.Value {
	ws := this.host.(*webSocket)
	s := ws.accepted(vm, "close")
	code, reason := uint16(1000), ""
	if v := call.Argument(0); !goja.IsUndefined(v) {
		n := v.ToInteger()
		if n < 1000 || n > 4999 || n == 1004 || n == 1005 || n == 1006 || n == 1015 {
			vm.throwError("InvalidAccessError", "close: %d is not a code that can be sent", n)
		}
		code = uint16(n)
	}
	if v := call.Argument(1); !goja.IsUndefined(v) {
		if goja.IsUndefined(call.Argument(0)) {
			vm.throwError("InvalidAccessError", "close: a reason needs a code")
		}
		if reason = v.String(); len(reason) > maxCloseReason {
			vm.throwError("SyntaxError", "close: the reason has %d bytes, more than %d", len(reason), maxCloseReason)
		}
	}
	if ws.closing || ws.closed {
		return goja.Undefined()
	}
	ws.closing = true
	vm.turn.closings = append(vm.turn.closings, ws)
	vm.collect(Close{Socket: s, Code: code, Reason: reason}, len(reason))
	return goja.Undefined()
}

func wsSerialize(vm *VM, this *native, call goja.FunctionCall) goja.Value {
	ws := this.host.(*webSocket)
	data, err := vm.encode(call.Argument(0), maxAttachment)
	vm.check(err)
	vm.turn.attached = append(vm.turn.attached, attachment{ws, ws.attachment})
	ws.attachment = data
	if ws.socket != nil {
		vm.collect(Attach{Socket: ws.socket, Data: data}, len(data))
	}
	return goja.Undefined()
}

func wsDeserialize(vm *VM, this *native, call goja.FunctionCall) goja.Value {
	ws := this.host.(*webSocket)
	if ws.attachment == nil {
		return goja.Null()
	}
	v, err := vm.decode(ws.attachment)
	vm.check(err)
	return v
}

// broadcast is the method that every object has if no part defines one.
func (vm *VM) broadcast(call goja.FunctionCall) goja.Value {
	tag, payload := call.Argument(0), call.Argument(1)
	var text string
	if s, ok := stringOf(payload); ok {
		text = s
	} else if text, ok = vm.stringify(payload); !ok {
		vm.throwType("broadcast: the payload is not JSON")
	}
	m := vm.message(vm.rt.ToValue(text))
	for s := range vm.listSockets(tag) {
		if n := vm.sockets[s.ID()]; n != nil {
			if ws := n.host.(*webSocket); ws.closing || ws.closed {
				continue
			}
		}
		if s.ReadyState() < stateClosing {
			vm.collect(Send{Socket: s, Message: m}, 0)
		}
	}
	return goja.Undefined()
}

// listSockets lists the object's sockets: with a tag in the order they were
// accepted, without one the newest first.
func (vm *VM) listSockets(tag goja.Value) iter.Seq[Socket] {
	vm.needHost("this.ctx")
	if nullish(tag) {
		return vm.host.Sockets()
	}
	return vm.host.TaggedSockets(tag.String())
}
