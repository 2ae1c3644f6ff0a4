package script

import (
	"strings"

	"github.com/dop251/goja"
)

// maxBody is the most bytes that a body made by a script has. It is what
// JSON.stringify can make: many times the largest message.
const maxBody = maxJSON

// content is the body of a request or a response. Its bytes are never changed.
type content struct {
	body []byte // nil if there is none
	used bool   // a script has read it
}

// bodyOf makes a body of what a script gave, and says which Content-Type goes
// with it.
func (vm *VM) bodyOf(v goja.Value) (b content, contentType string) {
	if nullish(v) {
		return content{}, ""
	}
	if data, ok := vm.bytesOf(v); ok {
		vm.checkBody(len(data))
		return content{body: append([]byte{}, data...)}, ""
	}
	contentType = "text/plain;charset=UTF-8"
	if _, ok := hostOf[*searchParams](v); ok {
		contentType = "application/x-www-form-urlencoded;charset=UTF-8"
	}
	text := strings.ToValidUTF8(vm.text(v), "\uFFFD")
	vm.checkBody(len(text))
	return content{body: []byte(text)}, contentType
}

func (vm *VM) checkBody(size int) {
	if size > maxBody {
		vm.throwError("RangeError", "the body is larger than %d bytes", maxBody)
	}
}

// read marks the body as used, and throws if it was already.
func (b *content) read(vm *VM) []byte {
	if b.used && b.body != nil {
		vm.throwType("Body has already been used. It can only be used once. Use clone() first if you need to read it twice.")
	}
	b.used = true
	return b.body
}

// bodyHost is a host value that has a body.
type bodyHost interface{ payload() *content }

func (b *content) payload() *content { return b }

// Methods of Request and Response alike. Each returns a promise.

func bodyText(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
	return vm.promised(func() goja.Value { return vm.textOf(this.host.(bodyHost).payload().read(vm)) })
}

func bodyJSON(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
	return vm.promised(func() goja.Value { return vm.jsonOf(this.host.(bodyHost).payload().read(vm)) })
}

func bodyArrayBuffer(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
	return vm.promised(func() goja.Value { return vm.bufferOf(this.host.(bodyHost).payload().read(vm)) })
}

func bodyUsed(vm *VM, this *native) goja.Value {
	b := this.host.(bodyHost).payload()
	return vm.rt.ToValue(b.used && b.body != nil)
}

// bodyStream is the property body: null without a body, otherwise an object that
// can be handed on to another Request or Response and not be read by itself.
func bodyStream(vm *VM, this *native) goja.Value {
	b := this.host.(bodyHost).payload()
	if b.body == nil {
		return goja.Null()
	}
	return vm.newNative(streamClass, b).self
}

var streamClass = &class{name: "ReadableStream"}

func (vm *VM) textOf(data []byte) goja.Value {
	return vm.rt.ToValue(decodeUTF8(strings.TrimPrefix(string(data), bom)))
}

func (vm *VM) jsonOf(data []byte) goja.Value {
	return vm.parse(strings.TrimPrefix(string(data), bom))
}

func (vm *VM) bufferOf(data []byte) goja.Value {
	return vm.newBytes("ArrayBuffer", append([]byte{}, data...))
}
