package api_test

import (
	"strings"
	"testing"
	"time"
)

const counting = `
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  init() { this.woken = true; this.n = 0 },
  onRequest() {
    this.app.get('/ws/:room', (c) => {
      const [client, server] = Object.values(new WebSocketPair())
      this.ctx.acceptWebSocket(server, ['all', 'user:' + c.req.query('user')])
      server.serializeAttachment({ user: c.req.query('user'), at: new Date(7) })
      return new Response(null, { status: 101, webSocket: client })
    })
    this.app.get('/n/:room', (c) => c.json({ n: ++this.n }))
  },
  async webSocketMessage(ws, message) {
    if (message === 'stay') { setTimeout(() => ws.send('timer'), 60000); return }
    await this.ctx.storage.put('total', (await this.ctx.storage.get('total') ?? 0) + 1)
    const a = ws.deserializeAttachment()
    ws.send([++this.n, await this.ctx.storage.get('total'), a.user, a.at.getTime(), this.ctx.getTags(ws).join('+'), this.ctx.getWebSockets('all').length].join())
  },
  touch() { return ++this.n },
})
`

func TestAnIdleObjectHibernatesAndWakes(t *testing.T) {
	s := start(t, files{"room.js": counting, "c.js": `
import { $, DO } from 'dotdo'
export default DO.extend({ onRequest() { this.app.get('/call/:caller', async (c) => c.json(await $.Room('one').touch())) } })
`}, hibernateAfter(30*time.Millisecond))
	a, b := s.connect("/ws/one?user=ann"), s.connect("/ws/one?user=bob")
	asleep := func() bool { return s.node.Stats().Awake.Load() == 0 }
	a.send("x")
	a.want("1,1,ann,7,all+user:ann,2")
	s.eventually("the object hibernates", asleep)
	a.send("x") // a message wakes it: fields are gone, the rest is there
	a.want("1,2,ann,7,all+user:ann,2")
	b.send("x")
	b.want("2,3,bob,7,all+user:bob,2")
	s.eventually("the object hibernates", asleep)
	if _, body := s.get("/n/one"); body != `{"n":1}` { // so does a request
		t.Error(body)
	}
	s.eventually("the object hibernates", asleep)
	if _, body := s.get("/call/x"); body != `1` { // and a call
		t.Error(body)
	}
	s.eventually("the objects hibernate", asleep)
	if n := s.node.Known(); n != 1 {
		t.Errorf("%d objects are known, want the one with sockets", n)
	}
	_ = a.conn.WriteClose(1000, nil)
	_ = b.conn.WriteClose(1000, nil)
	s.eventually("the object is forgotten", func() bool { return s.node.Known() == 0 })
}

func TestATimerKeepsAnObjectAwake(t *testing.T) {
	s := start(t, files{"room.js": counting}, hibernateAfter(time.Millisecond))
	pinned, free := s.connect("/ws/pinned?user=a"), s.connect("/ws/free?user=a")
	pinned.send("stay")
	free.send("x")
	free.want("1,1,a,7,all+user:a,1")
	s.eventually("the other object hibernates", func() bool { return s.node.Stats().Awake.Load() == 1 })
	pinned.send("x")
	pinned.want("1,1,a,7,all+user:a,1")
	pinned.send("x")
	pinned.want("2,2,a,7,all+user:a,1")
}

func TestAutoResponseNeitherWakesNorReachesTheScript(t *testing.T) {
	s := start(t, files{"room.js": `
import { DO } from 'dotdo'
export default DO.extend({
  onRequest() {
    this.app.get('/ws/:room', (c) => {
      const [client, server] = Object.values(new WebSocketPair())
      this.ctx.acceptWebSocket(server)
      this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'))
      return new Response(null, { status: 101, webSocket: client })
    })
  },
  webSocketMessage(ws, m) {
    if (m === 'off') { this.ctx.setWebSocketAutoResponse(); return }
    const p = this.ctx.getWebSocketAutoResponse()
    ws.send([m, p && p.request, p && p.response, this.ctx.getWebSocketAutoResponseTimestamp(ws) instanceof Date].join())
  },
})`}, hibernateAfter(10*time.Millisecond))
	ws := s.connect("/ws/one")
	s.eventually("the object hibernates", func() bool { return s.node.Stats().Awake.Load() == 0 })
	turns := s.node.Stats().Turns.Load()
	ws.send("ping")
	ws.want("pong")
	if now := s.node.Stats().Turns.Load(); now != turns {
		t.Errorf("%d turns ran for an auto-response", now-turns)
	}
	ws.send("other")
	ws.want("other,ping,pong,true")
	ws.send("off")
	ws.send("ping")
	ws.want("ping,,,true")
}

func TestInitIsAwaitedAndTriedAgain(t *testing.T) {
	s := start(t, files{"room.js": `
import { DO } from 'dotdo'
export default DO.extend({
  async init() {
    await new Promise((resolve) => setTimeout(resolve, 5))
    if (!(await this.ctx.storage.get('allowed')) && this.ctx.id.name === 'locked') throw new Error('not yet')
    this.ready = 'ready'
  },
  onRequest() { this.app.get('/r/:room', (c) => c.text(this.ready)) },
})`})
	if status, body := s.get("/r/open"); status != 200 || body != "ready" {
		t.Errorf("%d %s", status, body)
	}
	for range 2 {
		if status, body := s.get("/r/locked"); status != 500 || strings.Contains(body, "not yet") {
			t.Errorf("%d %s", status, body)
		}
	}
	if n := s.errorCount("init"); n != 2 {
		t.Errorf("init failed %d times, want 2", n)
	}
}

func TestBlockConcurrencyWhileKeepsEventsOut(t *testing.T) {
	s := start(t, files{"up.js": upgrade, "room.js": `
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  async webSocketMessage(ws, m) {
    this.order ??= []
    this.order.push(m)
    if (m !== 'block') { ws.send(this.order.join()); return }
    const got = await this.ctx.blockConcurrencyWhile(async () => {
      await new Promise((resolve) => setTimeout(resolve, 30))
      this.order.push('unblocked')
      return 'through'
    })
    ws.send(got)
  },
})`})
	a, b := s.connect("/ws/one"), s.connect("/ws/one")
	turns := s.node.Stats().Turns.Load()
	a.send("block")
	s.eventually("the block has begun", func() bool { return s.node.Stats().Turns.Load() == turns+1 })
	b.send("after")
	b.want("block,unblocked,after")
	a.want("through")
}
