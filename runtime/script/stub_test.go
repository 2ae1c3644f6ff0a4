package script

import (
	"testing"

	"github.com/dop251/goja"

	"chat.example.com.ai/runtime/key"
)

// Whoever forgets an await is told so, and never sees what a stub is made of.
func TestStubsMustBeAwaited(t *testing.T) {
	const (
		text = "TypeError: a call's result must be awaited before it is used as text"
		json = "TypeError: a call's result must be awaited before it is used as JSON"
	)
	for source, want := range map[string]string{
		"`${call}`":                 text,
		"call + ''":                 text,
		"call + 1":                  text,
		"String(call)":              text,
		"[call].join()":             text,
		"new Response(call)":        text,
		"new Headers({a: call})":    text,
		"new URL(call)":             text,
		"JSON.stringify({call})":    json,
		"Response.json(call)":       json,
		"`${field}`":                "TypeError: a property of another object must be awaited before it is used as text",
		"`${user}`":                 "TypeError: $.User(id) is an object: it cannot be used as text",
		"JSON.stringify(user)":      "TypeError: $.User(id) is an object: it cannot be used as JSON",
		"structuredClone([call])":   "DataCloneError: a call that was not awaited could not be cloned",
		"send(call)":                "DataCloneError: a call that was not awaited could not be cloned",
		"send({p: call})":           "DataCloneError: p is a call that was not awaited",
		"send({p: [1, {q: call}]})": "DataCloneError: p.1.q is a call that was not awaited",
		"send({p: field})":          "DataCloneError: p is a property of another object that was not awaited",
		"send({p: user})":           "DataCloneError: p is the object User/ann",
		"typeof call":               "function",
		"call.then === undefined":   "false",
	} {
		vm := newTestVM(t)
		target := key.Key{Type: "User", ID: "ann"}
		must(vm.rt.Set("user", vm.newStub(&stub{target: target})))
		must(vm.rt.Set("field", vm.newStub(&stub{target: target, path: []string{"name"}})))
		must(vm.rt.Set("call", vm.newStub(&stub{target: target, call: &pendingCall{}})))
		must(vm.rt.Set("send", vm.function("send", func(vm *VM, call goja.FunctionCall) goja.Value {
			_, err := vm.encode(call.Argument(0), maxCallValue)
			vm.check(err)
			return goja.Undefined()
		})))
		if got := vm.eval(t, source); got != want {
			t.Errorf("%s\n got %s\nwant %s", source, got, want)
		}
	}
}
