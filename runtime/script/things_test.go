package script

import (
	"context"
	"fmt"
	"testing"

	"chat.example.com.ai/runtime/key"
)

// What create returns is what a read of it gives: a copy of what was given, which
// the script may go on to change.
func TestACreatedThingIsWhatIsStored(t *testing.T) {
	vm, h := newChatVM(t, key.Key{Type: "Room", ID: "general"})
	must(vm.rt.Set("things", vm.newNative(thingsClass, nil).self))
	for _, source := range []string{
		`{ $type: 'A' }`,
		`{ $type: 'A', a: 'x', b: 1.5, c: -0, d: null, e: undefined, f: NaN, g: 12n, h: true, i: '\ud800' }`,
		`{ $type: 'A', $id: 'one', sent: new Date(5), never: new Date(NaN) }`,
		`{ $type: 'A', ['__proto__']: 'x', $id: 'two' }`,
		`{ $type: 'A', list: [1, new Date(5)], deep: { a: { b: new Map([[1, 2]]) } } }`,
		`{ $type: 'A', boxed: new Number(5), bytes: new Uint8Array([1, 2]) }`,
		`{ $type: 'A', get count() { globalThis.n = (globalThis.n ?? 0) + 1; return n } }`,
	} {
		created, err := vm.rt.RunString(`var given = ` + source + `; things.create(given)`)
		if err != nil {
			t.Fatalf("%s: %v", source, err)
		}
		must(vm.rt.Set("created", created))
		thing, ok, err := h.view.Thing(context.Background(), vm.eval(t, `created.$id`))
		if err != nil || !ok {
			t.Fatalf("%s: %v, %v", source, ok, err)
		}
		got, err := vm.encode(created, testLimit)
		if err != nil {
			t.Fatal(err)
		}
		want, err := vm.encode(vm.thingObject(thing), testLimit)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s\n got %s\nwant %s, %v", source, got, want, err)
		}
		if got := vm.eval(t, `Object.getPrototypeOf(created) === Object.prototype && (!given.sent || given.sent !== created.sent)`); got != "true" {
			t.Errorf("%s: it is no copy", source)
		}
	}
}

// What a thing holds is found by what it holds, whatever that is.
func TestWhatAQueryFinds(t *testing.T) {
	vm, h := newThingsVM(t)
	h.begin()
	for _, fields := range []string{`a: null`, ``, `a: { b: 1 }`, `a: [1]`, `a: -0`, `a: 0`, `a: '\ud800'`, `a: '\ufffd'`, `a: { $id: 'x', b: 1 }`, `a: NaN`, `a: new Date(5)`, `a: 5`, `a: { $date: 5 }`} {
		vm.eval(t, fmt.Sprintf(`globalThis.n = (globalThis.n ?? 9) + 1; things.create({ $type: 'A', $id: 't' + n, %s })`, fields))
	}
	for _, committed := range []bool{false, true} {
		for where, want := range map[string]string{
			`a: null`:                      "t10 t11",
			`a: { $ne: null }`:             "t12 t13 t14 t15 t16 t17 t18 t19 t20 t21 t22",
			`a: { $in: [null, 5] }`:        "t10 t11 t20 t21",
			`a: { $in: [] }`:               "",
			`a: 0`:                         "t14 t15",
			`a: -0`:                        "t14 t15",
			`a: { $lt: 1 }`:                "t14 t15",
			`a: '\ud800'`:                  "t16",
			`a: '\ufffd'`:                  "t17",
			`'a.b': 1`:                     "t12 t18",
			`a: { $gte: new Date(5) }`:     "t16 t17 t20 t21",
			`a: { $exists: false }`:        "t11",
			`a: { $eq: Symbol('\ufffd') }`: "TypeError: things.list: where.a: \ufffd cannot be compared: use a string, a number, a boolean, null or a Date",
		} {
			if got := vm.eval(t, `things.list({ $type: 'A', where: { `+where+` } }).then(all => all.map(t => t.$id).join(' '), String)`); got != want {
				t.Errorf("committed %v, where %s\n got %s\nwant %s", committed, where, got, want)
			}
		}
		h.seal()
		h.commit(t)
	}
}

// Mistakes in what is asked of the storage are errors; nothing is guessed. What
// passes gets as far as the rows, which are not there without an object.
func TestStorageOptions(t *testing.T) {
	const passes = "Error: storage cannot be used at the top level of a script: no object is running"
	for source, want := range map[string]string{
		`things.list({$type: "A", where: {x: {$exists: true}}})`:       passes,
		`things.list({$type: "A", where: {x: {$exists: "no"}}})`:       "TypeError: things.list: where.x: $exists is true or false, not no",
		`things.count({$type: "A", where: {x: {$exists: undefined}}})`: "TypeError: things.count: where.x: $exists is true or false, not undefined",
		`things.list({$type: "A", where: {x: {$in: ["a", 1, null]}}})`: passes,
		`things.list({$type: "A", where: {x: {$in: []}}})`:             passes,
		`things.list({$type: "A", where: {x: {$in: "abc"}}})`:          "TypeError: things.list: where.x: $in takes an array, not abc",
		`things.list({$type: "A", where: {x: {$in: new Set([1])}}})`:   "TypeError: things.list: where.x: $in takes an array, not [object Set]",
		`things.list({$type: "A", where: {x: {$in: undefined}}})`:      "TypeError: things.list: where.x: $in takes an array, not undefined",
		`things.list({$type: "A", after: 5})`:                          "TypeError: after must be a string, not 5",
		`things.list({$type: "A", befor: "x"})`:                        `TypeError: things.list: unknown key "befor"`,

		`storage.list()`:     passes,
		`storage.list(null)`: passes,
		`storage.list({prefix: null, limit: null, start: null, startAfter: "a", end: undefined, reverse: null})`: passes,
		`storage.list({prefix: "a", limit: 5, reverse: true})`:                                                   passes,
		`storage.list("a")`:                           "TypeError: storage.list takes an object, not a",
		`storage.list(5)`:                             "TypeError: storage.list takes an object, not 5",
		`storage.list({prefix: 5})`:                   "TypeError: storage.list: prefix must be a string, not 5",
		`storage.list({start: ["a"]})`:                "TypeError: storage.list: start must be a string, not a",
		`storage.list({limit: 0})`:                    "TypeError: storage.list: limit must be at least 1",
		`storage.list({prefx: "a"})`:                  `TypeError: storage.list: unknown option "prefx"`,
		`storage.list({start: "a", startAfter: "b"})`: "TypeError: storage.list: start and startAfter exclude each other",
	} {
		vm := newTestVM(t)
		vm.noun = &noun{}
		must(vm.rt.Set("things", vm.newNative(thingsClass, nil).self))
		must(vm.rt.Set("storage", vm.newNative(storageClass, nil).self))
		if got := vm.eval(t, source); got != want {
			t.Errorf("%s\n got %s\nwant %s", source, got, want)
		}
	}
}
