package script

import (
	"context"
	"encoding/json"
	"iter"
	"log/slog"
	"time"

	"github.com/dop251/goja"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

// TestHost is the world that a test acts upon. Its methods are called from the
// test's turns; none may wait.
type TestHost interface {
	// Start begins what the test asks for. Result tells how it ended.
	Start(op TestOp)
	// StartTimer has Timer(id) called once after d, until StopTimer.
	StartTimer(id int64, d time.Duration)
	StopTimer(id int64)
	Log() *slog.Logger
	// ScriptError reports an error that the test has looked at nowhere.
	ScriptError(kind string, err *Error)
}

// TestOp is something that a test asks of its world.
type TestOp struct {
	ID   int64
	Name string
	Args json.RawMessage // an array
	Text string          // what is sent, if Data is nil
	Data []byte          // binary
}

// TestVM is the virtual machine of one run of one test. It is used by one
// goroutine at a time; each method that returns an Outcome is a turn.
type TestVM struct {
	vm      *VM
	file    *TestFile
	host    TestHost
	exports *goja.Object                       // the module dotdo/test
	hooks   map[string]func(...goja.Value) any // of the runtime's script
	tests   []Test
	runs    []goja.Callable
	ops     map[int64]bool // begun, without a result
	held    int            // waits of the runtime's own script, each with a time-out
	done    bool
	err     *Error
}

// NewVM makes the machine in which one of the tests runs: Run it.
func (f *TestFile) NewVM(host TestHost) *TestVM { return f.newVM(host) }

func (f *TestFile) newVM(host TestHost) *TestVM {
	t := &TestVM{file: f, host: host, ops: make(map[int64]bool)}
	if host == nil { // a look at what tests there are
		t.vm = f.set.newVM(nil)
	} else {
		t.vm = f.set.newVM(&testObject{TestHost: host, key: key.Key{Type: "Test", ID: f.File}})
	}
	t.vm.test = t
	return t
}

// load runs the file, which lists its tests. It is part of a turn.
func (t *TestVM) load() {
	vm := t.vm
	v, err := vm.rt.RunProgram(t.file.runtime)
	vm.check(err)
	begin, _ := goja.AssertFunction(v)
	v, err = begin(goja.Undefined(), t.natives())
	vm.check(err)
	made := v.ToObject(vm.rt)
	t.exports = made.Get("exports").ToObject(vm.rt)
	t.hooks = make(map[string]func(...goja.Value) any)
	for _, name := range []string{"result", "frame", "closed"} {
		f, _ := goja.AssertFunction(made.Get(name))
		t.hooks[name] = func(args ...goja.Value) any {
			v, err := f(goja.Undefined(), args...)
			vm.check(err)
			return v
		}
	}
	vm.load(t.file.module)
}

// natives is what the runtime's script, testing.js, needs of the host.
func (t *TestVM) natives() *goja.Object {
	vm := t.vm
	o := vm.rt.NewObject()
	function := func(name string, f func(call goja.FunctionCall) goja.Value) {
		must(o.Set(name, vm.rt.ToValue(f)))
	}
	function("test", func(call goja.FunctionCall) goja.Value {
		f, ok := goja.AssertFunction(call.Argument(1))
		if vm.loading == nil {
			vm.throwType("test(name, function) is for the top level of a file")
		}
		if name, isText := stringOf(call.Argument(0)); !ok || !isText || name == "" {
			vm.throwType("a test is test(name, function)")
		} else {
			mode, _ := stringOf(call.Argument(2))
			frame := vm.callerFrame()
			at := frame.Position()
			t.tests = append(t.tests, Test{Name: name, Line: at.Line, Column: at.Column + 1, Skip: mode == "skip", Only: mode == "only"})
			t.runs = append(t.runs, f)
		}
		return goja.Undefined()
	})
	function("start", func(call goja.FunctionCall) goja.Value {
		vm.needHost("what acts upon objects")
		op := TestOp{ID: vm.id(), Name: call.Argument(0).String(), Args: json.RawMessage(call.Argument(1).String())}
		if v := call.Argument(2); !missing(v) {
			if data, binary := vm.bytesOf(v); binary {
				op.Data = append([]byte{}, data...)
			} else {
				op.Text = v.String()
			}
		}
		t.ops[op.ID] = true
		t.host.Start(op)
		return vm.rt.ToValue(op.ID)
	})
	function("hold", func(call goja.FunctionCall) goja.Value {
		t.held += int(call.Argument(0).ToInteger())
		return goja.Undefined()
	})
	function("isStub", func(call goja.FunctionCall) goja.Value {
		return vm.rt.ToValue(vm.stubOf(call.Argument(0)) != nil)
	})
	must(o.Set("call", t.callFunction()))
	return o
}

// callFunction is call: call.Room(id), or call('Room', id), is what $.Room(id) is
// to an object.
func (t *TestVM) callFunction() goja.Value {
	vm := t.vm
	noun := func(name string) goja.Value {
		f := vm.dollarObject().ToObject(vm.rt).Get(name)
		if f == nil || !key.ValidType(name) {
			vm.throwType("call.%s: a noun begins with a capital letter", name)
		}
		return f
	}
	target := vm.rt.ToValue(func(goja.FunctionCall) goja.Value { return goja.Undefined() }).(*goja.Object)
	return vm.rt.ToValue(vm.rt.NewProxy(target, &goja.ProxyTrapConfig{
		Get: func(_ *goja.Object, name string, _ goja.Value) goja.Value {
			if name == "then" {
				return goja.Undefined()
			}
			return noun(name)
		},
		Apply: func(_ *goja.Object, _ goja.Value, args []goja.Value) goja.Value {
			if len(args) != 2 {
				vm.throwType("call takes a noun and an id: call('Room', 'general')")
			}
			f, _ := goja.AssertFunction(noun(args[0].String()))
			v, err := f(goja.Undefined(), args[1])
			vm.check(err)
			return v
		},
	}))
}

// Run loads the file and begins with one of its tests.
func (t *TestVM) Run(test int) Outcome {
	return t.vm.run(func() {
		t.load()
		if test >= len(t.runs) {
			t.vm.throwType("the tests of a file must be the same each time it is loaded")
		}
		v, err := t.runs[test](goja.Undefined())
		if err != nil {
			t.finish(t.vm.toError(err))
			return
		}
		t.vm.settle(v, func(goja.Value) { t.finish(nil) }, func(reason goja.Value) { t.finish(t.vm.errorOf(reason)) })
	})
}

func (t *TestVM) finish(err *Error) {
	if !t.done {
		t.done, t.err = true, err
	}
}

// Done reports whether the test's function has ended, and with what.
func (t *TestVM) Done() (bool, *Error) { return t.done, t.err }

// Waiting is for how many things the test waits: operations, calls, frames. Each
// of them ends. While it isn't done, timers of its own count too.
func (t *TestVM) Waiting() int {
	n := len(t.ops) + len(t.vm.calls) + t.held
	if !t.done {
		n += len(t.vm.timers)
	}
	return n
}

// Timer runs a timer that is due.
func (t *TestVM) Timer(id int64) Outcome { return t.vm.Timer(id, 0) }

// Settle brings the result of a call, encoded.
func (t *TestVM) Settle(id int64, value []byte, failure *Error) Outcome {
	if c := t.vm.calls[id]; c != nil && failure != nil {
		e := *failure // with the line of the test as its last
		if e.File == "" {
			e.setPosition(c.position)
		} else if c.position != "" {
			e.Stack += "\nat " + c.position
		}
		failure = &e
	}
	return t.vm.Settle(id, value, failure)
}

// Result tells how an operation ended: with value, as JSON, and data, or with a
// failure that has no position; it gets that of the test.
func (t *TestVM) Result(id int64, value, data []byte, failure error) Outcome {
	return t.vm.run(func() {
		if !t.ops[id] {
			return
		}
		delete(t.ops, id)
		message := goja.Undefined()
		if failure != nil {
			message = t.vm.rt.ToValue(failure.Error())
		}
		t.hooks["result"](t.vm.rt.ToValue(id), message, t.vm.rt.ToValue(string(value)), t.vm.rt.ToValue(t.vm.rt.NewArrayBuffer(data)))
	})
}

// Frame gives a message to a connection of the test.
func (t *TestVM) Frame(connection int64, text bool, data []byte) Outcome {
	return t.vm.run(func() {
		var v goja.Value
		if text {
			v = t.vm.rt.ToValue(string(data))
		} else {
			v = t.vm.rt.ToValue(t.vm.rt.NewArrayBuffer(data))
		}
		t.hooks["frame"](t.vm.rt.ToValue(connection), v)
	})
}

// Closed tells a connection of the test that it has ended.
func (t *TestVM) Closed(connection int64, code uint16, reason string) Outcome {
	return t.vm.run(func() {
		t.hooks["closed"](t.vm.rt.ToValue(connection), t.vm.rt.ToValue(int(code)), t.vm.rt.ToValue(reason))
	})
}

// testObject is the Host of a test's VM: a test is no object, and has nothing of
// one but what TestHost gives it.
type testObject struct {
	TestHost
	key key.Key
}

var _ Host = (*testObject)(nil)

func (o *testObject) Key() key.Key                          { return o.key }
func (o *testObject) Now() time.Time                        { return time.Now() }
func (o *testObject) NewID() string                         { return "" }
func (o *testObject) View() *store.View                     { return nil }
func (o *testObject) Reads() context.Context                { return context.Background() }
func (o *testObject) Accept([]string, *User) Socket         { return nil }
func (o *testObject) Sockets() iter.Seq[Socket]             { return func(func(Socket) bool) {} }
func (o *testObject) TaggedSockets(string) iter.Seq[Socket] { return o.Sockets() }
func (o *testObject) SocketCount() int                      { return 0 }
func (o *testObject) Listed(Socket) bool                    { return false }
func (o *testObject) AutoResponse() (string, string, bool)  { return "", "", false }
func (o *testObject) HandlersOf(string) []Handler           { return nil }
func (o *testObject) NextSeq() int64                        { return 0 }
func (o *testObject) Hung()                                 {}
