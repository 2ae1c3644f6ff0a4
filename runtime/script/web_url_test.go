package script

import "testing"

func TestURL(t *testing.T) {
	runScripts(t, []scriptTest{
		{`const u = new URL("/a?x=1#h", "https://example.com:8080"); [u.host, u.hostname, u.port, u.pathname, u.search, u.searchParams.get("x"), u.hash].join()`,
			"example.com:8080,example.com,8080,/a,?x=1,1,#h"},
		{`const u = new URL("https://ann:b%20c@ex.com:443/../p"); [u, u.username, u.password, u.port, u.origin, u.protocol].join()`,
			"https://ann:b%20c@ex.com/p,ann,b%20c,,https://ex.com,https:"},
		{`new URL("HTTP://Bücher.example/ü ?ü#ü").href`, "http://xn--bcher-kva.example/%C3%BC%20?%C3%BC#%C3%BC"},
		{`new URL("http://a/%zz").href`, "http://a/%zz"},
		{`new URL("http://a/%zz?%").searchParams.get("%")`, ""},
		{`new URL("http://0x7f.1/").hostname`, "127.0.0.1"},
		{`[new URL("../c?d", "http://a/b/b/"), new URL("//b", "https://a"), new URL("#f", "mailto:x")].join()`, "http://a/b/c?d,https://b/,mailto:x#f"},
		{`[new URL("mailto:x").origin, new URL("blob:https://a/1").origin, new URL("file:///a").origin].join()`, "null,https://a,null"},
		{`JSON.stringify({u: new URL("http://a")}) + new URL("http://a") + Object.prototype.toString.call(new URL("http://a"))`, `{"u":"http://a/"}http://a/[object URL]`},
		{`class Mine extends URL { twice() { return this.href + this.href } }; new Mine("http://a").twice()`, "http://a/http://a/"},
		{`[URL.canParse("http://a"), URL.canParse("nope"), URL.canParse("x", "http://a"), URL.parse("nope"), URL.parse("x", "http://a")].join()`, "true,false,true,,http://a/x"},
		{`new URL(new URL("http://a/b"), undefined).href`, "http://a/b"},

		{`new URL("nope")`, `TypeError: Invalid URL: "nope"`},
		{`new URL("/a", "nope")`, `TypeError: Invalid URL: "/a"`},
		{`new URL("http://a:99999/")`, `TypeError: Invalid URL: "http://a:99999/"`},
		{`new URL()`, `TypeError: Invalid URL: "undefined"`},
		{`const u = new URL("http://a"); try { u.href = "nope" } catch (e) { e + u }`, `TypeError: Invalid URL: "nope"http://a/`},
		{`try { new URL("http://a/" + "b".repeat(20000)) } catch (e) { e.name }`, "TypeError"},
		{`try { new URL("http://" + "@".repeat(1e6)) } catch (e) { e.name }`, "TypeError"}, // would take minutes
	})
}

func TestURLParts(t *testing.T) {
	const start = "http://ann:pw@ex.com:81/p?q=1#h"
	for assignment, want := range map[string]string{
		`u.href = "https://b/?x=y"`:       "https://b/?x=y",
		`u.protocol = "https"`:            "https://ann:pw@ex.com:81/p?q=1#h",
		`u.protocol = "mailto"`:           start, // what cannot be assigned changes nothing
		`u.username = "a b"`:              "http://a%20b:pw@ex.com:81/p?q=1#h",
		`u.password = ""`:                 "http://ann@ex.com:81/p?q=1#h",
		`u.host = "b:82"`:                 "http://ann:pw@b:82/p?q=1#h",
		`u.hostname = "b"`:                "http://ann:pw@b:81/p?q=1#h",
		`u.hostname = "a b"`:              start,
		`u.port = 80`:                     "http://ann:pw@ex.com/p?q=1#h",
		`u.port = ""`:                     "http://ann:pw@ex.com/p?q=1#h",
		`u.port = "99999"`:                start,
		`u.pathname = "a b/../c?d"`:       "http://ann:pw@ex.com:81/c%3Fd?q=1#h",
		`u.search = "?a=b"`:               "http://ann:pw@ex.com:81/p?a=b#h",
		`u.search = "a=b"`:                "http://ann:pw@ex.com:81/p?a=b#h",
		`u.search = ""`:                   "http://ann:pw@ex.com:81/p#h",
		`u.hash = "a b"`:                  "http://ann:pw@ex.com:81/p?q=1#a%20b",
		`u.hash = ""`:                     "http://ann:pw@ex.com:81/p?q=1",
		`"use strict"; u.pathname = "x";`: "http://ann:pw@ex.com:81/x?q=1#h",
		`u.origin = "http://b"`:           start,
		`try { u.hash = "x".repeat(17000) } catch (e) { if (e.name !== "RangeError") throw e }`:                    start,
		`try { u.searchParams.append("x", "y".repeat(17000)) } catch (e) { if (e.name !== "RangeError") throw e }`: start,
	} {
		if got := newTestVM(t).eval(t, `const u = new URL("`+start+`"); (function () { `+assignment+` })(); u.href`); got != want {
			t.Errorf("%s\n got %s\nwant %s", assignment, got, want)
		}
	}
}

// A URL and its searchParams are one thing seen from two sides.
func TestURLSearchParamsAreLive(t *testing.T) {
	runScripts(t, []scriptTest{
		{`const u = new URL("https://ex.com/p?q=1"); u.searchParams.append("n", "2"); u.href`, "https://ex.com/p?q=1&n=2"},
		{`const u = new URL("https://ex.com/p?q=1#h"); u.searchParams.set("q", "a b&c"); u.searchParams.append("é", "+"); u.href`, "https://ex.com/p?q=a+b%26c&%C3%A9=%2B#h"},
		{`const u = new URL("https://ex.com/p?q=1"); u.searchParams.delete("q"); u.href + u.search`, "https://ex.com/p"},
		{`const u = new URL("https://ex.com/p?b=1&a=2"); u.searchParams.sort(); u.search`, "?a=2&b=1"},
		{`const u = new URL("https://ex.com/p?q=1"), p = u.searchParams; u.search = "?a=b"; [p.get("q"), p.get("a"), p === u.searchParams, u.href].join()`, ",b,true,https://ex.com/p?a=b"},
		{`const u = new URL("https://ex.com/p?q=1"), p = u.searchParams; u.href = "http://b?c=d"; p.append("e", "f"); p + " " + u`, "c=d&e=f http://b/?c=d&e=f"},
		{`const u = new URL("https://ex.com/p?a='~ b"); u.search + u.searchParams`, "?a=%27~%20ba=%27%7E+b"},
		{`const u = new URL("https://ex.com/?a=1&b=2"); for (const [k] of u.searchParams) u.searchParams.delete(k); u.href`, "https://ex.com/"},
		{`new URL("https://a/").searchParams instanceof URLSearchParams`, "true"},
	})
}

func TestURLSearchParams(t *testing.T) {
	runScripts(t, []scriptTest{
		{`new URLSearchParams({a: "1", b: "x y"}).toString()`, "a=1&b=x+y"},
		{`new URLSearchParams({c: "1+1"}).toString()`, "c=1%2B1"},
		{`new URLSearchParams("?a=1&b=%20+%2B&&c&=d&%zz=%FF").toString()`, "a=1&b=++%2B&c=&=d&%25zz=%EF%BF%BD"},
		{`[...new URLSearchParams([["a", 1], ["a", 2]])].join("|")`, "a,1|a,2"},
		{`new URLSearchParams(new Map([["a", "b"]])) + "" + new URLSearchParams(new URLSearchParams("c=d"))`, "a=bc=d"},
		{`new URLSearchParams().toString() + new URLSearchParams(undefined) + new URLSearchParams(null) + new URLSearchParams("")`, "null="},
		{`const p = new URLSearchParams("a=1&b=2&a=3"); [p.size, p.get("a"), p.get("z"), p.getAll("a").join("+"), p.getAll("z").length, p.has("b"), p.has("b", "3"), p.has("z")].join()`,
			"3,1,,1+3,0,true,false,false"},
		{`const p = new URLSearchParams("a=1&b=2&a=3"); p.set("a", 4); p.set("c", 5); p.delete("b", "9"); p.toString()`, "a=4&b=2&c=5"},
		{`const p = new URLSearchParams("a=1&a=2&b=3"); p.delete("a", "2"); p.delete("b"); p.toString()`, "a=1"},
		{`const p = new URLSearchParams("b=1&😀=2&ﬀ=3&b=0&a=4"); p.sort(); [...p.keys()].join() + [...p.values()].join()`, "a,b,b,😀,ﬀ4,1,0,2,3"},
		{`const out = []; new URLSearchParams("a=1&b=2").forEach(function (v, k, p) { out.push(k + v + this.x + p.size) }, {x: "x"}); out.join()`, "a1x2,b2x2"},
		{`Object.fromEntries(new URLSearchParams("a=1&b=2").entries()).b`, "2"},
		{`new URLSearchParams("a=\ud800").toString()`, "a=%EF%BF%BD"},
		{`new Response(new URLSearchParams({a: "b"})).headers.get("content-type")`, "application/x-www-form-urlencoded;charset=UTF-8"},
		{`new Response(new URLSearchParams({a: "b c"})).text()`, "a=b+c"},
		{`new URLSearchParams([["a"]])`, "TypeError: URLSearchParams: each item must be a pair of name and value"},
		{`new URLSearchParams().forEach()`, "TypeError: URLSearchParams.forEach needs a function"},
		{`URLSearchParams.prototype[Symbol.iterator].call({})`, "TypeError: Illegal invocation: URLSearchParams.entries is called on something else"},
	})
}
