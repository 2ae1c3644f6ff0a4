package script

import (
	"fmt"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"chat.example.com.ai/runtime/key"
)

// testSocket is a socket of a roomHost.
type testSocket struct {
	id         uint64
	tags       []string
	attachment []byte
	user       *User
	gone       bool
}

func (s *testSocket) ID() uint64                { return s.id }
func (s *testSocket) Tags() []string            { return s.tags }
func (s *testSocket) Attachment() []byte        { return s.attachment }
func (s *testSocket) User() *User               { return s.user }
func (s *testSocket) AutoResponseAt() time.Time { return time.Time{} }
func (s *testSocket) ReadyState() int           { return stateOpen }

// roomHost is a host of sockets, oldest first, and of nothing else.
type roomHost struct {
	Host
	sockets []Socket
	errors  []string
}

func (h *roomHost) Key() key.Key         { return key.Key{Type: "Room", ID: "general"} }
func (h *roomHost) Now() time.Time       { return time.Now() }
func (h *roomHost) SocketCount() int     { return len(h.sockets) }
func (h *roomHost) Listed(s Socket) bool { return !s.(*testSocket).gone }
func (h *roomHost) Log() *slog.Logger    { return slog.New(slog.DiscardHandler) }
func (h *roomHost) StopTimer(int64)      {}
func (h *roomHost) Hung()                {}

// remove takes a socket off the list.
func (h *roomHost) remove(s Socket) {
	s.(*testSocket).gone = true
	h.sockets = slices.DeleteFunc(slices.Clone(h.sockets), func(other Socket) bool { return other == s })
}

func (h *roomHost) ScriptError(kind string, err *Error) {
	h.errors = append(h.errors, kind+": "+err.Error())
}

func (h *roomHost) Sockets() iter.Seq[Socket] {
	return func(yield func(Socket) bool) {
		for _, s := range slices.Backward(h.sockets) {
			if !yield(s) {
				return
			}
		}
	}
}

func (h *roomHost) TaggedSockets(tag string) iter.Seq[Socket] {
	return func(yield func(Socket) bool) {
		for _, s := range h.sockets {
			if slices.Contains(s.Tags(), tag) && !yield(s) {
				return
			}
		}
	}
}

// newRoom boots a room with so many sockets: all have the tag all, every tenth
// the tag tenth. The script may be empty.
func newRoom(t testing.TB, text string, sockets int) (*VM, *roomHost) {
	t.Helper()
	if text == "" {
		text = "export default DO.extend({})"
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "room.js"), []byte("import { DO } from 'dotdo'\n"+text), 0o644); err != nil {
		t.Fatal(err)
	}
	set, err := Load(Options{Folder: folder, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	host := &roomHost{}
	for i := range sockets {
		s := &testSocket{id: uint64(i + 1), tags: []string{"all"}}
		if i%10 == 0 {
			s.tags = append(s.tags, "tenth")
		}
		host.sockets = append(host.sockets, s)
	}
	vm := set.NewObject(host)
	if out := vm.Boot(1); out.Err != nil {
		t.Fatal(out.Err)
	}
	if out := vm.run(func() {
		ctx := vm.instance.Get("ctx")
		must(vm.rt.Set("ctx", ctx))
		must(vm.rt.Set("room", vm.instance))
	}); out.Err != nil {
		t.Fatal(out.Err)
	}
	return vm, host
}

// turn runs a script as a turn, and returns what it comes to and its outcome.
func (vm *VM) turnOf(t testing.TB, source string) (result string, out Outcome) {
	t.Helper()
	out = vm.run(func() { result = vm.eval(t, source) })
	if out.Err != nil {
		t.Fatalf("%s\nfails: %v", source, out.Err)
	}
	return result, out
}

// Whatever a script does with a list of sockets, it is as with an array of them.
func TestAListOfSocketsIsAnArray(t *testing.T) {
	for _, source := range []string{
		`[Array.isArray(l), l instanceof Array, l.constructor === Array, typeof l, String(l)]`,
		`[l.length, l[0] === first, l[4] === undefined, l[-1] === undefined, l["1"] === l[1], l.at(-1) === l[3], 3 in l, 4 in l, l.nothing === undefined]`,
		`{ let s = []; for (const w of l) s.push(id(w)); s }`,
		`{ let s = []; for (const i in l) s.push(i); s }`,
		`{ let s = []; for (let i = 0; i < l.length; i++) s.push(id(l[i])); s }`,
		`[l.map(id), l.map(id) instanceof Array, l.filter((w) => w !== first).map(id), l.flatMap((w) => [w, w]).map(id)]`,
		`{ let s = []; l.forEach((w, i, all) => s.push(id(w), i, all === l)); s }`,
		`[id(l.find((w) => id(w) === 3)), l.findIndex((w) => id(w) === 3), id(l.findLast((w) => id(w) < 4)), l.find(() => false) === undefined]`,
		`[l.some((w) => w === first), l.every((w) => w === first), l.includes(first), l.includes(null), l.indexOf(l[2]), l.lastIndexOf(l[2])]`,
		`[l.reduce((n, w) => n + id(w), 0), l.reduceRight((s, w) => s + id(w), '')]`,
		`[...l].map(id)`,
		`{ const [a, , b, ...rest] = l; [id(a), id(b), rest.map(id)] }`,
		`Math.max(...l.map(id), ((...all) => all.length)(...l))`,
		`[l.slice(1, 3).map(id), l.slice(-1).map(id), l.concat(l, [first]).length, [first].concat(l).map(id)]`,
		`[Array.from(l, id), Array.from(l).length, new Set(l).size, new Map(l.map((w) => [w, id(w)])).get(l[1])]`,
		`[Object.keys(l), Object.values(l).map(id), Object.entries(l).map(([i, w]) => i + id(w)), Array.from(l.keys()), Array.from(l.entries(), ([i, w]) => i + id(w))]`,
		`[l.sort((a, b) => id(a) - id(b)) === l, l.map(id)]`,
		`[l.toSorted ? l.toSorted((a, b) => id(a) - id(b)).map(id) : 0, l.reverse().map(id)]`,
		`[l.push(first, 'x'), l.length, l[4] === first, l[5], l.pop(), id(l.pop()), l.length]`,
		`[id(l.shift()), l.length, l.map(id), l.unshift(first), l.map(id)]`,
		`[l.splice(1, 2).map(id), l.map(id), l.splice(1, 0, 'a', 'b'), l.length, l[1]]`,
		`{ l[1] = null; l[5] = 'x'; [l.length, l[1], l[4] === undefined, l[5]] }`,
		`{ l.length = 2; const two = l.map(id); l.length = 3; [two, l.length, l[2] === undefined] }`,
		`{ l.length = 0; [l.length, l.map(id), l[0] === undefined, l.pop() === undefined] }`,
		`[l.fill(7, 1, 3)[1], l.copyWithin(0, 1, 2)[0], l.join === [].join, l.flat().length]`,
		`JSON.stringify(l.map((w) => ({ n: id(w) })))`,
		`[JSON.stringify(l), JSON.stringify({ l }), (() => { l[0].user = 'ann'; const s = JSON.stringify(l); delete l[0].user; return s })()]`,
		`(() => { try { return structuredClone(l) } catch (e) { return e.name + e.message } })()`,
		`Promise.all(l).then((all) => all.map(id))`,
		`Object.values(Object.groupBy ? Object.groupBy(l, (w) => id(w) % 2) : { l }).map((g) => g.length)`,
	} {
		vm, _ := newRoom(t, "", 4)
		run := func(list string) string {
			got, _ := vm.turnOf(t, `{ const all = ctx.getWebSockets('all'); const first = all[0]
				const id = (w) => all.indexOf(w) + 1
				globalThis.f = (l) => { return eval(`+"`"+source+"`"+`) }
				f(`+list+`) }`)
			return got
		}
		want, got := run("Array.from(ctx.getWebSockets())"), run("ctx.getWebSockets()")
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", source, got, want)
		}
	}
}

// What a plain array would take and a room would not survive.
func TestAListOfSocketsIsBounded(t *testing.T) {
	vm, _ := newRoom(t, "", 4)
	got, _ := vm.turnOf(t, `'use strict'; const l = ctx.getWebSockets(); const errors = []
		for (const f of [() => { l[1e9] = 1 }, () => { l.length = 1e9 }]) try { f() } catch (e) { errors.push(e.name) }
		[errors, l.length]`)
	if want := `[["TypeError","TypeError"],4]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSocketObjectsAreMadeAsTheyAreUsed(t *testing.T) {
	vm, _ := newRoom(t, "", 1000)
	for _, step := range []struct {
		source, want string
		made         int
	}{
		{`ctx.getWebSockets('none').length + ctx.getWebSockets().length`, "1000", 0},
		{`ctx.getWebSockets('tenth').length > 0`, "true", 0},
		{`room.broadcast('all', 'hello')`, "undefined", 0},
		{`ctx.getWebSockets()[999] === ctx.getWebSockets('all')[0]`, "true", 1},
		{`ctx.getWebSockets('all').findIndex((ws) => ws === ctx.getWebSockets('all')[9])`, "9", 10},
		{`ctx.getWebSockets('tenth').map((ws) => ws.readyState).length`, "100", 109},
	} {
		if got, _ := vm.turnOf(t, step.source); got != step.want {
			t.Errorf("%s: %s, want %s", step.source, got, step.want)
		}
		if len(vm.sockets) != step.made {
			t.Errorf("%s: %d sockets have objects, want %d", step.source, len(vm.sockets), step.made)
		}
	}
}

// A list is what was there when it was asked for, and nothing is kept for a
// socket that is gone.
func TestAListOfSocketsStaysAsItWas(t *testing.T) {
	vm, host := newRoom(t, "", 4)
	vm.turnOf(t, `var before = ctx.getWebSockets('all'); var used = before[1]`)
	for _, s := range slices.Clone(host.sockets[1:3]) { // one that was used, and one that was not
		vm.Forget(s)
		host.remove(s)
	}
	got, _ := vm.turnOf(t, `[before.length, before[1] === used, before[2] === before[2], before.map((ws) => ws.readyState),
		ctx.getWebSockets('all').length, ctx.getWebSockets('all')[1] === before[3], before[2].send('to nobody')]`)
	if want := `[4,true,true,[1,1,3,1],2,true,null]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(vm.sockets) != 2 {
		t.Errorf("%d sockets have objects, want the 2 that are there", len(vm.sockets))
	}
}

// A closing socket is the same object until its turn is over, and forgotten then.
func TestTheObjectOfAClosingSocketLastsItsTurn(t *testing.T) {
	vm, host := newRoom(t, `export default DO.extend({
		async webSocketClose(ws) {
			await null
			globalThis.same = this.ctx.getWebSockets().includes(ws)
			await null
			globalThis.states = this.ctx.getWebSockets().map((ws) => ws.readyState)
		},
	})`, 2)
	vm.turnOf(t, `ctx.getWebSockets().map((ws) => ws.readyState)`)
	gone := host.sockets[0]
	if out := vm.Closed(2, gone, 1000, "", true); out.Err != nil {
		t.Fatal(out.Err)
	}
	host.remove(gone)
	if got, _ := vm.turnOf(t, `[same, states, ctx.getWebSockets().length]`); got != `[true,[1,3],1]` {
		t.Errorf("after the close: %s", got)
	}
	if vm.sockets[gone.ID()] != nil || len(vm.sockets) != 1 {
		t.Errorf("%d sockets have objects, want the 1 that is there", len(vm.sockets))
	}
}

// What a turn sends to many is encoded once, wherever the script has it from.
func TestEqualTextsShareAMessage(t *testing.T) {
	for source, want := range map[string]int{
		`for (const ws of l) ws.send('hello')`:                                                     1,
		`for (const ws of l) ws.send(JSON.stringify({ type: 'message', content: 'grüß dich' }))`:   1,
		`for (const ws of l) { ws.send('a'.repeat(50)); ws.send('ä' + 'b'); ws.send('c') }`:        3,
		`for (const ws of l) ws.send('hello'); room.broadcast('all', 'hello')`:                     1,
		`for (const ws of l) ws.send(String(l.indexOf(ws)))`:                                       20,
		`{ let n = 0; const o = { toString: () => 'is ' + n++ }; for (const ws of l) ws.send(o) }`: 20,
		`for (const ws of l) ws.send(new Uint8Array([1]))`:                                         20, // it could change in between
	} {
		vm, _ := newRoom(t, "", 20)
		_, out := vm.turnOf(t, "{ const l = ctx.getWebSockets(); "+source+" }")
		messages := make(map[*Message]string)
		for _, e := range out.Effects {
			send, ok := e.(Send)
			if !ok {
				t.Fatalf("%s: effect %T", source, e)
			}
			messages[send.Message] = string(send.Message.Data)
		}
		if len(messages) != want {
			t.Errorf("%s: %d messages, want %d", source, len(messages), want)
		}
	}
}

// A room of 5,000: how many are there, who is one of them, and all of them.
func BenchmarkGetWebSockets(b *testing.B) {
	const sockets = 5000
	for _, bench := range []struct{ name, source string }{
		{"none", `() => ctx.getWebSockets('none').length`},
		{"length", `() => ctx.getWebSockets('all').length`},
		{"first", `() => ctx.getWebSockets('all')[0]`},
		{"loop", `() => { let n = 0; for (const ws of ctx.getWebSockets('all')) if (ws.readyState === 1) n++; return n }`},
		{"broadcast", `() => room.broadcast('all', 'hello')`},
	} {
		b.Run(fmt.Sprint(bench.name, "=", sockets), func(b *testing.B) {
			vm, _ := newRoom(b, "", sockets)
			vm.turnOf(b, "var f = "+bench.source)
			b.ReportAllocs()
			for b.Loop() {
				vm.turnOf(b, "f()")
			}
		})
	}
}
