package script

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/dop251/goja"

	"chat.example.com.ai/runtime/key"
)

// shown is what console.log(...) writes of the arguments in an array.
func shown(t *testing.T, vm *VM, source string) string {
	t.Helper()
	v, err := vm.rt.RunString(source)
	if err != nil {
		t.Fatalf("%s: %v", source, err)
	}
	var args []goja.Value
	vm.rt.ForOf(v, func(v goja.Value) bool { args = append(args, v); return true })
	in := inspector{vm: vm}
	in.format(args)
	return string(in.out)
}

func TestConsoleShowsValues(t *testing.T) {
	for source, want := range map[string]string{
		`["a", 1, -0, 1.5, NaN, true, null, undefined, 10n, Symbol("s")]`:                     "a 1 -0 1.5 NaN true null undefined 10n Symbol(s)",
		`[{a: "b\n'", 'c d': [1, , 'x'], _$1: {}}, []]`:                                       `{a: 'b\n\'', 'c d': [1, undefined, 'x'], _$1: {}} []`,
		`[new Map([["a", {b: 1}], [2, "c"]]), new Set(["x", 1])]`:                             "Map {'a' => {b: 1}, 2 => 'c'} Set {'x', 1}",
		`[new Map(), new Uint8Array([1, 2]), new Float64Array([.5])]`:                         "Map {} Uint8Array [1, 2] Float64Array [0.5]",
		`[new ArrayBuffer(3), new DataView(new ArrayBuffer(8), 2)]`:                           "[3 bytes] [6 bytes]",
		`[new Date(0), new Date(NaN), /a\/b/gi]`:                                              `1970-01-01T00:00:00.000Z Invalid Date /a\/b/gi`,
		`[new Number(1), new String("a"), new Boolean(false)]`:                                "[Number: 1] [String: 'a'] [Boolean: false]",
		`[function f() {}, () => 1, class K {}, Math.max]`:                                    "[the function f] [function] [the function K] [the function max]",
		`class K { constructor() { this.a = 1 } }; [new K(), Object.create(null), [new K()]]`: "K {a: 1} {} [K {a: 1}]",
		`[Promise.resolve({a: 1}), new Promise(() => {})]`:                                    "Promise {{a: 1}} Promise {pending}",
		`[new WeakMap(), new Proxy({}, {}), (function* () {})()]`:                             "[WeakMap] [Proxy] [Generator]",
		`[new URL("http://a/?b=c"), new URLSearchParams("a=b"), new Headers({a: "b"})]`:       "URL(http://a/?b=c) URLSearchParams(a=b) Headers {a: 'b'}",
		`[new Response("x", {status: 201}), new Request("http://a/")]`:                        "Response(201) Request(GET http://a/)",
		`const h = new Headers(); h.mine = 1; [h]`:                                            "Headers {} {mine: 1}",

		// What once lost the whole line.
		`const a = {b: 1}; a.self = a; a.list = [a]; [a]`:                                            "{b: 1, self: [circular], list: [[circular]]}",
		`const b = {}; [{x: b, y: b}]`:                                                               "{x: {}, y: {}}",
		`[{n: 10n, s: Symbol("s"), u: undefined, f() {}}]`:                                           "{n: 10n, s: Symbol(s), u: undefined, f: [the function f]}",
		`[{get a() { throw new TypeError("mine") }, b: 2}]`:                                          "{a: [threw TypeError: mine], b: 2}",
		`[{toJSON() { throw 1 }}, 5]`:                                                                "{toJSON: [the function toJSON]} 5",
		`[new Proxy({}, {ownKeys() { throw new Error("no") }, get() { throw new Error("no") }}), 5]`: "[Proxy] 5",
		`const m = new Map(); m.set(m, m); [m]`:                                                      "Map {[circular] => [circular]}",
		`delete Map.prototype.size; [new Map([[1, 2]])]`:                                             "Map {1 => 2}",
		`Date.prototype.toISOString = () => { throw new Error("no") }; [new Date()]`:                 "[threw Error: no]",

		// How much is shown.
		`[{a: {b: {c: {d: {e: {f: 1}, m: new Map(), l: [1]}}}}}]`:   "{a: {b: {c: {d: {e: [Object], m: [Map(0)], l: [Array(1)]}}}}}",
		`[[Array.from({length: 200}, () => 0)].map(a => a.length)]`: "[200]",
		`[{a: "x".repeat(513), b: 1}]`:                              "{a: '" + strings.Repeat("x", 512) + "… (513 characters)', b: 1}",
		`["é".repeat(3000), "y"]`:                                   strings.Repeat("é", 2048) + "… (3000 characters) y",

		// Directives.
		`["%s is %d, %i, %f: %o %O %j%c.", "ann", "41", 1.9, "2.5", {a: "b"}, [1], {c: "d"}, "color: red"]`: `ann is 41, 1, 2.5: {a: 'b'} [1] {"c":"d"}.`,
		`["%s and %s", "one"]`:              "one and %s",
		`["100%", 5]`:                       "100% 5",
		`["%% %x %d", 5, "rest", {a: 1}]`:   "% %x 5 rest {a: 1}",
		`["%s"]`:                            "%s",
		`["%d %d %i", {}, 3n, Symbol("s")]`: "NaN 3n NaN",
		`["%j %j", undefined, (() => { const a = {}; a.a = a; return a })()]`: "undefined [threw TypeError: Converting circular structure to JSON]",
		`[{}, "%s", 1]`: "{} %s 1",
	} {
		if got := shown(t, newTestVM(t), source); got != want {
			t.Errorf("%s\n got %s\nwant %s", source, got, want)
		}
	}
}

func TestConsoleShowsErrors(t *testing.T) {
	vm := newTestVM(t)
	v, err := vm.rt.RunScript("a.js", "const e = new RangeError('mine', { cause: new Error('why') })\ne.code = 5;\n[{ e }]")
	if err != nil {
		t.Fatal(err)
	}
	in := inspector{vm: vm}
	in.value(v)
	if got, want := string(in.out), "[{e: RangeError: mine {code: 5}\nat a.js:1:11\ncause: Error: why\nat a.js:1:43}]"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestConsoleShowsStubs(t *testing.T) {
	vm := newTestVM(t)
	target := key.Key{Type: "User", ID: "ann"}
	must(vm.rt.Set("user", vm.newStub(&stub{target: target})))
	must(vm.rt.Set("call", vm.newStub(&stub{target: target, call: &pendingCall{}})))
	if got, want := shown(t, vm, `["%s", user, {call}]`), "the object User/ann] {call: [a call that was not awaited]}"; got != "["+want {
		t.Errorf("got %s", got)
	}
}

// However much it is given, a line of the log has its bound.
func TestConsoleLinesAreBounded(t *testing.T) {
	var log bytes.Buffer
	_, err := Load(Options{Folder: write(t, map[string]string{"a.js": imports + `
const deep = {}; let at = deep
for (let i = 0; i < 1000; i++) at = at.next = { a: 'x'.repeat(1000) }
console.log('first', deep, Array.from({ length: 1000 }, () => 'y'.repeat(1000)))
console.warn('x'.repeat(1e6), 'end')
`}), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	if len(lines) != 2 || len(lines[0]) > maxLogLine+200 || !strings.Contains(lines[1], "characters) end") || !strings.Contains(lines[0], "a.js:5:") {
		t.Errorf("%d lines of %d bytes", len(lines), log.Len())
	}
}
