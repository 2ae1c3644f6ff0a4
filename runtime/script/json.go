package script

import (
	"math/big"
	"reflect"
	"strconv"

	"github.com/dop251/goja"
)

// maxDepth is how deep JSON and cloned values may be nested. It is far above
// what people write, and keeps what walks a value far from the end of Go's stack.
const maxDepth = 500

// maxJSON is the most bytes that JSON.stringify makes: many times the largest
// message, and still little for a server.
const maxJSON = 16 << 20

// checkEvery is how many values are handled between two looks at the turn's
// deadline: some ten microseconds' work.
const checkEvery = 1000

// jsonFunctions are the members of the global JSON.
var jsonFunctions = map[string]func(vm *VM) goja.Value{
	"parse":     func(vm *VM) goja.Value { return vm.function("parse", jsonParse) },
	"stringify": func(vm *VM) goja.Value { return vm.function("stringify", jsonStringify) },
}

func jsonParse(vm *VM, call goja.FunctionCall) goja.Value {
	v := vm.parse(vm.text(call.Argument(0)))
	if reviver, ok := goja.AssertFunction(call.Argument(1)); ok {
		root := vm.rt.NewObject()
		vm.define(root, "", v)
		r := revival{vm: vm, reviver: reviver}
		return r.revive(root, "", 0)
	}
	return v
}

func jsonStringify(vm *VM, call goja.FunctionCall) goja.Value {
	w := jsonWriter{vm: vm, out: make([]byte, 0, firstRoom)}
	w.useReplacer(call.Argument(1))
	w.useSpace(call.Argument(2))
	if !w.write(nil, "", call.Argument(0)) {
		return goja.Undefined()
	}
	return vm.rt.ToValue(string(w.out))
}

// parse reads JSON text; what is wrong with it is thrown as a SyntaxError, and
// what is too deep as a RangeError.
func (vm *VM) parse(text string) goja.Value {
	r := jsonReader{vm: vm, text: text}
	return r.document()
}

// stringify is JSON.stringify(v) for the host. ok is false if there is no JSON
// for v, as for undefined. It throws what JSON.stringify throws.
func (vm *VM) stringify(v goja.Value) (text string, ok bool) {
	w := jsonWriter{vm: vm, out: make([]byte, 0, firstRoom)}
	if !w.write(nil, "", v) {
		return "", false
	}
	return string(w.out), true
}

// define makes an own property of an object, whatever its name: __proto__ too.
func (vm *VM) define(o *goja.Object, name string, v goja.Value) {
	vm.check(o.DefineDataProperty(name, v, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_TRUE))
}

// checkTime throws when the turn has passed its deadline. goja interrupts
// JavaScript itself; what loops in Go has to look.
func (vm *VM) checkTime() {
	if vm.expired() {
		vm.throwError("Error", "turn timed out")
	}
}

// text is JavaScript's ToString. A Symbol throws.
func (vm *VM) text(v goja.Value) string {
	switch v := v.(type) {
	case nil:
		return "undefined"
	case goja.String:
		return v.String()
	case *goja.Symbol:
		vm.throwType("Cannot convert a Symbol value to a string")
	}
	return v.ToString().String()
}

// length is the length of an array, or of what passes for one.
func length(o *goja.Object) int64 {
	if v := o.Get("length"); v != nil {
		return v.ToInteger()
	}
	return 0
}

// revival walks a parsed value with a reviver function.
type revival struct {
	vm      *VM
	reviver goja.Callable
	count   int
}

func (r *revival) revive(holder *goja.Object, name string, depth int) goja.Value {
	if r.count++; r.count%checkEvery == 0 {
		r.vm.checkTime()
	}
	if depth > maxDepth+1 { // a reviver may hang new objects into the tree
		r.vm.tooDeep()
	}
	v := holder.Get(name)
	if o, ok := v.(*goja.Object); ok {
		if r.vm.isArray(o) {
			for i, n := int64(0), length(o); i < n; i++ {
				r.reviveMember(o, strconv.FormatInt(i, 10), depth)
			}
		} else {
			for _, key := range o.Keys() {
				r.reviveMember(o, key, depth)
			}
		}
	}
	if v == nil {
		v = goja.Undefined()
	}
	v, err := r.reviver(holder, r.vm.rt.ToValue(name), v)
	r.vm.check(err)
	return v
}

func (r *revival) reviveMember(o *goja.Object, key string, depth int) {
	v := r.revive(o, key, depth+1)
	// What cannot be changed stays: the standard says so.
	if goja.IsUndefined(v) {
		_ = o.Delete(key)
	} else {
		_ = o.DefineDataProperty(key, v, goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_TRUE)
	}
}

func (vm *VM) tooDeep() {
	vm.throwError("RangeError", "JSON is nested deeper than %d", maxDepth)
}

// valueKind sorts values for what walks them.
type valueKind uint8

const (
	undefinedKind valueKind = iota
	nullKind
	boolKind
	intKind
	floatKind
	stringKind
	symbolKind
	bigintKind
	objectKind
)

var (
	boolType   = reflect.TypeFor[bool]()
	intType    = reflect.TypeFor[int64]()
	floatType  = reflect.TypeFor[float64]()
	bigintType = reflect.TypeFor[*big.Int]()
	proxyType  = reflect.TypeFor[goja.Proxy]()
	plainType  = reflect.TypeFor[map[string]any]()
	arrayType  = reflect.TypeFor[[]any]()
)

func kindOf(v goja.Value) valueKind {
	switch v.(type) {
	case nil:
		return undefinedKind
	case goja.String:
		return stringKind
	case *goja.Object:
		return objectKind
	case *goja.Symbol:
		return symbolKind
	}
	switch v.ExportType() {
	case intType:
		return intKind
	case floatType:
		return floatKind
	case boolType:
		return boolKind
	case bigintType:
		return bigintKind
	}
	if goja.IsNull(v) {
		return nullKind
	}
	return undefinedKind
}

// isArray is Array.isArray.
func (vm *VM) isArray(o *goja.Object) bool {
	for o.ExportType() == proxyType {
		p, ok := o.Export().(goja.Proxy)
		if !ok || p.Target() == nil {
			vm.throwType("proxy has been revoked")
		}
		o = p.Target()
	}
	return o.ClassName() == "Array"
}

// callable returns the function that o is, if it is one.
func callable(o *goja.Object) (goja.Callable, bool) {
	switch o.ExportType() {
	case plainType, arrayType, nativeType: // most; spares them the closure
		return nil, false
	}
	return goja.AssertFunction(o)
}
