package main_test

import (
	"fmt"
	"strings"
	"testing"
)

// notifying tells a hundred users of each note. One of them cannot be told, until
// they are mended.
const notifying = `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Board',
  onRequest() {
    this.app.post('/notes/:board', (c) => {
      this.things.create({ $type: 'Note', text: 'hello' })
      $.send('Note.written', { text: 'hello' })
      return c.text('written')
    })
  },
})
$.on.Note.written((event) => {
  for (let i = 0; i < 100; i++) $.User('user-' + i).notify(event.data)
})
`

const notified = `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'User',
  onRequest() {
    this.app.get('/told/:user', async (c) => c.json(await this.things.count({ $type: 'Notification' })))
    this.app.get('/tried/:user', (c) => c.json(this.tried ?? 0))
    this.app.post('/mend/:user', async (c) => { await this.ctx.storage.put('mended', true); return c.text('mended') })
  },
  async notify(note) {
    this.tried = (this.tried ?? 0) + 1
    this.things.create({ $type: 'Notification', note })
    if (this.ctx.id.name === 'user-42' && !(await this.ctx.storage.get('mended'))) throw new Error('out of order')
  },
})
`

// told are the users that were told so often, of the first hundred.
func (p *program) told(times int) (users []int) {
	p.t.Helper()
	for i := range 100 {
		if p.get(fmt.Sprintf("/told/user-%d", i)).body == fmt.Sprint(times) {
			users = append(users, i)
		}
	}
	return users
}

// Of a hundred users one cannot be told: the others are told once, though the program
// is killed as soon as the note is acknowledged, and again while one call is left to
// be tried again. Only that one is.
func TestOfAHundredCallsOneFails(t *testing.T) {
	scripts := folder(t, map[string]string{"board.js": notifying, "user.js": notified})
	data := t.TempDir()
	flags := []string{"--hibernate-after", "1h"} // how often they were tried is a field
	var p *program
	again := func() {
		if p != nil {
			_ = p.process.Kill()
			p.wait()
		}
		p = start(t, programOptions{scripts: scripts, data: data, flags: flags})
	}
	again()
	for range 3 {
		if r := p.do("POST", "/notes/a", ""); r.status != 200 {
			t.Fatalf("%+v", r)
		}
		again()
	}
	p.eventually("all others are told", func() bool { return len(p.told(3)) == 99 })
	p.eventually("the one was tried", func() bool { return p.get("/tried/user-42").body != "0" })
	again()
	p.eventually("the one is tried again", func() bool { return p.get("/tried/user-42").body != "0" })
	if got := p.get("/told/user-42").body; got != "0" {
		t.Errorf("the one was told %s times while out of order", got)
	}
	p.do("POST", "/mend/user-42", "")
	p.eventually("the one is told", func() bool { return p.get("/told/user-42").body == "3" })
	if got := len(p.told(3)); got != 100 {
		t.Errorf("%d were told three times, want 100", got)
	}
	tried := 0
	for i := range 100 {
		if p.get(fmt.Sprintf("/tried/user-%d", i)).body != "0" {
			tried++
		}
	}
	if tried != 1 {
		t.Errorf("%d calls were tried after the last start, want that of one user", tried)
	}
	p.eventually("nothing is left", func() bool { return p.metric("chat_outbox") == 0 })
	if dead := p.metric("chat_dead_letters"); dead != 0 {
		t.Errorf("%v dead letters", dead)
	}
}

// What a dead letter is worth to whoever finds it in the log.
func TestAnEventThatIsGivenUpIsLogged(t *testing.T) {
	p := start(t, programOptions{scripts: folder(t, map[string]string{
		"board.js": strings.Replace(notifying, "(event) => {", "(event) => {\n  throw new Error('no paper')", 1) + "\n",
		"user.js":  notified,
		"once.js":  "import { $ } from 'dotdo'\n$.on.Note.written(() => {\n  throw new Error('out of ink')\n}, { name: 'print', maxRetries: 0 })",
	})})
	p.do("POST", "/notes/a", "")
	line, ok := p.stderr.waitFor("dead letter", p.done)
	for _, part := range []string{"type=Note.written", "handler=print", "attempts=1", "at=once.js:3:9", "out of ink"} {
		if !ok || !strings.Contains(line, part) {
			t.Errorf("the line lacks %s: %s", part, line)
		}
	}
	p.eventually("it is counted", func() bool {
		return p.metric("chat_dead_letters") == 1 && p.metric("chat_dead_letters_total") == 1 && p.metric("chat_retries_total") >= 1 && p.metric("chat_outbox") == 1
	})
	if age := p.metric("chat_outbox_oldest_seconds"); age < 0 || age > 20 {
		t.Errorf("the oldest delivery is %v s old", age)
	}
}
