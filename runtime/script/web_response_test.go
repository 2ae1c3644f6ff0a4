package script

import (
	"net/http"
	"testing"
)

func TestResponse(t *testing.T) {
	runScripts(t, []scriptTest{
		{`const r = new Response(); [r.status, r.ok, r.statusText, r.body, r.bodyUsed, r.webSocket].join()`, "200,true,,,false,"},
		{`const r = new Response("hé", {status: 404, statusText: "No", headers: {x: "y"}}); [r.status, r.ok, r.statusText, r.headers.get("x"), r.headers.get("content-type")].join()`,
			"404,false,No,y,text/plain;charset=UTF-8"},
		{`new Response("hé").text()`, "hé"},
		{`new Response('{"a":[1]}').json()`, `{"a":[1]}`},
		{`new Response("{").json()`, "SyntaxError: Unexpected end of JSON input"},
		{`new Response("ab").arrayBuffer().then(b => [...new Uint8Array(b)].join())`, "97,98"},
		{`new Response(new Uint8Array([0xEF, 0xBB, 0xBF, 97]).buffer).text()`, "a"},
		{`new Response(new Uint8Array([1, 97, 98, 2]).subarray(1, 3)).text()`, "ab"},
		{`const r = new Response(new URLSearchParams({a: "b c"})); r.text().then(t => t + r.headers.get("content-type"))`, "a=b+capplication/x-www-form-urlencoded;charset=UTF-8"},
		{`const b = new Uint8Array([97]); const r = new Response(b); b[0] = 98; r.text()`, "a"},
		{`const r = new Response("a"); r.text(); r.text()`, "TypeError: Body has already been used. It can only be used once. Use clone() first if you need to read it twice."},
		{`const r = new Response("a"); r.text(); r.clone()`, "TypeError: a Response whose body was used cannot be cloned"},
		{`const r = new Response("a", {status: 201, headers: {x: "1"}}); const c = r.clone(); c.headers.set("x", "2"); Promise.all([r.text(), c.text()]).then(t => [...t, c.status, r.headers.get("x")].join())`, "a,a,201,1"},
		{`new Response(new Response("x").body).text()`, "x"},
		{`new Response("a", {status: 204})`, "TypeError: a response with status 204 has no body"},
		{`new Response(null, {status: 204}).status`, "204"},
		{`new Response(null, {status: 199})`, "RangeError: a status is 101 or from 200 to 599, not 199"},
		{`new Response(null, {status: 200.5})`, "RangeError: a status is 101 or from 200 to 599, not 200.5"},
		{`const ws = {}; new Response(null, {status: 101, webSocket: ws}).webSocket === ws`, "true"},
		{`new Response("", {statusText: "a\nb"})`, `TypeError: Invalid header value: "a\nb"`},
		{`const r = Response.json({a: 1}, {status: 201}); r.text().then(t => t + r.status + r.headers.get("content-type"))`, `{"a":1}201application/json`},
		{`Response.json(undefined)`, "TypeError: Response.json: the value is not JSON"},
		{`const r = Response.redirect("https://a/é", 301); r.status + r.headers.get("location")`, "301https://a/%C3%A9"},
		{`Response.redirect("/a", 200)`, "RangeError: 200 is not the status of a redirect"},
		{`Response.redirect("/a\r\nx: y")`, `TypeError: Invalid header value: "/a\r\nx: y"`},
		{`Response.error().type`, "error"},
		{`new Response() instanceof Response`, "true"},
		{`new Response("x".repeat(17 << 20))`, "RangeError: the body is larger than 16777216 bytes"},
		{`Object.prototype.toString.call(new Response())`, "[object Response]"},
		{`"use strict"; new Response().status = 3`, "TypeError: 'Set' on a dynamic object returned false"},
	})
}

func TestRequest(t *testing.T) {
	runScripts(t, []scriptTest{
		{`const r = new Request("https://a"); r.method + r.url`, "GEThttps://a/"},
		{`const r = new Request("https://a/b", {method: "post", body: "x", headers: {a: "b"}}); r.text().then(t => [t, r.method, r.headers.get("a"), r.headers.get("content-type"), r.bodyUsed].join())`,
			"x,POST,b,text/plain;charset=UTF-8,true"},
		{`const a = new Request("https://a/b", {method: "PUT", body: "x"}); const b = new Request(a, {headers: {x: "y"}}); b.text().then(t => [t, b.method, b.url, a.bodyUsed].join())`, "x,PUT,https://a/b,true"},
		{`new Request("/a")`, `TypeError: Invalid URL: "/a"`},
		{`new Request("https://a", {body: "x"})`, "TypeError: a Request with the method GET has no body"},
		{`new Request("https://a", {method: "a b"})`, `TypeError: Invalid method: "a b"`},
		{`new Request("https://a", {method: "trace"})`, "TypeError: a Request cannot have the method TRACE"},
		{`const r = new Request("https://a", {method: "POST", body: "{}"}); r.clone().json()`, "{}"},
		{`new Request("https://a").text()`, ""},
	})
}

func TestHostRequest(t *testing.T) {
	vm := newTestVM(t)
	req := vm.newRequest("POST", "https://example.com/a?b=c", http.Header{"X-A": {"1"}}, []byte(`{"x":1}`))
	must(vm.rt.Set("req", req.self))
	if got := vm.eval(t, `req.json().then(j => [j.x, req.method, req.url, req.headers.get("x-a"), req instanceof Request].join())`); got != "1,POST,https://example.com/a?b=c,1,true" {
		t.Errorf("got %s", got)
	}
}

func TestResponseOf(t *testing.T) {
	vm := newTestVM(t)
	v, err := vm.rt.RunString(`new Response("hi", {status: 201, headers: {a: "b"}})`)
	if err != nil {
		t.Fatal(err)
	}
	r, ok := vm.responseOf(v)
	if !ok || r.status != 201 || string(r.body) != "hi" || r.headers.httpHeader().Get("a") != "b" {
		t.Errorf("%v %v", r, ok)
	}
	for _, source := range []string{`({})`, `1`, `null`, `new Headers()`, `Response.error()`} {
		v, err := vm.rt.RunString(source)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := vm.responseOf(v); ok {
			t.Errorf("%s is taken for a response", source)
		}
	}
}
