package api_test

import (
	"strings"
	"testing"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

// everything does all that a turn can do to the world, and then what the message says.
const everything = `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  async webSocketMessage(ws, message) {
    if (message === 'count') {
      const counts = [await this.things.count({ $type: 'Note' }), (await this.ctx.storage.list()).size]
      ws.send(JSON.stringify({ counts, attachment: ws.deserializeAttachment() }))
      return
    }
    this.things.create({ $type: 'Note', text: message })
    await this.ctx.storage.put('key', message)
    ws.serializeAttachment(message)
    this.broadcast('all', { said: message })
    $.send('Note.made', { message })
    $.Room('other').hear(message)
    if (message === 'throw') throw new Error('thrown')
    if (message === 'reject') return Promise.reject(new Error('rejected'))
    if (message === 'loop') for (;;);
  },
  hear(text) { this.broadcast('all', { heard: text }) },
})
$.on.Note.made(async (event) => { await $.Room('third').hear(event.data.message) })
`

func TestATurnThatFailsLeavesNothing(t *testing.T) {
	for _, how := range []string{"throw", "reject", "loop", "second part"} {
		t.Run(how, func(t *testing.T) {
			scripts := files{"a.js": everything, "up.js": upgrade}
			message := how
			if how == "second part" {
				message = "from the first part"
				scripts["b.js"] = `
import { DO } from 'dotdo'
export default DO.extend({ $type: 'Room', webSocketMessage(ws, m) { if (m !== 'fine' && m !== 'count') throw new Error('in the second part') } })`
			}
			s := start(t, scripts, turnTimeout(500*time.Millisecond))
			ws, other, third := s.connect("/ws/one"), s.connect("/ws/other"), s.connect("/ws/third")
			ws.send(message)
			ws.send("count")
			ws.want(`{"counts":[0,0],"attachment":null}`)
			ws.send("fine")
			ws.want(`{"said":"fine"}`)
			other.want(`{"heard":"fine"}`)
			third.want(`{"heard":"fine"}`)
			ws.send("count")
			ws.want(`{"counts":[1,1],"attachment":"fine"}`)
			if how != "loop" && !strings.Contains(s.log.String(), ".js:") {
				t.Errorf("the log names no position:\n%s", s.log)
			}
		})
	}
}

func TestNothingLeavesBeforeItsCommit(t *testing.T) {
	s := start(t, files{"a.js": everything, "up.js": upgrade, "c.js": `
import { DO } from 'dotdo'
export default DO.extend({
  onRequest() {
    this.app.get('/notes/:room', async (c) => {
      this.things.create({ $type: 'Note', text: 'by request' })
      return c.json({ created: true })
    })
  },
})`})
	ws, other := s.connect("/ws/one"), s.connect("/ws/other")
	release := s.holdCommits()
	ws.send("first")
	ws.send("count") // reads see what is not durable yet, but the answer waits behind it
	response := make(chan string, 1)
	go func() {
		_, body := s.get("/notes/two")
		response <- body
	}()
	// Another room, that writes nothing, is served meanwhile.
	free := s.connect("/ws/free")
	free.send("count")
	free.want(`{"counts":[0,0],"attachment":null}`)
	ws.silent()
	other.silent()
	select {
	case body := <-response:
		t.Fatalf("the response %s left before its commit", body)
	default:
	}
	release()
	ws.want(`{"said":"first"}`)
	ws.want(`{"counts":[1,1],"attachment":"first"}`)
	other.want(`{"heard":"first"}`)
	if body := <-response; body != `{"created":true}` {
		t.Errorf("response %s", body)
	}
}

func TestAnUpgradeWaitsForItsCommit(t *testing.T) {
	s := start(t, files{"a.js": `
import { DO } from 'dotdo'
export default DO.extend({
  onRequest() {
    this.app.get('/ws/:room', (c) => {
      const [client, server] = Object.values(new WebSocketPair())
      this.ctx.acceptWebSocket(server)
      server.send('welcome')
      this.things.create({ $type: 'Visit' })
      return new Response(null, { status: 101, webSocket: client })
    })
  },
})`})
	release := s.holdCommits()
	connected := make(chan *client, 1)
	go func() { connected <- s.connect("/ws/a") }()
	s.eventually("the turn has run", func() bool { return s.node.Stats().Turns.Load() >= 2 })
	select {
	case <-connected:
		t.Fatal("the 101 left before its commit")
	default:
	}
	release()
	(<-connected).want("welcome")
}

func TestARowThatTheDatabaseRefusesFailsAlone(t *testing.T) {
	s := start(t, files{"up.js": upgrade, "a.js": `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  async webSocketMessage(ws, message) {
    this.n = (this.n ?? 0) + 1
    this.things.create({ $type: 'Note', $id: message })
    ws.serializeAttachment(message)
    this.broadcast('all', message + this.n)
    $.Room('watcher').hear(message)
  },
  hear(m) { this.broadcast('all', 'heard ' + m) },
  onRequest() {
    this.app.post('/notes/:room', (c) => {
      this.things.create({ $type: 'Note' })
      return c.text('created')
    })
    this.app.get('/notes/:room', async (c) => c.json([this.n ?? 0, await this.things.count({ $type: 'Note' })]))
  },
})`})
	bad, fine, watcher := s.connect("/ws/bad"), s.connect("/ws/fine"), s.connect("/ws/watcher")
	turns := s.node.Stats().Turns.Load()
	release := s.holdCommits()
	fine.send("held") // the writer stands before this commit; what follows shares the next
	s.eventually("its turn has run", func() bool { return s.node.Stats().Turns.Load() == turns+1 })
	// Somebody else takes the $id, behind the object's back.
	stolen := s.store.View(key.Key{Type: "Room", ID: "bad"}, s.store.Epoch())
	stolen.Write(store.PutThing{Thing: store.Thing{ID: "n", Type: "Note", Fields: []byte("{}")}, Insert: true})
	s.store.Commit(stolen.Seal(), func(error) {})
	bad.send("n")
	s.eventually("its turn has run", func() bool { return s.node.Stats().Turns.Load() == turns+2 })
	response := make(chan int, 1)
	go func() {
		status, _ := s.do("POST", "/notes/bad", "")
		response <- status
	}()
	s.eventually("the request's turn has run", func() bool { return s.node.Stats().Turns.Load() == turns+3 })
	fine.send("other")
	release()
	if code := bad.closeCode(); code != 1013 {
		t.Errorf("the socket whose message could not be stored was closed with %d, want 1013", code)
	}
	if status := <-response; status != 503 {
		t.Errorf("a request behind the failed turn got %d, want 503", status)
	}
	fine.want("held1")
	fine.want("other2")
	watcher.want("heard held")
	watcher.want("heard other")
	watcher.silent()
	// The next event starts from what is stored.
	if _, body := s.get("/notes/bad"); body != "[0,1]" {
		t.Errorf("after the failure: %s", body)
	}
	again := s.connect("/ws/bad")
	again.send("m")
	again.want("m1")
}

func TestMessagesOfASocketStayInOrder(t *testing.T) {
	s := start(t, files{"up.js": upgrade, "a.js": `
import { DO } from 'dotdo'
export default DO.extend({
  webSocketMessage(ws, message) {
    this.things.create({ $type: 'Note', text: message })
    this.broadcast('all', message)
  },
})`})
	a, b := s.connect("/ws/one"), s.connect("/ws/one")
	const n = 500
	go func() {
		for i := range n {
			a.send(strings.Repeat("x", i%7) + string(rune('0'+i%10)))
		}
	}()
	for i := range n {
		want := strings.Repeat("x", i%7) + string(rune('0'+i%10))
		a.want(want)
		b.want(want)
	}
}

func TestAnUnawaitedRejectionFailsNothing(t *testing.T) {
	s := start(t, files{"up.js": upgrade, "a.js": `
import { DO } from 'dotdo'
export default DO.extend({
  webSocketMessage(ws, message) {
    Promise.reject(new Error('nobody looks'))
    ws.send('sent')
  },
})`})
	ws := s.connect("/ws/one")
	ws.send("x")
	ws.want("sent")
	if n := s.errorCount("unhandled"); n != 1 {
		t.Errorf("%d unhandled rejections were reported, want 1", n)
	}
	if !strings.Contains(s.log.String(), "a.js:5:") {
		t.Errorf("no position in the log:\n%s", s.log)
	}
}
