package script

import (
	"github.com/dop251/goja"
	"github.com/dop251/goja_nodejs/url"
)

// urlGlobal makes URL and URLSearchParams, which belong together, and returns
// one of them.
func urlGlobal(vm *VM, name string) goja.Value {
	const key = "node:url" // no global can be called so
	exports, ok := vm.intrinsics[key].(*goja.Object)
	if !ok {
		module := vm.rt.NewObject()
		exports = vm.rt.NewObject()
		must(module.Set("exports", exports))
		url.Require(vm.rt, module)
		vm.intrinsics[key] = exports
	}
	return exports.Get(name)
}

// isSearchParams reports whether v is a URLSearchParams.
func isSearchParams(v goja.Value) bool {
	o, ok := v.(*goja.Object)
	if !ok || o.ExportType() == nil {
		return false
	}
	t := o.ExportType().String()
	return t == "*url.urlSearchParams"
}

// queueMicrotask runs a function when the running one has ended. What it throws
// is reported like a rejected promise that nobody awaits.
func queueMicrotask(vm *VM, call goja.FunctionCall) goja.Value {
	if _, ok := goja.AssertFunction(call.Argument(0)); !ok {
		vm.throwType("queueMicrotask needs a function")
	}
	promise, resolve, _ := vm.rt.NewPromise()
	vm.check(resolve(goja.Undefined()))
	_, err := vm.builtin("Promise", "then")(vm.rt.ToValue(promise), call.Argument(0))
	vm.check(err)
	return goja.Undefined()
}
