package script

import (
	"errors"
	"testing"

	"github.com/dop251/goja"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newTestVM(t testing.TB) *VM {
	t.Helper()
	vm := &VM{
		rt:         goja.New(),
		classes:    make(map[*class]*classState),
		intrinsics: make(map[string]goja.Value),
	}
	vm.rt.SetMaxCallStackSize(maxCallStack)
	vm.installGlobals(webGlobals)
	return vm
}

// eval runs a script, waits for it if it returns a promise, and returns what a
// script would see of the result as a string: "Name: message" if it threw.
func (vm *VM) eval(t testing.TB, source string) string {
	t.Helper()
	v, err := vm.rt.RunString(source)
	if err != nil {
		var ex *goja.Exception
		if !errors.As(err, &ex) {
			t.Fatalf("%s\nis not an error that a script can catch: %v", source, err)
		}
		return vm.text(ex.Value())
	}
	if p, ok := v.Export().(*goja.Promise); ok {
		switch p.State() {
		case goja.PromiseStatePending:
			return "pending"
		case goja.PromiseStateRejected:
			return vm.text(p.Result())
		}
		v = p.Result()
	}
	if kindOf(v) == objectKind {
		s, _ := vm.stringify(v)
		return s
	}
	return v.String()
}

type scriptTest struct{ source, want string }

func runScripts(t *testing.T, tests []scriptTest) {
	t.Helper()
	for _, tt := range tests {
		if got := newTestVM(t).eval(t, tt.source); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.source, got, tt.want)
		}
	}
}

func TestGlobals(t *testing.T) {
	runScripts(t, []scriptTest{
		{`typeof Response + typeof nothing`, "functionundefined"},
		{`Response === Response && globalThis.Response === Response`, "true"},
		{`nothing`, "ReferenceError: nothing is not defined"},
		{`Object.keys(globalThis).length`, "0"},
		{`"URL" in globalThis`, "true"},
		{`Headers = 5; Headers`, "5"},
		{`var Request = 7; Request`, "7"},
		{`let URL = 8; URL`, "8"},
		{`(function () { "use strict"; globalThis.crypto = 9 })(); crypto`, "9"},
		{`Object.getOwnPropertyDescriptor(globalThis, "URL") === undefined; URL; JSON.stringify(Object.getOwnPropertyDescriptor(globalThis, "URL"), (k, v) => typeof v === "function" ? 1 : v)`,
			`{"value":1,"writable":true,"enumerable":false,"configurable":true}`},
		{`Object.freeze(globalThis); typeof URL`, "function"},
		{`globalThis instanceof Object`, "true"},
		{`typeof require + typeof module + typeof process`, "undefinedundefinedundefined"},
		{`Object.prototype.toString.call(JSON) + Object.prototype.toString.call(new Headers())`, "[object JSON][object Headers]"},
		{`Response.name + structuredClone.name`, "ResponsestructuredClone"},
		{`Object.getPrototypeOf(globalThis).x = 1; typeof x`, "undefined"},
		{`JSON.parse === JSON.parse && JSON.parse.name + Object.keys(JSON).length`, "parse0"},
		{`Object.freeze(JSON); JSON.stringify([1])`, "[1]"},
		{`JSON.stringify = () => "mine"; JSON.stringify(1)`, "mine"},
		{`"use strict"; Object.getPrototypeOf(globalThis).x = 1`, "TypeError: 'Set' on a dynamic object returned false"},
	})
}

// What one VM does to its prototypes must not show in another.
func TestVMsAreApart(t *testing.T) {
	a, b := newTestVM(t), newTestVM(t)
	a.eval(t, `Response.prototype.evil = 1; Headers.prototype.get = () => "evil"; URL.prototype.evil = 1; JSON.evil = 1; Object.prototype.evil = 1`)
	if got := b.eval(t, `[new Response().evil, new Headers({a: "b"}).get("a"), new URL("http://x").evil, JSON.evil].join()`); got != ",b,," {
		t.Errorf("got %s", got)
	}
}

func TestText(t *testing.T) {
	runScripts(t, []scriptTest{
		{`[...new TextEncoder().encode("aé😀")].join()`, "97,195,169,240,159,152,128"},
		{`[...new TextEncoder().encode("\ud800")].join()`, "239,191,189"},
		{`new TextEncoder().encode().length`, "0"},
		{`const b = new Uint8Array(4); const r = new TextEncoder().encodeInto("a😀", b); r.read + "," + r.written`, "1,1"},
		{`new TextDecoder().decode(new Uint8Array([0xEF, 0xBB, 0xBF, 97]))`, "a"},
		{`new TextDecoder("utf-8", {ignoreBOM: true}).decode(new Uint8Array([0xEF, 0xBB, 0xBF, 97])).length`, "2"},
		{`new TextDecoder().decode(new Uint8Array([97, 0xFF, 0xE2, 0x82, 98])) === "a\ufffd\ufffdb"`, "true"},
		{`new TextDecoder().decode(new Uint8Array([0xF0, 0x9F, 0x98, 0xED, 0xA0, 0x80])) === "\ufffd\ufffd\ufffd\ufffd"`, "true"},
		{`new TextDecoder("utf8", {fatal: true}).decode(new Uint8Array([0xFF]))`, "TypeError: The encoded data was not valid for encoding utf-8"},
		{`new TextDecoder("latin1")`, `RangeError: the encoding "latin1" is not supported: only utf-8 is`},
		{`const d = new TextDecoder(); let s = ""; for (const b of new TextEncoder().encode("a😀é")) s += d.decode(new Uint8Array([b]), {stream: true}); s + d.decode()`, "a😀é"},
		{`new TextDecoder().decode(new TextEncoder().encode("abcdef").subarray(1, 3))`, "bc"},
		{`new TextDecoder().decode(new DataView(new TextEncoder().encode("abcdef").buffer, 2, 2))`, "cd"},
		{`new TextDecoder().decode("text")`, "TypeError: TextDecoder.decode needs an ArrayBuffer or a view of one"},
		{`btoa("h\xe9llo") + atob("aOlsbG8=") + atob(" aGk ")`, "aOlsbG8=héllohi"},
		{`btoa("€")`, "InvalidCharacterError: btoa: the string has characters above U+00FF"},
		{`atob("a")`, "InvalidCharacterError: atob: the string is not base64"},
		{`atob("ab=")`, "InvalidCharacterError: atob: the string is not base64"},
	})
}

func TestCrypto(t *testing.T) {
	runScripts(t, []scriptTest{
		{`/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(crypto.randomUUID())`, "true"},
		{`const a = new Uint32Array(8); crypto.getRandomValues(a) === a && a.some(x => x > 0)`, "true"},
		{`const b = new Uint8Array(16); crypto.getRandomValues(b.subarray(8)); b.slice(0, 8).every(x => x === 0)`, "true"},
		{`crypto.getRandomValues(new Uint8Array(65537))`, "QuotaExceededError: crypto.getRandomValues fills at most 65536 bytes"},
		{`crypto.getRandomValues(new Float64Array(1))`, "TypeMismatchError: crypto.getRandomValues needs an array of integers, such as a Uint8Array"},
		{`crypto.getRandomValues([])`, "TypeMismatchError: crypto.getRandomValues needs an array of integers, such as a Uint8Array"},
	})
}

func TestQueueMicrotask(t *testing.T) {
	runScripts(t, []scriptTest{
		{`const log = []; queueMicrotask(() => log.push(2)); log.push(1); Promise.resolve().then(() => log.push(3)).then(() => log.join())`, "1,2,3"},
		{`queueMicrotask(1)`, "TypeError: queueMicrotask needs a function"},
	})
	vm := newTestVM(t)
	var rejected []string
	vm.rt.SetPromiseRejectionTracker(func(p *goja.Promise, op goja.PromiseRejectionOperation) {
		if op == goja.PromiseRejectionReject {
			rejected = append(rejected, p.Result().String())
		}
	})
	vm.eval(t, `queueMicrotask(() => { throw new Error("boom") })`)
	if len(rejected) != 1 || rejected[0] != "Error: boom" {
		t.Errorf("the rejections are %v", rejected)
	}
}
