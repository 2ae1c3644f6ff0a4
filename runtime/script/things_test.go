package script

import "testing"

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
