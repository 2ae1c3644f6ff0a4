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
	again.want(object{"notification": object{"content": "@bob live again"}})

	third := p.connect("/users/bob/inbox") // what was delivered is gone
	ann.say("@bob both")
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
	p = start(t, programOptions{data: data})
	p.connect("/users/bob/inbox").want(object{"notification": object{"content": "@bob see you"}})
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
	if strings.Contains(p.stderr.String(), "script error") {
		t.Error("a bad profile is a script error")
	}
}
