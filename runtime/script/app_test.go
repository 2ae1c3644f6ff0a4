package script

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/dop251/goja"
)

// ask registers routes by a script and gives the app one request. It returns
// status, Content-Type and body, or the error.
func ask(t testing.TB, source, method, url, body string) string {
	t.Helper()
	vm := newTestVM(t)
	a := vm.newApp()
	must(vm.rt.Set("app", a.self))
	if _, err := vm.rt.RunString(source); err != nil {
		return err.(*goja.Exception).Value().String()
	}
	req := vm.newRequest(method, "https://example.com"+url, http.Header{"X-Test": {"yes"}}, []byte(body))
	must(vm.rt.Set("run", func(goja.FunctionCall) goja.Value { return vm.dispatch(a.host.(*app), req) }))
	v, err := vm.rt.RunString("run()")
	if err != nil {
		return "rejected " + vm.text(err.(*goja.Exception).Value())
	}
	if p, ok := v.Export().(*goja.Promise); ok {
		switch p.State() {
		case goja.PromiseStatePending:
			return "pending"
		case goja.PromiseStateRejected:
			return "rejected " + vm.text(p.Result())
		}
		v = p.Result()
	}
	r, ok := vm.responseOf(v)
	if !ok {
		return "no response: " + vm.text(v)
	}
	out := fmt.Sprint(r.status)
	for _, f := range r.headers.sorted() {
		value := f.value
		if f.name == "content-type" {
			value, _, _ = strings.Cut(value, ";")
			out += " " + value
		} else {
			out += " " + f.name + "=" + value
		}
	}
	return out + " " + string(r.body)
}

func TestApp(t *testing.T) {
	const notFound = `404 application/json {"error":"Not Found"}`
	const forgotten = "Context is not finalized. Did you forget to return a Response, or to await next()?"
	tests := []struct{ source, method, url, want string }{
		// Finding the handler.
		{`app.get("/a", c => c.text("x"))`, "GET", "/a", "200 text/plain x"},
		{`app.get("/a", c => c.text("x"))`, "POST", "/a", notFound},
		{`app.get("/a", c => c.text("x"))`, "HEAD", "/a", "200 text/plain x"},
		{`app.get("/a", c => c.text("x"))`, "GET", "/a/", notFound},
		{`app.get("/a", c => c.text("x")).post("/a", c => c.text("y"))`, "POST", "/a?b=c", "200 text/plain y"},
		{`app.put("/a", c => c.text("1")).patch("/a", c => c.text("2")).delete("/a", c => c.text("3"))`, "DELETE", "/a", "200 text/plain 3"},
		{`app.all("/a", c => c.text(c.req.method))`, "OPTIONS", "/a", "200 text/plain OPTIONS"},
		{`app.on("purge", "/a", c => c.text("x"))`, "PURGE", "/a", "200 text/plain x"},
		{`app.on(["GET", "POST"], ["/a", "/b"], c => c.text("x"))`, "POST", "/b", "200 text/plain x"},
		{`app.get("/a", c => c.text("1")); app.get("/a", c => c.text("2"))`, "GET", "/a", "200 text/plain 1"},
		{`app.get("/:x", c => c.text("1")); app.get("/a", c => c.text("2"))`, "GET", "/a", "200 text/plain 1"},
		{`const api = app.basePath("/api"); api.get("/a", c => c.text("x")); api.get("/", c => c.text("y"))`, "GET", "/api/a", "200 text/plain x"},
		{`app.basePath("api/").basePath("v1").get("/", c => c.text("y"))`, "GET", "/api/v1", "200 text/plain y"},
		{``, "GET", "/", notFound},

		// What a handler can ask.
		{`app.get("/r/:room/m/:id", c => c.json([c.req.param("room"), c.req.param("id"), c.req.param("no"), c.req.param()]))`, "GET", "/r/a%20b/m/1", `200 application/json ["a b","1",null,{"room":"a b","id":"1"}]`},
		{`app.get("/", c => c.json([c.req.query("a"), c.req.query("b"), c.req.query("c"), c.req.query(), c.req.queries("a"), c.req.queries("z"), c.req.queries()]))`, "GET", "/?a=1&a=2&b=x+y%20z&d", `200 application/json ["1","x y z",null,{"a":"1","b":"x y z","d":""},["1","2"],null,{"a":["1","2"],"b":["x y z"],"d":[""]}]`},
		{`app.get("/", c => c.text(c.req.query("a")))`, "GET", "/?a=%zz+b", "200 text/plain %zz b"},
		{`app.get("/", c => c.json([c.req.header("X-TEST"), c.req.header("no"), c.req.header()]))`, "GET", "/", `200 application/json ["yes",null,{"x-test":"yes"}]`},
		{`app.get("*", c => c.json([c.req.path, c.req.url, c.req.method, c.req.raw instanceof Request]))`, "GET", "/a%20b%2Fc/%C3%A9?x=1", `200 application/json ["/a b%2Fc/é","https://example.com/a%20b%2Fc/%C3%A9?x=1","GET",true]`},
		{`app.post("/", async c => c.json([await c.req.json(), await c.req.text(), (await c.req.arrayBuffer()).byteLength]))`, "POST", "/", `200 application/json [{"x":1},"{\"x\":1}",7]`},
		{`app.post("/", async c => { try { JSON.parse("{"); await c.req.json() } catch (e) { return c.json({error: e.name}, 400) } })`, "POST", "/", `400 application/json {"error":"SyntaxError"}`},

		// What it can answer.
		{`app.get("/", c => c.json({a: 1}, 201, {"X-A": "b", "X-L": ["1", "2"]}))`, "GET", "/", `201 application/json x-a=b x-l=1, 2 {"a":1}`},
		{`app.get("/", c => c.json({a: 1}, {status: 202, headers: {a: "b"}}))`, "GET", "/", `202 a=b application/json {"a":1}`},
		{`app.get("/", c => c.json({}, 200, {"Content-Type": "application/problem+json"}))`, "GET", "/", `200 application/problem+json {}`},
		{`app.get("/", c => c.json(undefined))`, "GET", "/", `rejected TypeError: c.json: the value is not JSON`},
		{`app.get("/", c => c.html("<p>"))`, "GET", "/", `200 text/html <p>`},
		{`app.get("/", c => c.body(null, 204))`, "GET", "/", `204 `},
		{`app.get("/", c => c.body(new Uint8Array([97]), 200, {"Content-Type": "image/png"}))`, "GET", "/", `200 image/png a`},
		{`app.get("/", c => c.redirect("/x"))`, "GET", "/", `302 location=/x `},
		{`app.get("/", c => c.redirect("/x", 301))`, "GET", "/", `301 location=/x `},
		{`app.get("/", c => { c.status(418); c.header("a", "1"); c.header("a", "2"); c.header("b", "1"); c.header("b", "2", {append: true}); c.header("c", "1"); c.header("c"); return c.text("t") })`, "GET", "/", `418 a=2 b=1, 2 text/plain t`},
		{`app.get("/", c => new Response("r", {status: 203}))`, "GET", "/", `203 text/plain r`},
		{`app.get("/", c => { c.res = new Response("r") })`, "GET", "/", `200 text/plain r`},
		{`app.get("/", c => c.notFound())`, "GET", "/", notFound},
		{`app.get("/", c => c.json({}, 99))`, "GET", "/", "rejected RangeError: a status is 101 or from 200 to 599, not 99"},
		{`app.get("/", c => ({a: 1}))`, "GET", "/", "rejected TypeError: a handler of GET / returned [object Object], not a Response"},
		{`app.notFound(c => c.text("none " + c.req.path, 404))`, "GET", "/", "404 text/plain none /"},
		{`app.get("/", c => { c.header("Content-Type", "text/csv"); return c.body("a,b") })`, "GET", "/", "200 text/csv a,b"},
		{`app.get("/", c => { c.header("content-type", "text/csv"); return c.newResponse("a,b", 201) })`, "GET", "/", "201 text/csv a,b"},
		{`app.get("/", c => { c.header("Content-Type", "text/csv"); return c.body("a,b", 200, {"Content-Type": "text/x"}) })`, "GET", "/", "200 text/x a,b"},
		{`app.get("/", c => c.body("a,b"))`, "GET", "/", "200 text/plain a,b"},
		{`app.get("/", c => { c.header("Content-Type", "text/csv"); return c.body(null) })`, "GET", "/", "200 text/csv "},
		{`app.get("/", c => { c.header("Content-Type", "text/csv"); return c.json(1) })`, "GET", "/", "200 application/json 1"},
		{`app.get("/", c => { c.header("Content-Type", "text/csv"); return c.html("<p>") })`, "GET", "/", "200 text/html <p>"},
		{`app.notFound(async c => c.text("none", 404))`, "GET", "/x", "404 text/plain none"},

		// Middleware.
		{`app.use(async (c, next) => { c.set("user", "ann"); await next() }); app.get("/", c => c.text(c.get("user") + c.var.user + c.get("no")))`, "GET", "/", "200 text/plain annannundefined"},
		{`const log = []; app.use(async (c, next) => { log.push(1); await next(); log.push(4); c.header("log", log.join()) }); app.use("*", async (c, next) => { log.push(2); await next(); log.push(3) }); app.get("/", c => c.text("x"))`, "GET", "/", "200 text/plain log=1,2,3,4 x"},
		{`app.use("/a/*", (c, next) => c.text("no", 401)); app.get("/a/b", c => c.text("x"))`, "GET", "/a/b", "401 text/plain no"},
		{`app.use("/a/*", (c, next) => c.text("no", 401)); app.get("/b", c => c.text("x"))`, "GET", "/b", "200 text/plain x"},
		{`app.get("/", (c, next) => next())`, "GET", "/", notFound},
		{`app.get("/", async (c, next) => { await next(); c.header("a", "b") })`, "GET", "/", `404 a=b application/json {"error":"Not Found"}`},
		{`app.get("/", async (c, next) => { await next(); await next() })`, "GET", "/", "rejected Error: next() called multiple times"},
		{`app.get("/", async c => c.text(await Promise.resolve("x")))`, "GET", "/", "200 text/plain x"},
		{`app.get("/", c => { c.res; c.header("a", "b"); return new Response("x") })`, "GET", "/", "200 a=b text/plain x"},
		{`app.get("/", c => ({then(f) { f(c.text("x")) }}))`, "GET", "/", "200 text/plain x"},
		{`app.get("/", (c, next) => next(), c => c.text("x"))`, "GET", "/", "200 text/plain x"},
		{`app.get("/", async (c, next) => { await next(); await next() }, c => c.text("x"))`, "GET", "/", "rejected Error: next() called multiple times"},
		{`app.use(async (c, next) => { await next(); c.res = new Response(await c.res.text() + "!", {status: 201}) }); app.get("/", c => c.text("x"))`, "GET", "/", "201 text/plain x!"},
		{`app.use(async (c, next) => { await next(); c.res.headers.set("a", "b") }); app.get("/", c => c.text("x"))`, "GET", "/", "200 a=b text/plain x"},
		{`app.use(async (c, next) => { await next(); c.res.headers.set("a", "b") })`, "GET", "/", `404 a=b application/json {"error":"Not Found"}`},
		{`app.use(async (c, next) => { await next() })`, "GET", "/", notFound},
		{`app.use("/:a/*", async (c, next) => { await next(); c.header("p", JSON.stringify(c.req.param())) }); app.get("/:b/:c", c => c.json(c.req.param()))`, "GET", "/1/2", `200 application/json p={"a":"1"} {"b":"1","c":"2"}`},
		{`app.use((c, next) => { c.header("set-cookie", "a=1", {append: true}); return next() }); app.get("/", c => { c.header("set-cookie", "b=2", {append: true}); return c.text("x") })`, "GET", "/", "200 text/plain set-cookie=a=1 set-cookie=b=2 x"},
		{`app.use(async (c, next) => { await next(); return c.text("late") }); app.get("/", c => c.text("x"))`, "GET", "/", "200 text/plain x"},
		{`app.use((c, next) => { c.__proto__ = {}; c.req.x = 1; return next() }); app.get("/", c => c.text(c.req.x))`, "GET", "/", "200 text/plain 1"},
		{`app.use((c, next) => new Promise(() => {}))`, "GET", "/", "pending"},

		// Forgotten answers.
		{`app.get("/a/:b", c => {})`, "GET", "/a/x", "rejected Error: GET /a/:b: " + forgotten},
		{`app.get("/", async c => { await null; c.text("x") })`, "GET", "/", "rejected Error: GET /: " + forgotten},
		{`app.get("/", c => { c.res; c.header("a", "b") })`, "GET", "/", "rejected Error: GET /: " + forgotten},
		{`app.get("/", c => null); app.notFound(c => c.text("none", 404))`, "GET", "/", "rejected Error: GET /: " + forgotten},
		{`app.get("/", () => {}); app.onError((e, c) => c.text(e === c.error && e.message, 500))`, "GET", "/", "500 text/plain GET /: " + forgotten},
		{`app.get("/", () => {}); app.onError(() => {})`, "GET", "/", "rejected Error: GET /: " + forgotten},
		{`app.use("/a/*", () => {}); app.get("/a/b", c => c.text("x"))`, "GET", "/a/b", "rejected Error: use /a/*: " + forgotten},
		{`app.use(async (c, next) => { await next() }); app.all("/a", () => {})`, "GET", "/a", "rejected Error: ALL /a: " + forgotten},
		{`app.use(async (c, next) => { await next(); c.res = new Response("mended") }); app.get("/", () => {})`, "GET", "/", "200 text/plain mended"},
		{`app.use(async (c, next) => { await next(); c.header("a", "b") }); app.get("/", (c, next) => next())`, "GET", "/", `404 a=b application/json {"error":"Not Found"}`},

		// Errors.
		{`app.get("/", c => { throw new TypeError("mine") })`, "GET", "/", "rejected TypeError: mine"},
		{`app.get("/", async c => { throw "text" })`, "GET", "/", "rejected text"},
		{`app.get("/", c => { throw new Error("mine") }); app.onError((e, c) => c.text(e.message, 500))`, "GET", "/", "500 text/plain mine"},
		{`app.get("/", async c => { throw new Error("mine") }); app.onError(async (e, c) => c.json({e: e.message, same: e === c.error}, 503))`, "GET", "/", `503 application/json {"e":"mine","same":true}`},
		{`app.use(async (c, next) => { await next(); c.header("seen", String(c.error?.message)) }); app.get("/", c => { throw new Error("mine") }); app.onError((e, c) => c.text("e", 500))`, "GET", "/", "500 text/plain seen=mine e"},
		{`app.use(async (c, next) => { await next(); throw new Error("late") }); app.get("/", c => c.text("x")); app.onError((e, c) => c.text(e.message, 500))`, "GET", "/", "500 text/plain late"},
		{`app.use(async (c, next) => { try { await next() } catch (e) { return c.text("caught " + e.message) } }); app.get("/", c => { throw new Error("mine") })`, "GET", "/", "200 text/plain caught mine"},
		{`app.get("/", c => { throw new Error("a") }); app.onError(() => {})`, "GET", "/", "rejected Error: a"},
		{`app.notFound(() => {})`, "GET", "/", "rejected TypeError: app.notFound returned no Response"},
		{`app.get("/:x", c => c.text(c.req.param("x")))`, "GET", "/%zz?a=%", "200 text/plain %zz"},
		{`app.get("/", c => { throw new Error("a") }); app.onError(() => { throw new Error("b") })`, "GET", "/", "rejected Error: b"},
	}
	for _, tt := range tests {
		if got := ask(t, tt.source, tt.method, tt.url, `{"x":1}`); got != tt.want {
			t.Errorf("%s\n%s %s\n got %s\nwant %s", tt.source, tt.method, tt.url, got, tt.want)
		}
	}
}

func TestAppRegistrationErrors(t *testing.T) {
	for source, want := range map[string]string{
		`app.get("/a")`:                        `TypeError: the path "/a" has no handler`,
		`app.get("/a", 5)`:                     `TypeError: the path "/a" has a handler that is not a function: 5`,
		`app.get("/a", c => 1, {})`:            `TypeError: the path "/a" has a handler that is not a function: [object Object]`,
		`app.get(c => 1)`:                      `TypeError: app.get: the first argument is a path, not c => 1`,
		`app.get()`:                            `TypeError: app.get: the first argument is a path, not undefined`,
		`app.get("/:a/:a", c => 1)`:            `TypeError: the path "/:a/:a" is not valid: the parameter "a" is there twice`,
		`app.use("/:", c => 1)`:                `TypeError: the path "/:" is not valid: "" is not the name of a parameter`,
		`app.use()`:                            `TypeError: the path "/*" has no handler`,
		`app.on("a b", "/", c => 1)`:           `TypeError: app.on("a b"): not a method`,
		`app.notFound(5)`:                      `TypeError: app.notFound: 5 is not a function`,
		`app.onError()`:                        `TypeError: app.onError: undefined is not a function`,
		`for (;;) app.get("/%s", c => 1)`:      `RangeError: the path "/%s" is one too many: an app has at most 1000 routes`,
		`const get = app.get; get("/a", c=>1)`: `TypeError: Illegal invocation: App.get is called on something else`,
	} {
		if got := ask(t, source, "GET", "/", ""); got != want {
			t.Errorf("%s\n got %s\nwant %s", source, got, want)
		}
	}
}

func TestRegistrations(t *testing.T) {
	vm := newTestVM(t)
	a := vm.newApp()
	must(vm.rt.Set("app", a.self))
	vm.eval(t, `app.use(() => 1).get("/rooms/:room", () => 1, () => 2); app.basePath("/x").on(["get", "put"], "y", () => 1); 0`)
	var got []string
	for _, r := range a.host.(*app).routes {
		got = append(got, fmt.Sprint(r.method, " ", r.path, " ", r.middleware, " ", len(r.handlers), " ", r.pattern.Params()))
	}
	want := "ALL /* true 1 []; GET /rooms/:room false 2 [room]; GET /x/y false 1 []; PUT /x/y false 1 []"
	if s := strings.Join(got, "; "); s != want {
		t.Errorf("\n got %s\nwant %s", s, want)
	}
}

func BenchmarkDispatch(b *testing.B) {
	b.Run("one", func(b *testing.B) { benchmarkDispatch(b, ``) })
	b.Run("middleware", func(b *testing.B) {
		benchmarkDispatch(b, `app.use(async (c, next) => { await next() });`)
	})
}

func benchmarkDispatch(b *testing.B, middleware string) {
	vm := newTestVM(b)
	a := vm.newApp()
	must(vm.rt.Set("app", a.self))
	if _, err := vm.rt.RunString(middleware + `app.get("/rooms/:room", c => c.json({room: c.req.param("room")}))`); err != nil {
		b.Fatal(err)
	}
	req := vm.newRequest("GET", "https://example.com/rooms/general", nil, nil)
	must(vm.rt.Set("run", func(goja.FunctionCall) goja.Value { return vm.dispatch(a.host.(*app), req) }))
	benchmarkScript(b, vm.rt, `() => run()`, goja.Undefined())
}
