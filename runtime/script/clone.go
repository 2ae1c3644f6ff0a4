package script

import (
	"reflect"
	"strings"
	"time"

	"github.com/dop251/goja"
)

// objectClass sorts objects by how they are cloned.
type objectClass uint8

const (
	uncloneable objectClass = iota
	plainClass
	arrayClass
	dateClass
	mapClass
	setClass
	regexpClass
	errorClass
	bufferClass
	typedClass // Uint8Array and its like
	dataViewClass
	boxedClass // new Number(1) and its like
)

var (
	bufferType = reflect.TypeFor[goja.ArrayBuffer]()
	mapType    = reflect.TypeFor[[][2]any]()
	bytesType  = reflect.TypeFor[[]byte]()
)

// typedNames are the typed arrays by the type that goja exports them to.
// Uint8ClampedArray shares that of Uint8Array.
var typedNames = map[reflect.Type]string{
	bytesType:                    "Uint8Array",
	reflect.TypeFor[[]int8]():    "Int8Array",
	reflect.TypeFor[[]uint16]():  "Uint16Array",
	reflect.TypeFor[[]int16]():   "Int16Array",
	reflect.TypeFor[[]uint32]():  "Uint32Array",
	reflect.TypeFor[[]int32]():   "Int32Array",
	reflect.TypeFor[[]float32](): "Float32Array",
	reflect.TypeFor[[]float64](): "Float64Array",
	reflect.TypeFor[[]uint64]():  "BigUint64Array",
	reflect.TypeFor[[]int64]():   "BigInt64Array",
}

func (vm *VM) classify(o *goja.Object) objectClass {
	t := o.ExportType()
	switch t {
	case nativeType, proxyType:
		return uncloneable
	case bufferType:
		return bufferClass
	case mapType:
		return mapClass
	}
	switch o.ClassName() {
	case "Object", "Arguments":
		switch t {
		case plainType:
			if tag := o.GetSymbol(goja.SymToStringTag); tag != nil {
				return vm.classifyTagged(o, tag.String())
			}
			return plainClass
		case arrayType:
			return setClass
		case bigintType:
			return boxedClass
		}
		if typedNames[t] != "" && vm.isView(o) {
			return typedClass
		}
	case "Array":
		return arrayClass
	case "Date":
		return dateClass
	case "RegExp":
		return regexpClass
	case "Error":
		return errorClass
	case "Number", "String", "Boolean":
		return boxedClass
	}
	return uncloneable
}

// classifyTagged tells apart what goja shows no other difference between.
func (vm *VM) classifyTagged(o *goja.Object, tag string) objectClass {
	switch {
	case vm.isView(o):
		return dataViewClass
	case strings.HasPrefix(tag, "Weak") || strings.HasSuffix(tag, "Iterator") || strings.HasSuffix(tag, "Generator") || tag == "FinalizationRegistry":
		return uncloneable
	}
	return plainClass
}

// isView is ArrayBuffer.isView.
func (vm *VM) isView(o *goja.Object) bool {
	ctor, ok := vm.intrinsic("ArrayBuffer").(*goja.Object)
	if !ok { // a script has deleted it
		return false
	}
	isView, ok := goja.AssertFunction(ctor.Get("isView"))
	if !ok {
		return false
	}
	v, err := isView(goja.Undefined(), o)
	vm.check(err)
	return v.ToBoolean()
}

// viewName is the name of a typed array's constructor.
func viewName(o *goja.Object) string {
	name := typedNames[o.ExportType()]
	if name == "Uint8Array" {
		if tag := o.GetSymbol(goja.SymToStringTag); tag != nil && tag.String() == "Uint8ClampedArray" {
			return "Uint8ClampedArray"
		}
	}
	return name
}

// bytesOf returns the bytes behind an ArrayBuffer, typed array or DataView; they
// are the object's own, not a copy. ok is false for anything else.
func (vm *VM) bytesOf(v goja.Value) (data []byte, ok bool) {
	o, isObject := v.(*goja.Object)
	if !isObject {
		return nil, false
	}
	switch vm.classify(o) {
	case bufferClass:
		b, _ := o.Export().(goja.ArrayBuffer)
		return b.Bytes(), true
	case typedClass, dataViewClass:
		vm.check(vm.rt.ExportTo(o, &data))
		return data, true
	}
	return nil, false
}

// newBytes makes an ArrayBuffer that owns data, or, by name, a view of one.
func (vm *VM) newBytes(name string, data []byte) *goja.Object {
	buffer := vm.rt.ToValue(vm.rt.NewArrayBuffer(data)).(*goja.Object)
	if name == "ArrayBuffer" {
		return buffer
	}
	return vm.construct(name, buffer)
}

// construct is new name(...args), of a global.
func (vm *VM) construct(name string, args ...goja.Value) *goja.Object {
	for i, a := range args {
		if a == nil { // a property that a script has deleted
			args[i] = goja.Undefined()
		}
	}
	o, err := vm.rt.New(vm.intrinsic(name), args...)
	vm.check(err)
	return o
}

// builtin returns a function of the prototype of a global constructor.
func (vm *VM) builtin(class, name string) goja.Callable {
	if ctor, ok := vm.intrinsic(class).(*goja.Object); ok {
		if proto, ok := ctor.Get("prototype").(*goja.Object); ok {
			if f, ok := goja.AssertFunction(proto.Get(name)); ok {
				return f
			}
		}
	}
	vm.throwType("%s.prototype.%s is not a function", class, name) // a script has changed it
	return nil
}

// eachEntry calls f for the entries of a Map, or the values of a Set as both
// key and value; class says which it is.
func (vm *VM) eachEntry(class string, o *goja.Object, f func(k, v goja.Value)) {
	entries, err := vm.builtin(class, "entries")(o)
	vm.check(err)
	vm.rt.ForOf(entries, func(entry goja.Value) bool {
		pair, ok := entry.(*goja.Object)
		if !ok {
			vm.throwType("the entries of a %s are not pairs", class)
		}
		f(pair.Get("0"), pair.Get("1"))
		return true
	})
}

func (vm *VM) dataCloneError(what string) {
	vm.throwError("DataCloneError", "%s could not be cloned", what)
}

func (vm *VM) cloneTooDeep() {
	vm.throwError("RangeError", "the value is nested deeper than %d", maxDepth)
}

// structuredClone is the global of that name. Nothing can be transferred.
func structuredClone(vm *VM, call goja.FunctionCall) goja.Value {
	if len(call.Arguments) == 0 {
		vm.throwType("structuredClone needs a value")
	}
	if o, ok := call.Argument(1).(*goja.Object); ok {
		if list, ok := o.Get("transfer").(*goja.Object); ok && length(list) > 0 {
			vm.dataCloneError("what is in transfer: nothing can be transferred here, it")
		}
	}
	c := cloner{vm: vm}
	return c.clone(call.Argument(0))
}

// cloner copies a value within a VM.
type cloner struct {
	vm    *VM
	seen  map[*goja.Object]*goja.Object
	depth int
	count int
}

func (c *cloner) clone(v goja.Value) goja.Value {
	if c.count++; c.count%checkEvery == 0 {
		c.vm.checkTime()
	}
	switch kindOf(v) {
	case symbolKind:
		c.vm.dataCloneError("a Symbol")
	case objectKind:
		return c.object(v.(*goja.Object))
	}
	if v == nil {
		return goja.Undefined()
	}
	return v
}

func (c *cloner) object(o *goja.Object) goja.Value {
	if copied := c.seen[o]; copied != nil {
		return copied
	}
	if c.depth++; c.depth > maxDepth {
		c.vm.cloneTooDeep()
	}
	defer func() { c.depth-- }()
	vm := c.vm
	switch vm.classify(o) {
	case plainClass:
		copied := vm.rt.CreateObject(nil) // an assignment makes own properties only
		c.remember(o, copied)
		for _, key := range o.Keys() {
			must(copied.Set(key, c.clone(o.Get(key))))
		}
		must(copied.SetPrototype(vm.plainPrototype()))
		return copied
	case arrayClass:
		copied := vm.rt.NewArray()
		c.remember(o, copied)
		for _, key := range o.Keys() {
			vm.define(copied, key, c.clone(o.Get(key)))
		}
		vm.check(copied.Set("length", o.Get("length")))
		return copied
	case mapClass:
		copied := vm.construct("Map")
		c.remember(o, copied)
		set := vm.builtin("Map", "set")
		vm.eachEntry("Map", o, func(k, v goja.Value) {
			_, err := set(copied, c.clone(k), c.clone(v))
			vm.check(err)
		})
		return copied
	case setClass:
		copied := vm.construct("Set")
		c.remember(o, copied)
		add := vm.builtin("Set", "add")
		vm.eachEntry("Set", o, func(k, _ goja.Value) {
			_, err := add(copied, c.clone(k))
			vm.check(err)
		})
		return copied
	}
	return c.remember(o, c.leaf(o))
}

func (c *cloner) remember(o, copied *goja.Object) *goja.Object {
	if c.seen == nil {
		c.seen = make(map[*goja.Object]*goja.Object)
	}
	c.seen[o] = copied
	return copied
}

// leaf copies an object that holds no values of scripts.
func (c *cloner) leaf(o *goja.Object) *goja.Object {
	vm := c.vm
	switch vm.classify(o) {
	case dateClass:
		return vm.newDateObject(dateOf(o))
	case regexpClass:
		return vm.construct("RegExp", o.Get("source"), o.Get("flags"))
	case errorClass:
		return vm.newErrorObject(vm.errorFieldsOf(o))
	case bufferClass:
		data, _ := vm.bytesOf(o)
		return vm.newBytes("ArrayBuffer", append([]byte(nil), data...))
	case typedClass:
		return vm.construct(viewName(o), c.clone(o.Get("buffer")), o.Get("byteOffset"), o.Get("length"))
	case dataViewClass:
		return vm.construct("DataView", c.clone(o.Get("buffer")), o.Get("byteOffset"), o.Get("byteLength"))
	case boxedClass:
		if _, isString := o.ToString().(goja.String); isString && o.ClassName() == "String" {
			return vm.construct("String", o.ToString())
		}
		return vm.rt.ToValue(o.Export()).ToObject(vm.rt)
	}
	vm.dataCloneError(vm.whatIs(o))
	return nil
}

// whatIs names an object in an error message.
func (vm *VM) whatIs(o *goja.Object) string {
	if s := vm.stubOf(o); s != nil {
		return s.String()
	}
	if _, ok := callable(o); ok {
		if name, ok := vm.stringProperty(o, "name"); ok && name != "" {
			return "the function " + name
		}
		return "a function"
	}
	if n := nativeOf(o); n != nil {
		return "a " + n.class.name
	}
	if o.ExportType() == proxyType {
		return "a Proxy"
	}
	if tag := o.GetSymbol(goja.SymToStringTag); tag != nil {
		return "a " + tag.String()
	}
	return "a " + o.ClassName()
}

// dateOf is the time of a Date in milliseconds since 1970; ok is false if it is invalid.
func dateOf(o *goja.Object) (ms int64, ok bool) {
	t, ok := o.Export().(time.Time)
	if !ok {
		return 0, false
	}
	return t.UnixMilli(), true
}

func (vm *VM) newDateObject(ms int64, ok bool) *goja.Object {
	if !ok {
		return vm.construct("Date", goja.NaN())
	}
	return vm.construct("Date", vm.rt.ToValue(ms))
}

// errorFields are what a copy of an Error keeps of it.
type errorFields struct {
	name, message, stack string
}

func (vm *VM) errorFieldsOf(o *goja.Object) errorFields {
	var f errorFields
	f.name = "Error"
	for key, field := range map[string]*string{"name": &f.name, "message": &f.message, "stack": &f.stack} {
		if v := o.Get(key); !nullish(v) {
			*field = vm.text(v)
		}
	}
	return f
}

func (vm *VM) newErrorObject(f errorFields) *goja.Object {
	o := vm.newError(f.name, f.message)
	if f.stack != "" {
		vm.check(o.DefineDataProperty("stack", vm.rt.ToValue(f.stack), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE))
	}
	return o
}
