package script

import (
	"crypto/rand"

	"github.com/dop251/goja"
	"github.com/google/uuid"
)

// maxRandom is how many bytes crypto.getRandomValues fills at once: what the
// Web Crypto API says.
const maxRandom = 65536

var cryptoClass = &class{
	name: "Crypto",
	methods: map[string]method{
		"randomUUID": func(vm *VM, _ *native, _ goja.FunctionCall) goja.Value {
			return vm.rt.ToValue(uuid.NewString())
		},
		"getRandomValues": func(vm *VM, _ *native, call goja.FunctionCall) goja.Value {
			o, _ := call.Argument(0).(*goja.Object)
			data, ok := vm.bytesOf(call.Argument(0))
			if !ok || !integers(viewName(o)) {
				vm.throwError("TypeMismatchError", "crypto.getRandomValues needs an array of integers, such as a Uint8Array")
			}
			if len(data) > maxRandom {
				vm.throwError("QuotaExceededError", "crypto.getRandomValues fills at most %d bytes", maxRandom)
			}
			rand.Read(data) // never fails
			return o
		},
	},
	prototype: tagged("Crypto"),
}

// integers reports whether a name is that of a typed array of integers.
func integers(name string) bool {
	return name != "" && name != "Float32Array" && name != "Float64Array"
}
