package main_test

import (
	"os"
	"strings"
	"testing"
	"time"
)

// seedFile is the page that the project grew from, beside the checkout.
const seedFile = "../../../shared/seed.md"

// seedBlocks are the headings whose code runs together as it stands.
var seedBlocks = []string{"WebSocket Upgrade", "Hibernation Pattern", "Broadcast to Room", "Event Handlers", "Message History"}

// seedScripts takes the code of the seed, unchanged, each block a file.
func seedScripts(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile(seedFile)
	if err != nil {
		if os.Getenv("CHAT_REQUIRE_SEED") == "1" {
			t.Fatalf("the seed is not there: %v", err)
		}
		t.Skipf("SKIPPED: the seed is not there, so its code blocks were not run: %v", err)
	}
	scripts := map[string]string{}
	for i, heading := range seedBlocks {
		_, section, found := strings.Cut(string(page), "\n## "+heading+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		_, code, hasCode := strings.Cut(section, "```typescript\n")
		code, _, ends := strings.Cut(code, "```")
		if !found || !hasCode || !ends {
			t.Fatalf("the seed has no code under %q", heading)
		}
		scripts[string(rune('a'+i))+".ts"] = code
	}
	return scripts
}

// seedUser is the file that the seed leaves to the reader: who is notified. It
// shows what it was told.
const seedUser = `
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'User',
  onRequest() {
    this.app.get('/notified/:user', async (c) => c.json(await this.things.list({ $type: 'Notification' })))
    this.app.get('/name/:user', async (c) => c.json({ name: (await this.getProfile()).name }))
  },
  notify({ type, room }) { this.things.create({ $type: 'Notification', type, room }) },
  getProfile() { return { $type: 'User', $id: this.ctx.id.name, name: this.ctx.id.name.toUpperCase() } },
})
`

func TestTheSeedsCodeRunsAsItStands(t *testing.T) {
	scripts := seedScripts(t)
	scripts["user.ts"] = seedUser
	p := start(t, programOptions{scripts: folder(t, scripts)})

	if r := p.get("/ws/general"); r.status != 426 || r.object(t)["error"] != "Upgrade Required" {
		t.Errorf("without the header: status %d: %s", r.status, r.body)
	}
	ann, bob := p.connect("/ws/general"), p.connect("/ws/general")
	elsewhere := p.connect("/ws/elsewhere")
	say := func(author, content string) object {
		ann.send(object{"type": "message", "room": "general", "author": author, "content": content})
		m := ann.wantMessage(author, content)
		if other := bob.wantMessage(author, content); toJSON(other) != toJSON(m) {
			t.Errorf("one sees %v, the other %v", m, other)
		}
		return m
	}
	first := say("ann", "hello")
	second := say("bob", "hello @zoe, and @zoe again, and zoe@example.com")
	if first["$type"] != "Message" || first["room"] != "general" || first["$id"] == second["$id"] {
		t.Errorf("the messages are %v and %v", first, second)
	}
	if sent, err := time.Parse(time.RFC3339Nano, first["sent"].(string)); err != nil || time.Since(sent).Abs() > time.Minute {
		t.Errorf("sent is %v (%v)", first["sent"], err)
	}

	history := p.get("/rooms/general/messages").list(t)
	if len(history) != 2 || toJSON(history[0]) != toJSON(second) || toJSON(history[1]) != toJSON(first) {
		t.Errorf("the history is %v", history)
	}
	for i := range 60 {
		say("ann", "more "+string(rune('A'+i)))
	}
	if history = p.get("/rooms/general/messages").list(t); len(history) != 50 || history[0]["content"] != "more |" {
		t.Errorf("%d messages, the newest %v", len(history), history[0])
	}

	var notified []object
	p.eventually("zoe is notified", func() bool {
		notified = p.get("/notified/zoe").list(t)
		return len(notified) > 0
	})
	if len(notified) != 1 || !contains(notified[0], object{"type": "mention", "room": "general"}) {
		t.Errorf("zoe was told %v", notified)
	}
	elsewhere.silent()
	if n := p.metric("chat_dead_letters_total"); n != 0 {
		t.Errorf("%v dead letters", n)
	}
}

func TestWithoutUsersAMentionIsOneDeadLetter(t *testing.T) {
	p := start(t, programOptions{scripts: folder(t, seedScripts(t))})
	ann := p.connect("/ws/general")
	say := func(content string) {
		ann.send(object{"type": "message", "room": "general", "author": "ann", "content": content})
		ann.wantMessage("ann", content)
	}
	say("hello @zoe")
	p.eventually("a dead letter", func() bool { return p.metric("chat_dead_letters_total") > 0 })
	say("the chat goes on")
	p.eventually("its event is delivered", func() bool { return p.metric("chat_deliveries_total") == 2 })
	if n := p.metric("chat_dead_letters_total"); n != 1 {
		t.Errorf("%v dead letters, want 1", n)
	}
	if _, ok := p.stderr.waitFor("dead letter", p.done); !ok || !strings.Contains(p.stderr.String(), "User.notify") {
		t.Error("the log does not say what died")
	}
}

// The seed's section on pipelining, in a room of its own: what it counts as one
// round trip is one.
func TestAChainOfReadsIsOneRoundTrip(t *testing.T) {
	scripts := map[string]string{"user.js": seedUser, "read.js": `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Reader',
  onRequest() {
    this.app.get('/call/:reader', async (c) => c.text(await $.User('ann').getProfile().name))
    this.app.get('/field/:reader', async (c) => c.text(await $.Card('ann').owner.name.first))
    this.app.get('/argument/:reader', async (c) => c.text(await $.Card('ann').greet($.Card('ann').load().name)))
    this.app.get('/both/:reader', async (c) => {
      const [a, b] = await Promise.all([$.User('ann').getProfile().name, $.User('ann').getProfile().$type])
      return c.text(a + b)
    })
  },
})`, "card.js": `
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Card',
  owner: { name: { first: 'Ann' } },
  load() { return { name: 'Bea' } },
  greet(name) { return 'hello ' + name },
})`}
	p := start(t, programOptions{scripts: folder(t, scripts)})
	for path, want := range map[string]string{
		"/call/x": "ANN", "/field/x": "Ann", "/argument/x": "hello Bea", "/both/x": "ANNUser",
	} {
		before := p.metric("chat_round_trips_total")
		if r := p.get(path); r.status != 200 || r.body != want {
			t.Errorf("%s: status %d: %s, want %s", path, r.status, r.body, want)
		}
		if n := p.metric("chat_round_trips_total") - before; n != 1 {
			t.Errorf("%s took %v round trips", path, n)
		}
	}
}

func TestCallsInACircleDoNotLock(t *testing.T) {
	p := start(t, programOptions{scripts: folder(t, map[string]string{"circle.js": `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Node',
  onRequest() {
    this.app.get('/circle/:node', async (c) => c.json({ path: await this.visit(3, 'b', 'a') }))
    this.app.get('/endless/:node', async (c) => {
      try { return c.json({ path: await this.visit(1000, 'b', 'a') }) } catch (e) { return c.json({ error: e.message }, 508) }
    })
  },
  async visit(left, next, after) {
    if (left === 0) return this.ctx.id.name
    return this.ctx.id.name + await $.Node(next).visit(left - 1, after, next)
  },
})`})})
	if r := p.get("/circle/a"); r.status != 200 || r.object(t)["path"] != "abab" {
		t.Errorf("status %d: %s", r.status, r.body)
	}
	if r := p.get("/endless/a"); r.status != 508 || !strings.Contains(r.body, "32 hops") {
		t.Errorf("without an end: status %d: %s", r.status, r.body)
	}
}
