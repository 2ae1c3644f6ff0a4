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
// here: calls that are written so in the scripts check their sizes first. A script
// that wants to can still find another way.
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
var boundedMethods = map[unistring.String]func(text, n float64) float64{
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
		name := callee.Identifier.Name
		switch left := callee.Left.(type) {
		case *ast.Optional, *ast.SuperExpression:
			return
		case *ast.Identifier:
			if left.Name == "Array" && name == "from" && len(call.ArgumentList) > 0 {
				boundLengthOf(call.ArgumentList[0])
			}
		}
		if boundedMethods[name] != nil {
			call.Callee = &ast.Identifier{Name: "bounded " + name, Idx: callee.Identifier.Idx}
			call.ArgumentList = append([]ast.Expression{callee.Left}, call.ArgumentList...)
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
	"bounded repeat":       boundedMethod("repeat"),
	"bounded padStart":     boundedMethod("padStart"),
	"bounded padEnd":       boundedMethod("padEnd"),
}

// numberOf is the number that a built-in will make of a value, 0 if that runs code
// of the script.
func numberOf(v goja.Value) float64 {
	if _, isObject := v.(*goja.Object); isObject {
		return 0
	}
	if _, isSymbol := v.(*goja.Symbol); isSymbol {
		return 0
	}
	return v.ToFloat()
}

func boundedLength(vm *VM, call goja.FunctionCall) goja.Value {
	v := call.Argument(0)
	if _, isText := stringOf(v); !isText && numberOf(v) > maxLength {
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

// boundedMethod makes a function that calls a method of its first argument, after
// a look at the size.
func boundedMethod(name string) func(vm *VM) goja.Value {
	size := boundedMethods[unistring.String(name)]
	return func(vm *VM) goja.Value {
		return vm.function(name, func(vm *VM, call goja.FunctionCall) goja.Value {
			this, args := call.Argument(0), call.Arguments[1:]
			if s, ok := this.(goja.String); ok && len(args) > 0 {
				if n := size(float64(s.Length()), numberOf(args[0])); n > maxText {
					vm.throwError("RangeError", "%s: a text of %.0f characters is longer than %d", name, n, maxText)
				}
			}
			if nullish(this) {
				vm.throwType("Cannot read property '%s' of %s", name, this)
			}
			f, ok := goja.AssertFunction(this.ToObject(vm.rt).Get(name))
			if !ok {
				vm.throwType("Object has no member '%s'", name)
			}
			v, err := f(this, args...)
			vm.check(err)
			return v
		})
	}
}
