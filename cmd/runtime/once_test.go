package main_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// wantAck waits for the acknowledgement of a message, past other frames, and
// returns the message in it.
func (c *client) wantAck(id string) object {
	c.t.Helper()
	for {
		if got := c.next(); got["type"] == "ack" {
			if got["id"] != id {
				c.t.Fatalf("an ack of %v, want %s", got["id"], id)
			}
			return got["message"].(object)
		}
	}
}

func TestAMessageThatIsSentAgainIsSaidOnce(t *testing.T) {
	data := t.TempDir()
	p := start(t, programOptions{data: data, flags: []string{"--hibernate-after", "100ms"}})
	ann := p.join("general", "ann")
	hello := object{"type": "message", "id": "7f3a", "content": "hello @bob"}
	ann.send(hello)
	said := ann.wantMessage("ann", "hello @bob")
	if said["id"] != "7f3a" {
		t.Errorf("the message is %v", said)
	}
	same := func(when string, got object) {
		t.Helper()
		if toJSON(got) != toJSON(said) {
			t.Errorf("%s: acknowledged as %s, want %s", when, toJSON(got), toJSON(said))
		}
	}
	same("at once", ann.wantAck("7f3a"))
	p.eventually("the room sleeps", func() bool { return p.metric("chat_objects_awake") == 0 })
	hello["content"] = "something else"
	ann.send(hello)
	same("after a sleep", ann.wantAck("7f3a"))
	_ = p.process.Kill()
	p.wait()

	for _, end := range []string{"a kill", "a stop"} {
		p = start(t, programOptions{data: data})
		ann, other := p.join("general", "ann"), p.join("general", "ann")
		ann.send(hello)
		other.send(hello)
		same("after "+end, ann.wantAck("7f3a"))
		same("on another socket, after "+end, other.wantAck("7f3a"))
		if history := p.get("/rooms/general/messages").list(t); len(history) != 1 || toJSON(history[0]) != toJSON(said) {
			t.Errorf("after %s the history is %v", end, history)
		}
		p.stop()
	}
	p = start(t, programOptions{data: data})
	bob := p.connect("/users/bob/inbox")
	bob.want(object{"notification": object{"message": said["$id"]}})
	ann = p.join("general", "ann")
	ann.send(object{"type": "message", "content": "and @bob again"})
	if n := bob.next()["notification"].(object); n["content"] != "and @bob again" {
		t.Errorf("bob is told of %v twice", n)
	}
}

// Many send the same at the same time, over and over: what is pipelined before the
// first one is stored is the same message, too.
func TestManyRepeatsAreOneMessage(t *testing.T) {
	p := start(t, programOptions{scripts: hastyWith(t, nil)})
	const tabs, each, repeats = 4, 10, 5
	var sockets []*client
	for range tabs {
		sockets = append(sockets, p.join("general", "ann"))
	}
	var sending sync.WaitGroup
	for _, c := range sockets {
		sending.Go(func() {
			for i := range each {
				for range repeats {
					text := toJSON(object{"type": "message", "id": fmt.Sprint("m", i), "content": fmt.Sprint(i)})
					if err := c.conn.WriteString(text); err != nil {
						t.Errorf("send: %v", err)
					}
				}
			}
		})
	}
	sending.Wait()
	acked := map[any]string{} // by id
	for _, c := range sockets {
		for shown, acks := 0, 0; acks < each*repeats; {
			f := c.next()
			switch f["type"] {
			case "message":
				shown++
				if shown > each {
					t.Fatalf("shown again: %s", toJSON(f))
				}
			case "ack":
				acks++
				m := toJSON(f["message"])
				if first, ok := acked[f["id"]]; ok && first != m {
					t.Fatalf("acknowledged as %s, and as %s", first, m)
				}
				acked[f["id"]] = m
			}
		}
	}
	if history := p.historyOf("general", each); len(history) != each {
		t.Errorf("%d messages in the history, want %d", len(history), each)
	}
}

// writers has people write until stop is called, which returns all messages in the
// order in which one more person saw them.
func (p *program) writers(room string, people int) (stop func() (ids []string)) {
	p.t.Helper()
	witness := p.join(room, "witness")
	done := make(chan struct{})
	var writing sync.WaitGroup
	for i := range people {
		c := p.join(room, fmt.Sprint("writer", i))
		writing.Go(func() {
			for n := 0; ; n++ { // each after the one before: what others ask for is not to wait behind a crowd
				if err := c.conn.WriteString(toJSON(object{"type": "message", "id": fmt.Sprint(n), "content": "hello"})); err != nil {
					p.t.Errorf("send: %v", err)
					return
				}
				for acked := false; !acked; {
					select {
					case text := <-c.messages:
						acked = strings.HasPrefix(text, `{"type":"ack"`)
					case <-time.After(patience):
						p.t.Error("a message is not acknowledged")
						return
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
	return func() (ids []string) {
		p.t.Helper()
		close(done)
		writing.Wait()
		last := p.connect("/ws/" + room + "?user=last")
		last.send(object{"type": "message", "content": "the end", "id": "end"})
		end := last.wantAck("end")["$id"]
		for len(ids) == 0 || ids[len(ids)-1] != end {
			if f := witness.next(); f["type"] == "message" {
				ids = append(ids, f["message"].(object)["$id"].(string))
			}
		}
		return ids
	}
}

func TestTheWholeHistoryIsPagedWhileOthersWrite(t *testing.T) {
	p := start(t, programOptions{scripts: hastyWith(t, nil)})
	stop := p.writers("general", 3)
	page := func(query string) (ids []string) {
		for _, m := range p.get("/rooms/general/messages?limit=7&" + query).list(t) {
			ids = append(ids, m["$id"].(string))
		}
		return ids
	}
	var forwards []string
	last := func() string {
		if len(forwards) == 0 {
			return ""
		}
		return forwards[len(forwards)-1]
	}
	for len(forwards) < 300 && !t.Failed() {
		forwards = append(forwards, page("after="+last())...)
	}
	backwards := page("")
	for {
		more := page("before=" + backwards[len(backwards)-1])
		if backwards = append(backwards, more...); len(more) == 0 {
			break
		}
	}
	want := stop()
	for {
		more := page("after=" + last())
		if forwards = append(forwards, more...); len(more) == 0 {
			break
		}
	}
	if !slices.Equal(forwards, want) {
		t.Errorf("%d messages after one another, want %d:\n%v\n%v", len(forwards), len(want), forwards, want)
	}
	slices.Reverse(backwards)
	if n := len(backwards); n < 300 || n > len(want) || !slices.Equal(backwards, want[:n]) {
		t.Errorf("%d messages before one another are not the first of %d:\n%v\n%v", n, len(want), backwards, want)
	}
	if !slices.IsSorted(want) {
		t.Error("a message was seen before one with a smaller $id")
	}
}

// Who comes and goes all the time, and says each time what came last, has in the
// end what those have who stayed.
func TestWhoComesBackMissesNothingAndGetsNothingTwice(t *testing.T) {
	p := start(t, programOptions{scripts: hastyWith(t, nil), flags: []string{"--hibernate-after", "10ms"}})
	stop := p.writers("general", 3)
	const visits = 40
	guests := [3]visitor{{p: p, name: "guest0"}, {p: p, name: "guest1"}, {p: p, name: "guest2"}}
	for n := range visits {
		for i := range guests {
			guests[i].visit(n%4 != 3, (n*7+i)%12) // sometimes it goes in the middle of what it missed
		}
	}
	want := stop()
	live := 0
	for i := range guests {
		g := &guests[i]
		g.visit(true, 0)
		if !slices.Equal(g.seen, want) {
			t.Errorf("%s has %d messages, want %d:\n%v\n%v", g.name, len(g.seen), len(want), g.seen, want)
		}
		live += g.live
	}
	if live == 0 {
		t.Error("nobody ever heard a message live")
	}
}

// visitor is somebody who comes and goes.
type visitor struct {
	p    *program
	name string
	seen []string // $id of each message, in the order in which they came
	live int      // those of them that were not missed ones
}

func (v *visitor) since() string {
	if len(v.seen) == 0 {
		return ""
	}
	return v.seen[len(v.seen)-1]
}

// visit connects, reads what was missed, if all of that is wanted, and so many
// frames more, and vanishes.
func (v *visitor) visit(all bool, frames int) {
	v.p.t.Helper()
	c := v.p.connect("/ws/general?user=" + v.name + "&since=" + v.since())
	latest := c.want(object{"type": "welcome"})["latest"]
	behind := latest != nil && latest != v.since()
	for all && behind || frames > 0 {
		if !all || !behind {
			frames--
		}
		f := c.next()
		switch f["type"] {
		case "gap":
			v.readAfter(f["since"].(string), f["latest"].(string))
		case "message":
			v.seen = append(v.seen, f["message"].(object)["$id"].(string))
			if !behind {
				v.live++
			}
		}
		behind = behind && v.since() != latest
	}
	_ = c.conn.NetConn().Close()
}

// readAfter reads the pages between two messages.
func (v *visitor) readAfter(since, latest string) {
	v.p.t.Helper()
	for {
		for _, m := range v.p.get("/rooms/general/messages?limit=100&after=" + since).list(v.p.t) {
			since = m["$id"].(string)
			if v.seen = append(v.seen, since); since == latest {
				return
			}
		}
	}
}
