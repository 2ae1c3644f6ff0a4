package object_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chat.example.com.ai/runtime/script"
	"chat.example.com.ai/store"
)

// sending is a room that sends events, and keeps what handlers tell it.
const sending = `
export default DO.extend({
  $type: 'Room',
  onRequest() {
    this.app.get('/send/:type/:data/:n/:room', (c) => {
      for (let i = 0; i < +c.req.param('n'); i++) $.send(c.req.param('type'), c.req.param('data'))
      return c.text('sent')
    })
    this.app.get('/heard/:room', async (c) => c.text((await this.ctx.storage.get('heard') ?? []).join(' ')))
  },
  async hear(word) { await this.ctx.storage.put('heard', [...(await this.ctx.storage.get('heard') ?? []), word]) },
})
const never = new Promise(() => {})
`

// inProgram runs f with a program on a clock of its own.
func inProgram(t *testing.T, script string, f func(p *program)) {
	synctest.Test(t, func(t *testing.T) {
		p := run(t, t.TempDir(), map[string]string{"room.js": sending, "on.js": "const never = new Promise(() => {})\n" + script})
		synctest.Wait()
		f(p)
	})
}

func (p *program) letters() []store.DeadLetter {
	p.t.Helper()
	letters, err := p.store.FindLetters(p.t.Context(), store.LetterQuery{Limit: 1000})
	if err != nil {
		p.t.Fatal(err)
	}
	return letters
}

// reload saves other scripts, without what run puts before them.
func (p *program) reload(scripts map[string]string) {
	p.t.Helper()
	folder := p.t.TempDir()
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("import { $, DO } from 'dotdo'\n"+text), 0o644); err != nil {
			p.t.Fatal(err)
		}
	}
	set, err := script.Load(script.Options{Folder: folder})
	if err != nil {
		p.t.Fatal(err)
	}
	p.Reload(set)
}

func TestAHandlerSaysHowOftenItIsTriedAgain(t *testing.T) {
	inProgram(t, `
$.on.Note.made((e) => { $.Room('tried').hear('x'); throw new TypeError('not this one') })
$.on.Note.made(() => { throw new Error('once') }, { name: 'once', maxRetries: 0 })
$.on.Note.made(() => { throw new Error('often') }, { name: 'often', maxRetries: 8 })
$.on.Note.made((e) => { if (e.attempt < 3) throw new Error('not yet'); $.Room('heard').hear('at ' + e.attempt) }, { name: 'well', maxRetries: 2 })
`, func(p *program) {
		p.want("/send/Note.made/hello/1/a", "sent")
		sleep(40 * time.Second)
		if got := fmt.Sprint(deadAttempts(p)); got != "map[on.js#Note.made:6 once:1]" {
			t.Errorf("dead letters after 40 s: %v", got)
		}
		sleep(10 * time.Minute)
		if got := fmt.Sprint(deadAttempts(p)); got != "map[often:9 on.js#Note.made:6 once:1]" {
			t.Errorf("dead letters: %v", got)
		}
		p.want("/heard/heard", "at 3")
		p.want("/heard/tried", "") // what an attempt that failed had called was never made
		for _, l := range p.letters() {
			if l.Handler != "on.js#Note.made" {
				continue
			}
			if l.Type != "Note.made" || string(l.Data) != `"hello"` || l.Source != "Room/a" || l.Target.String() != "Handler/on.js#Note.made" ||
				!strings.Contains(l.Error, "TypeError: not this one") || l.Position != "on.js:4:58" || l.DiedAt < l.At+23_000 {
				t.Errorf("the dead letter is %+v", l)
			}
		}
	})
}

// deadAttempts are the attempts of each dead letter, by handler.
func deadAttempts(p *program) map[string]int {
	attempts := map[string]int{}
	for _, l := range p.letters() {
		attempts[l.Handler] = l.Attempts
	}
	return attempts
}

func TestTheNumberOfTheNewScriptsCounts(t *testing.T) {
	failing := func(retries int) string {
		return fmt.Sprintf("$.on.Note.made(() => { throw new Error('no') }, { name: 'x', maxRetries: %d })", retries)
	}
	inProgram(t, failing(100), func(p *program) {
		p.want("/send/Note.made/hello/1/a", "sent")
		sleep(10 * time.Second)
		if n := len(p.letters()); n != 0 {
			t.Fatalf("%d dead letters", n)
		}
		p.reload(map[string]string{"room.js": sending, "elsewhere.js": "\n" + failing(4)})
		sleep(time.Minute)
		if got := p.letters(); len(got) != 1 || got[0].Attempts != 5 || !strings.HasPrefix(got[0].Position, "elsewhere.js:3:") {
			t.Errorf("dead letters %+v", got)
		}
	})
}

// A durable call is tried again as often as the handler says that made it.
func TestACallIsTriedAsOftenAsItsHandlerSays(t *testing.T) {
	inProgram(t, `
$.on.Note.made(() => { $.Cat('a').scratch() })
$.on.Note.made(() => { $.Cat('a').scratch() }, { name: 'once', maxRetries: 0 })
export default DO.extend({ $type: 'Cat', scratch() { throw new Error('no') } })
`, func(p *program) {
		p.want("/send/Note.made/hello/1/a", "sent")
		sleep(time.Minute)
		if got := fmt.Sprint(deadAttempts(p)); got != "map[on.js#Note.made:6 once:1]" {
			t.Errorf("dead letters: %v", got)
		}
		for _, l := range p.letters() {
			if l.Type != "Cat.scratch" || l.Kind != store.CallDelivery || l.Position != "on.js:6:60" {
				t.Errorf("a dead letter is %+v", l)
			}
		}
	})
}

// Whatever a handler does, another one of the same file goes on.
func TestAHandlerThatHangsHoldsUpNoOther(t *testing.T) {
	inProgram(t, `
$.on.Note.made(() => never)
$.on.Note.made((e) => { $.Room('heard').hear(e.data) }, { name: 'well' })
`, func(p *program) {
		p.want("/send/Note.made/x/300/a", "sent") // more than are in flight
		synctest.Wait()
		if got := strings.Count(p.ask("/heard/heard"), "x"); got != 300 {
			t.Errorf("%d were heard at once, want 300", got)
		}
	})
}

func TestWhatIsBehindEventsThatHang(t *testing.T) {
	inProgram(t, `
$.on.Note.made((e) => { if (e.data === 'hang') return never; $.Room('heard').hear(e.data) }, { maxRetries: 0 })
`, func(p *program) {
		p.want("/send/Note.made/hang/200/a", "sent")
		p.want("/send/Note.made/soon/1/b", "sent")
		synctest.Wait()
		p.want("/heard/heard", "soon") // it doesn't wait for them
		p.want("/send/Note.made/hang/100/a", "sent")
		p.want("/send/Note.made/late/1/b", "sent")
		sleep(29 * time.Second)
		p.want("/heard/heard", "soon")
		sleep(3 * time.Second) // 256 were in flight, and end after 30 s
		p.want("/heard/heard", "soon late")
		sleep(time.Minute)
		letters := p.letters()
		if len(letters) != 300 || !strings.Contains(letters[0].Error, "no result within 30s") || letters[0].Position == "" {
			t.Errorf("%d dead letters", len(letters))
		}
	})
}

func TestAnEventThatNobodyHandlesCostsNoRow(t *testing.T) {
	inProgram(t, "$.on.Note.made(() => never)", func(p *program) {
		before := p.store.NextSeq()
		p.want("/send/Note.lost/x/1000/a", "sent")
		if taken := p.store.NextSeq() - before - 1; taken != 0 || p.Stats().Events.Load() != 0 {
			t.Errorf("%d positions were taken, %d events stored", taken, p.Stats().Events.Load())
		}
		p.want("/send/Note.made/x/1/a", "sent")
		if taken := p.store.NextSeq() - before - 2; taken != 1 {
			t.Errorf("%d positions were taken by an event that somebody handles", taken)
		}
	})
}

// What goes round in a circle stops, by itself or through calls, with a dead letter;
// the turn that would have gone on is none the worse for it.
func TestCirclesEndAsDeadLetters(t *testing.T) {
	for name, test := range map[string]struct {
		script, first, typ string
		rounds             int
	}{
		"events":                     {"$.on.Note.made((e) => { $.Room('n').hear('x'); $.send('Note.made', e.data) })", "made", "Note.made", 32},
		"events and calls, an event": {"$.on.Note.made((e) => { $.Room('n').hear('x'); $.Cat('a').pass(e.data) })", "made", "Note.made", 16},
		"events and calls, a call":   {"$.on.Note.made((e) => { $.Room('n').hear('x'); $.Cat('a').pass(e.data) })", "first", "Cat.pass", 16},
		"awaited calls, an event":    {"$.on.Note.made(async (e) => { $.Room('n').hear('x'); await $.Cat('a').pass(e.data) })", "made", "Note.made", 16},
		"awaited calls, a call":      {"$.on.Note.made(async (e) => { $.Room('n').hear('x'); await $.Cat('a').pass(e.data) })", "first", "", 16},
		"of two, and a late answer":  {"$.on.Note.made(async (e) => { $.Room('n').hear('x'); await new Promise((r) => setTimeout(r, 10)); $.send('Note.seen') })\n$.on.Note.seen(() => { $.send('Note.made') })", "made", "Note.made", 16},
	} {
		t.Run(name, func(t *testing.T) {
			inProgram(t, test.script+"\n$.on.Note.first((e) => { $.send('Note.made', e.data) })\nexport default DO.extend({ $type: 'Cat', pass(data) { $.send('Note.made', data) } })", func(p *program) {
				p.want("/send/Note."+test.first+"/hello/1/a", "sent")
				sleep(2 * time.Minute)
				var circle []store.DeadLetter
				for _, l := range p.letters() {
					if l.Type != "Room.hear" { // the last handler's own call is one too many as well
						circle = append(circle, l)
					}
				}
				if len(circle) != 1 {
					t.Fatalf("dead letters %+v\n%s", circle, p.log)
				}
				l := circle[0]
				if test.typ == "" { // the handler that awaits is told, and fails
					if l.Type != "Note.made" || l.Hops != script.MaxHops || l.Attempts != 6 || !strings.Contains(l.Error, "32 hops") {
						t.Errorf("the dead letter is %+v", l)
					}
					return
				}
				if l.Type != test.typ || l.Hops != script.MaxHops+1 || l.Attempts != 0 || !strings.Contains(l.Error, "more than 32 hops") ||
					!strings.HasPrefix(l.Position, "on.js:") || l.DiedAt == 0 {
					t.Errorf("the dead letter is %+v", l)
				}
				if !strings.Contains(p.log.String(), "dead letter") || strings.Contains(p.log.String(), "script error") {
					t.Errorf("the log is\n%s", p.log)
				}
				if rounds := strings.Count(p.ask("/heard/n"), "x"); rounds < test.rounds-1 || rounds > test.rounds {
					t.Errorf("%d rounds, want %d", rounds, test.rounds)
				}
			})
		})
	}
}
