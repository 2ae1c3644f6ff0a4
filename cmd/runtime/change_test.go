package main_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// act sends a frame with an id, and returns the message in its acknowledgement, past
// other frames.
func (c *client) act(frame object) object {
	c.t.Helper()
	c.send(frame)
	return c.wantAck(frame["id"].(string))
}

// What happens to a message happens once, however often its frame comes, over a sleep,
// a kill and a stop.
func TestAChangeThatIsSentAgainIsMadeOnce(t *testing.T) {
	data := t.TempDir()
	p := start(t, programOptions{data: data, flags: []string{"--hibernate-after", "100ms"}})
	ann, bob := p.join("general", "ann"), p.join("general", "bob")
	said := ann.act(object{"type": "message", "id": "1", "content": "one"})
	first := object{"type": "edit", "id": "2", "message": said["$id"], "content": "two"}
	thumb := object{"type": "react", "id": "2", "message": said["$id"], "emoji": "👍", "on": true} // bob's own id
	ann.act(first)
	bob.act(thumb)
	calm := object{"type": "react", "id": "3", "message": said["$id"], "emoji": "👍", "on": false}
	bob.act(calm)
	now := ann.act(object{"type": "edit", "id": "3", "message": said["$id"], "content": "three"})
	for _, end := range []string{"a sleep", "a kill", "a stop"} {
		switch end {
		case "a sleep":
			p.eventually("the room sleeps", func() bool { return p.metric("chat_objects_awake") == 0 })
		case "a kill":
			_ = p.process.Kill()
			p.wait()
			p = start(t, programOptions{data: data})
		case "a stop":
			p.stop()
			p = start(t, programOptions{data: data})
		}
		ann, bob := p.join("general", "ann"), p.join("general", "bob")
		for _, again := range []struct {
			c     *client
			frame object
		}{{ann, first}, {bob, thumb}, {bob, calm}, {ann, object{"type": "message", "id": "1", "content": "four"}}} {
			if got := again.c.act(again.frame); toJSON(got) != toJSON(now) {
				t.Errorf("after %s, %s is acknowledged as %s, want %s", end, toJSON(again.frame), toJSON(got), toJSON(now))
			}
		}
		if history := p.get("/rooms/general/messages").list(t); len(history) != 1 || toJSON(history[0]) != toJSON(now) {
			t.Errorf("after %s the history is %v, want %v", end, history, now)
		}
	}
}

// editors have people say things, edit and delete them, and react to those of others,
// until stop is called.
func (p *program) editors(room string, people int) (stop func()) {
	p.t.Helper()
	done := make(chan struct{})
	var editing sync.WaitGroup
	for i := range people {
		c := p.join(room, fmt.Sprint("editor", i))
		chance := rand.New(rand.NewPCG(uint64(i), 1))
		editing.Go(func() {
			var own, all []string // $id
			for n := 0; ; n++ {
				frame := object{"type": "message", "content": fmt.Sprint(n)}
				switch pick := func(ids []string) string { return ids[chance.IntN(len(ids))] }; {
				case n < 5 || chance.IntN(4) == 0:
				case chance.IntN(3) == 0:
					frame = object{"type": "react", "message": pick(all), "emoji": pick([]string{"👍", "👎"}), "on": chance.IntN(2) == 0}
				case chance.IntN(8) == 0:
					frame = object{"type": "delete", "message": pick(own)}
				default:
					frame = object{"type": "edit", "message": pick(own), "content": fmt.Sprint("edited ", n)}
				}
				frame["id"] = fmt.Sprint(n)
				if err := c.conn.WriteString(toJSON(frame)); err != nil {
					p.t.Errorf("send: %v", err)
					return
				}
				for answered := false; !answered; {
					var f struct {
						Type    string
						Message crashMessage
					}
					select {
					case text := <-c.messages:
						if err := json.Unmarshal([]byte(text), &f); err != nil {
							p.t.Errorf("received %s: %v", text, err)
							return
						}
					case <-time.After(patience):
						p.t.Errorf("nothing answers %s", toJSON(frame))
						return
					}
					switch f.Type {
					case "message":
						if all = append(all, f.Message.ID); f.Message.Author == fmt.Sprint("editor", i) {
							own = append(own, f.Message.ID)
						}
					case "ack", "error": // of what is deleted
						answered = true
					}
				}
				select {
				case <-done:
					return
				case <-time.After(2 * time.Millisecond):
				}
			}
		})
	}
	return func() { close(done); editing.Wait() }
}

// observer comes and goes, and keeps the room as it was told of it.
type observer struct {
	p        *program
	name     string
	position string
	messages map[string]string // by $id
	changes  int               // that were told
}

// take takes what a frame says, and reports whether it is an acknowledgement.
func (o *observer) take(f object) bool {
	o.p.t.Helper()
	m, _ := f["message"].(object)
	position := ""
	switch f["type"] {
	case "gap":
		o.messages = map[string]string{}
		o.position = ""
		for o.position != f["latest"] {
			page := o.p.get("/rooms/general/messages?limit=100&after=" + o.position).list(o.p.t)
			if len(page) == 0 {
				break
			}
			for _, m := range page {
				o.position = m["$id"].(string)
				o.messages[o.position] = toJSON(m)
			}
		}
		position = f["latest"].(string)
	case "message":
		position = m["$id"].(string)
		o.messages[position] = toJSON(m)
	case "change":
		position = f["at"].(string)
		if id := m["$id"].(string); o.messages[id] == "" {
			o.p.t.Errorf("%s is told of a change of %s, and not of the message", o.name, id)
		} else {
			o.messages[id] = toJSON(m)
		}
		o.changes++
	case "ack":
		return true
	}
	if position != "" && position <= o.position && f["type"] != "gap" {
		o.p.t.Errorf("%s is told of %s after %s", o.name, position, o.position)
	}
	o.position = max(o.position, position)
	return false
}

// visit comes, and stays for so many frames and until all that was missed is there; or
// goes in the midst of that.
func (o *observer) visit(all bool, frames int) {
	o.p.t.Helper()
	c := o.p.connect("/ws/general?user=" + o.name + "&since=" + o.position)
	c.want(object{"type": "welcome"})
	for ; frames > 0; frames-- {
		o.take(c.next())
	}
	if all {
		c.send(object{"type": "typing", "id": "all"})
		for !o.take(c.next()) {
		}
	}
	_ = c.conn.NetConn().Close()
}

// Who comes and goes while others say, edit, delete and react knows every message in
// the end as it is.
func TestWhoComesBackKnowsMessagesAsTheyAre(t *testing.T) {
	p := start(t, programOptions{scripts: hastyWith(t, nil), flags: []string{"--hibernate-after", "10ms"}})
	stop := p.editors("general", 3)
	var observers []*observer
	for i := range 3 {
		observers = append(observers, &observer{p: p, name: fmt.Sprint("guest", i), messages: map[string]string{}})
	}
	for n := range 40 {
		for i, o := range observers {
			o.visit(n%4 != 3, (n*7+i)%12)
		}
	}
	stop()
	want := map[string]string{}
	for last, more := "", true; more; {
		page := p.get("/rooms/general/messages?limit=100&after=" + last).list(t)
		for _, m := range page {
			last = m["$id"].(string)
			want[last] = toJSON(m)
		}
		more = len(page) > 0
	}
	for _, o := range observers {
		o.visit(true, 0)
		if o.changes == 0 {
			t.Errorf("%s was told of no change: this was no test", o.name)
		}
		for id, message := range want {
			if o.messages[id] != message {
				t.Errorf("%s knows %s, want %s", o.name, o.messages[id], message)
			}
		}
		if len(o.messages) != len(want) {
			t.Errorf("%s knows %d messages, want %d", o.name, len(o.messages), len(want))
		}
	}
	t.Logf("%d messages", len(want))
}

// A private room over the network, where tokens say who somebody is.
func TestAPrivateRoomIsForItsMembers(t *testing.T) {
	data := t.TempDir()
	o := programOptions{data: data, flags: []string{"--jwt-secret", secret, "--hibernate-after", "100ms"}}
	p := start(t, o)
	query := map[string]string{}
	for _, user := range []string{"ann", "bob", "eve"} {
		query[user] = "?token=" + tokenOf(t, user, nil)
	}
	set := func(user, members string) int {
		return p.do("PUT", "/rooms/secret/members"+query[user], `{"members":`+members+`}`).status
	}
	if status := set("ann", `["bob"]`); status != 200 {
		t.Fatalf("status %d", status)
	}
	check := func(allowed ...string) {
		t.Helper()
		for user := range query {
			want := 403
			if slices.Contains(allowed, user) {
				want = 200
			}
			for _, what := range []string{"messages", "presence", "members"} {
				if r := p.get("/rooms/secret/" + what + query[user]); r.status != want {
					t.Errorf("%s asks for %s: status %d, want %d: %s", user, what, r.status, want, r.body)
				}
			}
			if c, answer, err := p.dial("/ws/secret"+query[user]+"&user=ann", nil); want == 200 {
				c.want(object{"type": "welcome", "user": user, "private": true})
			} else if err == nil || answer == nil || answer.StatusCode != want {
				t.Errorf("%s gets in: %v", user, answer)
			}
		}
		if rooms := p.get("/rooms" + query["eve"]).list(t); len(rooms) != 0 {
			t.Errorf("rooms are listed: %v", rooms)
		}
	}
	check("ann", "bob")
	for _, path := range []string{"/rooms/secret/messages", "/rooms/secret/messages?user=ann"} {
		if r := p.get(path); r.status != 401 {
			t.Errorf("%s without a token: status %d", path, r.status)
		}
	}
	_ = p.process.Kill()
	p.wait()
	p = start(t, o)
	check("ann", "bob")
	ann, bob := p.connect("/ws/secret"+query["ann"]), p.connect("/ws/secret"+query["bob"])
	bob.want(object{"type": "welcome"})
	p.eventually("all sleep", func() bool { return p.metric("chat_objects_awake") == 0 })
	if status := set("ann", `[]`); status != 200 {
		t.Fatalf("status %d", status)
	}
	if code, reason := bob.closedWith(); code != 4003 || !strings.Contains(reason, "member") {
		t.Errorf("closed with %d %s", code, reason)
	}
	ann.send(object{"type": "message", "id": "1", "content": "he is gone, @bob"})
	ann.wantAck("1")
	check("ann")
	inbox := p.connect("/users/bob/inbox" + query["bob"])
	if _, answer, err := p.dial("/users/bob/inbox"+query["eve"], nil); err == nil || answer.StatusCode != 403 {
		t.Errorf("eve reads bob's inbox: %v", answer)
	}
	if status := set("ann", `null`); status != 200 {
		t.Fatalf("status %d", status)
	}
	ann.send(object{"type": "message", "id": "2", "content": "come back, @bob"})
	inbox.want(object{"notification": object{"content": "come back, @bob"}}) // and nothing before
	p.eventually("the room is listed", func() bool { return len(p.get("/rooms"+query["eve"]).list(t)) == 1 })
}
