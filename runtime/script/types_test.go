package script

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/dop251/goja"
)

// declarations are what scripts/dotdo.d.ts says there is.
type declarations struct {
	globals map[string]bool // classes, constants and functions
	exports map[string]bool // of the module dotdo, likewise
	types   map[string]*declaredType
}

// declaredType is a class or an interface.
type declaredType struct {
	extends string
	members map[string]memberKind
	statics map[string]bool
}

type memberKind int

const (
	methodKind memberKind = iota + 1
	readonlyKind
	writableKind
)

var (
	typeRE   = regexp.MustCompile(`^(?:export )?(?:declare )?(?:class|interface) (\w+)(?:<.*?>)?(?: extends (\w+))?.* \{$`)
	valueRE  = regexp.MustCompile(`^(?:export|declare) (?:class|const|function) ([\w$]+)`)
	moduleRE = regexp.MustCompile(`^declare module '(.*)' \{$`)
	memberRE = regexp.MustCompile(`^(static )?(readonly )?([\w$]+)\??([(<:])`)
)

// readDeclarations reads dotdo.d.ts, whose shape is kept plain for this.
func readDeclarations(t *testing.T) declarations {
	t.Helper()
	data, err := os.ReadFile("../../scripts/dotdo.d.ts")
	if err != nil {
		t.Fatal(err)
	}
	d := declarations{map[string]bool{}, map[string]bool{}, map[string]*declaredType{}}
	module := ""
	var open *declaredType
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\n")
		text := strings.TrimLeft(line, " ")
		level := (len(line) - len(text)) / 2
		if m := moduleRE.FindStringSubmatch(line); m != nil {
			module = m[1]
			continue
		}
		inside := 0 // the level of what is at the top of a module, or of the file
		if module != "" {
			inside = 1
		}
		switch {
		case line == "}" && module != "" && open == nil:
			module = ""
		case text == "}" && level == inside:
			open = nil
		case level == inside:
			if m := valueRE.FindStringSubmatch(text); m != nil && module == "" {
				d.globals[m[1]] = true
			} else if m != nil && module == "dotdo" {
				d.exports[m[1]] = true
			}
			if m := typeRE.FindStringSubmatch(text); m != nil {
				open = &declaredType{m[2], map[string]memberKind{}, map[string]bool{}}
				d.types[m[1]] = open
			}
		case level == inside+1 && open != nil:
			m := memberRE.FindStringSubmatch(text)
			switch {
			case m == nil || m[3] == "constructor":
			case m[1] != "":
				open.statics[m[3]] = true
			case m[4] != ":" || strings.HasSuffix(text, ": never"): // a method that only throws
				open.members[m[3]] = methodKind
			case m[2] != "":
				open.members[m[3]] = readonlyKind
			default:
				open.members[m[3]] = writableKind
			}
		}
	}
	for name, typ := range d.types {
		if base := d.types[typ.extends]; base != nil {
			maps.Copy(typ.members, base.members)
		} else if typ.extends != "" && typ.extends != "Promise" {
			t.Errorf("%s extends %s, which is not declared before", name, typ.extends)
		}
	}
	return d
}

// boundClasses are the tables of all classes in this package, by name: every
// &class{...} of its source.
func boundClasses(t *testing.T) map[string][]map[string]memberKind {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	classes := map[string][]map[string]memberKind{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(source, func(n ast.Node) bool {
			literal, ok := n.(*ast.CompositeLit)
			if !ok {
				return true
			}
			if typ, ok := literal.Type.(*ast.Ident); !ok || typ.Name != "class" {
				return true
			}
			name, members := "", map[string]memberKind{}
			var setters []string
			for _, e := range literal.Elts {
				field := e.(*ast.KeyValueExpr)
				switch field.Key.(*ast.Ident).Name {
				case "name":
					name = stringLiteral(t, field.Value)
				case "methods":
					for _, member := range keysOfLiteral(t, file, field.Value) {
						members[member] = methodKind
					}
				case "getters":
					for _, member := range keysOfLiteral(t, file, field.Value) {
						members[member] = readonlyKind
					}
				case "setters":
					setters = keysOfLiteral(t, file, field.Value)
				}
			}
			for _, member := range setters {
				members[member] = writableKind
			}
			classes[name] = append(classes[name], members)
			return true
		})
	}
	return classes
}

func keysOfLiteral(t *testing.T, file string, e ast.Expr) (keys []string) {
	t.Helper()
	literal, ok := e.(*ast.CompositeLit)
	if !ok {
		t.Fatalf("%s: the tables of a class are literals, or this test cannot read them", file)
	}
	for _, e := range literal.Elts {
		keys = append(keys, stringLiteral(t, e.(*ast.KeyValueExpr).Key))
	}
	return keys
}

func stringLiteral(t *testing.T, e ast.Expr) string {
	t.Helper()
	literal, ok := e.(*ast.BasicLit)
	if !ok {
		t.Fatal("the names of a class are literals, or this test cannot read them")
	}
	s, err := strconv.Unquote(literal.Value)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// declaredAs are the classes that TypeScript has another name for.
var declaredAs = map[string]string{"$": "Dollar", "DO": "DurableObjects", "console": "Console"}

// undeclared are classes that scripts can name no member of.
var undeclared = []string{"$.on", "Stub", "ReadableStream"}

// lazyNames are the members of an object that are made when a script names them.
func lazyNames(o *goja.Object) map[string]bool {
	names := map[string]bool{}
	for _, table := range o.Prototype().Export().(*lazyMembers).tables {
		for name := range table {
			if name != "throw" && !strings.Contains(name, " ") { // no script can write such a name
				names[name] = true
			}
		}
	}
	return names
}

// TestTypesNameWhatIsBound holds scripts/dotdo.d.ts and what scripts find in their
// virtual machine against each other. What ECMAScript itself has is left out.
func TestTypesNameWhatIsBound(t *testing.T) {
	d := readDeclarations(t)
	set, err := load(t, map[string]string{"a.js": empty})
	if err != nil {
		t.Fatal(err)
	}
	vm := set.newVM(nil)
	global := vm.rt.GlobalObject()

	bound := lazyNames(global)
	engine := goja.New().GlobalObject().GetOwnPropertyNames()
	for _, name := range global.GetOwnPropertyNames() {
		if !slices.Contains(engine, name) {
			bound[name] = true
		}
	}
	same(t, "globals", bound, d.globals)

	exports := lazyNames(vm.dotdoModule())
	for _, name := range vm.dotdoModule().GetOwnPropertyNames() {
		exports[name] = true
	}
	same(t, "exports of 'dotdo'", exports, d.exports)

	classes := boundClasses(t)
	for name, tables := range classes {
		if slices.Contains(undeclared, name) {
			if len(tables[0]) > 0 {
				t.Errorf("the class %s has members, and is not declared", name)
			}
			continue
		}
		declared := name
		if as, ok := declaredAs[name]; ok {
			declared = as
		}
		typ := d.types[declared]
		if typ == nil {
			t.Errorf("the class %s is bound, and not declared as %s", name, declared)
			continue
		}
		for _, members := range tables {
			same(t, "members of "+declared, members, typ.members)
		}
	}

	for name := range d.globals {
		typ, value := d.types[name], global.Get(name)
		if typ == nil || value == nil {
			continue
		}
		statics := map[string]bool{}
		for _, member := range value.ToObject(vm.rt).GetOwnPropertyNames() {
			if member != "length" && member != "name" && member != "prototype" {
				statics[member] = true
			}
		}
		same(t, "static members of "+name, statics, typ.statics)
		if _, ok := classes[name]; !ok && name != "WebSocketPair" { // an object with two sockets
			t.Errorf("the class %s is declared, and there is no such class", name)
		}
	}

	part := maps.Clone(d.types["Part"].members)
	hooks := map[string]memberKind{"$type": writableKind, "indexes": writableKind}
	for _, hook := range lifecycle {
		hooks[hook] = methodKind
	}
	same(t, "members of Part", hooks, part)
	compare := map[string]memberKind{}
	for _, operator := range operators {
		compare[operator] = writableKind
	}
	same(t, "operators of where", compare, d.types["Comparisons"].members)
}

// same reports what of two sets is not in the other.
func same[V comparable](t *testing.T, what string, bound, declared map[string]V) {
	t.Helper()
	for name, v := range bound {
		switch w, ok := declared[name]; {
		case !ok:
			t.Errorf("%s: %s is bound, and not declared", what, name)
		case v != w && !(any(v) == readonlyKind && any(w) == methodKind): // a getter can give a function
			t.Errorf("%s: %s is bound as %v, and declared as %v", what, name, v, w)
		}
	}
	for name := range declared {
		if _, ok := bound[name]; !ok {
			t.Errorf("%s: %s is declared, and not bound", what, name)
		}
	}
}

func (k memberKind) String() string {
	return [...]string{"nothing", "a method", "a readonly property", "a property"}[k]
}
