package api_test

import (
	"strings"
	"testing"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

// What goes wrong in one handler must cost others nothing, and whoever waits must
// hear of it.

const notes = `
import { $, DO } from 'dotdo'
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
export default DO.extend({
  $type: 'Room',
  init() { if (this.ctx.id.name === 'broken') throw new Error('broken') },
  onRequest() {
    this.app.get('/ws/:room', (c) => {
      const pair = new WebSocketPair()
      this.ctx.acceptWebSocket(pair[1], ['all'])
      if (c.req.query('fail')) throw new Error('after accepting')
      return new Response(null, { status: 101, webSocket: pair[0] })
    })
    this.app.get('/list/:room', async (c) => c.json((await this.things.list({ $type: 'Note' })).map((note) => note.$id)))
    this.app.get('/hang/:room', (c) => { Array.prototype.indexOf.call({ length: 2e7 }, 1); return c.text('ok') })
    this.app.get('/put/:room', async (c) => { await this.ctx.storage.put('a', 1); return c.text('ok') })
  },
  async webSocketMessage(ws, m) {
    if (m === 'loop') for (;;);
    if (m === 'wait') await sleep(60_000)
    if (m.startsWith('leak')) {
      $.Room('other').hear(sleep(1).then(() => 'leaked'))
      for (const end = Date.now() + Number(m.slice(5)); Date.now() < end;);
      throw new Error('x')
    }
    if (m === 'heard') { await $.Room('other').hear('heard'); return }
    if (m === 'inc') { const n = (await this.ctx.storage.get('n') ?? 0) + 1; await this.ctx.storage.put('n', n); ws.send('n=' + n); return }
    if (m === 'sockets') { await this.ctx.storage.put('x', 1); ws.send('sockets=' + this.ctx.getWebSockets().length); return }
    if (m.startsWith('later')) await sleep(1)
    this.things.create({ $type: 'Note', $id: m })
    ws.send('ok ' + m)
  },
  hear(text) { this.broadcast('all', text) },
})`

// turned waits until n more turns have run than when it was made.
func (s *system) turned() func(n int64) {
	before := s.node.Stats().Turns.Load()
	return func(n int64) {
		s.t.Helper()
		s.eventually("turns have run", func() bool { return s.node.Stats().Turns.Load() >= before+n })
	}
}

// steal has somebody else take an $id in an object's rows.
func (s *system) steal(room, id string) {
	v := s.store.View(key.Key{Type: "Room", ID: room}, s.store.Epoch())
	v.Write(store.PutThing{Thing: store.Thing{ID: id, Type: "Note", Fields: []byte("{}")}, Insert: true})
	s.store.Commit(v.Seal(), func(error) {})
}

func TestAFreshVMSeesWhatStillWaitsForTheDisk(t *testing.T) {
	s := start(t, files{"room.js": notes}, turnTimeout(300*time.Millisecond))
	a, b, c := s.connect("/ws/a"), s.connect("/ws/a"), s.connect("/ws/a")
	turned := s.turned()
	release := s.holdCommits()
	a.send("inc")
	turned(1)
	b.send("loop") // costs the VM
	turned(2)
	c.send("inc")
	release()
	a.want("n=1")
	c.want("n=2")
}

func TestALostTurnDoesNotReachTheNextVM(t *testing.T) {
	s := start(t, files{"room.js": notes}, turnTimeout(300*time.Millisecond))
	fine, a, b, c := s.connect("/ws/fine"), s.connect("/ws/a"), s.connect("/ws/a"), s.connect("/ws/a")
	turned := s.turned()
	release := s.holdCommits()
	fine.send("held")
	turned(1)
	s.steal("a", "n")
	a.send("n") // its commit will fail
	turned(2)
	b.send("loop")
	turned(3)
	c.send("m")
	release()
	if code := a.closeCode(); code != 1013 {
		t.Errorf("closed with %d, want 1013", code)
	}
	c.want("ok m")
}

func TestAMessageThatIsLostInItsSecondTurnIsTold(t *testing.T) {
	s := start(t, files{"room.js": notes}, turnTimeout(300*time.Millisecond))
	t.Run("its commit fails", func(t *testing.T) {
		fine, a := s.connect("/ws/fine"), s.connect("/ws/a")
		turned := s.turned()
		release := s.holdCommits()
		fine.send("held")
		turned(1)
		s.steal("a", "later1")
		a.send("later1")
		turned(3)
		release()
		if code := a.closeCode(); code != 1013 {
			t.Errorf("closed with %d, want 1013", code)
		}
	})
	t.Run("the VM goes", func(t *testing.T) {
		a, b := s.connect("/ws/b"), s.connect("/ws/b")
		turned := s.turned()
		a.send("wait")
		turned(1)
		b.send("loop")
		if code := a.closeCode(); code != 1013 {
			t.Errorf("closed with %d, want 1013", code)
		}
		b.send("after") // whose own message it was stays
		b.want("ok after")
	})
}

func TestAnInitThatFailsLeavesTheSocketsOpen(t *testing.T) {
	s := start(t, files{"room.js": `
import { DO } from 'dotdo'
export default DO.extend({
  async init() { if (await this.ctx.storage.get('broken')) throw new Error('broken') },
  onRequest() {
    this.app.get('/ws/:room', (c) => {
      const pair = new WebSocketPair()
      this.ctx.acceptWebSocket(pair[1])
      return new Response(null, { status: 101, webSocket: pair[0] })
    })
  },
  async webSocketMessage(ws, m) { await this.ctx.storage.put('broken', true); ws.send(m) },
})`}, hibernateAfter(time.Millisecond))
	ws := s.connect("/ws/a")
	ws.send("x")
	ws.want("x")
	s.eventually("it hibernates", func() bool { return s.node.Stats().Awake.Load() == 0 })
	for i := range int64(2) {
		ws.send("lost") // each message tries again
		s.eventually("init has failed", func() bool { return s.errorCount("init") == i+1 })
	}
	select {
	case err := <-ws.closed:
		t.Errorf("the socket was closed: %v", err)
	default:
	}
}

func TestARolledBackSocketIsSeenByNobody(t *testing.T) {
	s := start(t, files{"room.js": notes})
	a := s.connect("/ws/a")
	turned := s.turned()
	release := s.holdCommits()
	a.send("inc")
	turned(1)
	failed := make(chan int, 1)
	go func() {
		status, _ := s.get("/ws/a?fail=1")
		failed <- status
	}()
	turned(2)
	a.send("sockets")
	release()
	a.want("n=1")
	a.want("sockets=1")
	if status := <-failed; status != 500 {
		t.Errorf("status %d", status)
	}
}

func TestADeferredCallGoesDownWithItsTurn(t *testing.T) {
	s := start(t, files{"room.js": notes})
	other, a := s.connect("/ws/other"), s.connect("/ws/a")
	// What it waits for comes after the turn, or has come before the turn has failed.
	for _, ms := range []string{"0", "100"} {
		turned := s.turned()
		a.send("leak " + ms)
		turned(2)
		a.send("heard")
		other.want("heard")
		other.silent()
	}
}

func TestAStuckBuiltInIsToldToAll(t *testing.T) {
	s := start(t, files{"room.js": notes}, turnTimeout(200*time.Millisecond))
	other, hung := s.connect("/ws/other"), int64(0)
	quickly(t, time.Second, func() time.Duration {
		ws := s.connect("/ws/a")
		release := s.holdCommits()
		turned := s.turned()
		status := make(chan int, 2)
		get := func(path string) {
			code, _ := s.get(path)
			status <- code
		}
		go get("/put/a")
		turned(1)
		began := time.Now()
		go get("/hang/a")
		for range 2 {
			if code := <-status; code != 503 {
				t.Errorf("status %d, want 503", code)
			}
		}
		if code := ws.closeCode(); code != 1011 {
			t.Errorf("closed with %d, want 1011", code)
		}
		took := time.Since(began)
		release()
		other.send("x")
		other.want("ok x")
		if hung++; s.node.Stats().Hung.Load() != hung {
			t.Errorf("%d turns hung, want %d", s.node.Stats().Hung.Load(), hung)
		}
		s.eventually("the object is back", func() bool { code, _ := s.get("/put/a"); return code == 200 })
		return took
	})
}

func TestWhatOneCallDoesWrongCostsTheOthersNothing(t *testing.T) {
	s := start(t, files{"room.js": `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  onRequest() {
    const route = (path, f) => this.app.get(path + '/:room', async (c) => { try { return c.json(await f(c)) } catch (e) { return c.json(e.message) } })
    route('/wait', () => $.Room('mid').wait())
    this.app.get('/open/:room', (c) => {
      if (!this.box) return c.text('not yet')
      const a = $.User('u').one(), b = $.User('u').two()
      this.box({ s: b })
      return c.text('ok')
    })
    route('/unsendable', () => $.User('u').echo(Promise.resolve(() => 1)))
    route('/cycle', () => $.User('u').cycle())
    this.app.get('/go/:room', (c) => { $.send('Note.made', 1); return c.text('') })
  },
  wait() { return new Promise((resolve) => { this.box = resolve }).then(({ s }) => $.User('u').echo(s)) },
})`, "user.js": `
import { DO } from 'dotdo'
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
export default DO.extend({
  $type: 'User',
  one() { return 1 }, two() { return 2 }, echo(x) { return x },
  async cycle() { const c = {}; c.c = c; await sleep(1); return c },
  async slow() { await sleep(20); await this.ctx.storage.put('slow', (await this.ctx.storage.get('slow') ?? 0) + 1) },
  onRequest() { this.app.get('/slow/:user', async (c) => c.json(await this.ctx.storage.get('slow') ?? 0)) },
})`, "on.js": `
import { $ } from 'dotdo'
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
$.on.Note.made(() => { $.User('a').slow(); $.User('a').nosuch() })
$.on.Note.made(() => { [1].forEach(async () => { await sleep(1); $.User('b').slow() }) })
$.on.Note.made(async (e) => { if (e.attempt > 1) return; $.User('c').slow(); await sleep(1); throw new Error('x') })
`}, hibernateAfter(20*time.Millisecond))
	waited := make(chan string, 1)
	go func() { _, body := s.get("/wait/first"); waited <- body }()
	s.eventually("it waits", func() bool { _, body := s.get("/open/mid"); return body == "ok" })
	if body := <-waited; body != "2" {
		t.Errorf("the result of a call in another trip: %s", body)
	}
	if _, body := s.get("/unsendable/r"); !strings.Contains(body, "cannot be sent") {
		t.Errorf("an argument that cannot be sent: %s", body)
	}
	if _, body := s.get("/cycle/r"); !strings.Contains(body, "contains itself") {
		t.Errorf("a result that cannot be sent: %s", body)
	}
	s.get("/go/r")
	for _, user := range []string{"a", "b"} {
		s.eventually("the call has taken effect", func() bool { _, body := s.get("/slow/" + user); return body == "1" })
	}
	s.eventually("nothing pins a VM", func() bool { return s.node.Stats().Awake.Load() == 0 })
	if _, body := s.get("/slow/c"); body != "0" {
		t.Errorf("a call of a handler that failed took effect %s times", body)
	}
	letters, err := s.store.FindLetters(t.Context(), store.LetterQuery{Limit: 10})
	if err != nil || len(letters) != 1 || letters[0].Type != "User.nosuch" {
		t.Errorf("dead letters %+v, %v", letters, err)
	}
}

// An alarm that hangs in what cannot be interrupted is not tried for ever: it is to
// blame for its object being out of service.
func TestAnAlarmThatHangsIsCounted(t *testing.T) {
	s := start(t, files{"room.js": `
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  onRequest() {
    this.app.get('/set/:room', async (c) => { await this.ctx.storage.setAlarm(Date.now()); return c.text('set') })
    this.app.get('/rang/:room', async (c) => c.json(await this.ctx.storage.get('rang') ?? null))
  },
  async alarm(info) {
    if (!info.isRetry) Array.prototype.indexOf.call({ length: 2e7 }, 1)
    await this.ctx.storage.put('rang', info.retryCount)
  },
})`}, turnTimeout(200*time.Millisecond))
	if status, body := s.get("/set/a"); status != 200 {
		t.Fatal(status, body)
	}
	s.eventually("it is tried again", func() bool { _, body := s.get("/rang/a"); return body == "1" })
	if hung := s.metric("chat_turns_hung_total"); hung != 1 {
		t.Errorf("%v turns hung", hung)
	}
	if fired, failed := s.metric("chat_alarms_total"), s.metric("chat_alarms_failed_total"); fired < 2 || failed < 1 {
		t.Errorf("%v alarms fired, %v failed", fired, failed)
	}
}
