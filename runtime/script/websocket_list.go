package script

import (
	"slices"

	"github.com/dop251/goja"
)

// maxList is how long a script can make a list of sockets that it writes to: far
// more than there are sockets, and little beside what list[1e9] = ws would take.
const maxList = 1 << 20

// fewSockets is how long a list gets as lists do; a longer one gets room for all
// sockets at once.
const fewSockets = 16

// socketList is the array that getWebSockets returns: the sockets as they were at
// the call, whatever becomes of them later. The script's object of a socket is
// made when the element is first used, since most of who asks for a room of
// thousands wants to know how many, or whether anybody is there.
type socketList struct {
	vm    *VM
	items []any // a Socket until it is used; then, and for what a script puts there, a goja.Value; nil is undefined
}

var _ goja.DynamicArray = (*socketList)(nil)

func (vm *VM) newSocketList(tag goja.Value) *goja.Object {
	var items []any
	for s := range vm.listSockets(tag) {
		if len(items) == fewSockets { // and so it may be all of them
			items = slices.Grow(items, vm.host.SocketCount()-fewSockets)
		}
		items = append(items, s)
	}
	if len(items) == 0 {
		return vm.rt.NewArray()
	}
	return vm.rt.NewDynamicArray(&socketList{vm, items})
}

func (l *socketList) Len() int { return len(l.items) }

func (l *socketList) Get(i int) goja.Value {
	if i < 0 || i >= len(l.items) {
		return nil
	}
	switch item := l.items[i].(type) {
	case goja.Value:
		return item
	case Socket:
		v := l.vm.socketObject(item).self
		l.items[i] = v
		return v
	}
	return goja.Undefined()
}

func (l *socketList) Set(i int, v goja.Value) bool {
	if i < 0 || i >= len(l.items) && !l.SetLen(i+1) {
		return false
	}
	l.items[i] = v
	return true
}

func (l *socketList) SetLen(n int) bool {
	switch {
	case n < 0 || n > maxList:
		return false
	case n <= len(l.items):
		clear(l.items[n:])
		l.items = l.items[:n]
	default:
		l.items = append(l.items, make([]any, n-len(l.items))...)
	}
	return true
}
