package script

import (
	"net/http"
	"testing"
)

func TestHeaders(t *testing.T) {
	runScripts(t, []scriptTest{
		{`[...new Headers({B: "2", a: "1"})].join("|")`, "a,1|b,2"},
		{`[...new Headers([["X-Y", "1"], ["x-y", "2"]]).entries()].join("|")`, "x-y,1, 2"},
		{`new Headers(new Headers({a: "b"})).get("A")`, "b"},
		{`new Headers(new Map([["a", "b"]])).get("A")`, "b"},
		{`new Headers().get("a")`, "null"},
		{`const h = new Headers({a: "1"}); h.append("A", "2"); h.append("b", "3"); h.set("a", "4"); [h.get("a"), h.has("B"), h.has("c")].join()`, "4,true,false"},
		{`const h = new Headers([["a", "1"], ["b", "2"], ["a", "3"], ["c", "4"]]); h.set("a", "x"); [...h].join("|")`, "a,x|b,2|c,4"},
		{`const h = new Headers({a: "1"}); h.delete("A"); [...h.keys()].length`, "0"},
		{`const h = new Headers(); h.append("Set-Cookie", "a=1"); h.append("set-cookie", "b=2"); h.getSetCookie().join("|") + " " + [...h.values()].join("|")`, "a=1|b=2 a=1|b=2"},
		{`const log = []; new Headers({b: "2", a: "1"}).forEach((v, k) => log.push(k + v)); log.join()`, "a1,b2"},
		{`new Headers({a: "  x\t"}).get("a")`, "x"},
		{`new Headers({"a b": "c"})`, `TypeError: Invalid header name: "a b"`},
		{`new Headers({"": "c"})`, `TypeError: Invalid header name: ""`},
		{`new Headers({"é": "c"})`, `TypeError: Invalid header name: "é"`},
		{`new Headers({a: "b\r\nSet-Cookie: x"})`, `TypeError: Invalid header value: "b\r\nSet-Cookie: x"`},
		{`new Headers({a: "b\0c"})`, `TypeError: Invalid header value: "b\u0000c"`},
		{`new Headers().append("a", "\x7f")`, "TypeError: Invalid header value: \"\x7f\""},
		{`new Headers().set("a", Symbol("x"))`, "TypeError: Cannot convert a Symbol value to a string"},
		{`new Headers([["a"]])`, "TypeError: Invalid header: each is a pair of name and value"},
		{`new Headers("a")`, "TypeError: Invalid header: headers are an object, an array of pairs, or Headers"},
		{`new Headers({a: "x".repeat(70000)})`, "RangeError: the headers are larger than 65536 bytes"},
		{`new Headers() instanceof Headers`, "true"},
		{`Headers.prototype[Symbol.iterator].call({})`, "TypeError: Illegal invocation: Headers.entries is called on something else"},
		{`class H extends Headers { twice(n) { return this.get(n) + this.get(n) } }; new H({a: "x"}).twice("a")`, "xx"},
	})
}

func TestHeadersOfNetHTTP(t *testing.T) {
	h := newHeaders(http.Header{"X-A": {"1", "2"}, "B": {"3"}})
	if v, _ := h.get("x-a"); v != "1, 2" {
		t.Errorf("x-a is %q", v)
	}
	out := h.httpHeader()
	if len(out["X-A"]) != 2 || out.Get("b") != "3" {
		t.Errorf("%v", out)
	}
}
