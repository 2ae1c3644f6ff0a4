package api_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Each case is the body of an async function of storage, which begins with a to e
// stored in an earlier turn; what it returns or rejects with is the answer.
func TestStorage(t *testing.T) {
	cases := []struct{ name, body, want string }{
		{"get", `return [await s.get('a'), await s.get('none') ?? 'nothing']`, `[1,"nothing"]`},
		{"get many", `return [...await s.get(['c', 'none', 'a'])]`, `[["a",1],["c",3]]`},
		{"get none", `return (await s.get([])).size`, `0`},
		{"put", `await s.put('x', { d: new Date(0), m: new Map([[1, 2n]]) }); const x = await s.get('x'); return [x.d instanceof Date, x.m.get(1) === 2n]`, `[true,true]`},
		{"put is a copy", `const v = { n: 1 }; await s.put('x', v); v.n = 2; return (await s.get('x')).n`, `1`},
		{"put many", `await s.put({ x: 1, y: 2 }); return [...await s.list({ start: 'x' })]`, `[["x",1],["y",2]]`},
		{"put many or none", `await s.put({ x: 1, y: () => 1 }).catch(() => {}); return [...await s.list({ start: 'x' })]`, `[]`},
		{"put undefined", `await s.put('x')`, `TypeError: storage.put: the value of "x" is undefined`},
		{"put a function", `await s.put('x', () => 1)`, `DataCloneError: storage.put: the value of "x": a function could not be cloned`},
		{"put an array", `await s.put(['x'], 1)`, `TypeError: storage.put takes a key and a value, or an object of them, not x`},
		{"put a Map", `await s.put(new Map([['x', 1]]))`, `TypeError: storage.put takes a key and a value, or an object of them, not [object Map]`},
		{"longest key", `const k = 'k'.repeat(2048); await s.put(k, 1); return await s.get(k)`, `1`},
		{"key too long", `await s.put('k'.repeat(2049), 1)`, `RangeError: storage: a key has 2049 bytes, more than 2048`},
		{"key too long in bytes", `await s.get('é'.repeat(1025))`, `RangeError: storage: a key has 2050 bytes, more than 2048`},
		{"key empty", `await s.delete('')`, `TypeError: storage: a key is empty`},
		{"key no text", `await s.get(5)`, `TypeError: storage: a key is a string, not 5`},
		{"largest value", `await s.put('x', 'v'.repeat((2 << 20) - 3)); return (await s.get('x')).length`, `2097149`},
		{"value too large", `await s.put('x', 'v'.repeat(2 << 20))`, `RangeError: storage.put: the value of "x": the value is larger than the limit of 2097151 bytes`},
		{"128 keys", `const e = {}; for (let i = 0; i < 128; i++) e['x' + i] = i; await s.put(e); return [(await s.get(Object.keys(e))).size, await s.delete(Object.keys(e))]`, `[128,128]`},
		{"129 keys put", `const e = {}; for (let i = 0; i < 129; i++) e['x' + i] = i; await s.put(e)`, `RangeError: storage: more than 128 keys in one call`},
		{"129 keys got", `await s.get(Array(129).fill('x'))`, `RangeError: storage: more than 128 keys in one call`},
		{"129 keys deleted", `await s.delete(Array(129).fill('x'))`, `RangeError: storage: more than 128 keys in one call`},
		{"delete", `return [await s.delete('a'), await s.delete('a'), await s.delete(['b', 'c', 'none']), (await s.list()).size]`, `[true,false,2,2]`},
		{"deleteAll", `await s.deleteAll(); await s.put('z', 1); return [...await s.list()]`, `[["z",1]]`},
		{"list", `return [...(await s.list()).keys()].join('')`, `"abcde"`},
		{"list reverse", `return [...(await s.list({ reverse: true, limit: 2 })).keys()].join('')`, `"ed"`},
		{"list start and end", `return [...(await s.list({ start: 'b', end: 'd' })).keys()].join('')`, `"bc"`},
		{"list startAfter", `return [...(await s.list({ startAfter: 'b', limit: 1 })).keys()].join('')`, `"c"`},
		{"list within reverse", `return [...(await s.list({ start: 'b', end: 'e', reverse: true })).keys()].join('')`, `"dcb"`},
		{"list prefix", `await s.put({ 'p:1': 1, 'p:2': 2, p: 0, q: 0, 'p;': 0 }); return [...(await s.list({ prefix: 'p:' })).keys()].join(' ')`, `"p:1 p:2"`},
		{"list in bytes", `await s.put({ 'x\uffff': 1, 'x\u{10000}': 2, xa: 0 }); return [...(await s.list({ start: 'x' })).values()].join('')`, `"012"`},
		{"list what is written", `await s.put('bb', 1); await s.delete('c'); return [...(await s.list({ limit: 4 })).keys()].join(' ')`, `"a b bb d"`},
		{"list wrong option", `await s.list({ prefx: 'a' })`, `TypeError: storage.list: unknown option "prefx"`},
		{"sync", `await s.put('x', 1); await s.sync(); return await s.get('x')`, `1`},

		{"kv", `s.kv.put('x', 7); return [s.kv.get('a'), s.kv.get('none') ?? 'nothing', s.kv.get('x'), await s.get('x'), s.kv.delete('a'), s.kv.delete('a')]`, `[1,"nothing",7,7,true,false]`},
		{"kv of many", `s.kv.put({ x: 1, y: 2 }); return [[...s.kv.get(['y', 'none', 'a'])], [...s.kv.list({ start: 'e' }).keys()].join(''), s.kv.delete(['x', 'none', 'b'])]`, `[[["a",1],["y",2]],"exy",2]`},
		{"kv throws", `try { s.kv.put('x') } catch (e) { return e.message }`, `"storage.put: the value of \"x\" is undefined"`},
		{"kv in transactionSync", `try { s.transactionSync(() => { s.kv.put('a', 10); s.kv.delete('b'); throw s.kv.get('a') }) } catch (e) { return [e, s.kv.get('a'), s.kv.get('b')] }`, `[10,1,2]`},
		{"kv, and the turn fails after all", `s.kv.put('a', 10); throw new TypeError('oh')`, `TypeError: oh`},

		{"transaction", `const got = await s.transaction(async (txn) => { await txn.put('a', 10); await txn.delete('b'); return [await txn.get('a'), await s.get('a'), (await txn.list()).size] }); return [got, await s.get('a'), (await s.list()).size]`, `[[10,1,4],10,4]`},
		{"transaction throws", `const e = await s.transaction(async (txn) => { await txn.put('a', 10); throw new Error('oh') }).catch((e) => e.message); await s.put('x', 1); return [e, await s.get('a'), await s.get('x')]`, `["oh",1,1]`},
		{"transaction throws at once", `return [await s.transaction((txn) => { txn.put('a', 10); throw new Error('oh') }).catch((e) => e.message), await s.get('a')]`, `["oh",1]`},
		{"transaction keeps what is around it", `await s.put('a', 2); await s.transaction(async (txn) => { await txn.put('a', 10); await s.put('x', 3); throw 1 }).catch(() => {}); return [await s.get('a'), await s.get('x')]`, `[2,3]`},
		{"rollback", `return [await s.transaction(async (txn) => { await txn.put('a', 10); txn.rollback(); return 'fine' }), await s.get('a')]`, `["fine",1]`},
		{"after a rollback", `await s.transaction(async (txn) => { txn.rollback(); await txn.put('a', 10) })`, `Error: storage.transaction: the transaction was rolled back`},
		{"after the end", `let kept; await s.transaction((txn) => { kept = txn }); await kept.put('a', 1)`, `Error: storage.transaction: the transaction is over`},
		{"transaction over turns", `await s.transaction(async (txn) => { await txn.put('a', 10); await sleep(1); await txn.put('b', 20 + await txn.get('a')) }); return [await s.get('a'), await s.get('b')]`, `[10,30]`},
		{"transaction fails in a later turn", `await s.transaction(async (txn) => { await txn.put('a', 10); await sleep(1); throw 1 }).catch(() => {}); return await s.get('a')`, `1`},
		{"transaction of nothing", `await s.transaction()`, `TypeError: storage.transaction takes a function`},
		{"transactionSync", `return [s.transactionSync(() => { s.put('a', 10); this.things.create({ $type: 'A' }); return 'fine' }), await s.get('a'), await this.things.count({ $type: 'A' })]`, `["fine",10,1]`},
		{"transactionSync throws", `try { s.transactionSync(() => { s.put('a', 10); this.things.create({ $type: 'A' }); s.deleteAll(); throw new Error('oh') }) } catch (e) { return [e.message, await s.get('a'), await this.things.count({ $type: 'A' }), (await s.list()).size] }`, `["oh",1,0,5]`},
		{"transactionSync within itself", `s.transactionSync(() => { s.put('a', 2); try { s.transactionSync(() => { s.put('a', 3); s.put('b', 3); throw 1 }) } catch { } }); return [await s.get('a'), await s.get('b')]`, `[2,2]`},
		{"transactionSync, async", `s.transactionSync(async () => { s.put('a', 10) })`, `TypeError: storage.transactionSync takes a function that is not async`},
		{"transaction in transactionSync", `await s.transactionSync(() => { s.transaction(async () => {}).catch((e) => s.put('x', e.message)) }); await null; return await s.get('x')`, `"storage.transaction: transactionSync is running, and will end first"`},
		{"the turn fails after all", `await s.transaction((txn) => txn.put('a', 10)); this.failed = true; throw new TypeError('oh')`, `TypeError: oh`},
	}
	var bodies strings.Builder
	for i, c := range cases {
		fmt.Fprintf(&bodies, "  async case%d(s) { %s },\n", i, c.body)
	}
	s := start(t, files{"room.js": `
import { DO } from 'dotdo'
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
export default DO.extend({
  $type: 'Room',
  onRequest() {
    this.app.get('/begin/:room', async (c) => { await this.ctx.storage.put({ a: 1, b: 2, c: 3, d: 4, e: 5 }); return c.text('') })
    this.app.get('/do/:room', async (c) => {
      try { return c.json(await this['case' + c.req.param('room')](this.ctx.storage) ?? null) } catch (e) { return c.json(e.name + ': ' + e.message) }
    })
  },
` + bodies.String() + `})`})
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s.get(fmt.Sprint("/begin/", i))
			_, got := s.get(fmt.Sprint("/do/", i))
			if want := c.want; got != want {
				if text, _ := json.Marshal(want); got != string(text) {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			}
		})
	}
}

// A list that would take all memory is an error that says how to go on.
func TestALongListNeedsALimit(t *testing.T) {
	s := start(t, files{"room.js": `
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  onRequest() {
    this.app.get('/fill/:room', async (c) => { for (let i = 0; i < 6000; i++) this.ctx.storage.put(c.req.query('k') + i, i); return c.text('') })
    this.app.get('/list/:room', async (c) => {
      try { return c.json((await this.ctx.storage.list(c.req.query('limit') ? { limit: 10 } : {})).size) } catch (e) { return c.json(e.message) }
    })
  },
})`})
	s.get("/fill/a?k=a")
	s.get("/fill/a?k=b")
	if _, got := s.get("/list/a"); got != `"storage.list: more than 10000 keys: give a limit, and go on with startAfter"` {
		t.Errorf("got %s", got)
	}
	if _, got := s.get("/list/a?limit=1"); got != "10" {
		t.Errorf("got %s", got)
	}
}
