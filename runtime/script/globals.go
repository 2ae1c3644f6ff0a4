package script

import (
	"github.com/dop251/goja"
)

// webGlobals are the globals of the web platform that scripts can use.
var webGlobals = map[string]func(vm *VM) goja.Value{
	"Headers":         headersConstructor,
	"Response":        responseConstructor,
	"Request":         requestConstructor,
	"AbortController": abortControllerConstructor,
	"AbortSignal":     abortSignalConstructor,
	"URL":             urlConstructor,
	"URLSearchParams": searchParamsConstructor,
	"TextEncoder":     textEncoderConstructor,
	"TextDecoder":     textDecoderConstructor,
	"crypto":          func(vm *VM) goja.Value { return vm.newNative(cryptoClass, nil).self },
	"structuredClone": func(vm *VM) goja.Value { return vm.function("structuredClone", structuredClone) },
	"atob":            func(vm *VM) goja.Value { return vm.function("atob", atob) },
	"btoa":            func(vm *VM) goja.Value { return vm.function("btoa", btoa) },
	"queueMicrotask":  func(vm *VM) goja.Value { return vm.function("queueMicrotask", queueMicrotask) },
}

// installGlobals gives the VM the globals in tables; where a name is in several,
// the first counts.
func (vm *VM) installGlobals(tables ...map[string]func(*VM) goja.Value) {
	global := vm.rt.GlobalObject()
	vm.makeLazily(global, tables...)
	// goja's own JSON recurses without a bound and cannot be interrupted.
	if json, ok := global.Get("JSON").(*goja.Object); ok {
		for _, name := range json.GetOwnPropertyNames() {
			must(json.Delete(name))
		}
		vm.makeLazily(json, jsonFunctions)
	}
}

// makeLazily has members of an object made when a script first names them. It
// puts a prototype before the object's own, Object.prototype: goja looks there
// for what the object lacks, undeclared globals included.
func (vm *VM) makeLazily(o *goja.Object, tables ...map[string]func(*VM) goja.Value) {
	must(o.SetPrototype(vm.rt.NewDynamicObject(&lazyMembers{vm: vm, owner: o, tables: tables})))
}

// lazyMembers is that prototype.
type lazyMembers struct {
	vm     *VM
	owner  *goja.Object
	tables []map[string]func(*VM) goja.Value
}

func (l *lazyMembers) find(name string) func(*VM) goja.Value {
	for _, t := range l.tables {
		if make, ok := t[name]; ok {
			return make
		}
	}
	return nil
}

// Get makes the member and defines it, so that it is asked for once only.
func (l *lazyMembers) Get(name string) goja.Value {
	make := l.find(name)
	if make == nil {
		return nil
	}
	v := make(l.vm)
	l.define(name, v)
	return v
}

func (l *lazyMembers) define(name string, v goja.Value) {
	// A script may have frozen the owner; then the member is made at each use.
	_ = l.owner.DefineDataProperty(name, v, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE)
}

// Has says that the member is there.
func (l *lazyMembers) Has(name string) bool { return l.find(name) != nil }

// Set refuses: members are made here, and kept by their owner.
func (l *lazyMembers) Set(string, goja.Value) bool { return false }

// Delete refuses: there is nothing here of a script's own.
func (l *lazyMembers) Delete(name string) bool { return l.find(name) == nil }

// Keys is empty: the members do not enumerate.
func (l *lazyMembers) Keys() []string { return nil }

// function makes a function with a name that scripts may see.
func (vm *VM) function(name string, f func(vm *VM, call goja.FunctionCall) goja.Value) *goja.Object {
	o := vm.rt.ToValue(func(call goja.FunctionCall) goja.Value { return f(vm, call) }).(*goja.Object)
	must(o.DefineDataProperty("name", vm.rt.ToValue(name), goja.FLAG_FALSE, goja.FLAG_TRUE, goja.FLAG_FALSE))
	return o
}

// constructor makes the constructor of a class that has a prototype. build
// returns the host value of the new object.
func (vm *VM) constructor(c *class, build func(vm *VM, call goja.ConstructorCall) any) *goja.Object {
	proto := vm.classState(c).proto
	ctor := vm.rt.ToValue(func(call goja.ConstructorCall) *goja.Object {
		n := vm.newNative(c, build(vm, call))
		if call.NewTarget != nil { // a script's subclass
			if p, ok := call.NewTarget.Get("prototype").(*goja.Object); ok && p != proto {
				must(n.self.SetPrototype(p))
			}
		}
		return n.self
	}).(*goja.Object)
	must(ctor.DefineDataProperty("name", vm.rt.ToValue(c.name), goja.FLAG_FALSE, goja.FLAG_TRUE, goja.FLAG_FALSE))
	must(ctor.Set("prototype", proto))
	must(proto.DefineDataProperty("constructor", ctor, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE))
	return ctor
}

// tagged gives the objects of a class a prototype with the class's name on it.
func tagged(name string) func(vm *VM, proto *goja.Object) {
	return func(vm *VM, proto *goja.Object) {
		must(proto.DefineDataPropertySymbol(goja.SymToStringTag, vm.rt.ToValue(name), goja.FLAG_FALSE, goja.FLAG_TRUE, goja.FLAG_FALSE))
	}
}

// static adds a function to a constructor.
func (vm *VM) static(ctor *goja.Object, name string, f func(vm *VM, call goja.FunctionCall) goja.Value) {
	must(ctor.DefineDataProperty(name, vm.function(name, f), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE))
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

// missing reports whether an argument or option was left out.
func missing(v goja.Value) bool { return v == nil || goja.IsUndefined(v) }

// nullish reports whether a value is undefined or null.
func nullish(v goja.Value) bool { return v == nil || goja.IsUndefined(v) || goja.IsNull(v) }
