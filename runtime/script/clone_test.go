package script

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/dop251/goja"
)

func TestStructuredClone(t *testing.T) {
	runScripts(t, []scriptTest{
		{`structuredClone({a: 1, b: [1, , 3], c: "x", d: null, e: undefined, f: true})`, `{"a":1,"b":[1,null,3],"c":"x","d":null,"f":true}`},
		{`"e" in structuredClone({e: undefined})`, "true"},
		{`const a = structuredClone([1, , 3]); [a.length, 1 in a].join()`, "3,false"},
		{`const a = [1]; a.length = 4e9; structuredClone(a).length`, "4000000000"},
		{`const a = {}; a.a = a; const b = structuredClone(a); b.a === b && b !== a`, "true"},
		{`const x = {}; const b = structuredClone([x, x]); b[0] === b[1] && b[0] !== x`, "true"},
		{`const m = new Map(); m.set(m, new Set([m])); const b = structuredClone(m); const [[k, v]] = [...b]; k === b && v.has(b) && b !== m`, "true"},
		{`structuredClone(new Date(5)).getTime()`, "5"},
		{`structuredClone(new Date(NaN)).getTime()`, "NaN"},
		{`structuredClone(new Date(8.64e15)).getTime()`, "8640000000000000"},
		{`structuredClone(/a\/b/gi).toString()`, "/a\\/b/gi"},
		{`const e = structuredClone(new RangeError("x")); [e instanceof RangeError, e.name, e.message, e.stack.length > 0].join()`, "true,RangeError,x,true"},
		{`const e = new Error("x"); e.name = "Custom"; structuredClone(e).name`, "Custom"},
		{`const b = new Uint8Array([1, 2, 3, 4]); const c = structuredClone({x: b.subarray(1, 3), y: b}); c.y[1] = 9; [c.x.constructor.name, c.x.length, c.x[0], b[1], c.x.buffer === c.y.buffer].join()`, "Uint8Array,2,9,2,true"},
		{`structuredClone(new Float64Array([1.5]))[0]`, "1.5"},
		{`structuredClone(new Uint8ClampedArray([300])).constructor.name`, "Uint8ClampedArray"},
		{`structuredClone(new DataView(new ArrayBuffer(4), 1, 2)).byteLength`, "2"},
		{`structuredClone(new ArrayBuffer(4)).byteLength`, "4"},
		{`const n = structuredClone(new Number(1)); typeof n + n`, "object1"},
		{`const s = structuredClone(new String("é")); typeof s + s`, "objecté"},
		{`const s = structuredClone(new Boolean(false)); typeof s + s`, "objectfalse"},
		{`const s = structuredClone(Object(5n)); typeof s + s`, "object5"},
		{`structuredClone(5n)`, "5"},
		{`Object.is(structuredClone(-0), -0)`, "true"},
		{`structuredClone("\ud800") === "\ud800"`, "true"},
		{`const o = structuredClone({["__proto__"]: {x: 1}}); [Object.keys(o), o.x, Object.getPrototypeOf(o) === Object.prototype].join()`, "__proto__,,true"},
		{`class A { constructor() { this.x = 1 } }; const a = structuredClone(new A()); [a.x, a instanceof A].join()`, "1,false"},
		{`structuredClone({get x() { return 5 }}).x`, "5"},
		{`structuredClone({get x() { throw new Error("mine") }})`, "Error: mine"},
		{`structuredClone(() => 1)`, "DataCloneError: a function could not be cloned"},
		{`structuredClone({f: function hello() {}})`, "DataCloneError: the function hello could not be cloned"},
		{`structuredClone([class A {}])`, "DataCloneError: the function A could not be cloned"},
		{`structuredClone(Symbol("x"))`, "DataCloneError: a Symbol could not be cloned"},
		{`structuredClone(new Headers())`, "DataCloneError: a Headers could not be cloned"},
		{`structuredClone(Promise.resolve())`, "DataCloneError: a Promise could not be cloned"},
		{`structuredClone(new WeakMap())`, "DataCloneError: a WeakMap could not be cloned"},
		{`structuredClone(new Proxy({}, {}))`, "DataCloneError: a Proxy could not be cloned"},
		{`structuredClone(new URL("https://a"))`, "DataCloneError: a URL could not be cloned"},
		{`structuredClone((function* () {})())`, "DataCloneError: a Generator could not be cloned"},
		{`structuredClone()`, "TypeError: structuredClone needs a value"},
		{`structuredClone({[Symbol.toStringTag]: "Uint8Array"})`, "{}"},
		{`let a = []; for (let i = 1; i < 500; i++) a = [a]; structuredClone(a).length`, "1"},
		{`let a = []; for (let i = 0; i < 500; i++) a = [a]; structuredClone(a)`, "RangeError: the value is nested deeper than 500"},
		{`const m = new Map([[1, 2]]); delete globalThis.Map; structuredClone(m)`, "TypeError: Value is not an object: undefined"},
		{`Object.getPrototypeOf(new Map().entries()).next = () => ({value: 1}); structuredClone(new Map([[1, 2]]))`, "TypeError: the entries of a Map are not pairs"},
		{`Map.prototype.entries = 5; structuredClone(new Map([[1, 2]]))`, "TypeError: Map.prototype.entries is not a function"},
		{`delete Object.getPrototypeOf(Uint8Array.prototype).byteOffset; delete Object.getPrototypeOf(Uint8Array.prototype).buffer; structuredClone(new Uint8Array(1)).length`, "0"},
		{`delete globalThis.ArrayBuffer; structuredClone(new Uint8Array(1))`, "DataCloneError: a Uint8Array could not be cloned"},
		{`delete globalThis.Error; structuredClone(Symbol())`, "TypeError: Value is not an object: undefined"},
		{`let a = new Map(); for (let i = 0; i < 1e5; i++) a = new Map([[a, 1]]); structuredClone(a)`, "RangeError: the value is nested deeper than 500"},
	})
}

const testLimit = 1 << 20

func TestEncode(t *testing.T) {
	tests := []struct {
		source string
		wire   string // "" is not looked at
		check  string // an expression over v, what came back
	}{
		{`undefined`, `{"$undefined":1}`, `v === undefined`},
		{`null`, `null`, `v === null`},
		{`[undefined, , 1]`, `[{"$undefined":1},{"$undefined":1},1]`, `v.length === 3 && v[0] === undefined`},
		{`({a: undefined, b: 1})`, `{"b":1}`, `!("a" in v)`},
		{`[1, 1.5, -1, 1e300, 123456789012]`, `[1,1.5,-1,1e+300,123456789012]`, `v[3] === 1e300`},
		{`[NaN, Infinity, -Infinity, -0]`, `[{"$number":"NaN"},{"$number":"Infinity"},{"$number":"-Infinity"},-0.0]`, `isNaN(v[0]) && v[1] === Infinity && v[2] === -Infinity && Object.is(v[3], -0)`},
		{`123456789012345678901234567890n`, `{"$bigint":"123456789012345678901234567890"}`, `v === 123456789012345678901234567890n`},
		{`-5n`, `{"$bigint":"-5"}`, `v === -5n`},
		{`"é😀\u2028"`, "\"é😀\u2028\"", `v === "é😀\u2028"`},
		{`"a\ud800b\udc00"`, `"a\ud800b\udc00"`, `v === "a\ud800b\udc00"`},
		{`new Date(5)`, `{"$date":5}`, `v instanceof Date && v.getTime() === 5`},
		{`new Date(-1)`, `{"$date":-1}`, `v.getTime() === -1`},
		{`new Date(NaN)`, `{"$date":null}`, `isNaN(v.getTime())`},
		{`new Uint8Array([1, 2, 3]).subarray(1)`, `{"$bytes":"AgM=","type":"Uint8Array"}`, `v instanceof Uint8Array && v.join() === "2,3"`},
		{`new Uint8Array([1]).buffer`, `{"$bytes":"AQ==","type":"ArrayBuffer"}`, `v instanceof ArrayBuffer && v.byteLength === 1`},
		{`new Float32Array([1.5, 2])`, ``, `v instanceof Float32Array && v.join() === "1.5,2"`},
		{`new BigInt64Array([-1n])`, ``, `v instanceof BigInt64Array && v[0] === -1n`},
		{`new BigUint64Array([1n])`, ``, `v instanceof BigUint64Array && v[0] === 1n`},
		{`new Uint8ClampedArray([1])`, ``, `v instanceof Uint8ClampedArray`},
		{`new DataView(new ArrayBuffer(4), 1, 2)`, `{"$bytes":"AAA=","type":"DataView"}`, `v instanceof DataView && v.byteLength === 2`},
		{`new Map([[1, {a: new Map()}], ["x", undefined]])`, `{"$map":[[1,{"a":{"$map":[]}}],["x",{"$undefined":1}]]}`, `v.size === 2 && v.get(1).a instanceof Map && v.has("x")`},
		{`new Set([1, "a", new Set([2])])`, `{"$set":[1,"a",{"$set":[2]}]}`, `v.size === 3 && v.has("a")`},
		{`/a"b/gi`, `{"$regexp":["a\"b","gi"]}`, `v.source === 'a"b' && v.flags === "gi"`},
		{`new TypeError("x")`, ``, `v instanceof TypeError && v.message === "x" && typeof v.stack === "string"`},
		{`Object.assign(new Error("x"), {name: "Mine"})`, ``, `v instanceof Error && v.name === "Mine" && Object.keys(v).length === 0`},
		{`new Number(5)`, `5`, `v === 5`},
		{`Object(5n)`, `{"$bigint":"5"}`, `v === 5n`},
		{`({$date: 5})`, `{"$object":{"$date":5}}`, `!(v instanceof Date) && v.$date === 5`},
		{`({$id: "x", a: 1})`, `{"$id":"x","a":1}`, `v.$id === "x" && v.a === 1`},
		{`({$object: {$object: {$date: 1}}})`, ``, `v.$object.$object.$date === 1`},
		{`({a: undefined, $date: 1})`, `{"$object":{"$date":1}}`, `v.$date === 1`},
		{`({a: 1, $date: 1})`, `{"a":1,"$date":1}`, `v.$date === 1`},
		{`({$date: 1, 5: 2})`, `{"5":2,"$date":1}`, `v.$date === 1 && v[5] === 2`},
		{`({["__proto__"]: {x: 1}})`, `{"__proto__":{"x":1}}`, `v.x === undefined && Object.keys(v).join() === "__proto__" && Object.getPrototypeOf(v) === Object.prototype`},
		{`({"": 1, "é\n": 2})`, `{"":1,"é\n":2}`, `v[""] === 1 && v["é\n"] === 2`},
		{`(() => { const x = {a: 1}; return [x, x] })()`, `[{"a":1},{"a":1}]`, `v[0] !== v[1]`},
		{`(() => { let a = []; for (let i = 1; i < 500; i++) a = new Map([[a, 1]]); return a })()`, ``, `v.size === 1`},
		{`(() => { let a = 1; for (let i = 0; i < 500; i++) a = {$a: a}; return a })()`, ``, `v.$a.$a !== undefined`},
		{`({toJSON() { return 1 }, a: 1}).a`, `1`, `v === 1`},
	}
	for _, tt := range tests {
		from, to := newTestVM(t), newTestVM(t)
		v, err := from.rt.RunString(tt.source)
		if err != nil {
			t.Fatalf("%s: %v", tt.source, err)
		}
		data, err := from.encode(v, testLimit)
		if err != nil {
			t.Errorf("%s: %v", tt.source, err)
			continue
		}
		if !json.Valid(data) {
			t.Errorf("%s: not JSON: %s", tt.source, data)
		}
		if tt.wire != "" && string(data) != tt.wire {
			t.Errorf("%s\n got %s\nwant %s", tt.source, data, tt.wire)
		}
		back, err := to.decode(data)
		if err != nil {
			t.Errorf("%s: decoding %s: %v", tt.source, data, err)
			continue
		}
		must(to.rt.Set("v", back))
		if got := to.eval(t, tt.check); got != "true" {
			t.Errorf("%s: %s came back as %s", tt.source, data, to.eval(t, `String(v)`))
		}
	}
}

func TestEncodeErrors(t *testing.T) {
	tests := []scriptTest{
		{`() => 1`, "DataCloneError: a function could not be cloned"},
		{`[{a: Symbol()}]`, "DataCloneError: 0.a is a Symbol, which could not be cloned"},
		{`({deep: {er: function f() {}}})`, "DataCloneError: deep.er is the function f, which could not be cloned"},
		{`({"a b": [new Headers()]})`, `DataCloneError: "a b.0" is a Headers, which could not be cloned`},
		{`const a = {}; a.a = [a]; a`, "DataCloneError: a.0 is a value that contains itself, which could not be cloned"},
		{`const m = new Map(); m.set(1, m); m`, "DataCloneError: a value that contains itself could not be cloned"},
		{`new Headers()`, "DataCloneError: a Headers could not be cloned"},
		{`"x".repeat(2 << 20)`, "RangeError: the value is larger than the limit of 1048576 bytes"},
		{`new Array(1e9)`, "RangeError: the value is larger than the limit of 1048576 bytes"},
		{`new Uint8Array(2 << 20)`, "RangeError: the value is larger than the limit of 1048576 bytes"},
		{`let a = []; for (let i = 0; i < 500; i++) a = [a]; a`, "RangeError: the value is nested deeper than 500"},
		{`let b = 1; for (let i = 0; i < 40; i++) b = [b, b]; b`, "RangeError: the value is larger than the limit of 1048576 bytes"},
		{`({get x() { throw new TypeError("mine") }})`, "TypeError: mine"},
	}
	for _, tt := range tests {
		vm := newTestVM(t)
		v, err := vm.rt.RunString(tt.source)
		if err != nil {
			t.Fatal(err)
		}
		_, err = vm.encode(v, testLimit)
		ex, ok := err.(*goja.Exception)
		if !ok || ex.Value().String() != tt.want {
			t.Errorf("%s\n got %v\nwant %s", tt.source, err, tt.want)
		}
	}
}

func TestDecodeCorrupt(t *testing.T) {
	for _, data := range []string{
		``, `{`, `[`, `"`, `{"$date"`, `{"$date":`, `{"$date":"x"}`, `{"$date":1,"a":2}`, `{"$date":1`, `{"$number":"5"}`, `{"$number":5}`, `{"$bigint":"x"}`, `{"$bigint":5}`,
		`{"$bytes":"!","type":"Uint8Array"}`, `{"$bytes":"AQ=="}`, `{"$bytes":"AQ==","type":"Function"}`, `{"$bytes":"AQ==","type":"Float64Array"}`, `{"$bytes":5,"type":"DataView"}`,
		`{"$map":5}`, `{"$map":[1]}`, `{"$map":"ab"}`, `{"$set":{}}`, `{"$set":"ab"}`, `{"$error":5}`, `{"$regexp":["("," "]}`, `{"$regexp":["a"]}`, `{"$regexp":[1,2]}`,
		`{"$object":5}`, `{"$object":{"a":1}`, `{"$object":{},"x":1}`, strings.Repeat("[", 1<<20), strings.Repeat(`{"$map":[[`, 1<<18), strings.Repeat(`{"$object":`, 1<<18), "\xff", "{\"a\":1}x", `nul`,
	} {
		vm := newTestVM(t)
		if v, err := vm.decode([]byte(data)); err == nil {
			t.Errorf("%.50s is taken for %v", data, v)
		}
		if err := vm.decodeInto([]byte(data), vm.rt.NewObject()); err == nil && strings.HasPrefix(data, "{") == false {
			t.Errorf("%.50s is taken for fields", data)
		}
	}
}

func TestFields(t *testing.T) {
	vm := newTestVM(t)
	v, err := vm.rt.RunString(`({$id: "1", a: new Date(1), $type: "X", b: undefined, $date: 5, ["__proto__"]: {x: 1}})`)
	if err != nil {
		t.Fatal(err)
	}
	o := v.(*goja.Object)
	data := vm.encodeMembers(o, members(o, o.Keys(), func(key string) bool { return key == "$id" || key == "$type" }), testLimit)
	if want := `{"a":{"$date":1},"$date":5,"__proto__":{"x":1}}`; string(data) != want {
		t.Errorf("\n got %s\nwant %s", data, want)
	}
	o = vm.rt.NewObject()
	must(vm.rt.Set("o", o))
	for _, fields := range []string{string(data), ` { } `, `{"$date":1}`} {
		if err := vm.decodeInto([]byte(fields), o); err != nil {
			t.Errorf("%s: %v", fields, err)
		}
	}
	if got := vm.eval(t, `[o.a.getTime(), o.$date, o.x, Object.keys(o).join("|"), Object.getPrototypeOf(o) === Object.prototype].join()`); got != "1,1,,a|$date|__proto__,true" {
		t.Errorf("got %s", got)
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"$map":[[1,{"$set":[]}]]}`, `{"$bytes":"AQ==","type":"DataView"}`, `{"$error":{"name":"TypeError","message":"x"}}`, `{"$regexp":["a","g"]}`, `{"$object":{"$date":1}}`, `{"$bigint":"12"}`, `[{"$number":"-0"},1,-0.5e3,"\ud800\u0041",null,{"$number":"NaN"}]`, chatMessage} {
		f.Add([]byte(s))
	}
	vm := newTestVM(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := decodeBounded(t, vm, data)
		if err != nil {
			return
		}
		once, err := vm.encode(v, 16*testLimit)
		if err != nil {
			if strings.Contains(err.Error(), "nested deeper") {
				return // text may be deeper than values
			}
			t.Fatalf("%q decodes to what cannot be encoded: %v", data, err)
		}
		v, err = vm.decode(once)
		if err != nil {
			t.Fatalf("%q is encoded as %q: %v", data, once, err)
		}
		twice, err := vm.encode(v, 16*testLimit)
		if err != nil || string(once) != string(twice) {
			t.Fatalf("%q, then %q: %v", once, twice, err)
		}
	})
}

func BenchmarkEncode(b *testing.B) {
	vm := newTestVM(b)
	v, err := vm.decode([]byte(chatMessage))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := vm.encode(v, testLimit); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeFields(b *testing.B) {
	vm := newTestVM(b)
	v, err := vm.decode([]byte(chatMessage))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := vm.encode(v, testLimit); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	vm := newTestVM(b)
	data := []byte(chatMessage)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := vm.decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeInto(b *testing.B) {
	vm := newTestVM(b)
	data := []byte(chatMessage)
	b.ReportAllocs()
	for b.Loop() {
		if err := vm.decodeInto(data, vm.rt.NewObject()); err != nil {
			b.Fatal(err)
		}
	}
}
