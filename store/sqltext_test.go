package store

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"slices"
	"strings"
	"testing"
)

// takesSQL are the methods of database/sql, of drivers and of bun whose text is a
// statement or a part of one, and which of their arguments it is.
var takesSQL = map[string]int{
	"Exec": 0, "Query": 0, "QueryRow": 0, "Prepare": 0, "ExecContext": 1, "QueryContext": 1, "QueryRowContext": 1, "PrepareContext": 1,
	"NewRaw": 0, "Raw": 0, "Where": 0, "WhereOr": 0, "Having": 0, "ColumnExpr": 0, "TableExpr": 0, "OrderExpr": 0, "GroupExpr": 0, "Set": 0, "SetColumn": 0, "Join": 0,
}

// inlines are those of bun: it writes further arguments into the text.
var inlines = []string{"NewRaw", "Where", "WhereOr", "Having", "ColumnExpr", "TableExpr", "OrderExpr", "GroupExpr", "Set", "SetColumn", "Join"}

// No value can get into a statement: it is a sqlText, which only constants become,
// and the builder's places for bound parameters.
func TestNoValueGetsIntoAStatement(t *testing.T) {
	fset := token.NewFileSet()
	var files []*ast.File
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			f, err := parser.ParseFile(fset, name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
	}
	calls := 0
	for _, w := range valuesInSQL(fset, files, &calls) {
		t.Error(w)
	}
	if calls < 10 {
		t.Errorf("only %d statements were found: does the test still know how they are run?", calls)
	}
}

// The check finds what it looks for.
func TestValuesInStatementsAreFound(t *testing.T) {
	const head = `package store
import ("context"; "database/sql"; "fmt"; "strings")
type sqlText string
type builder struct { text strings.Builder }
func (b *builder) arg(v any) sqlText { return sqlText("?" + fmt.Sprint(v)) }
const table = "thing"
`
	for body, bad := range map[string]bool{
		`func f(db *sql.DB, v string) { db.Query("SELECT 1 FROM " + table + " WHERE a = ?", v) }`:          false,
		`func f(db *sql.DB, v sqlText) { db.QueryContext(context.Background(), string(v)) }`:               false,
		`func f(stmt *sql.Stmt, args []any) { stmt.QueryContext(context.Background(), args...) }`:          false,
		`func f() sqlText { return sqlText("SELECT 1") }`:                                                  false,
		`func f(db *sql.DB, v string) { db.Query("SELECT " + v) }`:                                         true,
		`func f(db *sql.DB, v int) { db.Exec(fmt.Sprintf("PRAGMA user_version = %d", v)) }`:                true,
		`func f(db *sql.DB, v string) { db.QueryContext(context.Background(), v) }`:                        true,
		`func f(db *sql.DB, v sqlText) { s := string(v) + "x"; db.PrepareContext(context.TODO(), s) }`:     true,
		`func f(v string) sqlText { return sqlText(v) }`:                                                   true,
		`func f(v string) sqlText { return "a" + sqlText(strings.ToUpper(v)) }`:                            true,
		`type q struct{}; func (q) Where(s string, v ...any) {}; func f(v int) { q{}.Where("a = ?", v) }`:  true,
		`func f[T ~string](v string) T { return T(v) }; func g(v string) sqlText { return f[sqlText](v) }`: true,
	} {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "x.go", head+body, 0)
		if err != nil {
			t.Fatal(err)
		}
		if found := valuesInSQL(fset, []*ast.File{file}, new(int)); (len(found) > 0) != bad {
			t.Errorf("%s: found %q", body, found)
		}
	}
}

// valuesInSQL says where a string that is not a constant becomes a statement. It
// counts the calls that it looked at.
func valuesInSQL(fset *token.FileSet, files []*ast.File, calls *int) (found []string) {
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Instances: map[*ast.Ident]types.Instance{}}
	config := types.Config{Importer: noImports{}, Error: func(error) {}} // its own types are all that is asked for
	pkg, _ := config.Check("store", fset, files, info)
	text := pkg.Scope().Lookup("sqlText").Type()
	say := func(n ast.Node, what string) {
		found = append(found, fset.Position(n.Pos()).String()+": "+what)
	}
	constant := func(e ast.Expr) bool { return info.Types[e].Value != nil }
	for id, instance := range info.Instances {
		for arg := range instance.TypeArgs.Types() {
			if arg == text {
				say(id, "sqlText is the type of a generic function, which may convert to it")
			}
		}
	}
	for _, f := range files {
		for _, d := range f.Decls {
			function, _ := d.(*ast.FuncDecl)
			ast.Inspect(d, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || len(call.Args) == 0 {
					return true
				}
				if fun := info.Types[call.Fun]; fun.IsType() && fun.Type == text {
					if !constant(call.Args[0]) && !mayConvert(function) {
						say(call, "what is no constant becomes a sqlText")
					}
					return true
				}
				method, ok := call.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				at, ok := takesSQL[method.Sel.Name]
				if !ok || len(call.Args) <= at || isPackage(method.X, f) {
					return true
				}
				if call.Ellipsis.IsValid() && len(call.Args) == at+1 || isCallOf(call.Args[at], "bind") || isFunction(call.Args[at]) {
					return true // parameters of a statement that is prepared, and sql.Conn.Raw
				}
				*calls++
				statement := call.Args[at]
				switch conversion, ok := statement.(*ast.CallExpr); {
				case constant(statement):
				case ok && isIdent(conversion.Fun, "string") && info.Types[conversion.Args[0]].Type == text:
				case function != nil && function.Name.Name == "migrateStep": // the shipped schema, and its number
				default:
					say(call, "a statement that is neither a constant nor a sqlText")
				}
				if slices.Contains(inlines, method.Sel.Name) && len(call.Args) > at+1 {
					say(call, "bun writes these values into the statement")
				}
				return true
			})
		}
	}
	return found
}

// mayConvert reports whether a function is one of the builder's that make text of
// text: a place for a parameter, and the whole.
func mayConvert(f *ast.FuncDecl) bool {
	if f == nil || f.Recv == nil || f.Name.Name != "arg" && f.Name.Name != "statement" {
		return false
	}
	pointer, ok := f.Recv.List[0].Type.(*ast.StarExpr)
	return ok && isIdent(pointer.X, "builder")
}

func isIdent(e ast.Expr, name string) bool {
	id, ok := e.(*ast.Ident)
	return ok && id.Name == name
}

func isCallOf(e ast.Expr, method string) bool {
	call, ok := e.(*ast.CallExpr)
	if !ok {
		return false
	}
	selector, ok := call.Fun.(*ast.SelectorExpr)
	return ok && selector.Sel.Name == method
}

func isFunction(e ast.Expr) bool {
	_, ok := e.(*ast.FuncLit)
	return ok
}

// isPackage reports whether an expression is the name of an imported package, as in
// strings.Join.
func isPackage(e ast.Expr, f *ast.File) bool {
	id, ok := e.(*ast.Ident)
	return ok && slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool {
		path := strings.Trim(i.Path.Value, `"`)
		return path[strings.LastIndex(path, "/")+1:] == id.Name
	})
}

// noImports leaves out all other packages.
type noImports struct{}

func (noImports) Import(string) (*types.Package, error) { return nil, errors.New("left out") }
