package script

import (
	"strings"
	"testing"

	"github.com/dop251/goja"
)

// What JSON gives must be what goja's own gives, except where that is wrong.
func TestJSONAgreesWithBuiltIn(t *testing.T) {
	values := []string{
		`undefined`, `null`, `true`, `false`, `0`, `-0`, `1`, `-1`, `1.5`, `1e21`, `1e-7`, `123456789012345680000`, `NaN`, `Infinity`, `-Infinity`,
		`""`, `"abc"`, `"é€😀"`, `"\"\\\b\f\n\r\t\u0000\u001f\u007f\u2028\u2029"`, `"\ud800"`, `"a\udc00b\ud83d\ude00\ud83d"`, `"\ufffd\ud800"`, `"/"`, `"<script>&"`,
		`Symbol("x")`, `() => 1`, `class {}`, `async () => 1`, `Math.max`, `(function () {}).bind()`,
		`[]`, `{}`, `[1, , 3]`, `[undefined, () => 1, Symbol("a")]`, `[[[]]]`, `[[1, [2, {a: [3]}]]]`, `new Array(3)`,
		`{a: 1, b: "x", c: null, d: undefined, e: () => 1, f: Symbol("a")}`, `{b: 1, a: 2, 10: 3, 9: 4}`, `{"": 1, "a b": 2, "é\n": 3}`,
		`{["__proto__"]: 1}`, `{__proto__: {a: 1}, b: 2}`, `Object.create({a: 1}, {b: {value: 2, enumerable: false}, c: {value: 3, enumerable: true}})`,
		`{[Symbol("a")]: 1, b: 2}`, `{get a() { return 1 }}`, `{toJSON() { return 5 }}`, `{toJSON(k) { return "key:" + k }}`, `{x: {toJSON(k) { return [k, this.y] }, y: 3}}`,
		`[{toJSON(k) { return typeof k + k }}]`, `{toJSON() { return undefined }}`, `{toJSON: 5}`, `{a: {toJSON() { return undefined }}}`,
		`new Date(0)`, `new Date(NaN)`, `new Number(1.5)`, `new Number(-0)`, `new String("x")`, `new Boolean(false)`, `new Boolean(true)`, `Object(1n)`, `1n`, `[1n]`,
		`/x/g`, `new Error("x")`, `new Map([[1, 2]])`, `new Set([1])`, `new Uint8Array([1, 2])`, `new ArrayBuffer(2)`, `Promise.resolve(1)`, `Math`,
		`new Proxy({a: 1, b: [2]}, {})`, `new Proxy([1, 2], {})`, `new Proxy({}, {ownKeys: () => ["z"], getOwnPropertyDescriptor: () => ({value: 1, enumerable: true, configurable: true}), get: (t, k) => k === "z" ? 7 : undefined})`, `new Proxy(() => 1, {})`,
		`(function () { return arguments })(1, 2)`, `Object.assign([1], {x: 1})`, `(() => { const a = {}; return [a, a] })()`,
		`(() => { const a = {}; a.a = a; return a })()`, `(() => { const a = []; a.push([a]); return a })()`, `{get a() { throw new Error("x") }}`, `{toJSON() { throw new RangeError("x") }}`,
		`new (class A { constructor() { this.x = 1 } get y() { return 2 } })()`, `Object.freeze({a: 1})`, `Object.create(null)`, `Object.assign(Object.create(null), {a: 1})`,
	}
	arguments := []string{
		``, `, null, 2`, `, null, "--"`, `, null, 20`, `, null, "0123456789abc"`, `, null, new Number(1)`, `, null, -1`, `, null, ""`, `, ["a", "b", 1, new String("x"), "a"]`, `, []`,
		`, (k, v) => v`, `, (k, v) => typeof v === "number" ? v + 1 : v`, `, function (k, v) { return Array.isArray(this) ? k : v }`, `, (k, v) => k === "a" ? undefined : v, 1`, `, () => undefined`, `, 5, true`,
	}
	for _, value := range values {
		for _, rest := range arguments {
			source := `JSON.stringify((() => (` + value + `))()` + rest + `)`
			if strings.HasPrefix(value, "class") {
				source = `JSON.stringify(` + value + rest + `)`
			}
			want := (&VM{rt: goja.New()}).eval(t, source)
			if got := newTestVM(t).eval(t, source); got != want {
				t.Errorf("%s\n got %s\nwant %s", source, got, want)
			}
		}
	}
}

func TestJSONParse(t *testing.T) {
	runScripts(t, []scriptTest{
		{`JSON.stringify(JSON.parse(' { "a" : [ 1 , -2.5e3 , true , false , null , "x" , { } , [ ] ] } '))`, `{"a":[1,-2500,true,false,null,"x",{},[]]}`},
		{`JSON.parse('"\\ud83d\\ude00\\u00e9\\n\\/\\b\\f\\r\\t\\\\\\""') === "😀é\n/\b\f\r\t\\\""`, "true"},
		{`JSON.parse('"\\ud800"') === "\ud800"`, "true"},
		{`JSON.parse('"é😀"') === "é😀"`, "true"},
		{`JSON.parse('{"a\\u0062":1}').ab`, "1"},
		{`Object.is(JSON.parse("-0"), -0)`, "true"},
		{`JSON.parse("123456789012345678")`, "123456789012345680"},
		{`JSON.parse("1e400") + JSON.parse("1e-400")`, "Infinity"},
		{`JSON.parse("0.1") === 0.1`, "true"},
		{`Object.keys(JSON.parse('{"b":1,"a":2,"2":3,"1":4,"b":5}')).join()`, "1,2,b,a"},
		{`const o = JSON.parse('{"__proto__":{"x":1}}'); [Object.getPrototypeOf(o) === Object.prototype, o.x, Object.keys(o)].join()`, "true,,__proto__"},
		{`Object.defineProperty(Object.prototype, "a", {set() { throw 1 }}); JSON.parse('{"a":1}').a`, "1"},
		{`Object.freeze(Object.prototype); JSON.parse('{"toString":1}').toString`, "1"},
		{`JSON.parse(1) + JSON.parse({toString: () => "2"})`, "3"},
		{`JSON.parse('{"a":[1,2,{"b":3}]}', function (k, v) { return typeof v === "number" ? v * 2 : v }).a[2].b`, "6"},
		{`JSON.stringify(JSON.parse('{"a":1,"b":[1,2]}', (k, v) => k === "a" || k === "0" ? undefined : v))`, `{"b":[null,2]}`},
		{`JSON.parse('[1]', function (k, v) { return k === "" ? Object.keys(this).length : v })`, "1"},
		{`const log = []; JSON.parse('{"a":{"b":1},"c":[2]}', (k, v) => { log.push(k); return v }); log.join()`, "b,a,0,c,"},

		{`JSON.parse("")`, "SyntaxError: Unexpected end of JSON input"},
		{`JSON.parse("[1,")`, "SyntaxError: Unexpected end of JSON input"},
		{`JSON.parse("[1,]")`, "SyntaxError: Unexpected token ']' in JSON at position 3"},
		{`JSON.parse("{a:1}")`, "SyntaxError: Unexpected token 'a' in JSON at position 1"},
		{`JSON.parse('{"a" 1}')`, "SyntaxError: Unexpected token '1' in JSON at position 5"},
		{`JSON.parse('{"a":1,}')`, "SyntaxError: Unexpected token '}' in JSON at position 7"},
		{`JSON.parse("1 2")`, "SyntaxError: Unexpected token '2' in JSON at position 2"},
		{`JSON.parse("01")`, "SyntaxError: Unexpected token '1' in JSON at position 1"},
		{`JSON.parse("-")`, "SyntaxError: Unexpected end of JSON input"},
		{`JSON.parse("1.")`, "SyntaxError: Unexpected end of JSON input"},
		{`JSON.parse("+1")`, "SyntaxError: Unexpected token '+' in JSON at position 0"},
		{`JSON.parse("nul")`, "SyntaxError: Unexpected end of JSON input"},
		{`JSON.parse("'a'")`, `SyntaxError: Unexpected token '\'' in JSON at position 0`},
		{`JSON.parse('"a')`, "SyntaxError: Unterminated string in JSON at position 2"},
		{`JSON.parse('"a\\')`, "SyntaxError: Unterminated string in JSON at position 3"},
		{`JSON.parse('"\n"')`, "SyntaxError: Bad control character in string literal in JSON at position 1"},
		{`JSON.parse('"\\x"')`, "SyntaxError: Bad escaped character in JSON before position 4"},
		{`JSON.parse('"\\u12"')`, "SyntaxError: Bad Unicode escape in JSON before position 6"},
		{`JSON.parse("undefined")`, "SyntaxError: Unexpected token 'u' in JSON at position 0"},
		{`JSON.parse(Symbol("x"))`, "TypeError: Cannot convert a Symbol value to a string"},
		{`try { JSON.parse("{") } catch (e) { e instanceof SyntaxError }`, "true"},
	})
}

func TestJSONDepth(t *testing.T) {
	runScripts(t, []scriptTest{
		{`JSON.stringify(JSON.parse("[".repeat(500) + "]".repeat(500))).length`, "1000"},
		{`JSON.parse("[".repeat(501) + "]".repeat(501))`, "RangeError: JSON is nested deeper than 500"},
		{`JSON.parse("[".repeat(5 << 20))`, "RangeError: JSON is nested deeper than 500"},
		{`JSON.parse('{"a":'.repeat(1 << 20))`, "RangeError: JSON is nested deeper than 500"},
		{`let a = []; for (let i = 1; i < 500; i++) a = [a]; JSON.stringify(a).length`, "1000"},
		{`let a = []; for (let i = 0; i < 500; i++) a = [a]; JSON.stringify(a)`, "RangeError: JSON is nested deeper than 500"},
		{`let a = {}; for (let i = 0; i < 500000; i++) a = {a}; JSON.stringify(a)`, "RangeError: JSON is nested deeper than 500"},
		{`JSON.stringify({toJSON() { return [this] }})`, "RangeError: JSON is nested deeper than 500"},
		{`JSON.stringify(Object(Symbol("x")))`, "{}"}, // goja's own is wrong here
		{`JSON.parse("[1]", (k, v) => typeof v === "number" ? v : [[v]]).length`, "1"},
		{`JSON.stringify("x".repeat(17 << 20))`, "RangeError: the JSON is longer than 16777216 bytes"},
		{`JSON.stringify(new Array(1e9))`, "RangeError: the JSON is longer than 16777216 bytes"},
	})
}

func BenchmarkJSONParse(b *testing.B) {
	for name, rt := range map[string]*goja.Runtime{"own": newTestVM(b).rt, "built-in": goja.New()} {
		b.Run(name, func(b *testing.B) { benchmarkScript(b, rt, `m => JSON.parse(m)`, rt.ToValue(chatMessage)) })
	}
}

func BenchmarkJSONStringify(b *testing.B) {
	for name, rt := range map[string]*goja.Runtime{"own": newTestVM(b).rt, "built-in": goja.New()} {
		b.Run(name, func(b *testing.B) {
			v, err := rt.RunString(`(` + chatMessage + `)`)
			if err != nil {
				b.Fatal(err)
			}
			benchmarkScript(b, rt, `m => JSON.stringify(m)`, v)
		})
	}
}

const chatMessage = `{"type":"message","id":"01J9Z3KX","user":{"name":"alice","id":"u-17"},"text":"Good morning, everyone! Has anybody seen the agenda?","sent":1700000000000,"mentions":["bob","carol"],"edited":false,"reply":null}`

func benchmarkScript(b *testing.B, rt *goja.Runtime, source string, arg goja.Value) {
	v, err := rt.RunString(source)
	if err != nil {
		b.Fatal(err)
	}
	f, _ := goja.AssertFunction(v)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f(goja.Undefined(), arg); err != nil {
			b.Fatal(err)
		}
	}
}

// What loops in Go must see the turn's deadline.
func TestDeadline(t *testing.T) {
	for _, source := range []string{
		`JSON.stringify(new Array(5000))`, `JSON.parse("[" + "1,".repeat(5000) + "1]")`,
		`JSON.stringify({}, new Array(5000))`, `structuredClone(new Array(5000).fill(1))`, `structuredClone(new Set(new Array(5000).fill(1).map((_, i) => i)))`,
	} {
		vm := newTestVM(t)
		vm.watch = &watch{}
		vm.watch.expired.Store(true)
		if got := vm.eval(t, source); got != "Error: turn timed out" {
			t.Errorf("%s\n got %.100s", source, got)
		}
	}
}
