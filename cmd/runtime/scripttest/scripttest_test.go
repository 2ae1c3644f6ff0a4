package scripttest_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"chat.example.com.ai/cmd/runtime/scripttest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The engine's clock for matches with a time-out: one for the process, which
		// ends by itself when no match has run for a while.
		goleak.IgnoreAnyFunction("github.com/dlclark/regexp2/v2.runClock"))
}

// The tests of the shipped chat.
func TestTheChat(t *testing.T) {
	var out bytes.Buffer
	counts, err := scripttest.Run(t.Context(), scripttest.Options{Folder: filepath.Join("..", "..", "..", "scripts")}, &out)
	if err != nil || counts.Failed > 0 || counts.Skipped > 0 || counts.Passed < 15 {
		t.Errorf("%+v, %v\n%s", counts, err, &out)
	}
}

// The room and the test that a reader of the README sees work as they stand.
func TestTheTestOfTheReadme(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	blocks := strings.Split(string(text), "```js\n")
	for i, name := range []string{"room.js", "room.test.js"} {
		code, _, ok := strings.Cut(blocks[i+1], "```")
		if isTest := strings.Contains(code, "dotdo/test"); !ok || isTest != (i == 1) {
			t.Fatalf("block %d of the README is not %s", i+1, name)
		}
		write(t, folder, name, code)
	}
	var out bytes.Buffer
	counts, err := scripttest.Run(t.Context(), scripttest.Options{Folder: folder}, &out)
	if err != nil || counts != (scripttest.Counts{Passed: 1}) {
		t.Errorf("%+v, %v\n%s", counts, err, &out)
	}
}

// room is what most of these tests act upon.
const room = `import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  init() { this.n = 0 },
  onRequest() {
    this.app.get('/ws/:room', (c) => {
      const [client, server] = Object.values(new WebSocketPair())
      this.ctx.acceptWebSocket(server, ['all'])
      return new Response(null, { status: 101, webSocket: client })
    })
    this.app.post('/echo/:room', async (c) => c.json({ text: await c.req.text(), type: c.req.header('Content-Type') ?? null, x: c.req.header('X-Y') ?? null }, 201))
  },
  webSocketMessage(ws, m) {
    if (m === 'loop') for (;;) {}
    if (m === 'bye') return ws.close(4001, 'gone')
    if (m === 'later') return void setTimeout(() => ws.send('late'), 60_000)
    if (m === 'log') return console.log('the room was told')
    ws.send(m)
  },
  webSocketClose(ws, code, reason) { this.broadcast('all', { code, reason }) },
  count() { return ++this.n },
  kept() { this.things.create({ $type: 'T', at: new Date() }); return this.things.count({ $type: 'T' }) },
  fails(text) { throw new RangeError(text) },
  wait(seconds) { return new Promise((resolve) => setTimeout(resolve, seconds * 1000)) },
  pass(other) { return $.Room(other).count() },
})
`

const imports = "import { test, expect, connect, call, request, clock, hibernate } from 'dotdo/test'\n"

// runFile runs one file of tests against the room.
func runFile(t *testing.T, text string, o scripttest.Options) (scripttest.Counts, string, error) {
	t.Helper()
	o.Folder = t.TempDir()
	write(t, o.Folder, "room.js", room)
	write(t, o.Folder, "a.test.js", imports+text)
	var out bytes.Buffer
	counts, err := scripttest.Run(t.Context(), o, &out)
	return counts, strings.ReplaceAll(out.String(), o.Folder+string(filepath.Separator), ""), err
}

func write(t *testing.T, folder, name, text string) {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// passing are tests that hold, by what they show.
var passing = map[string]string{
	"sockets": `
		const ws = await connect('/ws/a')
		expect(ws.readyState).toBe(1)
		ws.send('text'); ws.send({ n: 1 }); ws.send(new Uint8Array([1, 2])); ws.send('[1')
		expect(await ws.next()).toBe('text')
		expect(await ws.next()).toEqual({ n: 1 })
		expect(await ws.next()).toEqual(new Uint8Array([1, 2]).buffer)
		expect(await ws.next()).toBe('[1')
		expect(ws.frames).toHaveLength(4)
		ws.send('one'); ws.send('two'); ws.send('three')
		expect(await ws.nextWhere((frame) => frame === 'two')).toBe('two')
		expect(await ws.next()).toBe('three')`,
	"the ends of sockets": `
		const a = await connect('/ws/a'), b = await connect('/ws/a')
		a.close(4000, 'enough')
		expect(a.readyState).toBe(2)
		expect(await a.closed()).toEqual({ code: 4000, reason: 'enough' })
		expect(a.readyState).toBe(3)
		expect(() => a.send('x')).toThrow('closed')
		expect(await b.next()).toEqual({ code: 4000, reason: 'enough' })
		b.send('bye')
		expect(await b.closed()).toEqual({ code: 4001, reason: 'gone' })
		await expect(b.next()).rejects.toThrow(/closed with 4001 "gone"/)`,
	"requests": `
		const r = await request('POST', '/echo/a', { body: { a: 1 }, headers: { 'X-Y': 'z' } })
		expect(r.status).toBe(201)
		expect(r.headers.get('content-type')).toMatch(/json/)
		expect(await r.json()).toEqual({ text: '{"a":1}', type: 'application/json', x: 'z' })
		expect(await (await request('POST', '/echo/a', { body: 'plain' })).json()).toEqual({ text: 'plain', type: null, x: null })
		expect((await request('GET', '/nowhere')).status).toBe(404)`,
	"calls": `
		expect(await call.Room('a').count()).toBe(1)
		expect(await call('Room', 'a').count()).toBe(2)
		expect(await call.Room('b').pass('a')).toBe(3)
		expect(await Promise.all([call.Room('a').count(), call.Room('a').count()])).toEqual([4, 5])
		await expect(call.Room('a').fails('on purpose')).rejects.toThrow('on purpose')
		await expect(call.Room('a').fails('on purpose')).rejects.toMatchObject({ name: 'RangeError' })`,
	"the clock stands, and moves as far as it is told": `
		const start = clock.now()
		expect(new Date(start).toISOString()).toBe('2000-01-01T00:00:00.000Z')
		await call.Room('a').count()
		expect(clock.now()).toBe(start)
		await clock.advance('1h30m')
		await clock.advance(500)
		await clock.advance('2d')
		expect(clock.now() - start).toBe(90 * 60_000 + 500 + 2 * 24 * 3600_000)
		const ws = await connect('/ws/a')
		ws.send('later')
		await clock.advance('59s')
		expect(ws.frames).toEqual([])
		await clock.advance('1s')
		expect(ws.frames).toEqual(['late'])
		await clock.advance('10d')
		ws.send('still here')
		expect(await ws.nextWhere('still here')).toBe('still here')`,
	"what is waited for comes without being told to": `
		const before = clock.now()
		await call.Room('a').wait(20)
		expect(clock.now() - before).toBe(20_000)
		let fired = false
		setTimeout(() => { fired = true }, 1000)
		await clock.advance(1000)
		expect(fired).toBe(true)`,
	"objects hibernate when they are told to, and by themselves": `
		await call.Room('a').count(); await call.Room('b').count()
		await hibernate('Room/a')
		expect(await call.Room('a').count()).toBe(1)
		expect(await call.Room('b').count()).toBe(2)
		await hibernate()
		expect(await call.Room('a').count()).toBe(1)
		expect(await call.Room('b').count()).toBe(1)
		await clock.advance('9s')
		expect(await call.Room('a').count()).toBe(2)
		await clock.advance('11s')
		expect(await call.Room('a').count()).toBe(1)
		await hibernate('Room/never-awake')`,
	"what is stored stays over hibernation, sockets too": `
		const ws = await connect('/ws/a')
		expect(await call.Room('a').kept()).toBe(1)
		await hibernate('Room/a')
		expect(await call.Room('a').kept()).toBe(2)
		ws.send('still here')
		expect(await ws.next()).toBe('still here')`,
	"expect": `
		expect({ a: [1, { b: new Date(5) }], u: undefined }).toEqual({ a: [1, { b: new Date(5) }] })
		expect({ a: 1, b: { c: 2, d: 3 } }).toMatchObject({ b: { c: 2 } })
		expect(new Map([['a', [1]]])).toEqual(new Map([['a', [1]]]))
		expect([{ a: 1 }]).toContain({ a: 1 }); expect('hello').toContain('ell')
		expect(1).not.toBe(2); expect({}).not.toEqual([]); expect([1]).not.toContain(2); expect(0).not.toBe(-0)
		expect({ id: 'x', n: 3, on: new Date() }).toEqual({ id: expect.any(String), n: expect.any(Number), on: expect.any(Date) })
		expect({ a: 0 }).toEqual({ a: expect.anything() })
		expect(() => { throw new TypeError('no') }).toThrow(TypeError)
		expect(() => {}).not.toThrow()
		await expect(Promise.resolve(7)).resolves.toBe(7)
		await expect(Promise.reject(new Error('no'))).rejects.not.toThrow('yes')
		expect(() => expect(Promise.resolve(1)).toBe(1)).toThrow('await it first')
		expect(() => expect(call.Room('a').count()).toBe(1)).toThrow('await it first')`,
}

func TestWhatTestsCanDo(t *testing.T) {
	for name, body := range passing {
		t.Run(name, func(t *testing.T) {
			counts, out, err := runFile(t, "test('it', async () => {"+body+"\n})", scripttest.Options{})
			if err != nil || counts != (scripttest.Counts{Passed: 1}) {
				t.Errorf("%+v, %v\n%s", counts, err, out)
			}
		})
	}
}

// Each test has a store, objects and a clock of its own.
func TestTestsKnowNothingOfEachOther(t *testing.T) {
	counts, out, err := runFile(t, strings.Repeat(`
test('it', async () => {
  expect(await call.Room('a').count()).toBe(1)
  expect(await call.Room('a').kept()).toBe(1)
  expect(clock.now()).toBe(Date.UTC(2000, 0, 1))
  await clock.advance('1h')
  globalThis.left = (globalThis.left ?? 0) + 1
  expect(globalThis.left).toBe(1)
})`, 3), scripttest.Options{})
	if err != nil || counts != (scripttest.Counts{Passed: 3}) {
		t.Errorf("%+v, %v\n%s", counts, err, out)
	}
}

// failing are tests that don't hold: their body, from line 3 of the file, and what
// is said of them.
var failing = map[string]struct {
	body string
	want []string
}{
	"a value": {"expect(await call.Room('a').count()).toBe(2)", []string{
		"expect(…).toBe(…)", "expected: 2", "received: 1", "a.test.js:3:38", "    3 | expect(await", "|" + strings.Repeat(" ", 38) + "^"}},
	"an object": {"expect({ a: 1, b: [2], d: 4 }).toEqual({ a: 1, b: [3], d: 4 })", []string{
		"- expected", "+ received", "    a: 1,", "-     3,", "+     2,", "    d: 4,"}},
	"part of an object": {"expect({ a: 1, b: 2 }).toMatchObject({ a: 2 })", []string{"-   a: 2,", "+   a: 1,"}},
	"no frame": {"const ws = await connect('/ws/a')\nws.send('one'); await ws.next()\nws.send({ a: [1, 2], b: 'two' })\nawait ws.nextWhere({ type: 'x' })", []string{
		`/ws/a: a frame with { type: "x" } did not come within 5 s`, `    "one"`, `  * { a: [ 1, 2 ], b: "two" }`, "a.test.js:6:10"}},
	"a promise for ever": {"await new Promise(() => {})", []string{"awaits a promise that nothing will settle", "a.test.js:2:2"}},
	"a loop":             {"await clock.advance(1)\nfor (;;) {}", []string{"TimeoutError: the turn ran longer than 1s", "a.test.js:"}},
	"a loop in an object": {"const ws = await connect('/ws/a')\nws.send('loop')\nawait ws.next()", []string{
		"the turn ran longer than 1s", "room.js:14", "object=Room/a"}},
	"an expectation that is not awaited": {"expect(Promise.resolve(1)).rejects.toThrow()", []string{"unhandled rejection", "it was fulfilled with 1", "a.test.js:3:"}},
	"a call that is not awaited":         {"call.Room('a').fails('on purpose')", []string{"RangeError", "on purpose", "room.js:23:", "at a.test.js:3:"}},
	"a frame that is not awaited":        {"const ws = await connect('/ws/a')\nws.next()", []string{"did not come within 5 s", "nothing has come", "a.test.js:4:"}},
	"a throw in a timer":                 {"setTimeout(() => { throw new Error('late') }, 10)\nawait clock.advance(20)", []string{"late", "a.test.js:3:"}},
	"what an object throws": {"await call.Room('a').fails('on purpose')", []string{
		"RangeError: on purpose", "room.js:23:", "fails(text) { throw", "at a.test.js:3:", "log:", `msg="script error" object=Room/a`}},
	"a method that is not there": {"await call.Room('a').nothing()", []string{"Room.nothing does not exist", "a.test.js:3:"}},
	"a route that is not there":  {"await connect('/nowhere')", []string{"connect /nowhere: the answer was 404", "a.test.js:3:"}},
	"something that pins":        {"const ws = await connect('/ws/a'); ws.send('later')\nawait hibernate('Room/a')", []string{"Room/a has something to do", "a.test.js:4:"}},
	"a time that is none":        {"await clock.advance('soon')", []string{`clock.advance("soon")`, "a.test.js:3:"}},
	"what was logged":            {"const ws = await connect('/ws/a'); ws.send('log'); await clock.advance(1); throw new Error('x')", []string{"the room was told", "at=room.js:17:"}},
	"an event of a test":         {"const { $ } = require('dotdo'); $.send('A.b', 1)", []string{"a.test.js:3:"}},
}

func TestHowTestsFail(t *testing.T) {
	for name, f := range failing {
		t.Run(name, func(t *testing.T) {
			counts, out, err := runFile(t, "test('it', async () => {\n"+f.body+"\n})", scripttest.Options{})
			if err != nil || counts != (scripttest.Counts{Failed: 1}) {
				t.Fatalf("%+v, %v\n%s", counts, err, out)
			}
			for _, want := range f.want {
				if !strings.Contains(out, want) {
					t.Errorf("it doesn't say %q:\n%s", want, out)
				}
			}
		})
	}
}

// The time-out of regular expressions is one for the process, so this test has that
// of all others.
func TestARegularExpressionWithoutEnd(t *testing.T) {
	counts, out, err := runFile(t, `test('it', async () => {
  const text = 'a'.repeat(40) + 'b'
  await clock.advance(1)
  expect(/^(?=a)(a+)+$/.test(text)).toBe(false)
})`, scripttest.Options{})
	if err != nil || counts != (scripttest.Counts{Failed: 1}) || !strings.Contains(out, "the turn ran longer than 1s") {
		t.Errorf("%+v, %v\n%s", counts, err, out)
	}
}

// A test that moves its clock for ever is ended, and the next one runs.
func TestATestThatTakesTooLong(t *testing.T) {
	counts, out, err := runFile(t, `
test('ever', async () => { for (;;) await clock.advance('1d') })
test('next', async () => {})`, scripttest.Options{Timeout: 300 * time.Millisecond})
	if err != nil || counts != (scripttest.Counts{Passed: 1, Failed: 1}) || !strings.Contains(out, "too long") {
		t.Errorf("%+v, %v\n%s", counts, err, out)
	}
}

// A log without end is cut, and its test goes on.
func TestALongLog(t *testing.T) {
	counts, out, err := runFile(t, `test('it', async () => { for (let i = 0; i < 3000; i++) console.log('line', i, 'x'.repeat(50)) })`, scripttest.Options{})
	if err != nil || counts != (scripttest.Counts{Passed: 1}) || len(out) > 100_000 || !strings.Contains(out, "… and more") {
		t.Errorf("%+v, %v, %d bytes", counts, err, len(out))
	}
}

// Whoever runs the tests can stop them.
func TestTestsAreStopped(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, "room.js", room)
	write(t, folder, "a.test.js", imports+"test('one', () => {})\ntest('two', () => {})")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	counts, err := scripttest.Run(ctx, scripttest.Options{Folder: folder}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "stopped") || counts.Passed > 1 {
		t.Errorf("%+v, %v", counts, err)
	}
}

func TestWhichTestsRun(t *testing.T) {
	const three = "test('one', () => {})\ntest('two', () => {})\ntest.skip('three', () => {})\n"
	for _, c := range []struct {
		name, text string
		o          scripttest.Options
		want       scripttest.Counts
	}{
		{"all", three, scripttest.Options{}, scripttest.Counts{Passed: 2, Skipped: 1}},
		{"by name", three, scripttest.Options{Run: regexp.MustCompile("^t")}, scripttest.Counts{Passed: 1, Skipped: 1}},
		{"only", three + "test.only('four', () => {})", scripttest.Options{}, scripttest.Counts{Passed: 1, Skipped: 3}},
	} {
		counts, out, err := runFile(t, c.text, c.o)
		if err != nil || counts != c.want {
			t.Errorf("%s: %+v, %v\n%s", c.name, counts, err, out)
		}
	}
	if _, _, err := runFile(t, three, scripttest.Options{Run: regexp.MustCompile("nothing")}); err == nil {
		t.Error("no test ran, and nobody is told")
	}
}

// Files are found below the folder, in TypeScript too, and one that doesn't load
// fails alone.
func TestFilesOfTests(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, "room.js", room)
	write(t, folder, "deep/b.test.ts", imports+"test('typed', async () => { const n: number = await call.Room('a').count(); expect(n).toBe(1) })")
	write(t, folder, "bad.test.js", "import { test } from 'dotdo/test'\ntest('x', () => {")
	write(t, folder, "top.test.js", "\nthrow new Error('at the top')")
	write(t, folder, "none.test.js", "")
	write(t, folder, "lib/c.test.js", "never read")
	write(t, folder, "_d.test.js", "never read")
	var out bytes.Buffer
	counts, err := scripttest.Run(t.Context(), scripttest.Options{Folder: folder}, &out)
	if err != nil || counts != (scripttest.Counts{Passed: 1, Failed: 3}) {
		t.Errorf("%+v, %v\n%s", counts, err, &out)
	}
	for _, want := range []string{"bad.test.js:2:", "top.test.js:2:", "at the top", "none.test.js  has no tests"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it doesn't say %q:\n%s", want, &out)
		}
	}
	for _, files := range [][]string{{filepath.Join(folder, "deep")}, {filepath.Join(folder, "deep", "b.test.ts")}, {"deep/b.test.ts"}} {
		if counts, err := scripttest.Run(t.Context(), scripttest.Options{Folder: folder, Files: files}, &out); err != nil || counts != (scripttest.Counts{Passed: 1}) {
			t.Errorf("%v: %+v, %v", files, counts, err)
		}
	}
	for _, name := range []string{"room.js", "missing.test.js", "../x.test.js"} {
		_, err := scripttest.Run(t.Context(), scripttest.Options{Folder: folder, Files: []string{filepath.Join(folder, name)}}, &out)
		if err == nil || !strings.Contains(err.Error(), "no tests there") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
