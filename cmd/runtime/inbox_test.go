package main_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestMentionsReachTheInbox(t *testing.T) {
	p := start(t, programOptions{})
	ann := p.join("general", "ann")
	inbox := p.connect("/users/bob/inbox")
	ann.say("@bob live, and @ann me")
	m := ann.wantMessage("ann", "@bob live, and @ann me")
	n := inbox.want(object{"type": "notification"})
	want := object{"type": "mention", "room": "general", "from": "ann", "message": m["$id"], "content": "@bob live, and @ann me"}
	if toJSON(n["notification"]) != toJSON(want) {
		t.Errorf("the notification is %s, want %s", toJSON(n["notification"]), toJSON(want))
	}

	inbox.send(object{"type": "seen", "id": n["id"]})
	inbox.close()
	for i := range 3 {
		ann.say(fmt.Sprintf("@bob kept %d", i))
	}
	p.eventually("the mentions are delivered", func() bool {
		return p.metric("chat_deliveries_total") >= 2+2*4 // an event and a call of the room, and of each message
	})
	again := p.connect("/users/bob/inbox")
	for i := range 3 {
		again.want(object{"type": "notification", "notification": object{"content": fmt.Sprintf("@bob kept %d", i)}})
	}
	ann.say("@bob live again")
	last := again.want(object{"notification": object{"content": "@bob live again"}})

	third := p.connect("/users/bob/inbox") // what was delivered and not seen comes again
	for i := range 3 {
		third.want(object{"notification": object{"content": fmt.Sprintf("@bob kept %d", i)}})
	}
	third.want(last)
	third.send(object{"type": "seen", "id": last["id"]})
	again.want(object{"type": "seen", "id": last["id"]})
	ann.say("@bob both")
	p.connect("/users/bob/inbox").want(object{"notification": object{"content": "@bob both"}}) // and nothing before
	third.want(object{"notification": object{"content": "@bob both"}})
	again.want(object{"notification": object{"content": "@bob both"}})
	own := p.connect("/users/ann/inbox")
	bob := p.join("general", "bob")
	bob.say("@ann hello")
	own.want(object{"notification": object{"from": "bob"}}) // not: ann by herself
}

func TestKeptMentionsOutliveTheProgram(t *testing.T) {
	data := t.TempDir()
	p := start(t, programOptions{data: data})
	ann := p.join("general", "ann")
	ann.say("@bob see you")
	ann.wantMessage("ann", "@bob see you") // its handler may not even have run
	if code := p.stop(); code != 0 {
		t.Fatalf("exit status %d", code)
	}
	var told object
	for range 2 { // until it is seen
		p = start(t, programOptions{data: data})
		inbox := p.connect("/users/bob/inbox")
		told = inbox.want(object{"notification": object{"content": "@bob see you"}})
		_ = p.process.Kill()
		p.wait()
	}
	p = start(t, programOptions{data: data})
	inbox, tab := p.connect("/users/bob/inbox"), p.connect("/users/bob/inbox")
	inbox.want(told)
	tab.want(told)
	inbox.send(object{"type": "seen", "id": told["id"]})
	tab.want(object{"type": "seen", "id": told["id"]})
	_ = p.process.Kill()
	p.wait()
	p = start(t, programOptions{data: data})
	ann = p.join("general", "ann")
	inbox = p.connect("/users/bob/inbox")
	ann.say("@bob next")
	inbox.want(object{"notification": object{"content": "@bob next"}})
}

// looking is a script that shows what is stored of what somebody was told, and sends events again.
const looking = `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'User',
  onRequest() {
    this.app.get('/kept/:user', async (c) => c.json(await this.things.list('Notification')))
    this.app.post('/events/:user/:type', async (c) => c.text($.send(c.req.param('type'), await c.req.json())))
  },
})`

// What a message said is gone from inboxes when it is edited or deleted: from those that are
// open, and from what waits, also if the program is killed at once.
func TestAnInboxSaysWhatTheMessageSays(t *testing.T) {
	scripts, data := shippedWith(t, map[string]string{"looking.js": looking}), t.TempDir()
	var p *program
	again := func() {
		if p != nil {
			_ = p.process.Kill()
			p.wait()
		}
		p = start(t, programOptions{scripts: scripts, data: data})
	}
	keeps := func(user, text string) bool { return strings.Contains(p.get("/kept/"+user).body, text) }
	again()
	ann := p.join("general", "ann")
	const secret = "the key is 1234, @bob, @cat and @fay"
	said := ann.act(object{"type": "message", "id": "m", "content": secret})
	p.eventually("both are told", func() bool { return keeps("bob", secret) && keeps("cat", secret) })
	bob := p.connect("/users/bob/inbox")
	told := bob.want(object{"type": "notification"})
	fay := p.connect("/users/fay/inbox")
	fay.send(object{"type": "seen", "id": fay.want(object{"type": "notification"})["id"]})
	p.eventually("it is seen", func() bool { return keeps("fay", `"seen":true`) })

	const edited = "the key is away, @bob, @dan and @fay"
	ann.act(object{"type": "edit", "id": "e", "message": said["$id"], "content": edited})
	again()
	p.eventually("all know of the edit", func() bool {
		return keeps("bob", edited) && keeps("dan", edited) && !keeps("cat", "key") && keeps("fay", `"version":2`)
	})
	if keeps("fay", "key") {
		t.Error("what was seen has a text again")
	}
	bob = p.connect("/users/bob/inbox")
	bob.want(object{"type": "notification", "id": told["id"], "notification": object{"content": edited}})
	ann = p.join("general", "ann")
	deleted := ann.act(object{"type": "delete", "id": "d", "message": said["$id"]})
	if gone := bob.want(object{"type": "amend", "id": told["id"]}); gone["notification"] != nil {
		t.Errorf("what was deleted is %s", toJSON(gone))
	}
	again()
	isGone := func() bool {
		return !keeps("bob", "key") && !keeps("cat", "key") && !keeps("dan", "key") && !keeps("fay", "key")
	}
	p.eventually("all know that it is deleted", isGone)

	// Events of before that come as late as this tell nobody what it said.
	said["content"] = secret + " and @eve"
	before := p.metric("chat_deliveries_total")
	for typ, data := range map[string]object{"Message.sent": said, "Message.changed": {"message": said, "at": deleted["$id"], "before": []string{"bob"}}} {
		if r := p.do("POST", "/events/x/"+typ, toJSON(data)); r.status != 200 {
			t.Fatalf("status %d: %s", r.status, r.body)
		}
	}
	p.eventually("they are delivered", func() bool { return p.metric("chat_deliveries_total") >= before+2+2*4 }) // to four people
	if !isGone() || keeps("eve", "key") {
		t.Error("an event that came late brought back what was deleted")
	}
}

// crowdOfMentions is a script that mentions somebody in a version of the messages { from, ..., to - 1 }.
const crowdOfMentions = `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Crowd',
  onRequest() {
    this.app.post('/crowd/:user', async (c) => {
      const { from, to, version } = await c.req.json()
      const calls = []
      for (let n = from; n < to; n++) {
        const mention = { type: 'mention', room: 'general', from: 'ann', message: String(n), content: 'a secret' }
        calls.push($.User(c.req.param('user')).mentioned(mention, version))
      }
      await Promise.all(calls)
      return c.text('')
    })
  },
})`

// counting is one that counts what is stored of that: all, what was seen, and what has a text.
const counting = `
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'User',
  onRequest() {
    this.app.get('/counts/:user', async (c) => {
      const counts = [{}, { seen: true }, { 'notification.content': 'a secret' }].map((where) => this.things.count('Notification', { where }))
      return c.text((await Promise.all(counts)).join(' '))
    })
  },
})`

// Of a mention that was seen the inbox knows that it was, but no text, and it keeps not more of
// them than of those that wait: one that it has forgotten is news when it is edited.
func TestWhatWasSeenIsBounded(t *testing.T) {
	p := start(t, programOptions{scripts: shippedWith(t, map[string]string{"crowd.js": crowdOfMentions, "counting.js": counting, "flood.js": flood})})
	inbox := p.connect("/users/bob/inbox")
	p.do("POST", "/flood/bob", toJSON(object{"count": 1, "size": 1}))
	inbox.send(object{"type": "seen", "id": inbox.want(object{"type": "notification"})["id"]})
	p.eventually("what is no mention is gone", func() bool { return p.get("/counts/bob").body == "0 0 0" })
	mention := func(from, to, version int) {
		t.Helper()
		if r := p.do("POST", "/crowd/bob", toJSON(object{"from": from, "to": to, "version": version})); r.status != 200 {
			t.Fatalf("status %d: %s", r.status, r.body)
		}
	}
	const crowd = 505
	for n, want := range []string{"505 505 0", "1000 1000 0", "1000 1000 0"} {
		mention(n*crowd, (n+1)*crowd, 1)
		var last object
		for i := range crowd {
			last = inbox.want(object{"notification": object{"message": fmt.Sprint(n*crowd + i)}})
		}
		inbox.send(object{"type": "seen", "id": last["id"]})
		p.eventually("they are seen", func() bool { return p.get("/counts/bob").body == want })
	}

	const oldest = 3*crowd - 1000
	mention(oldest, oldest+1, 2)
	inbox.want(object{"type": "amend", "notification": object{"message": fmt.Sprint(oldest)}})
	mention(oldest-1, oldest, 2)
	inbox.want(object{"type": "notification", "notification": object{"message": fmt.Sprint(oldest - 1)}})
}

// steps is a script that shows how many things a person's object has read with one list at most,
// and ends all that the chat does in further turns, as a kill does.
const steps = `
import { DO } from 'dotdo'
let most = 0
export default DO.extend({
  $type: 'User',
  init() {
    const { things } = this
    const { list } = things
    things.list = async (...query) => {
      const some = await list.apply(things, query)
      most = Math.max(most, some.length)
      return some
    }
    globalThis.setTimeout = () => 0
  },
  onRequest() {
    this.app.get('/most/:user', (c) => c.text(String(most)))
    this.app.post('/seen/:user', (c) => { // one that each said of itself before it was known up to which all were
      this.things.create({ $type: 'Notification', notification: { type: 'mention', message: '-1' }, version: 1, seen: true })
      return c.text('')
    })
  },
})`

// However large an inbox is, what it does at once is small. What it leaves for later was seen all
// the same: it comes no more, and gets no text again.
func TestAnInboxIsReadInSteps(t *testing.T) {
	p := start(t, programOptions{scripts: shippedWith(t, map[string]string{"crowd.js": crowdOfMentions, "counting.js": counting, "steps.js": steps})})
	mention := func(from, to, version int) {
		t.Helper()
		if r := p.do("POST", "/crowd/bob", toJSON(object{"from": from, "to": to, "version": version})); r.status != 200 {
			t.Fatalf("status %d: %s", r.status, r.body)
		}
	}
	p.do("POST", "/seen/bob", "")
	mention(-1, 0, 2)
	if got := p.get("/counts/bob").body; got != "1 1 0" {
		t.Errorf("after an edit of what was seen all, seen and with a text are %s", got)
	}
	const crowd = 400
	mention(0, crowd, 1)
	inbox, tab := p.connect("/users/bob/inbox"), p.connect("/users/bob/inbox")
	var last object
	for i := range crowd {
		last = inbox.want(object{"notification": object{"message": fmt.Sprint(i)}})
		tab.want(last)
	}
	see := func() {
		inbox.send(object{"type": "seen", "id": last["id"]})
		tab.want(object{"type": "seen", "id": last["id"]})
	}
	see()
	if got := p.get("/most/bob").body; got != "50" {
		t.Errorf("%s things are read at once, want 50", got)
	}
	if got := p.get("/counts/bob").body; got != "401 51 350" {
		t.Errorf("all, seen and with a text are %s", got)
	}
	mention(crowd-1, crowd, 2)
	inbox.want(object{"type": "amend", "id": last["id"], "notification": object{"content": "a secret"}})
	tab.want(object{"type": "amend"})
	if got := p.get("/counts/bob").body; got != "401 52 349" {
		t.Errorf("after an edit all, seen and with a text are %s", got)
	}
	mention(crowd, crowd+1, 1)
	last = inbox.want(object{"type": "notification", "notification": object{"message": fmt.Sprint(crowd)}})
	tab.want(last)
	p.connect("/users/bob/inbox").want(last) // and nothing before
	see()
	if got := p.get("/counts/bob").body; got != "402 102 300" {
		t.Errorf("with the next frame all, seen and with a text are %s", got)
	}
}

// flood is a script that tells somebody many things, of a size in characters.
const flood = `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Flood',
  onRequest() {
    this.app.post('/flood/:user', async (c) => {
      const { count, size } = await c.req.json()
      const user = $.User(c.req.param('user'))
      const calls = []
      for (let n = 0; n < count; n++) calls.push(user.notify({ n, text: 'x'.repeat(size) }))
      await Promise.all(calls)
      return c.json({ count })
    })
  },
})`

func TestAnInboxKeepsTheNewest(t *testing.T) {
	for name, test := range map[string]struct{ count, size, first int }{
		"of many":       {1005, 10, 5},
		"of large ones": {40, 30_000, 11}, // 900,000 bytes hold 29 of them with what is around
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t, programOptions{scripts: shippedWith(t, map[string]string{"flood.js": flood})})
			if r := p.do("POST", "/flood/bob", toJSON(object{"count": test.count, "size": test.size})); r.status != 200 {
				t.Fatalf("status %d: %s", r.status, r.body)
			}
			inbox := p.connect("/users/bob/inbox")
			for n := test.first; n < test.count; n++ {
				inbox.want(object{"notification": object{"n": n}})
			}
			p.do("POST", "/flood/bob", toJSON(object{"count": 1, "size": 1}))
			inbox.want(object{"notification": object{"n": 0, "text": "x"}})
			inbox.silent()
		})
	}
}

func TestProfiles(t *testing.T) {
	p := start(t, programOptions{})
	if got := p.get("/users/ann/profile").object(t); !contains(got, object{"$type": "User", "$id": "ann", "name": "ann"}) {
		t.Errorf("a new profile is %v", got)
	}
	r := p.do("PUT", "/users/ann/profile", `{"name":"Ann Lee","about":"here"}`)
	if r.status != 200 || !contains(r.object(t), object{"$type": "User", "$id": "ann", "name": "Ann Lee", "about": "here"}) {
		t.Errorf("status %d: %s", r.status, r.body)
	}
	p.do("PUT", "/users/ann/profile", `{"about":""}`)
	if got := p.get("/users/ann/profile").object(t); !contains(got, object{"name": "Ann Lee", "about": "", "$version": 2}) {
		t.Errorf("the profile is %v", got)
	}
	for _, bad := range []string{"", "{", "[]", "null", `{"name":7}`, `{"name":"  "}`, `{"$id":"bob"}`, `{"__proto__":"x"}`,
		`{"name":"` + strings.Repeat("n", 81) + `"}`, `{"admin":"yes"}`} {
		if r := p.do("PUT", "/users/ann/profile", bad); r.status != 400 || r.object(t)["error"] == nil {
			t.Errorf("%s: status %d: %s", bad, r.status, r.body)
		}
	}
	if r := p.get("/users/a%20b/profile"); r.status != 400 {
		t.Errorf("a name with a space: status %d", r.status)
	}
	p.stop()
	if strings.Contains(p.stderr.String(), "script error") {
		t.Error("a bad profile is a script error")
	}
}
