package api_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"chat.example.com.ai/store"
)

// What an earlier run of the program left in the outbox is delivered at the next
// start: an event whose handler never ran, and a call whose target was not there.
func TestTheOutboxIsDeliveredAfterARestart(t *testing.T) {
	folder := t.TempDir()
	room := `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  onRequest() {
    this.app.post('/send/:room', (c) => { $.send('Note.made', 'hello'); return c.text('sent') })
    this.app.get('/heard/:room', async (c) => c.json([...(await this.ctx.storage.list()).values()]))
  },
  async hear(text) { await this.ctx.storage.put('heard', text) },
})`
	s := start(t, files{"room.js": room, "on.js": `
import { $ } from 'dotdo'
$.on.Note.made(async (e) => { await new Promise(() => {}) })`}, inFolder(folder))
	if status, body := s.do("POST", "/send/one", ""); status != 200 {
		t.Fatal(status, body)
	}
	s.stop()
	s = start(t, files{"room.js": room, "on.js": `
import { $ } from 'dotdo'
$.on.Note.made((e) => { $.Room('two').hear(e.data + ' ' + e.source) })`}, inFolder(folder))
	s.eventually("the call has come", func() bool {
		_, body := s.get("/heard/two")
		return body == `["hello Room/one"]`
	})
	s.stop()
	s = start(t, files{"room.js": room}, inFolder(folder))
	if stats, err := s.store.Stats(t.Context()); err != nil || stats.Outbox != 0 || stats.DeadLetters != 0 {
		t.Errorf("left in the outbox: %+v, %v", stats, err)
	}
}

func TestAHandlerThatFailsIsTriedAgain(t *testing.T) {
	s := start(t, files{"up.js": upgrade, "room.js": `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  webSocketMessage(ws, m) { $.send('Note.made', m) },
  hear(text) { this.broadcast('all', text) },
})
$.on.Note.made((e) => {
  $.Room('one').hear(e.data + e.attempt)
  if (e.data === 'bad' && e.attempt === 1) throw new Error('once')
})`})
	ws := s.connect("/ws/one")
	began := time.Now()
	ws.send("bad")
	ws.send("good")
	ws.want("good1") // what is behind doesn't wait
	ws.want("bad2")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the second attempt came after %v", took)
	}
	if !strings.Contains(s.log.String(), "room.js:10:") {
		t.Errorf("no position in the log:\n%s", s.log)
	}
}

// A call whose result a handler looks at, awaited or not, is a live one: it is not
// stored as well.
func TestACallWithACatchIsMadeOnce(t *testing.T) {
	s := start(t, files{"up.js": upgrade, "room.js": `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  webSocketMessage(ws, m) { $.send('Note.made', m) },
  hear(text) { this.broadcast('all', text); return 'answer' },
})
$.on.Note.made((e) => {
  $.Room('one').hear('live ' + e.data).then((answer) => $.Room('one').hear(answer)).catch(() => {})
  $.Room('one').hear('stored ' + e.data)
})`})
	ws := s.connect("/ws/one")
	ws.send("x")
	got := map[string]int{}
	for range 3 {
		got[ws.next()]++
	}
	s.eventually("the outbox is empty", func() bool {
		stats, err := s.store.Stats(t.Context())
		return err == nil && stats.Outbox == 0
	})
	ws.send("y")
	for range 3 {
		got[ws.next()]++
	}
	for _, m := range []string{"live x", "stored x", "live y", "stored y"} {
		if got[m] != 1 {
			t.Errorf("%q was received %d times, want once; all: %v", m, got[m], got)
		}
	}
	if got["answer"] != 2 {
		t.Errorf("the results came %d times, want 2", got["answer"])
	}
}

// An event that hangs in what cannot be interrupted is not tried for ever: it is to
// blame for its handler being out of service. What waits beside it is not.
func TestAnEventThatHangsIsCounted(t *testing.T) {
	s := start(t, files{"up.js": upgrade, "room.js": `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  webSocketMessage(ws, m) { $.send('Note.made', m) },
  hear(text) { this.broadcast('all', text) },
})
$.on.Note.made(async (e) => {
  if (e.data === 'hang' && e.attempt === 1) Array.prototype.indexOf.call({ length: 8e6 }, 1)
  if (e.data === 'wait') await new Promise((resolve) => setTimeout(resolve, 200))
  $.Room('one').hear(e.data + e.attempt)
})
$.on.Note.made((e) => {
  if (e.data === 'hang') Array.prototype.indexOf.call({ length: 8e6 }, 1)
}, { name: 'once', maxRetries: 0 })`}, turnTimeout(100*time.Millisecond))
	ws := s.connect("/ws/one")
	ws.send("wait")
	ws.send("hang")
	got := map[string]bool{ws.next(): true, ws.next(): true}
	if !got["hang2"] || !got["wait1"] {
		t.Errorf("received %v, want hang2 and wait1", got)
	}
	s.eventually("a dead letter", func() bool { return s.metric("chat_dead_letters_total") == 1 })
	letters, err := s.store.FindLetters(t.Context(), store.LetterQuery{Limit: 10})
	if err != nil || len(letters) != 1 || letters[0].Handler != "once" || letters[0].Attempts != 1 || letters[0].Position != "room.js:13:11" {
		t.Errorf("dead letters %+v, %v", letters, err)
	}
	if hung := s.metric("chat_turns_hung_total"); hung != 2 {
		t.Errorf("%v turns hung", hung)
	}
}

// A handler that uses up its turn time-out with each event takes no time of another
// one, which may be in the same file.
func TestAHandlerThatLoopsHoldsUpNoOther(t *testing.T) {
	s := start(t, files{"up.js": upgrade, "room.js": `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  webSocketMessage(ws, m) { for (let i = 0; i < 10; i++) $.send('Note.made', m + i) },
  hear(text) { this.broadcast('all', text) },
})
$.on.Note.made(() => { for (;;); }, { maxRetries: 0 })
$.on.Note.made((e) => { $.Room('one').hear(e.data) })`}, turnTimeout(200*time.Millisecond))
	ws := s.connect("/ws/one")
	ws.send("x")
	for i := range 10 {
		ws.want(fmt.Sprint("x", i))
	}
	if looped := s.metric("chat_dead_letters_total"); looped > 5 {
		t.Errorf("%v events had looped before the others were handled", looped)
	}
}
