package script

import (
	"github.com/dop251/goja"
)

// webGlobals are the globals of the web platform that scripts can use.
var webGlobals = map[string]func(vm *VM) goja.Value{
	"JSON":            newJSON,
	"Headers":         headersConstructor,
	"Response":        responseConstructor,
	"Request":         requestConstructor,
	"URL":             func(vm *VM) goja.Value { return urlGlobal(vm, "URL") },
	"URLSearchParams": func(vm *VM) goja.Value { return urlGlobal(vm, "URLSearchParams") },
	"TextEncoder":     textEncoderConstructor,
	"TextDecoder":     textDecoderConstructor,
	"crypto":          func(vm *VM) goja.Value { return vm.newNative(cryptoClass, nil).self },
	"structuredClone": func(vm *VM) goja.Value { return vm.function("structuredClone", structuredClone) },
	"atob":            func(vm *VM) goja.Value { return vm.function("atob", atob) },
	"btoa":            func(vm *VM) goja.Value { return vm.function("btoa", btoa) },
	"queueMicrotask":  func(vm *VM) goja.Value { return vm.function("queueMicrotask", queueMicrotask) },
}

// globalScope makes globals when a script first names them. It is the prototype
// of the global object, where goja looks for what the global object lacks.
type globalScope struct {
	vm     *VM
	tables []map[string]func(*VM) goja.Value
}

// installGlobals gives the VM the globals in tables; where a name is in several,
// the first counts.
func (vm *VM) installGlobals(tables ...map[string]func(*VM) goja.Value) {
	global := vm.rt.GlobalObject()
	// goja's own JSON recurses without a bound and cannot be interrupted.
	must(global.Delete("JSON"))
	must(global.SetPrototype(vm.rt.NewDynamicObject(&globalScope{vm: vm, tables: tables})))
}

func (g *globalScope) find(name string) func(*VM) goja.Value {
	for _, t := range g.tables {
		if make, ok := t[name]; ok {
			return make
		}
	}
	return nil
}

// Get makes the global and defines it, so that it is asked for once only.
func (g *globalScope) Get(name string) goja.Value {
	make := g.find(name)
	if make == nil {
		return nil
	}
	v := make(g.vm)
	g.define(name, v)
	return v
}

func (g *globalScope) define(name string, v goja.Value) {
	// A script may have sealed its global object; then it is made at each use.
	_ = g.vm.rt.GlobalObject().DefineDataProperty(name, v, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE)
}

// Has says that the global is there.
func (g *globalScope) Has(name string) bool { return g.find(name) != nil }

// Set is what an assignment to a global comes to that was not made yet.
func (g *globalScope) Set(name string, v goja.Value) bool {
	if g.find(name) == nil {
		return false
	}
	g.define(name, v)
	return true
}

// Delete refuses: there is nothing here of a script's own.
func (g *globalScope) Delete(name string) bool { return g.find(name) == nil }

// Keys is empty: the globals do not enumerate.
func (g *globalScope) Keys() []string { return nil }

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

// missing reports whether an argument or option was left out.
func missing(v goja.Value) bool { return v == nil || goja.IsUndefined(v) }

// nullish reports whether a value is undefined or null.
func nullish(v goja.Value) bool { return v == nil || goja.IsUndefined(v) || goja.IsNull(v) }
