package script

import (
	"fmt"
	"reflect"

	"github.com/dop251/goja"
)

// A native function costs goja close to a kilobyte, so an object that sleeps for
// most of its life must not be given the hundred it might use. Everything that a
// script can reach is therefore described once, in tables shared by all VMs, and
// a function comes into being in a VM when the script first names it.

// method is a host function. this is the host value of the receiver, already
// checked to be of the table's class.
type method func(vm *VM, this *native, call goja.FunctionCall) goja.Value

// getter computes a property at each read.
type getter func(vm *VM, this *native) goja.Value

// setter is called when a script assigns to the property.
type setter func(vm *VM, this *native, value goja.Value)

// class describes the objects of one kind: what scripts see of a host value.
// Classes are immutable after package initialisation and shared by all VMs.
type class struct {
	name    string
	methods map[string]method
	getters map[string]getter
	setters map[string]setter
	// prototype, if not nil, finishes the class's prototype object in a VM, the
	// place for symbols such as Symbol.iterator.
	prototype func(vm *VM, proto *goja.Object)
}

// native is one host object in a VM: the host value behind it, and what the
// script has put onto it.
type native struct {
	vm    *VM
	class *class
	self  *goja.Object
	host  any                   // the Go value
	own   map[string]goja.Value // expando properties
	order []string              // their names, in the order they were made
	// fallback, if not nil, makes the properties that nothing above has.
	fallback func(name string) goja.Value
}

// classState is what a VM keeps of a class that was used in it.
type classState struct {
	proto   *goja.Object
	methods []boundMethod // few; a map would take more than they do
}

type boundMethod struct {
	name     string
	function goja.Value
}

// newNative makes a script object of class c for the host value.
func (vm *VM) newNative(c *class, host any) *native {
	n := &native{vm: vm, class: c, host: host}
	n.self = vm.rt.NewDynamicObject(n)
	if proto := vm.classState(c).proto; proto != nil {
		must(n.self.SetPrototype(proto))
	}
	return n
}

func (vm *VM) classState(c *class) *classState {
	st := vm.classes[c]
	if st == nil {
		st = &classState{}
		vm.classes[c] = st
		if c.prototype != nil {
			st.proto = vm.rt.NewObject()
			c.prototype(vm, st.proto)
		}
	}
	return st
}

// nativeOf returns the host object behind a script value, or nil.
func nativeOf(v goja.Value) *native {
	o, ok := v.(*goja.Object)
	if !ok || o.ExportType() != nativeType { // Export of anything else copies it, and runs its getters
		return nil
	}
	n, _ := o.Export().(*native)
	return n
}

var nativeType = reflect.TypeFor[*native]()

// hostOf returns the host value of type T behind a script value.
func hostOf[T any](v goja.Value) (T, bool) {
	if n := nativeOf(v); n != nil {
		h, ok := n.host.(T)
		return h, ok
	}
	var zero T
	return zero, false
}

func (n *native) Get(name string) goja.Value {
	if v, ok := n.own[name]; ok {
		return v
	}
	if g, ok := n.class.getters[name]; ok {
		return g(n.vm, n)
	}
	if m, ok := n.class.methods[name]; ok {
		return n.vm.boundMethod(n.class, name, m)
	}
	if n.fallback != nil {
		return n.fallback(name)
	}
	return nil
}

// boundMethod returns the function of a class's method, made on first use and
// then the same for every object of the class in this VM.
func (vm *VM) boundMethod(c *class, name string, m method) goja.Value {
	st := vm.classState(c)
	for _, made := range st.methods {
		if made.name == name {
			return made.function
		}
	}
	f := vm.rt.ToValue(func(call goja.FunctionCall) goja.Value {
		this := nativeOf(call.This)
		if this == nil || this.class != c {
			vm.throwType("Illegal invocation: %s.%s is called on something else", c.name, name)
		}
		return m(vm, this, call)
	})
	st.methods = append(st.methods, boundMethod{name, f})
	return f
}

func (n *native) Set(name string, v goja.Value) bool {
	if s, ok := n.class.setters[name]; ok {
		s(n.vm, n, v)
		return true
	}
	if _, ok := n.class.getters[name]; ok {
		return false // read only, as in strict mode
	}
	if _, ok := n.own[name]; !ok {
		if n.own == nil {
			n.own = make(map[string]goja.Value, 2)
		}
		n.order = append(n.order, name)
	}
	n.own[name] = v
	return true
}

func (n *native) Has(name string) bool {
	if _, ok := n.own[name]; ok {
		return true
	}
	if _, ok := n.class.getters[name]; ok {
		return true
	}
	_, ok := n.class.methods[name]
	return ok
}

func (n *native) Delete(name string) bool {
	if _, ok := n.own[name]; ok {
		delete(n.own, name)
		for i, k := range n.order {
			if k == name {
				n.order = append(n.order[:i], n.order[i+1:]...)
				break
			}
		}
	}
	return true
}

// Keys lists what the script itself put there: host members don't enumerate.
func (n *native) Keys() []string { return n.order }

// throwType raises a TypeError in the script.
func (vm *VM) throwType(format string, args ...any) {
	panic(vm.rt.NewTypeError(fmt.Sprintf(format, args...)))
}

// throwError raises an error of the given name (RangeError, InvalidAccessError,
// ...) in the script.
func (vm *VM) throwError(name, format string, args ...any) {
	panic(vm.newError(name, fmt.Sprintf(format, args...)))
}

// newError makes an Error object. Names that JavaScript has a constructor for
// get that constructor; any other is an Error with that name.
func (vm *VM) newError(name, message string) *goja.Object {
	ctor := "Error"
	switch name {
	case "TypeError", "RangeError", "SyntaxError", "ReferenceError", "URIError", "EvalError":
		ctor = name
	}
	o, err := vm.rt.New(vm.intrinsic(ctor), vm.rt.ToValue(message))
	must(err)
	if name != ctor {
		must(o.DefineDataProperty("name", vm.rt.ToValue(name), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE))
	}
	return o
}

// must stands where goja returns an error that only a bug of ours can cause.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// stringOf returns the text of a string value. Unlike Export it doesn't run the
// getters of an object.
func stringOf(v goja.Value) (string, bool) {
	s, ok := v.(goja.String)
	if !ok {
		return "", false
	}
	return s.String(), true
}
