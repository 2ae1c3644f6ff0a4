package script

import (
	"strconv"
	"testing"
)

// What every call could have been before is the same after.
func TestBoundedCallsAreOrdinaryCalls(t *testing.T) {
	for source, want := range map[string]string{
		"'ab'.repeat(2) + 'x'.padStart(3, '-') + 'x'.padEnd(2)": "abab--xx ",
		"'a'.repeat()":                                                        "",
		"'a'.repeat(-1)":                                                      "RangeError",
		"null?.repeat(9e9)":                                                   "undefined",
		"'a'?.repeat(2)":                                                      "aa",
		"'a'?.repeat(9e9)":                                                    "RangeError",
		"'a'['repeat'](9e9)":                                                  "RangeError",
		"String.prototype.repeat.call('a', 9e9)":                              "RangeError",
		"'a'.repeat('9e9')":                                                   "RangeError",
		"'a'.padStart(9e9, '')":                                               "a",
		"'a'.padStart(3, undefined)":                                          "  a",
		"'n:' + ((u) => u?.name.padEnd(10))(null) + '|'":                      "n:undefined|",
		"((u) => [1, u.a?.b.c.repeat(3), 2].join())({})":                      "1,,2",
		"((u) => u?.a.b.repeat(3))({ a: { b: 'x' } })":                        "xxx",
		"((u) => u?.[0].f().padStart(2))(null)":                               "undefined",
		"((u) => (() => u?.a.repeat(u?.b.repeat(2)))())(null)":                "undefined",
		"'a'.repeat(2n)":                                                      "TypeError",
		"new Array(5n)[0] === 5n":                                             "true",
		"Object.keys(String.prototype).length":                                "0",
		"'a'.repeat.name + 'a'.repeat.call.name":                              "repeatcall",
		"({ repeat(n) { return n } }).repeat(9e9)":                            "9e9",
		"new (class A { repeat(n) { return this.m + n } m = 1 })().repeat(1)": "2",
		"(class A extends String { repeat(n) { return super.repeat(n) } }, new String('a').repeat(2))": "aa",
		"((n) => 'a'.repeat({ valueOf() { n++; return 2 } }) + n)(0)":                                  "aa1",
		"Array(3).length + new Array('x').length + Array.of(7).length":                                 "5",
		"new Array(1e7).length":                     "1e7",
		"Array(...[1, 2]).length":                   "2",
		"((Array2) => new Array2(2).length)(Array)": "2",
		"new ArrayBuffer(8).byteLength + new Uint8Array([1, 2]).length + new Float64Array(new Set([1])).length": "11",
		"((x) => eval('x + 1'))(5)":                     "6",
		"new Function('a', 'return a')(3)":              "3",
		"new Function('[' + ' '.repeat(70000))":         "RangeError",
		"Array.from({ length: 2 }, (_, i) => i).join()": "0,1",
		"Array.from({ length: 2e7 })":                   "RangeError",
		"'a'.repeat(33554433)":                          "RangeError",
		"'a'.repeat(1 << 20).padEnd(33554433)":          "RangeError",
	} {
		t.Run(source, func(t *testing.T) {
			_, err := load(t, map[string]string{"a.js": "let got, want = " + strconv.Quote(want) + "\ntry { got = (" + source + ") } catch (e) { got = e.name }\n" +
				"if (String(got) !== want && got !== Number(want)) throw new Error(String(got))"})
			if err != nil {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}
