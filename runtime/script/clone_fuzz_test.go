package script

import (
	"fmt"
	"runtime/metrics"
	"strings"
	"testing"

	"github.com/dop251/goja"

	"chat.example.com.ai/store"
)

// FuzzClone makes values of all kinds that hang together in any way, circles too,
// and compares them inside the VM with what structuredClone makes of them, and
// with what comes back of an attachment. Then it spoils the attachment.
func FuzzClone(f *testing.F) {
	for _, seed := range []string{"", "\x01", "\x03\x00\x01\x02\x03\x04\x05", "\x05\x0a\x0b\x0c\x0d\x0e\x0f\x10\x11\x12\x13"} {
		f.Add([]byte(seed))
	}
	for i := range 24 {
		data := make([]byte, 120)
		for j := range data {
			data[j] = byte((j*j*13 + j*(i*2+5) + i*57) >> 1)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		vm := newTestVM(t)
		if _, err := vm.rt.RunString(sameSource); err != nil {
			t.Fatal(err)
		}
		d := &dice{data}
		source := d.graph()
		if _, err := vm.rt.RunString(source); err != nil {
			t.Fatalf("%s\n%v", source, err)
		}
		if got := vm.eval(t, `same(root, structuredClone(root), true)`); got != "true" {
			t.Fatalf("%s\nis cloned to something else: %s", source, got)
		}
		ws := vm.newNative(webSocketClass, &webSocket{})
		must(vm.rt.Set("ws", ws.self))
		got := vm.eval(t, `ws.serializeAttachment(root); same(root, ws.deserializeAttachment(), false)`)
		inCircles := vm.eval(t, `circular(root, [])`) == "true"
		if want := map[bool]string{false: "true", true: "DataCloneError: "}[inCircles]; !strings.HasPrefix(got, want) {
			t.Fatalf("%s\ncomes back as something else: %s\n%s", source, got, ws.host.(*webSocket).attachment)
		}
		if spoiled := d.spoil(ws.host.(*webSocket).attachment); len(spoiled) > 0 {
			decodeBounded(t, vm, spoiled)
		}
	})
}

// graph writes a script that makes nodes, puts some into others, and calls one root.
func (d *dice) graph() string {
	var nodes, edges strings.Builder
	n := 1 + d.roll(8)
	for i := range n {
		fmt.Fprintf(&nodes, "const n%d = %s\n", i, d.node())
		for range d.roll(3) {
			from, to := d.roll(i+1), d.roll(i+1)
			if d.roll(4) > 0 { // mostly none that leads back
				from, to = min(from, to), max(from, to)
				if from == to {
					continue
				}
			}
			fmt.Fprintf(&edges, "put(n%d, %q, n%d)\n", from, pick(d, "a", "b", "__proto__", "$date", "5", "length"), to)
		}
	}
	return nodes.String() + edges.String() + "const root = n0"
}

// node writes one value.
func (d *dice) node() string {
	bytes := func() string {
		list := make([]string, d.roll(4)*8)
		for i := range list {
			list[i] = fmt.Sprint(d.roll(256))
		}
		return "new Uint8Array([" + strings.Join(list, ",") + "]).buffer"
	}
	leaf := func() string {
		switch d.roll(8) {
		case 0:
			return d.text().source
		case 1:
			return d.date().source
		case 2:
			return pick(d, "undefined", "null", "NaN", "-0", "Infinity", "-Infinity", "12345678901234567890n", "-1n", "true")
		case 3:
			return "new " + pick(d, "Int8Array", "Uint8Array", "Uint8ClampedArray", "Int16Array", "Uint16Array", "Int32Array", "Uint32Array", "Float32Array", "Float64Array", "BigInt64Array", "BigUint64Array", "DataView") + "(" + bytes() + ")"
		case 4:
			return bytes()
		case 5:
			return pick(d, "/a/", "/[/]\\//gimsuy", "/(?<é>.)/", "/\\u{1F600}/u")
		case 6:
			return fmt.Sprintf("Object.assign(new %s(%s), %s)", pick(d, "Error", "TypeError", "RangeError", "SyntaxError"), pick(d, "", "'x'", "'é😀'"), pick(d, "{}", "{name: 'Mine'}", "{stack: 'at home'}", "{name: ''}", "{extra: 1}"))
		}
		return d.number().source
	}
	switch d.roll(10) {
	case 0, 1, 2:
		return fmt.Sprintf("{%s: %s, %s: %s}", pick(d, "a", "b", "$id", "$date", "$object", "''", "0", "'é'"), leaf(), pick(d, "c", "d", "['__proto__']", "$map"), leaf())
	case 3, 4:
		return fmt.Sprintf("[%s, %s%s]", leaf(), leaf(), pick(d, "", ", ,", ", , 1"))
	case 5:
		return fmt.Sprintf("new Map([[%s, %s], [%s, %s]])", leaf(), leaf(), leaf(), leaf())
	case 6:
		return fmt.Sprintf("new Set([%s, %s, %s])", leaf(), leaf(), leaf())
	case 7:
		return pick(d, "new Number(5)", "new String('é')", "new Boolean(false)", "Object(7n)", "Object.create(null)", "new (class A { x = 1 })()", "(function () { return arguments })(1, 2)")
	}
	return leaf()
}

// sameSource has put, which hangs a value into another where that can hold one;
// circular; and same. exact is structuredClone, which keeps what is undefined,
// missing, boxed or there twice; an attachment is plainer.
const sameSource = `
function put(into, key, v) {
	if (into instanceof Map) into.set(key, v)
	else if (into instanceof Set) into.add(v)
	else if (Array.isArray(into)) into.push(v)
	else if (kind(into) === 'Object') Object.defineProperty(into, key, { value: v, enumerable: true, writable: true, configurable: true })
}
function kind(v) {
	if (v === null || typeof v !== 'object') return typeof v
	for (const c of [Map, Set, Date, RegExp, Error, ArrayBuffer, Number, String, Boolean]) if (v instanceof c) return c.name
	if (ArrayBuffer.isView(v)) return Object.prototype.toString.call(v)
	if (Array.isArray(v)) return 'Array'
	if (typeof v.valueOf === 'function' && typeof v.valueOf() === 'bigint') return 'BigInt'
	return 'Object'
}
function inside(v) {
	switch (kind(v)) {
		case 'Map': return [...v].flat()
		case 'Set': return [...v]
		case 'Array': return [...v]
		case 'Object': return Object.keys(v).map((k) => v[k])
	}
	return []
}
function circular(v, around) {
	if (v === null || typeof v !== 'object') return false
	return around.includes(v) || inside(v).some((w) => circular(w, [...around, v]))
}
function bytes(v) { return v instanceof ArrayBuffer ? [...new Uint8Array(v)].join() : [...new Uint8Array(v.buffer, v.byteOffset, v.byteLength)].join() }
function same(a, b, exact, pairs = new Map()) {
	if (!exact && ['Number', 'String', 'Boolean', 'BigInt'].includes(kind(a))) a = a.valueOf()
	if (kind(a) !== kind(b)) return kind(a) + ' became ' + kind(b)
	if (a === null || typeof a !== 'object') return Object.is(a, b) || String(a) + ' became ' + String(b)
	if (a === b) return 'it is no copy'
	if (exact) {
		if (pairs.has(a)) return pairs.get(a) === b || 'it is there twice'
		pairs.set(a, b)
	}
	const all = (x, y) => {
		if (x.length !== y.length) return x.length + ' became ' + y.length
		for (let i = 0; i < x.length; i++) {
			if (exact && (i in x) !== (i in y)) return 'a hole'
			const s = same(x[i], y[i], exact, pairs)
			if (s !== true) return i + '.' + s
		}
		return true
	}
	switch (kind(a)) {
		case 'Map': case 'Set': return all(inside(a), inside(b))
		case 'Array': return all(a, b)
		case 'Date': return Object.is(a.getTime(), b.getTime()) || 'another time'
		case 'RegExp': return (a.source === b.source && a.flags === b.flags) || String(b)
		case 'Error': return (b.constructor === ({ TypeError, RangeError, SyntaxError }[a.name] ?? Error) && a.name === b.name && a.message === b.message && Object.keys(b).length === 0 && (a.stack === '' || a.stack === b.stack)) || [b.constructor.name, b.name, b.message, b.stack].join('|')
		case 'Object': {
			if (Object.getPrototypeOf(b) !== Object.prototype) return 'another prototype'
			const keys = Object.keys(a).filter((k) => exact || a[k] !== undefined)
			const s = all(keys, Object.keys(b))
			return s === true ? all(keys.map((k) => a[k]), keys.map((k) => b[k])) : s
		}
		case 'Number': case 'String': case 'Boolean': case 'BigInt': return Object.is(a.valueOf(), b.valueOf())
	}
	return bytes(a) === bytes(b) || 'other bytes'
}
`

// spoil changes encoded bytes.
func (d *dice) spoil(data []byte) []byte {
	data = append([]byte(nil), data...)
	for range 1 + d.roll(4) {
		if len(data) == 0 {
			break
		}
		i := int(d.bits() % uint64(len(data)))
		switch d.roll(4) {
		case 0:
			data[i] = byte(d.roll(256))
		case 1:
			data = data[:i]
		case 2:
			data = append(data[:i:i], data[i+1:]...)
		case 3:
			data = append(data[:i:i], data[i/2:]...)
		}
	}
	return data
}

// decodeBounded decodes bytes that may be anything: that ends with a value or an
// error that a script could catch, and takes memory in proportion to the bytes.
func decodeBounded(t *testing.T, vm *VM, data []byte) (goja.Value, error) {
	t.Helper()
	before := allocated()
	v, err := vm.decode(data)
	const (
		each  = 2 << 10 // bytes for one of text: an empty Map, or a typed array, is twenty of them
		least = 1 << 20 // what else goes on in the process
	)
	if took := allocated() - before; took > uint64(least+each*len(data)) {
		t.Fatalf("%d bytes of memory for %q", took, data)
	}
	if _, ok := err.(*goja.Exception); err != nil && !ok {
		t.Fatalf("%q: %v", data, err)
	}
	return v, err
}

// allocated is how many bytes of memory were ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// FuzzCall makes calls of bytes that the outbox may hold: whatever they are, the
// object answers or refuses, and lives.
func FuzzCall(f *testing.F) {
	for _, s := range []string{
		`{"path":["echo"],"call":true,"args":[{"value":1}]}`, `{"path":["echo"],"call":true,"at":"room.js:1:2","args":[{"value":{"$date":5}},{"ref":1,"path":["x"]}]}`,
		`{"path":["field","a","b"],"args":[]}`, `{"path":["constructor"],"call":true}`, `{"path":["__proto__","x"]}`, `{"path":[]}`, `{"path":["echo","x"],"call":true}`, `{}`, `null`, `[]`,
		`{"path":["echo"],"call":true,"args":[{"value":` + strings.Repeat("[", 3000) + `]}]}`, `{"path":["echo"],"call":true,"args":[{"value":{"$map":[[1,{"$set":[1]}]]}},{}]}`,
	} {
		f.Add([]byte(s))
	}
	_, h := newThingsVM(f)
	set, err := load(f, map[string]string{"room.js": `import { DO } from 'dotdo'
export default DO.extend({ $type: 'Room', get field() { return { a: { b: 1 } } }, echo(...args) { return args } })`})
	if err != nil {
		f.Fatal(err)
	}
	h.begin()
	vm := set.NewObject(h)
	if out := vm.Boot(1); out.Err != nil {
		f.Fatal(out.Err)
	}
	id := TaskID(1)
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 64<<10 {
			t.Skip()
		}
		in, err := DecodeCall(store.Delivery{Seq: 1, Data: data, Hops: 1})
		if err != nil {
			return
		}
		id++
		out := vm.Call(id, in)
		if out.Dropped || out.Err != nil && out.Err.Name == internalError {
			t.Fatalf("%q: %v\n%s", data, out.Err, out.Err.Stack)
		}
		h.errors = nil
		h.view.Discard()
	})
}
