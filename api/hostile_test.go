package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"chat.example.com.ai/runtime/script"
)

// hostile is a room that does what it is told: mischief by name, in a turn that
// has already sent and stored something.
func hostile(mischief map[string]string) files {
	var b strings.Builder
	b.WriteString("import { $, DO } from 'dotdo'\nconst mischief = {\n")
	for name, body := range mischief {
		fmt.Fprintf(&b, "  %q: (ws, room) => { %s },\n", name, body)
	}
	b.WriteString(`}
$.on.A.b(() => {})
export default DO.extend({
  $type: 'Room',
  async webSocketMessage(ws, m) {
    if (m === 'stored') { ws.send('stored ' + (await this.ctx.storage.get('x') ?? 'nothing')); return }
    this.ctx.storage.put('x', m)
    ws.send('before')
    const got = mischief[m] ? mischief[m](ws, this) : m
    ws.send(String(got ?? 'after'))
  },
})`)
	return files{"up.js": upgrade, "room.js": b.String()}
}

// endless are turns that never end by themselves.
var endless = map[string]string{
	"loop":               "for (;;);",
	"job":                "Promise.resolve().then(() => { for (;;); })",
	"jobs":               "const again = () => Promise.resolve().then(again); again()",
	"awaits":             "(async () => { for (;;) await null })()",
	"getter":             "({ get x() { for (;;); } }).x",
	"setter":             "({ set x(v) { for (;;); } }).x = 1",
	"toJSON":             "JSON.stringify({ toJSON() { for (;;); } })",
	"reviver":            "JSON.parse('[1]', () => { for (;;); })",
	"comparator":         "[1, 2, 3].sort(() => { for (;;); })",
	"callback":           "[1].map(() => { for (;;); })",
	"replacer":           "'a'.replace(/a/, () => { for (;;); })",
	"proxy":              "new Proxy({}, { get() { for (;;); } }).x",
	"proxy keys":         "Object.keys(new Proxy({}, { ownKeys() { for (;;); } }))",
	"toPrimitive":        "+{ [Symbol.toPrimitive]() { for (;;); } }",
	"valueOf":            "1 + { valueOf() { for (;;); } }",
	"toString":           "ws.send({ toString() { for (;;); } })",
	"generator":          "[...(function* () { for (;;); })()]",
	"endless generator":  "for (const x of (function* () { for (;;) yield 1 })());",
	"iterator":           "for (const x of { [Symbol.iterator]: () => ({ next: () => ({ done: false }) }) });",
	"iterated by a Map":  "new Map((function* () { for (;;) yield [1, 1] })())",
	"caught":             "for (;;) try { for (;;); } catch { } finally { }",
	"finally":            "try { for (;;); } finally { for (;;); }",
	"then":               "Promise.resolve({ then() { for (;;); } })",
	"clone":              "structuredClone({ get x() { for (;;); } })",
	"key of a thing":     "room.things.create({ $type: 'A', get x() { for (;;); } })",
	"attachment":         "ws.serializeAttachment({ get x() { for (;;); } })",
	"argument of a call": "$.User('u').m({ get x() { for (;;); } })",
	"console":            "console.log({ get x() { for (;;); } }, { toString() { for (;;); } }); for (;;);",
	"thrown getter":      "throw { get message() { for (;;); } }",
	"getter of an error": "const e = new Error('x'); Object.defineProperty(e, 'stack', { get() { for (;;); } }); throw e",
	"symbol hasInstance": "1 instanceof { [Symbol.hasInstance]() { for (;;); } }; ({}) instanceof { [Symbol.hasInstance]() { for (;;); } }",
}

// An endless turn ends at the time-out and leaves nothing behind; its room answers
// the next message, and no other room waits.
func TestAnEndlessTurnCostsOnlyItself(t *testing.T) {
	const timeout = 400 * time.Millisecond
	s := start(t, hostile(endless), turnTimeout(timeout))
	other := s.connect("/ws/other")
	for name := range endless {
		t.Run(name, func(t *testing.T) {
			room := strings.ReplaceAll(name, " ", "-")
			quickly(t, 4*timeout, func() (longest time.Duration) { // with every core of the machine in use by others, too
				ws := s.connect("/ws/" + room)
				room += "-again"
				before, began := s.total(), time.Now()
				ws.send(name)
				for time.Since(began) < timeout/2 {
					trip := time.Now()
					other.send("stored")
					other.want("stored nothing")
					longest = max(longest, time.Since(trip))
				}
				ws.send("stored")
				ws.want("stored nothing")
				took := time.Since(began)
				ws.send("hello")
				ws.want("before")
				ws.want("hello")
				if n := s.total() - before; n != 1 {
					t.Errorf("%d errors were counted, want 1", n)
				}
				return max(longest, took*4/10) // the room is back within ten times the time-out
			})
		})
	}
	if hung := s.node.Stats().Hung.Load(); hung != 0 {
		t.Errorf("%d turns could not be interrupted", hung)
	}
}

// Turns that go wrong at once. The error is what the log must say; an empty one
// means that the script can go on, and what it sends.
func TestHostileTurns(t *testing.T) {
	cases := map[string]struct{ body, fails, sends string }{
		"recursion":                {body: "const f = () => f(); f()", fails: "Maximum call stack size exceeded"},
		"recursion in a getter":    {body: "const o = { get x() { return this.x } }; o.x", fails: "Maximum call stack"},
		"recursion in toString":    {body: "const o = { toString() { return '' + o } }; '' + o", fails: "Maximum call stack"},
		"recursion in toJSON":      {body: "JSON.stringify({ toJSON() { return JSON.stringify(this) } })", fails: "Maximum call stack"},
		"recursion in a sort":      {body: "[1, 2].sort(function c() { return [1, 2].sort(c) })", fails: "Maximum call stack"},
		"recursion in a proxy":     {body: "const p = new Proxy({}, { get: (t, k, r) => r[k] }); p.x", fails: "Maximum call stack"},
		"recursion, caught":        {body: "const f = () => f(); try { f() } catch { }", fails: "Maximum call stack"},
		"deep JSON":                {body: "let v = {}; const top = v; for (let i = 0; i < 20000; i++) { v.v = {}; v = v.v } JSON.stringify(top)", fails: "deeper than 500"},
		"deep clone":               {body: "let v = []; for (let i = 0; i < 20000; i++) v = [v]; structuredClone(v)", fails: "deep"},
		"deep text":                {body: "let v = []; for (let i = 0; i < 2000; i++) v = [v]; return String(v).length", sends: "0"},
		"deep flat":                {body: "let v = []; for (let i = 0; i < 2000; i++) v = [v]; return v.flat(Infinity).length", sends: "0"},
		"huge text":                {body: "'a'.repeat(2 ** 40)", fails: "repeat: a text of 1099511627776 characters"},
		"huge text of a message":   {body: "ws.send('abc'.repeat('999999999'))", fails: "repeat: a text of 2999999997 characters"},
		"huge padding":             {body: "'a'.padStart(2 ** 40)", fails: "padStart: a text of"},
		"huge padding at the end":  {body: "'é'.padEnd(2 ** 31)", fails: "padEnd: a text of"},
		"huge array":               {body: "new Array(1e9).fill(0)", fails: "a length of 1000000000 is more than"},
		"huge array without new":   {body: "Array(1e9).join('x')", fails: "a length of 1000000000 is more than"},
		"huge array from a length": {body: "Array.from({ length: 1e9 })", fails: "a length of 1000000000 is more than"},
		"huge buffer":              {body: "new Uint8Array(2 ** 40)", fails: "a length of 1099511627776 is more than"},
		"huge code":                {body: "new Function('['.repeat(5e6))", fails: "characters of code"},
		"huge eval":                {body: "eval('('.repeat(3e6))", fails: "characters of code"},
		"huge message":             {body: "ws.send('a'.repeat((1 << 20) + 1))", fails: "is larger than 1048576"},
		"huge attachment":          {body: "ws.serializeAttachment('a'.repeat(20000))", fails: "16384"},
		"huge thing":               {body: "room.things.create({ $type: 'A', text: 'a'.repeat(3 << 20) })", fails: "larger than the limit"},
		"huge event":               {body: "$.send('A.b', 'a'.repeat(2 << 20))", fails: "larger than the limit"},
		"many sends":               {body: "const a = 'a'.repeat(1 << 19); for (let i = 0; ; i++) ws.send(a + i)", fails: "32 MiB together"},
		"many small sends":         {body: "for (;;) ws.send('a')", fails: "200000 sends"},
		"many writes":              {body: "for (let i = 0; ; i++) room.ctx.storage.put('k', i)", fails: "at most 10000 rows"},
		"many events":              {body: "for (;;) $.send('A.b', 1)", fails: "at most 10000 rows"},
		"many calls":               {body: "for (;;) $.User('u').m()", fails: "more than 10000 calls"},
		"many timers":              {body: "for (;;) setTimeout(() => {}, 1000)", fails: "more than 10000 timers"},
		"many waits":               {body: "for (;;) room.ctx.waitUntil(new Promise(() => {}))", fails: "more than 10000 promises"},
		"long console":             {body: "for (let i = 0; i < 2000; i++) console.log('x'); return 'went on'", sends: "went on"},
		"long error":               {body: "throw new Error('x'.repeat(1e6))", fails: "…"},
		"null":                     {body: "throw null", fails: "thrown: null"},
		"undefined":                {body: "throw undefined", fails: "thrown: undefined"},
		"function":                 {body: "throw () => 1", fails: "an object without a message"},
		"proxy thrown":             {body: "throw new Proxy({}, { get() { throw 1 }, getPrototypeOf() { throw 2 } })", fails: "an object without a message"},
		"message that throws":      {body: "throw { get message() { throw 1 } }", fails: "an object without a message"},
		"message that loops":       {body: "throw { get message() { for (;;); } }", fails: "ran longer than"},
		"message that recurs":      {body: "throw { get message() { return this.message } }", fails: "Maximum call stack"},
		"constructor that loops":   {body: "const e = new Error('x'); Object.defineProperty(e, 'constructor', { get() { for (;;); } }); throw e", fails: "ran longer than"},
		"rejection that loops":     {body: "Promise.reject({ get message() { for (;;); } })", fails: "ran longer than"},
		"rejection and a loop":     {body: "Promise.reject({ get message() { return 'x' } }); for (;;);", fails: "ran longer than"},
		"loop, and another":        {body: "Promise.reject({ get message() { for (;;); } }); for (;;);", fails: "ran longer than"},
		"rejection and a limit":    {body: "Promise.reject({ get message() { return 'x' } }); for (;;) $.send('A.b', 1)", fails: "at most 10000 rows"},
		"later rejection":          {body: "return Promise.resolve().then(() => { throw { get message() { for (;;); } } })", fails: "ran longer than"},
		"host's this":              {body: "ws.send.call({}, 'x')", fails: "Illegal invocation"},
		"host's constructor":       {body: "return typeof ws.constructor.constructor('return this')().process", sends: "undefined"},
		"Function's this":          {body: "return [typeof new Function('return this')().require, typeof globalThis.Go].join()", sends: "undefined,undefined"},
		"host's prototype":         {body: "Object.getPrototypeOf(room.ctx).x = 1; return typeof room.ctx.host + typeof room.ctx.vm", sends: "undefinedundefined"},
		"members of a Go value":    {body: "return Object.getOwnPropertyNames(ws).concat(Object.keys(room.ctx), Object.keys(room.things)).join()", sends: ""},
		"header injection":         {body: "new Headers({ a: 'b\\r\\nset-cookie: c=d' })", fails: "header"},
		"header name injection":    {body: "new Response('', { headers: { 'a\\r\\nb': 'c' } })", fails: "header"},
		"close reason":             {body: "ws.close(1000, 'x'.repeat(124))", fails: "123"},
		"proto of JSON":            {body: "return [({}).x, Object.assign({}, JSON.parse('{\"__proto__\":{\"x\":1}}')).x].join()", sends: ",1"},
		"proto of a clone":         {body: "structuredClone(JSON.parse('{\"__proto__\":{\"x\":1}}')); return typeof ({}).x", sends: "undefined"},
		"repeat of something else": {body: "return [{ repeat: (n) => n }.repeat(2 ** 40), 'ab'.repeat(2), 'a'.padStart(3), 'a'.padEnd(3, 'xy')].join()", sends: "1099511627776,abab,  a,axy"},
		"lengths that are fine":    {body: "return [new Array('7').length, Array(3).length, new Uint8Array([1, 2]).length, Array.from({ length: 2 }).length, new Array(2, 3).length, eval('1+1')].join()", sends: "1,3,2,2,2,2"},
	}
	mischief := make(map[string]string)
	for name, c := range cases {
		mischief[name] = c.body
	}
	// What reaches a limit has the time for it on a busy machine, too.
	patient, hasty := start(t, hostile(mischief)), start(t, hostile(mischief), turnTimeout(script.DefaultTurnTimeout))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := patient
			if c.fails == "ran longer than" {
				s = hasty
			}
			before := s.total()
			ws := s.connect("/ws/" + strings.ReplaceAll(name, " ", "-"))
			ws.send(name)
			if c.fails == "" {
				ws.want("before")
				if got := ws.next(); got != c.sends {
					t.Errorf("sent %s, want %s", got, c.sends)
				}
			} else {
				ws.send("stored")
				ws.want("stored nothing")
				s.eventually("the error is counted", func() bool { return s.total() > before })
				all := s.reports()
				if r := all[len(all)-1]; !strings.Contains(r.error, c.fails) || !strings.Contains(r.error, "room.js:") {
					t.Errorf("reported %.300s\nwant %s", r.error, c.fails)
				}
				if n := s.total() - before; n != 1 {
					t.Errorf("%d errors were reported, want 1", n)
				}
			}
			ws.send("hello")
			ws.want("before")
			ws.want("hello")
		})
	}
	for _, r := range patient.reports() {
		if len(r.error) > 5000 {
			t.Errorf("a line of the log has %d bytes", len(r.error))
		}
	}
	if n := strings.Count(patient.log.String(), "msg=x "); n < 500 || n > 1500 {
		t.Errorf("%d lines of console.log, want about 1,000", n)
	}
}

// A built-in that loops in itself takes its own object out of service, and others
// go on.
func TestABuiltInThatCannotBeInterrupted(t *testing.T) {
	const timeout = 100 * time.Millisecond
	builtins := map[string]string{
		"indexOf":     "Array.prototype.indexOf.call({ length: 8e6 }, 1)",
		"lastIndexOf": "Array.prototype.lastIndexOf.call({ length: 8e6 }, 1)",
	}
	s := start(t, hostile(builtins), turnTimeout(timeout))
	other := s.connect("/ws/other")
	var slow []time.Duration
	for name := range builtins {
		t.Run(name, func(t *testing.T) {
			hung := s.node.Stats().Hung.Load()
			ws := s.connect("/ws/" + name)
			ws.send(name)
			for s.node.Stats().Hung.Load() == hung {
				trip := time.Now()
				other.send("stored")
				other.want("stored nothing")
				if took := time.Since(trip); took > script.DefaultTurnTimeout {
					slow = append(slow, took)
				}
			}
			if code := ws.closeCode(); code != 1011 {
				t.Errorf("closed with %d, want 1011", code)
			}
			other.send("stored")
			other.want("stored nothing")
		})
	}
	if len(slow) > 1 { // one may have waited for the processor
		t.Errorf("another room waited for %v", slow)
	}
}
