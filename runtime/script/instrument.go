package script

import (
	"reflect"

	"github.com/dop251/goja"
	"github.com/dop251/goja/ast"
	"github.com/dop251/goja/file"
	"github.com/dop251/goja/unistring"
)

// compile makes the program of a module from its bundle. Two things that goja
// knows no place of get one: what is thrown and is no Error, and a loop without a
// body. The positions of calls of super are added to a set.
func (m *module) compile(code string, supers map[string]struct{}) error {
	tree, err := goja.Parse(m.file, code)
	if err != nil {
		return err
	}
	in := instrumenter{file: tree.File, supers: supers, members: make(map[string]string)}
	in.visit(reflect.ValueOf(tree.Body))
	m.positions = in.members
	m.program, err = goja.CompileAST(tree, false)
	return err
}

// instrumenter changes a syntax tree.
type instrumenter struct {
	file    *file.File
	supers  map[string]struct{}
	members map[string]string // of the argument of DO.extend: their positions
}

var statementType = reflect.TypeFor[ast.Statement]()

// visit changes all statements in a part of the tree.
func (in *instrumenter) visit(v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return
		}
		in.visit(v.Elem())
		if v.Type() == statementType && v.CanSet() {
			v.Set(reflect.ValueOf(instrumented(v.Interface().(ast.Statement))))
		}
	case reflect.Pointer:
		if v.IsNil() {
			return
		}
		switch n := v.Interface().(type) {
		case *ast.LabelledStatement: // what has the label must stay the loop itself
			in.visit(reflect.ValueOf(n.Statement))
			return
		case *ast.CallExpression:
			if _, ok := n.Callee.(*ast.SuperExpression); ok {
				in.supers[in.position(n.LeftParenthesis)] = struct{}{}
			}
			if extendsDO(n) {
				in.noteMembers(n.ArgumentList)
			}
		}
		in.visit(v.Elem())
		switch n := v.Interface().(type) { // now that its parts are done
		case *ast.CallExpression:
			boundCall(n)
		case *ast.NewExpression:
			boundNew(n)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			in.visit(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			// DeclarationList names once more what the statements have.
			if f := v.Type().Field(i); f.IsExported() && f.Name != "DeclarationList" {
				in.visit(v.Field(i))
			}
		}
	}
}

func (in *instrumenter) position(at file.Idx) string {
	return in.file.Position(int(at) - 1).String()
}

// extendsDO reports whether a call is DO.extend(...), however DO was imported.
func extendsDO(call *ast.CallExpression) bool {
	extend, ok := call.Callee.(*ast.DotExpression)
	if !ok || extend.Identifier.Name != "extend" {
		return false
	}
	switch left := extend.Left.(type) {
	case *ast.Identifier:
		return left.Name == "DO"
	case *ast.DotExpression:
		return left.Identifier.Name == "DO"
	}
	return false
}

// noteMembers keeps where a part defines its members.
func (in *instrumenter) noteMembers(args []ast.Expression) {
	if len(args) == 0 {
		return
	}
	part, ok := args[0].(*ast.ObjectLiteral)
	if !ok {
		return
	}
	for _, p := range part.Value {
		switch p := p.(type) {
		case *ast.PropertyKeyed:
			if key, ok := p.Key.(*ast.StringLiteral); ok {
				in.members[key.Value.String()] = in.position(key.Idx)
			}
		case *ast.PropertyShort:
			in.members[p.Name.Name.String()] = in.position(p.Name.Idx)
		}
	}
}

func instrumented(s ast.Statement) ast.Statement {
	switch s := s.(type) {
	case *ast.ThrowStatement:
		if !makesError(s.Argument) {
			s.Argument = &ast.CallExpression{
				Callee:          &ast.Identifier{Name: thrownFunction, Idx: s.Throw},
				LeftParenthesis: s.Throw, RightParenthesis: s.Throw,
				ArgumentList: []ast.Expression{s.Argument},
			}
		}
	case *ast.LabelledStatement:
		inner := s.Statement
		for {
			l, ok := inner.(*ast.LabelledStatement)
			if !ok {
				break
			}
			inner = l.Statement
		}
		if emptyLoop(inner) {
			return placed(s, inner)
		}
	default:
		if emptyLoop(s) {
			return placed(s, s)
		}
	}
	return s
}

// makesError reports whether an expression is new Error(...) or the like, which
// takes note of its place by itself.
func makesError(e ast.Expression) bool {
	n, ok := e.(*ast.NewExpression)
	if !ok {
		return false
	}
	name, ok := n.Callee.(*ast.Identifier)
	return ok && (name.Name == "Error" || name.Name == "TypeError" || name.Name == "RangeError")
}

// emptyLoop reports whether a statement is a loop whose code may have no place in
// the source map.
func emptyLoop(s ast.Statement) bool {
	switch s := s.(type) {
	case *ast.ForStatement:
		return doesNothing(s.Body)
	case *ast.WhileStatement:
		return doesNothing(s.Body)
	case *ast.DoWhileStatement:
		return doesNothing(s.Body)
	}
	return false
}

func doesNothing(s ast.Statement) bool {
	switch s := s.(type) {
	case nil, *ast.EmptyStatement, *ast.BranchStatement:
		return true
	case *ast.BlockStatement:
		for _, inner := range s.List {
			if !doesNothing(inner) {
				return false
			}
		}
		return true
	}
	return false
}

// placed puts something that has a place before a loop: what follows without one
// counts as being there.
func placed(s, loop ast.Statement) ast.Statement {
	at := loop.Idx0()
	return &ast.BlockStatement{LeftBrace: at, RightBrace: loop.Idx1(), List: []ast.Statement{
		&ast.ExpressionStatement{Expression: &ast.ObjectLiteral{LeftBrace: at, RightBrace: at}},
		s,
	}}
}

// thrownFunction is the name of the function that throw statements give what they
// throw to. No script can have a variable of that name.
const thrownFunction unistring.String = "throw"

// hiddenGlobals are for instrumented code.
var hiddenGlobals = map[string]func(vm *VM) goja.Value{
	string(thrownFunction): func(vm *VM) goja.Value {
		return vm.function("", func(vm *VM, call goja.FunctionCall) goja.Value {
			vm.notePlace(call.Argument(0))
			return call.Argument(0)
		})
	},
}

// place is where something was thrown that says nothing of it itself.
type place struct {
	value goja.Value
	stack []goja.StackFrame
}

// maxPlaceFrames is enough to see how a handler came to where something was thrown.
const maxPlaceFrames = 16

// notePlace keeps the place of a thrown value that is no Error.
func (vm *VM) notePlace(v goja.Value) {
	if o, ok := v.(*goja.Object); ok && o.ClassName() == "Error" {
		return
	}
	stack := vm.rt.CaptureCallStack(maxPlaceFrames, nil)
	for _, f := range stack {
		if inScript(f.SrcName()) {
			vm.mishaps().thrown = place{v, stack}
			return
		}
	}
}

// placeOf gives an error of a thrown value its place, if that was noted.
func (vm *VM) placeOf(e *Error, v goja.Value) {
	if m := vm.turn.mishaps; e.File == "" && m != nil && m.thrown.value != nil && m.thrown.value.SameAs(v) {
		e.fromFrames(m.thrown.stack)
	}
}
