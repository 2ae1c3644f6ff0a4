package script

import (
	"math"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/file"
	"github.com/dop251/goja/unistring"
)

// goja has no bound on memory, and what doesn't fit ends the process. What a
// script most easily makes too large by a number that it was sent is bounded
// here: methods of strings, and constructors where scripts call them by their names. A
// script that wants to can still find another way.
const (
	maxText   = 32 << 20   // characters that repeat, padStart and padEnd make; a message has 1 MiB
	maxLength = 10_000_000 // of an array, or a buffer's elements: 160 MB at most
	maxCode   = 64 << 10   // characters given to eval and Function: goja's parser recurses
)

const (
	lengthFunction unistring.String = "bounded length"
	codeFunction   unistring.String = "bounded code"
)

// boundedMethods are methods of strings, each with the length of its result.
var boundedMethods = map[string]func(text, n float64) float64{
	"repeat":   func(text, n float64) float64 { return text * n },
	"padStart": math.Max,
	"padEnd":   math.Max,
}

// allocators are the constructors that make as much as a number says.
var allocators = map[unistring.String]bool{
	"Array": true, "ArrayBuffer": true,
	"Int8Array": true, "Uint8Array": true, "Uint8ClampedArray": true, "Int16Array": true, "Uint16Array": true,
	"Int32Array": true, "Uint32Array": true, "Float32Array": true, "Float64Array": true,
	"BigInt64Array": true, "BigUint64Array": true,
}

// boundCall has a call check its sizes, if it is one of those.
func boundCall(call *ast.CallExpression) {
	switch callee := call.Callee.(type) {
	case *ast.DotExpression:
		left, ok := callee.Left.(*ast.Identifier)
		if ok && left.Name == "Array" && callee.Identifier.Name == "from" && len(call.ArgumentList) > 0 {
			boundLengthOf(call.ArgumentList[0])
		}
	case *ast.Identifier:
		boundArguments(callee.Name, call.ArgumentList, callee.Idx0())
	}
}

// boundNew is boundCall for new.
func boundNew(n *ast.NewExpression) {
	if callee, ok := n.Callee.(*ast.Identifier); ok {
		boundArguments(callee.Name, n.ArgumentList, callee.Idx0())
	}
}

func boundArguments(callee unistring.String, args []ast.Expression, at file.Idx) {
	switch {
	case allocators[callee] && len(args) == 1:
		args[0] = checked(lengthFunction, args[0], at)
	case callee == "eval" || callee == "Function":
		for i := range args {
			args[i] = checked(codeFunction, args[i], at)
		}
	}
}

// boundLengthOf is for Array.from({ length: n }).
func boundLengthOf(e ast.Expression) {
	o, ok := e.(*ast.ObjectLiteral)
	if !ok {
		return
	}
	for _, p := range o.Value {
		if p, ok := p.(*ast.PropertyKeyed); ok && p.Kind == ast.PropertyKindValue {
			if key, ok := p.Key.(*ast.StringLiteral); ok && key.Value == "length" {
				p.Value = checked(lengthFunction, p.Value, key.Idx)
			}
		}
	}
}

func checked(function unistring.String, e ast.Expression, at file.Idx) ast.Expression {
	switch e.(type) {
	case *ast.NumberLiteral, *ast.StringLiteral, *ast.SpreadElement, *ast.ArrayLiteral:
		if n, ok := e.(*ast.NumberLiteral); !ok || n.Value == nil {
			return e
		}
	}
	return &ast.CallExpression{
		Callee:          &ast.Identifier{Name: function, Idx: at},
		LeftParenthesis: at, RightParenthesis: at,
		ArgumentList: []ast.Expression{e},
	}
}

// boundGlobals are the functions that such calls go through.
var boundGlobals = map[string]func(vm *VM) goja.Value{
	string(lengthFunction): func(vm *VM) goja.Value { return vm.function("", boundedLength) },
	string(codeFunction):   func(vm *VM) goja.Value { return vm.function("", boundedCode) },
}

func boundedLength(vm *VM, call goja.FunctionCall) goja.Value {
	v := call.Argument(0)
	if isNumber(v) && v.ToFloat() > maxLength {
		vm.throwError("RangeError", "a length of %s is more than %d", vm.describe(v), maxLength)
	}
	return v
}

func boundedCode(vm *VM, call goja.FunctionCall) goja.Value {
	v := call.Argument(0)
	if s, ok := v.(goja.String); ok && s.Length() > maxCode {
		vm.throwError("RangeError", "%d characters of code are more than %d", s.Length(), maxCode)
	}
	return v
}

// boundStrings puts the bounded methods before those of the engine, which they call:
// those whose names stand in the scripts, as each takes 2 KB of every VM.
func (vm *VM) boundStrings() {
	for _, name := range vm.set.bounded {
		size := boundedMethods[name]
		proto := vm.intrinsic("String").(*goja.Object).Get("prototype").(*goja.Object)
		f, ok := goja.AssertFunction(proto.Get(name))
		if !ok {
			continue // an engine without the method
		}
		must(proto.DefineDataProperty(name, vm.function(name, func(vm *VM, call goja.FunctionCall) goja.Value {
			if n := size(textLength(call.This), count(call.Argument(0))); n > maxText && !isEmpty(call.Argument(1)) {
				vm.throwError("RangeError", "%s: a text of %.0f characters is longer than %d", name, n, maxText)
			}
			v, err := f(call.This, call.Arguments...)
			vm.check(err)
			return v
		}), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE))
	}
}

// textLength is the length of what a method of strings is called on, 0 if to make a
// string of it runs code of the script.
func textLength(v goja.Value) float64 {
	if s, ok := v.(goja.String); ok {
		return float64(s.Length())
	}
	return 0
}

// count is the number that a method makes of its first argument, 0 if that throws or
// runs code of the script.
func count(v goja.Value) float64 {
	if _, isText := stringOf(v); isText || isNumber(v) {
		return v.ToFloat()
	}
	return 0
}

// isEmpty reports that a text is padded with nothing.
func isEmpty(v goja.Value) bool {
	s, ok := v.(goja.String)
	return ok && s.Length() == 0
}
