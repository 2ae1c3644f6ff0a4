package script

import (
	"encoding/base64"
	"math"
	"math/big"

	"github.com/dop251/goja"
)

// maxWireDepth is how deep encoded text may be nested: a Map takes three levels
// of text, so it is more than encode can make of maxDepth values.
const maxWireDepth = 4 * maxDepth

// decode makes the value that encode made data of, in this VM. Corrupt data is
// an error, which a script could catch.
func (vm *VM) decode(data []byte) (v goja.Value, err error) {
	r := jsonReader{vm: vm, text: string(data), tags: true}
	if ex := vm.rt.Try(func() { v = r.document() }); ex != nil {
		return nil, ex
	}
	return v, nil
}

// decodeInto gives o the properties that encodeMembers wrote. After an error
// some of them may be there.
func (vm *VM) decodeInto(data []byte, o *goja.Object) error {
	r := jsonReader{vm: vm, text: string(data), tags: true}
	ex := vm.rt.Try(func() {
		r.space()
		r.expect('{')
		r.space()
		for more := !r.skip('}'); more; {
			key := r.key()
			vm.define(o, key, r.value())
			r.space()
			if more = !r.skip('}'); more {
				r.expect(',')
				r.space()
			}
		}
		r.end()
	})
	if ex != nil {
		return ex
	}
	return nil
}

// isTag reports whether the first key of an object says what the object stands for.
func isTag(key string) bool {
	switch key {
	case "$date", "$undefined", "$number", "$bigint", "$bytes", "$map", "$set", "$error", "$regexp", "$object":
		return true
	}
	return false
}

// tagged reads a tagged value from its first key on, or returns nil, without
// having moved, if the key isn't a tag.
func (r *jsonReader) tagged() goja.Value {
	start := r.pos
	tag, _ := r.rawString()
	if !isTag(tag) {
		r.pos = start
		return nil
	}
	r.space()
	r.expect(':')
	r.space()
	v := r.untag(tag)
	r.space()
	r.expect('}')
	return v
}

// untag reads the value of a tag.
func (r *jsonReader) untag(tag string) goja.Value {
	vm := r.vm
	if tag == "$object" {
		if r.pos >= len(r.text) || r.text[r.pos] != '{' {
			r.unexpected()
		}
		r.enter()
		o := r.plain()
		r.depth--
		return o
	}
	if tag == "$bytes" {
		return r.bytes()
	}
	v := r.value()
	kind := kindOf(v)
	o, _ := v.(*goja.Object)
	isArray := kind == objectKind && o.ClassName() == "Array"
	switch {
	case tag == "$undefined":
		return goja.Undefined()
	case tag == "$date" && kind == nullKind:
		return vm.newDateObject(0, false)
	case tag == "$date" && (kind == intKind || kind == floatKind):
		return vm.construct("Date", v)
	case tag == "$number" && kind == stringKind:
		switch v.String() {
		case "NaN":
			return goja.NaN()
		case "Infinity":
			return goja.PositiveInf()
		case "-Infinity":
			return goja.NegativeInf()
		case "-0": // in what earlier versions have stored
			return vm.rt.ToValue(math.Copysign(0, -1))
		}
	case tag == "$bigint" && kind == stringKind:
		if n, ok := new(big.Int).SetString(v.String(), 10); ok {
			return vm.rt.ToValue(n)
		}
	case tag == "$map" && isArray:
		return vm.construct("Map", v)
	case tag == "$set" && isArray:
		return vm.construct("Set", v)
	case tag == "$error" && kind == objectKind:
		return vm.newErrorObject(vm.errorFieldsOf(o))
	case tag == "$regexp" && isArray:
		source, flags := o.Get("0"), o.Get("1")
		if kindOf(source) == stringKind && kindOf(flags) == stringKind {
			return vm.construct("RegExp", source, flags)
		}
	}
	r.fail("Bad %s in encoded value at position %d", tag, r.pos)
	return nil
}

// bytes reads the value of $bytes and the type that follows it.
func (r *jsonReader) bytes() goja.Value {
	data, err := base64.StdEncoding.DecodeString(r.str().String())
	if err != nil {
		r.fail("Bad $bytes in encoded value at position %d", r.pos)
	}
	r.space()
	r.expect(',')
	r.space()
	if r.key() == "type" {
		switch name := r.str().String(); name {
		case "ArrayBuffer", "DataView", "Uint8Array", "Uint8ClampedArray", "Int8Array", "Uint16Array", "Int16Array",
			"Uint32Array", "Int32Array", "Float32Array", "Float64Array", "BigUint64Array", "BigInt64Array":
			return r.vm.newBytes(name, data)
		}
	}
	r.fail("Bad type of $bytes in encoded value at position %d", r.pos)
	return nil
}
