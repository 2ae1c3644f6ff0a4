package api_test

import (
	"fmt"
	"strings"
	"testing"

	"chat.example.com.ai/runtime/script"
)

// here marks the place, right after it, that an error must point at.
const here = "/*^*/"

// positionOf returns file:line:column of the mark among the files.
func positionOf(t testing.TB, scripts files) string {
	t.Helper()
	position := ""
	for name, text := range scripts {
		before, after, found := strings.Cut(text, here)
		if !found {
			continue
		}
		if position != "" || strings.Contains(after, here) {
			t.Fatal("more than one mark")
		}
		line := before[strings.LastIndexByte(before, '\n')+1:]
		position = fmt.Sprintf("%s:%d:%d", name, strings.Count(before, "\n")+1, len(line)+len(here)+1)
	}
	return position
}

// report is a line of the log about an error of a script.
type report struct{ object, event, error string }

// reports reads the log.
func (s *system) reports() (all []report) {
	for line := range strings.Lines(s.log.String()) {
		if !strings.Contains(line, `msg="script error"`) {
			continue
		}
		var r report
		for name, to := range map[string]*string{"object=": &r.object, "event=": &r.event, "error=": &r.error} {
			_, rest, _ := strings.Cut(line, " "+name)
			if strings.HasPrefix(rest, `"`) {
				_, _ = fmt.Sscanf(rest, "%q", to)
			} else {
				*to, _, _ = strings.Cut(rest, " ")
				*to = strings.TrimSpace(*to)
			}
		}
		all = append(all, r)
	}
	return all
}

// method makes a room whose webSocketMessage does what is given.
func onMessage(body string) files {
	return files{"up.js": upgrade, "room.ts": `
import { $, DO } from 'dotdo'
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
interface Padding { so: string; that: number; lines: boolean }
export default DO.extend({
  $type: 'Room',
  async webSocketMessage(ws: WebSocket, m: string): Promise<void> {
` + body + `
  },
})`}
}

func TestEveryErrorNamesItsPlace(t *testing.T) {
	for name, c := range map[string]struct {
		body  string
		event string // webSocketMessage, if empty
		want  string // what the message contains
	}{
		"throw":                     {body: `throw /*^*/new Error('oh')`, want: "oh"},
		"throw in a nested call":    {body: `const f = () => { throw /*^*/new TypeError('oh') }; f()`, want: "TypeError: oh"},
		"text":                      {body: "  \n  /*^*/throw 'oh'", want: "oh"},
		"null":                      {body: "  \n  /*^*/throw null", want: "null"},
		"object":                    {body: "  \n  /*^*/throw { a: 1 }", want: "an object without a message"},
		"text after an await":       {body: "  await sleep(1)\n  /*^*/throw 'oh'", want: "oh"},
		"text in an arrow":          {body: "  await sleep(1)\n  const f = () => {\n   /*^*/throw 'oh' }\n f()", want: "oh"},
		"text rethrown":             {body: "  try { throw 'oh' } catch (e) { /*^*/throw e }", want: "oh"},
		"rejected with text":        {body: "  await Promise./*^*/reject('oh')", want: "oh"},
		"throw after an await":      {body: "  await sleep(1)\n  throw /*^*/new Error('oh')", want: "oh"},
		"in an awaited function":    {body: "  const f = async () => { await sleep(1)\nthrow /*^*/new Error('oh') }\n await f()", want: "oh"},
		"subclass":                  {body: "class Odd extends Error {\n constructor(m: string) {\n super(m)\n } }\n throw /*^*/new Odd('oh')", want: "oh"},
		"subclass of a subclass":    {body: "class Odd extends Error { constructor(m: string) { super(m); this.name = 'Odd' } }\nclass Odder extends Odd {}\n throw /*^*/new Odder('oh')", want: "Odd: oh"},
		"null property":             {body: "  const x: any = null\n  /*^*/x.y()", want: "TypeError"},
		"not a function":            {body: "  const x: any = {}\n  x./*^*/y()", want: "TypeError"},
		"not defined":               {body: "  /*^*/nowhere()", want: "ReferenceError"},
		"in a callback":             {body: "  [1].forEach(() => { throw /*^*/new Error('oh') })", want: "oh"},
		"built-in":                  {body: "  /*^*/new Array(-1)", want: "RangeError"},
		"JSON.parse":                {body: "  JSON./*^*/parse('{')", want: "SyntaxError"},
		"JSON.stringify":            {body: "  const a: any = {}; a.a = a\n  JSON./*^*/stringify(a)", want: "TypeError"},
		"toJSON":                    {body: "  JSON.stringify({ toJSON() { throw /*^*/new Error('oh') } })", want: "oh"},
		"getter":                    {body: "  structuredClone({ get x() { throw /*^*/new Error('oh') } })", want: "oh"},
		"argument of send":          {body: "  ws./*^*/send(Symbol('x'))", want: "TypeError"},
		"argument of close":         {body: "  ws./*^*/close(7)", want: "InvalidAccessError"},
		"argument of setTimeout":    {body: "  /*^*/setTimeout(7)", want: "setTimeout"},
		"argument of storage.put":   {body: "  await this.ctx.storage./*^*/put('', 1)", want: "key"},
		"argument of storage.list":  {body: "  await this.ctx.storage./*^*/list({ nosuch: 1 })", want: "nosuch"},
		"argument of things.create": {body: "  this.things./*^*/create({ a: 1 })", want: "$type"},
		"argument of things.list":   {body: "  await this.things./*^*/list({ nosuch: 1 })", want: "nosuch"},
		"argument of $.send":        {body: "  $./*^*/send('nosuch', 1)", want: "Noun.verb"},
		"argument of a call":        {body: "  $.User('a')./*^*/hear(() => 1)", want: "cannot be sent"},
		"unknown method":            {body: "  await $.User('a')./*^*/hear(1)", want: "hear"},
		"a call nobody awaits":      {body: "  $.User('a')./*^*/hear(1)", want: "hear", event: "unhandled rejection of a call"},
		"attachment":                {body: "  ws./*^*/serializeAttachment('x'.repeat(20000))", want: "16384"},
		"promise nobody awaits":     {body: "  Promise.resolve().then(() => { throw /*^*/new Error('oh') })", want: "oh", event: "unhandled rejection"},
		"async nobody awaits":       {body: "  const f = async () => { await sleep(1)\nthrow /*^*/new Error('oh') }\n f()", want: "oh", event: "unhandled rejection"},
		"microtask":                 {body: "  queueMicrotask(() => { throw /*^*/new Error('oh') })", want: "oh", event: "unhandled rejection"},
		"text nobody awaits":        {body: "  Promise.resolve().then(() => { /*^*/throw 'oh' })", want: "oh", event: "unhandled rejection"},
		"waitUntil":                 {body: "  this.ctx.waitUntil(sleep(1).then(() => { throw /*^*/new Error('oh') }))", want: "oh", event: "waitUntil"},
		"timer":                     {body: "  setTimeout(() => { throw /*^*/new Error('oh') }, 1)", want: "oh", event: "timer"},
		"async timer":               {body: "  setTimeout(async () => { throw /*^*/new Error('oh') }, 1)", want: "oh", event: "unhandled rejection"},
		"interval":                  {body: "  const t = setInterval(() => { clearInterval(t); throw /*^*/new Error('oh') }, 1)", want: "oh", event: "timer"},
		"empty loop":                {body: "\n  /*^*/for (;;);", want: "TimeoutError"},
		"empty while":               {body: "\n  /*^*/while (true) {}", want: "TimeoutError"},
		"empty do":                  {body: "\n  /*^*/do {} while (true)", want: "TimeoutError"},
		"empty loop in a function":  {body: "\n  const f = () => {\n /*^*/for (;;); }\n  f()", want: "TimeoutError"},
		"loop after an await":       {body: "\n  await sleep(1)\n  /*^*/for (;;);", want: "TimeoutError"},
		"loop in a job":             {body: "  Promise.resolve().then(() => {\n /*^*/for (;;); })", want: "TimeoutError"},
		"counting loop":             {body: "  let i = 0\n  for (;;)\n /*^*/i++", want: "TimeoutError"},
		"recursion":                 {body: "  const f: any = () => /*^*/f()\n  f()", want: "RangeError"},
		"limit of sends":            {body: "  const big = 'x'.repeat(1 << 19)\n  for (let i = 0; ; i++) ws./*^*/send(big + i)", want: "LimitError"},
		"limit of writes":           {body: "  for (let i = 0; ; i++) this.ctx.storage./*^*/put('k' + i, 1)", want: "LimitError"},
		"generator":                 {body: "  function* g() { throw /*^*/new Error('oh') }\n  for (const x of g()) ;", want: "oh"},
		"cause":                     {body: "  try { null.x } catch (cause) { throw /*^*/new Error('oh', { cause }) }", want: "oh"},
		"frozen error":              {body: "  throw Object.freeze(/*^*/new Error('oh'))", want: "oh"},
		"Go's view of a symbol":     {body: "  /*^*/throw Symbol('oh')", want: "oh"},
		"blockConcurrencyWhile":     {body: "  this.ctx.blockConcurrencyWhile(async () => { throw /*^*/new Error('oh') })", want: "oh"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scripts := onMessage(c.body)
			var opts []option
			if c.want == script.TimeoutError {
				opts = append(opts, turnTimeout(script.DefaultTurnTimeout/10))
			}
			s := start(t, scripts, opts...)
			s.connect("/ws/a").send("x")
			event := c.event
			if event == "" {
				event = "webSocketMessage"
			}
			s.pointsAt(scripts, "Room/a", event, c.want)
		})
	}
}

// Errors in whatever else scripts are called for. Each file is a script of its own;
// a request to /do/a, with the given query, sets it off.
func TestErrorsOfEveryEventNameTheirPlace(t *testing.T) {
	const head = "import { $, DO } from 'dotdo'\nconst sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))\n"
	room := func(members string) string {
		return head + "export default DO.extend({\n $type: 'Room',\n" + members + "})"
	}
	do := func(body string) string {
		return room("  onRequest() { this.app.get('/do/:room', async (c) => {\n" + body + "\nreturn c.text('') }) },\n")
	}
	for name, c := range map[string]struct {
		files  files
		object string // Room/a, if empty
		event  string
		want   string
	}{
		"init":                   {files{"a.js": do(""), "b.ts": head + "export default DO.extend({ init(): void {\n null./*^*/x } })"}, "", "init", "TypeError"},
		"async init":             {files{"a.js": do(""), "b.js": room("async init() { await sleep(1)\n /*^*/throw 'oh' }")}, "", "init", "oh"},
		"route":                  {files{"a.js": do("  throw /*^*/new Error('oh')")}, "", "request", "oh"},
		"text of a route":        {files{"a.js": do("  /*^*/throw 'oh'")}, "", "request", "oh"},
		"route without response": {files{"a.js": room("  onRequest() {\n this.app./*^*/get('/do/:room', (c) => {}) }")}, "", "request", "not finalized"},
		"middleware":             {files{"a.js": room("  onRequest() { this.app.use('*', async (c, next) => { throw /*^*/new Error('oh') }); this.app.get('/do/:room', (c) => c.text('')) }")}, "", "request", "oh"},
		"header injection":       {files{"a.js": do("  c./*^*/header('x', 'a\\r\\nb: c')")}, "", "request", "header"},
		"header name":            {files{"a.js": do("  /*^*/new Response('', { headers: { 'a b': 'c' } })")}, "", "request", "header"},
		"method of a call":       {files{"a.js": do("  $.User('u').m()"), "u.js": head + "export default DO.extend({ $type: 'User',\n m() { throw /*^*/new Error('oh') } })"}, "User/u", "call m", "oh"},
		"awaited method":         {files{"a.js": do("  await $.User('u').m()"), "u.js": head + "export default DO.extend({ $type: 'User',\n async m() { await sleep(1); throw /*^*/new Error('oh') } })"}, "User/u", "call", "oh"},
		"result of a call":       {files{"a.js": do("  $.User('u').m()"), "u.js": head + "export default DO.extend({ $type: 'User',\n /*^*/m() { return () => 1 } })"}, "User/u", "call m", "cannot be sent"},
		"unknown, caught":        {files{"a.js": do("  try { await $.User('u').m() } catch { throw /*^*/new Error('oh') }")}, "", "request", "oh"},
		"event handler":          {files{"a.js": do("  $.send('Note.made', 1)"), "on.ts": head + "$.on.Note.made((e: any) => {\n if (e.attempt === 1) throw /*^*/new Error('oh') })"}, "Handler/on.ts#Note.made", "event Note.made", "oh"},
		"text of a handler":      {files{"a.js": do("  $.send('Note.made', 1)"), "on.ts": head + "$.on.Note.made(async (e: any) => {\n await sleep(1); if (e.attempt === 1) { /*^*/throw 'oh' } })"}, "Handler/on.ts#Note.made", "event", "oh"},
		"call of a handler":      {files{"a.js": do("  $.send('Note.made', 1)"), "on.js": head + "$.on.Note.made(() => {\n $.User('u')./*^*/m() })", "u.js": head + "export default DO.extend({ $type: 'User', n() {} })"}, "User/u", "call User.m", "does not exist"},
		"top level of a library": {files{"a.js": "import { f } from './lib/f'\n" + do("  f()"), "lib/f.ts": "export function f(): void {\n throw /*^*/new Error('oh') }"}, "", "request", "oh"},
		"no place of its own":    {files{"a.js": room("  /*^*/onRequest() { this.app.get('/do/:room', () => Promise.any([Promise.reject(1)])) }")}, "", "request", "AggregateError"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, c.files)
			s.get("/do/a")
			if c.object == "" {
				c.object = "Room/a"
			}
			s.pointsAt(c.files, c.object, c.event, c.want)
		})
	}
}

// pointsAt waits for the one report, and checks it.
func (s *system) pointsAt(scripts files, object, event, want string) {
	s.t.Helper()
	s.eventually("an error is reported", func() bool { return s.total() > 0 })
	all := s.reports()
	if len(all) != 1 || s.total() != 1 {
		s.t.Fatalf("%d reports, counted %d, want one: %v", len(all), s.total(), all)
	}
	r := all[0]
	if p := positionOf(s.t, scripts); !strings.HasPrefix(r.error, p+": ") || !strings.Contains(r.error, want) {
		s.t.Errorf("reported %s\n    want %s: ...%s", r.error, p, want)
	}
	if r.object != object || r.event != event {
		s.t.Errorf("reported for %s, event %s, want %s, %s", r.object, r.event, object, event)
	}
}

// total is how many errors were counted.
func (s *system) total() (n int64) {
	s.errors.Range(func(kind, _ any) bool {
		n += s.errorCount(kind.(string))
		return true
	})
	return n
}
