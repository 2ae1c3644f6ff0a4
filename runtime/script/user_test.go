package script

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/dop251/goja"
)

const annsClaims = `{"__proto__":{"id":"eve"},"groups":["a",{"b":[1]}],"id":"eve","role":"user","sub":"ann"}`

var annUser = &User{ID: "ann", Claims: json.RawMessage(annsClaims), Expires: time.Unix(4102444800, 0)}

// attempts are what a script might try at a user u, and at what has it, o. Strict mode
// throws at each.
var attempts = []string{
	`u.id = 'eve'`,
	`u.extra = 1`,
	`delete u.id`,
	`u.claims = {}`,
	`u.claims.role = 'admin'`,
	`u.claims.extra = 1`,
	`delete u.claims.role`,
	`u.claims.groups.push('admin')`,
	`u.claims.groups[0] = 'admin'`,
	`u.claims.groups.length = 0`,
	`u.claims.groups[1].b.push(2)`,
	`u.claims.groups[1].c = 2`,
	`Object.defineProperty(u, 'id', { value: 'eve' })`,
	`Object.defineProperty(u.claims, 'role', { get: () => 'admin' })`,
	`Object.setPrototypeOf(u, { id: 'eve' })`,
	`Object.assign(u, { id: 'eve' })`,
}

// tries runs attempts in strict mode and lists those that threw nothing.
const tries = `((u, o, attempts) => attempts.filter((text) => {
	try { (0, eval)('(function (u, o) { "use strict"; ' + text + ' })')(u, o); return true } catch (e) { return !(e instanceof TypeError) }
}))`

func TestTheUserOfARequestCannotBeChanged(t *testing.T) {
	vm := newTestVM(t)
	a := vm.newApp()
	must(vm.rt.Set("app", a.self))
	must(vm.rt.Set("attempts", vm.rt.ToValue(append(attempts, `o.set('user', { id: 'eve' })`, `o.set('user')`, `o.var.user = { id: 'eve' }`,
		`delete o.var.user`, `Object.defineProperty(o.var, 'user', { value: 1 })`))))
	_, err := vm.rt.RunString(`
		Object.prototype.user = Object.prototype.claims = { id: 'eve' }
		app.use(async (c, next) => { c.set('name', c.get('user').id); await next() })
		app.get('/', (c) => {
			const missed = ` + tries + `(c.get('user'), c, attempts)
			return c.json({ missed, user: c.get('user'), same: c.get('user') === c.var.user, name: c.get('name'), frozen: Object.isFrozen(c.get('user').claims.groups[1].b),
				own: Object.hasOwn(c.get('user').claims, '__proto__'), copy: structuredClone(c.get('user')).id,
				clone: c.req.raw.user ?? c.req.raw.clone().user ?? c.req.user ?? null })
		})`)
	if err != nil {
		t.Fatal(err)
	}
	req := vm.newRequest("GET", "https://example.com/", http.Header{}, nil)
	req.host.(*request).user = annUser
	must(vm.rt.Set("run", func(goja.FunctionCall) goja.Value { return vm.dispatch(a.host.(*app), req) }))
	v, err := vm.rt.RunString("delete Object.prototype.user; delete Object.prototype.claims; run()")
	if err != nil {
		t.Fatal(err)
	}
	p := v.Export().(*goja.Promise)
	r, ok := vm.responseOf(p.Result())
	if !ok {
		t.Fatal(vm.text(p.Result()))
	}
	const want = `{"missed":[],"user":{"id":"ann","claims":` + annsClaims + `},"same":true,"name":"ann","frozen":true,"own":true,"copy":"ann","clone":null}`
	if string(r.body) != want {
		t.Errorf("%s\nwant %s", r.body, want)
	}
}

func TestTheUserOfASocketCannotBeChanged(t *testing.T) {
	for source, want := range map[string]string{
		`ctx.getWebSockets().map((ws) => ws.user?.id ?? null)`: `[null,"ann",null]`,
		`{ const ws = ctx.getWebSockets()[1]; [` + tries + `(ws.user, ws, attempts), delete ws.user, ws.user, ws.user === ctx.getWebSockets()[1].user, Object.isFrozen(ws.user)] }`:                    `[[],true,{"id":"ann","claims":` + annsClaims + `},true,true]`,
		`{ const ws = ctx.getWebSockets()[1]; ws.serializeAttachment({ user: { id: 'eve' } }); [ws.user.id, ws.deserializeAttachment().user.id] }`:                                                     `["ann","eve"]`,
		`{ const ws = ctx.getWebSockets()[0]; ` + "try { ws.user = { id: 'eve' } } catch {}" + `; [ws.user === undefined, 'user' in ws] }`:                                                             `[true,true]`,
		`{ Object.setPrototypeOf(ctx.getWebSockets()[1], { user: { id: 'eve' } }); ctx.getWebSockets()[1].user.id }`:                                                                                   `"ann"`,
		`{ const [client, server] = Object.values(new WebSocketPair()); [client.user === undefined, server.user === undefined] }`:                                                                      `[true,true]`,
		`{ const freeze = Object.freeze; Object.freeze = undefined; let e; try { ctx.getWebSockets()[2].user } catch (x) { e = x } finally { Object.freeze = freeze }; e === undefined }`:              `true`,
		`{ const ws = ctx.getWebSockets()[1]; const { freeze } = Object; Object.freeze = (o) => o; try { ws.user.id = 'eve' } catch {} finally { Object.freeze = freeze }; [ws.user.id, ws.user.id] }`: `["ann","ann"]`,
	} {
		vm, host := newRoom(t, "", 3)
		host.sockets[1].(*testSocket).user = annUser
		must(vm.rt.Set("attempts", vm.rt.ToValue(append(attempts, `o.user = { id: 'eve' }`, `Object.defineProperty(o, 'user', { value: { id: 'eve' } })`))))
		got, _ := vm.turnOf(t, "JSON.stringify(eval("+jsonOf(t, source)+"))")
		if got != want {
			t.Errorf("%s\nis   %s\nwant %s", source, got, want)
		}
	}
}

func jsonOf(t *testing.T, text string) string {
	t.Helper()
	b, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Where nobody was verified, user is a variable like any other.
func TestWithoutAUser(t *testing.T) {
	got := ask(t, `app.use(async (c, next) => { c.set("was", String(c.get("user"))); c.set("user", { id: "ann" }); await next() })
		app.get("/", (c) => c.json([c.get("was"), c.get("user").id, c.var.user.id]))`, "GET", "/", "")
	if want := `200 application/json ["undefined","ann","ann"]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
