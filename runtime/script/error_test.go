package script

import (
	"strings"
	"testing"

	"github.com/dop251/goja"
)

// thrown runs a script that throws, and returns the error as the host has it.
func thrown(t *testing.T, vm *VM, source string) *Error {
	t.Helper()
	_, err := vm.rt.RunScript("a.js", source)
	if err == nil {
		t.Fatalf("%s does not throw", source)
	}
	return vm.toError(err)
}

func TestErrorsHavePositions(t *testing.T) {
	for source, want := range map[string]struct{ position, stack string }{
		"\nthrow new Error('x')": {"a.js:2", "at a.js:2"},
		"function f() {\nthrow new Error('x')\n}\n[1].map(() =>\nf())": {"a.js:2", "at f (a.js:2) at a.js:5 at a.js:4"},
		"\n[1].forEach(function g() {\nnull.x })":                      {"a.js:3", "at g (a.js:3) at a.js:2"},
		"function f() {\nthrow 'text' }\nf()":                          {"a.js:2", "at f (a.js:2) at <anonymous> (a.js:3)"},
		"\n\nthrow { a: 1 }":                                           {"a.js:3", "at <anonymous> (a.js:3)"},
	} {
		e := thrown(t, newTestVM(t), source)
		if got := withoutColumns(e.Position()); got != want.position {
			t.Errorf("%s\n is at %s, want %s", source, got, want.position)
		}
		if got := withoutColumns(e.Stack); got != want.stack {
			t.Errorf("%s\n has the stack %q, want %q", source, got, want.stack)
		}
	}
}

// withoutColumns puts a stack on one line and keeps of each position file and line.
func withoutColumns(stack string) string {
	frames := strings.Split(stack, "\n")
	for i, f := range frames {
		end := ""
		if strings.HasSuffix(f, ")") {
			f, end = f[:len(f)-1], ")"
		}
		frames[i] = f[:strings.LastIndexByte(f, ':')] + end
	}
	return strings.Join(frames, " ")
}

// A call that failed in another object says where, to a person and to a script,
// and still does after the script has thrown it on.
func TestRemoteErrorsHaveAStack(t *testing.T) {
	for _, remote := range []*Error{
		{Name: "TypeError", Message: "oh", File: "user.js", Line: 3, Column: 7, Reported: true},
		{Name: "TypeError", Message: "oh", File: "user.js", Line: 3, Column: 7, Reported: true, Stack: "at notify (user.js:3:7)\nat user.js:9:1"},
	} {
		vm := newTestVM(t)
		must(vm.rt.Set("e", vm.errorValue(remote)))
		stack := vm.eval(t, "e.stack")
		if !strings.HasPrefix(stack, "TypeError: oh\n\tat ") || !strings.Contains(stack, "user.js:3:") || strings.Count(stack, "\n") != max(1, strings.Count(remote.Stack, "\n")+1) {
			t.Errorf("the stack is %q", stack)
		}
		if got := vm.eval(t, "[e instanceof TypeError, Object.keys(e).length, e.position].join()"); got != "true,0,user.js:3:7" {
			t.Errorf("got %s", got)
		}
		again := thrown(t, vm, "throw e")
		if again.Position() != "user.js:3:7" || !again.Remote || remote.Stack != "" && again.Stack != remote.Stack {
			t.Errorf("thrown on it is at %s, remote %v, with the stack %q", again.Position(), again.Remote, again.Stack)
		}
	}
	vm := newTestVM(t)
	if e := vm.errorOf(vm.errorValue(&Error{Name: "TimeoutError", Message: "oh"})); e.Position() != "" || e.Remote {
		t.Errorf("an error without a position got %s", e.Position())
	}
}

// A handler that forgot to answer is over when that shows: the error points at
// its route.
func TestAForgottenAnswerPointsAtItsRoute(t *testing.T) {
	vm := newTestVM(t)
	a := vm.newApp()
	must(vm.rt.Set("app", a.self))
	if _, err := vm.rt.RunScript("room.js", "app.use((c, next) => next())\n\napp.get('/a', (c) => {\n})"); err != nil {
		t.Fatal(err)
	}
	req := vm.newRequest("GET", "http://x/a", nil, nil)
	must(vm.rt.Set("run", func(goja.FunctionCall) goja.Value { return vm.dispatch(a.host.(*app), req) }))
	v, err := vm.rt.RunString("run()")
	if err != nil {
		t.Fatal(err)
	}
	e := vm.errorOf(v.Export().(*goja.Promise).Result())
	if got := withoutColumns(e.Position()); got != "room.js:3" || !strings.Contains(e.Message, "GET /a: Context is not finalized") {
		t.Errorf("got %v", e)
	}
}
