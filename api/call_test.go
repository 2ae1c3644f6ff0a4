package api_test

import (
	"fmt"
	"strings"
	"testing"

	"chat.example.com.ai/store"
)

const callers = `
import { $, DO } from 'dotdo'
export default DO.extend({
  onRequest() {
    const route = (path, f) => this.app.get(path, async (c) => {
      try {
        return c.json(await f(c))
      } catch (e) {
        return c.json({ name: e.name, message: e.message, position: e.position, type: e instanceof TypeError })
      }
    })
    route('/name/:room', async () => ({ name: await $.User('ann').getProfile().name }))
    route('/field/:room', async () => ({ name: await $.User('ann').profile.name }))
    route('/whole/:room', async () => await $.User('ann').getProfile())
    route('/arguments/:room', async () => {
      const user = $.User('ann')
      const friend = user.getProfile().friend
      return await user.greet(friend, user.getProfile().name)
    })
    route('/elsewhere/:room', async () => await $.User('bob').greet($.User('ann').getProfile().name, 'x'))
    route('/mixed/:room', async () => {
      const a = $.User('ann').add(1, 2), b = $.User('bob').add(10, 20)
      const c = b.then(() => $.User('ann').add(100, 100))
      return [await a, await b, await c, await $.User('ann').add(a, b), await $.User('ann').add($.User('ann').add(1, 1), $.User('bob').add(2, 2))]
    })
    route('/forgot/:room', async () => await $.User('ann').echo)
    route('/toolarge/:room', async () => await $.User('ann').large())
    route('/kept/:room', async () => {
      await $.User('ann').set('kept')
      try { await $.User('ann').nothing() } catch { }
      return await $.User('ann').get()
    })
    this.app.get('/unaccepted/:room', () => new Response(null, { status: 101, webSocket: new WebSocketPair()[0] }))
    this.app.get('/accepted/:room', () => {
      const pair = new WebSocketPair()
      this.ctx.acceptWebSocket(pair[1])
      return new Response(null, { status: 101, webSocket: pair[1] })
    })
    route('/fails/:room', async () => await $.User('ann').fails())
    route('/missing/:room', async () => await $.User('ann').nothing())
    route('/hidden/:room', async (c) => await $.User('ann')[c.req.query('name')]())
    route('/notmethod/:room', async () => await $.User('ann').getProfile().name())
    route('/noun/:room', async () => await $.Nobody('x').anything())
    route('/circle/:room', async () => await $.User('a').circle(6))
    route('/deep/:room', async () => await $.User('a').circle(60))
    route('/all/:room', async () => (await Promise.all([1, 2, 3].map(i => $.User('ann').echo(i)))))
    route('/self/:room', async () => await $.Room(this.ctx.id.name).own())
    route('/dates/:room', async () => {
      const d = await $.User('ann').echo({ at: new Date(0), map: new Map([['k', 1n]]), u: undefined })
      return [d.at instanceof Date, d.at.getTime(), d.map.get('k') === 1n]
    })
  },
  own() { return 'own' },
})
`

const user = `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'User',
  get profile() { return { name: 'Ann' } },
  _private() { return 'private' },
  init() { this.hidden = 'set by init' },
  getProfile() { return { name: 'Ann', friend: 'Zoe' } },
  greet(a, b) { return a + ' and ' + b },
  echo(v) { return v },
  add(a, b) { return a + b },
  large() { return 'x'.repeat(3 << 20) },
  set(v) { this.value = v },
  get() { return this.value },
  async fails() {
    await null
    throw new RangeError('too far')
  },
  async circle(n) { return n === 0 ? 'done' : await $.User(this.ctx.id.name === 'a' ? 'b' : 'a').circle(n - 1) },
})
`

func TestCalls(t *testing.T) {
	s := start(t, files{"room.js": callers, "user.js": user})
	for _, test := range []struct {
		path, want string
		trips      float64 // 0: not checked
	}{
		{"/name/r", `{"name":"Ann"}`, 1},
		{"/field/r", `{"name":"Ann"}`, 1},
		{"/whole/r", `{"name":"Ann","friend":"Zoe"}`, 1},
		{"/arguments/r", `"Zoe and Ann"`, 1},
		{"/elsewhere/r", `"Ann and x"`, 2},
		{"/all/r", `[1,2,3]`, 1},
		{"/fails/r", `{"name":"RangeError","message":"too far","position":"user.js:17:11","type":false}`, 1},
		{"/missing/r", `{"name":"TypeError","message":"User.nothing does not exist: no part of User defines nothing","position":"room.js:40:61","type":true}`, 1},
		{"/hidden/r?name=_private", `{"name":"TypeError","message":"User._private does not exist: no part of User defines _private","position":"room.js:41:80","type":true}`, 1},
		{"/hidden/r?name=init", `{"name":"TypeError","message":"User.init does not exist: no part of User defines init","position":"room.js:41:80","type":true}`, 1},
		{"/hidden/r?name=ctx", `{"name":"TypeError","message":"User.ctx does not exist: no part of User defines ctx","position":"room.js:41:80","type":true}`, 1},
		{"/hidden/r?name=hidden", `{"name":"TypeError","message":"User.hidden does not exist: no part of User defines hidden","position":"room.js:41:80","type":true}`, 1},
		{"/hidden/r?name=isPrototypeOf", `{"name":"TypeError","message":"User.isPrototypeOf does not exist: no part of User defines isPrototypeOf","position":"room.js:41:80","type":true}`, 1},
		{"/notmethod/r", `{"name":"TypeError","message":"User: the result of a call is data: it has no methods","type":true}`, 0},
		{"/noun/r", `{"name":"TypeError","message":"Nobody.anything does not exist: no part of Nobody defines anything","position":"room.js:43:58","type":true}`, 1},
		{"/mixed/r", `[3,30,200,33,6]`, 0},
		{"/forgot/r", `{"name":"DataCloneError","message":"the result of echo cannot be sent: the function echo could not be cloned","position":"user.js:10:3","type":false}`, 1},
		{"/toolarge/r", `{"name":"RangeError","message":"the result of large cannot be sent: the value is larger than the limit of 2097152 bytes","position":"user.js:12:3","type":false}`, 1},
		{"/kept/r", `"kept"`, 3}, // an unknown method costs its object nothing
		{"/circle/r", `"done"`, 7},
		{"/self/r", `"own"`, 1},
		{"/dates/r", `[true,0,true]`, 1},
	} {
		t.Run(test.path, func(t *testing.T) {
			before := s.metric("chat_round_trips_total")
			status, body := s.get(test.path)
			if status != 200 || body != test.want {
				t.Errorf("%d %s\nwant %s", status, body, test.want)
			}
			if trips := s.metric("chat_round_trips_total") - before; test.trips != 0 && trips != test.trips {
				t.Errorf("%v round trips, want %v", trips, test.trips)
			}
		})
	}
	for _, path := range []string{"/unaccepted/r", "/accepted/r"} {
		if status, body := s.get(path); status != 500 || body != "{\"error\":\"Internal Server Error\"}\n" {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if _, body := s.get("/deep/r"); !strings.Contains(body, "32 hops") {
		t.Errorf("a call chain without end gave %s", body)
	}
}

func TestAPromiseOfACallCanStartAnother(t *testing.T) {
	s := start(t, files{"user.js": user, "room.js": `
import { $, DO } from 'dotdo'
export default DO.extend({
  onRequest() {
    this.app.get('/later/:room', async (c) => {
      const p = $.User('ann').getProfile()
      await $.User('bob').echo(1)
      return c.json([await p.name, await p.friend, (await p).name])
    })
  },
})`})
	if _, body := s.get("/later/r"); body != `["Ann","Zoe","Ann"]` {
		t.Error(body)
	}
}

func TestEventsReachTheirHandlers(t *testing.T) {
	s := start(t, files{"up.js": upgrade, "room.js": `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  webSocketMessage(ws, m) { $.send('Note.made', { n: m, at: new Date(5) }) },
  hear(text) { this.broadcast('all', text) },
})
let seen = 0
$.on.Note.made((e) => { seen++; $.Room('one').hear(['exact', seen, e.type, e.source, e.data.n, e.data.at.getTime(), e.attempt, typeof e.id, e.timestamp instanceof Date].join()) })
$.on['*'].made((e) => { $.Room('one').hear('any noun') })
$.on.Note['*']((e) => { $.Room('one').hear('any verb') })
$.on.Other.made((e) => { $.Room('one').hear('never') })
`})
	ws := s.connect("/ws/one")
	for i := 1; i <= 2; i++ {
		ws.send(fmt.Sprint("n", i))
		got := map[string]bool{}
		for range 3 {
			got[ws.next()] = true
		}
		for _, want := range []string{fmt.Sprintf("exact,%d,Note.made,Room/one,n%d,5,1,string,true", i, i), "any noun", "any verb"} {
			if !got[want] {
				t.Errorf("not received: %s; got %v", want, got)
			}
		}
	}
	ws.silent()
}

func TestAFailingHandlerBecomesADeadLetterAndTheRestGoesOn(t *testing.T) {
	s := start(t, files{"up.js": upgrade, "room.js": `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  webSocketMessage(ws, m) { $.send('Note.made', m) },
  hear(text) { this.broadcast('all', text) },
})
$.on.Note.made((e) => { $.Nobody('x').notify('lost'); $.Room('one').hear('heard') })
`})
	ws := s.connect("/ws/one")
	ws.send("x")
	ws.want(`heard`)
	s.eventually("one dead letter", func() bool { return s.metric("chat_dead_letters_total") == 1 })
	letters, err := s.store.FindLetters(t.Context(), store.LetterQuery{Limit: 10})
	if err != nil || len(letters) != 1 {
		t.Fatalf("dead letters: %v, %v", letters, err)
	}
	if l := letters[0]; l.Type != "Nobody.notify" || l.Handler != "room.js#Note.made" || !strings.Contains(l.Error, "does not exist") {
		t.Errorf("dead letter %+v", l)
	}
	ws.send("x")
	ws.want(`heard`)
}
