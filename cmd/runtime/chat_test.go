package main_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lxzan/gws"
)

// join connects a person to a room and takes the welcome.
func (p *program) join(room, user string) *client {
	p.t.Helper()
	c := p.connect("/ws/" + room + "?user=" + user)
	c.want(object{"type": "welcome", "room": room, "user": user})
	return c
}

// joinAll connects people to a room, until all have heard of all.
func (p *program) joinAll(room string, users ...string) (clients []*client) {
	p.t.Helper()
	for _, user := range users {
		clients = append(clients, p.join(room, user))
	}
	for _, c := range clients {
		c.wantPresence(len(users))
	}
	return clients
}

func TestTwoPeopleTalk(t *testing.T) {
	p := start(t, programOptions{})
	ann := p.connect("/ws/general?user=ann")
	ann.want(object{"type": "welcome", "room": "general", "user": "ann", "users": []string{"ann"}, "count": 1})
	bob := p.connect("/ws/general?user=bob")
	bob.want(object{"type": "welcome", "user": "bob", "users": []string{"ann", "bob"}, "count": 2})
	for _, c := range []*client{ann, bob} {
		c.want(object{"type": "presence", "joined": []string{"bob"}, "left": []string{}, "count": 2})
	}

	before := time.Now().Add(-time.Second)
	ann.say("hello")
	heard := bob.wantMessage("ann", "hello")
	if own := ann.wantMessage("ann", "hello"); toJSON(own) != toJSON(heard) {
		t.Errorf("ann sees %v, bob %v", own, heard)
	}
	if heard["$type"] != "Message" || heard["room"] != "general" || heard["$id"] == "" {
		t.Errorf("the message is %v", heard)
	}
	sent, err := time.Parse(time.RFC3339Nano, heard["sent"].(string))
	if err != nil || sent.Before(before) || sent.After(time.Now().Add(time.Second)) {
		t.Errorf("sent is %v (%v)", heard["sent"], err)
	}

	bob.say("hi ann")
	bob.wantMessage("bob", "hi ann")
	ann.wantMessage("bob", "hi ann")

	history := p.get("/rooms/general/messages").list(t)
	if len(history) != 2 || history[0]["content"] != "hi ann" || toJSON(history[1]) != toJSON(heard) {
		t.Errorf("the history is %v", history)
	}
	if other := p.get("/rooms/elsewhere/messages").list(t); len(other) != 0 {
		t.Errorf("another room has %v", other)
	}
}

// However many talk at once, there is one order, and the history has it.
func TestEverybodySeesTheSameOrder(t *testing.T) {
	p := start(t, programOptions{})
	const people, each = 5, 20
	var clients []*client
	for i := range people {
		clients = append(clients, p.join("general", fmt.Sprintf("p%d", i)))
	}
	var sending sync.WaitGroup
	for i, c := range clients {
		sending.Go(func() {
			for n := range each {
				data := toJSON(object{"type": "message", "content": fmt.Sprintf("%d of %d", n, i)})
				if err := c.conn.WriteString(data); err != nil {
					t.Errorf("send: %v", err)
				}
			}
		})
	}
	sending.Wait()
	history := p.historyOf("general", people*each)
	slices.Reverse(history)
	next := make([]int, people)
	for _, m := range history {
		var n, i int
		if _, err := fmt.Sscanf(m["content"].(string), "%d of %d", &n, &i); err != nil || n != next[i] {
			t.Fatalf("%v comes where message %d of its author should (%v)", m, next[i], err)
		}
		next[i]++
	}
	for i, c := range clients {
		for _, want := range history {
			got := c.next()
			for got["type"] == "presence" {
				got = c.next()
			}
			if toJSON(got["message"]) != toJSON(want) {
				t.Fatalf("p%d sees %v, want %v", i, got, want)
			}
		}
	}
}

// historyOf waits until a room has so many messages, and returns them.
func (p *program) historyOf(room string, count int) (history []object) {
	p.t.Helper()
	p.eventually(fmt.Sprintf("%d messages in %s", count, room), func() bool {
		history = p.get("/rooms/" + room + "/messages?limit=100").list(p.t)
		return len(history) >= count
	})
	return history
}

func TestHistoryIsNewestFirstAndLimited(t *testing.T) {
	p := start(t, programOptions{})
	ann := p.join("general", "ann")
	for i := range 120 {
		ann.say(fmt.Sprint(i))
	}
	for i := range 120 {
		ann.wantMessage("ann", fmt.Sprint(i))
	}
	for query, want := range map[string]int{"": 50, "?limit=1": 1, "?limit=100": 100} {
		history := p.get("/rooms/general/messages" + query).list(t)
		if len(history) != want {
			t.Errorf("%q: %d messages, want %d", query, len(history), want)
		}
		for i, m := range history {
			if m["content"] != fmt.Sprint(119-i) {
				t.Fatalf("%q: message %d is %v", query, i, m)
			}
		}
	}
	for _, query := range []string{"?limit=0", "?limit=101", "?limit=ten", "?limit=1.5"} {
		if r := p.get("/rooms/general/messages" + query); r.status != 400 || r.object(t)["error"] == nil {
			t.Errorf("%q: status %d: %s", query, r.status, r.body)
		}
	}
}

func TestPresenceIsByPersonNotBySocket(t *testing.T) {
	p := start(t, programOptions{})
	both := p.joinAll("general", "ann", "bob")
	ann, bob := both[0], both[1]
	bob2 := p.join("general", "bob")
	if got := p.get("/rooms/general/presence"); strings.TrimSpace(got.body) !=
		`{"room":"general","users":[{"user":"ann","sockets":1},{"user":"bob","sockets":2}],"count":2}` {
		t.Errorf("presence is %s", got.body)
	}
	bob.close()
	p.eventually("bob has one socket", func() bool {
		return strings.Contains(p.get("/rooms/general/presence").body, `{"user":"bob","sockets":1}`)
	})
	ann.say("still here?")
	ann.wantMessage("ann", "still here?") // neither the second tab nor its end was told
	bob2.wantMessage("ann", "still here?")
	_ = bob2.conn.NetConn().Close() // vanishes without a word
	ann.want(object{"type": "presence", "joined": []string{}, "left": []string{"bob"}, "count": 1})

	guest := p.connect("/ws/general").want(object{"type": "welcome"})["user"].(string)
	if len(guest) != len("guest-123456") || !strings.HasPrefix(guest, "guest-") {
		t.Errorf("a guest is called %q", guest)
	}
	ann.want(object{"type": "presence", "joined": []string{guest}})
}

func TestWhoMayConnect(t *testing.T) {
	p := start(t, programOptions{})
	for path, want := range map[string]int{
		"/ws/general": 426, "/ws/general?user=ann": 426, "/users/ann/inbox": 426, "/nowhere": 404, "/_/nowhere": 404,
	} {
		if r := p.get(path); r.status != want || r.object(t)["error"] == nil {
			t.Errorf("%s: status %d, want %d: %s", path, r.status, want, r.body)
		}
	}
	for _, path := range []string{
		"/ws/general?user=", "/ws/general?user=a%20b", "/ws/general?user=%3Cb%3E", "/ws/general?user=" + strings.Repeat("a", 65),
		"/ws/" + strings.Repeat("r", 65), "/ws/a%20b", "/users/a%20b/inbox",
	} {
		_, r, err := gws.NewClient(new(gws.BuiltinEventHandler), &gws.ClientOption{Addr: "ws://" + p.addr + path})
		if err == nil || r == nil || r.StatusCode != 400 {
			t.Errorf("%s: %v, %v; want 400", path, r, err)
		}
	}
	if rooms := p.get("/rooms").list(t); len(rooms) != 0 {
		t.Errorf("rooms were made: %v", rooms)
	}
	p.join(strings.Repeat("r", 64), strings.Repeat("a", 64))
}

func TestBadInputIsAnsweredToItsSenderOnly(t *testing.T) {
	p := start(t, programOptions{})
	both := p.joinAll("general", "ann", "bob")
	ann, bob := both[0], both[1]
	for name, bad := range map[string]string{
		"no JSON": "hello", "nothing": "", "half": `{"type":"message"`, "null": "null", "a number": "7", "an array": "[]",
		"no type": "{}", "unknown type": `{"type":"shout","content":"x"}`, "no content": `{"type":"message"}`,
		"a number as content": `{"type":"message","content":7}`, "empty": `{"type":"message","content":""}`,
		"blank": `{"type":"message","content":" \n\t "}`, "deep": strings.Repeat("[", 501) + strings.Repeat("]", 501),
		"too long": `{"type":"message","content":"` + strings.Repeat("x", 4001) + `"}`,
	} {
		bob.send(bad)
		if e := bob.next(); e["type"] != "error" || e["error"] == "" || len(e) != 2 {
			t.Errorf("%s: received %v", name, e)
		}
	}
	if err := bob.conn.WriteMessage(gws.OpcodeBinary, []byte(`{"type":"message","content":"binary"}`)); err != nil {
		t.Fatal(err)
	}
	bob.want(object{"type": "error"})
	longest := strings.Repeat("ä", 4000)
	bob.say(longest)
	bob.wantMessage("bob", longest)
	ann.wantMessage("bob", longest) // and nothing before it
	if history := p.get("/rooms/general/messages").list(t); len(history) != 1 {
		t.Errorf("%d messages in the history", len(history))
	}
	p.stop()
	if strings.Contains(p.stderr.String(), "script error") {
		t.Error("bad input is a script error")
	}
}

func TestAMessageBelongsToItsSocket(t *testing.T) {
	p := start(t, programOptions{})
	both := p.joinAll("general", "ann", "eve")
	ann, eve := both[0], both[1]
	other := p.join("secret", "bob")
	eve.send(object{"type": "message", "room": "secret", "author": "ann", "content": "I quit",
		"sent": "2001-01-01", "$id": "mine", "$type": "Room"})
	m := ann.wantMessage("eve", "I quit")
	if m["room"] != "general" || m["$type"] != "Message" || m["$id"] == "mine" || strings.HasPrefix(m["sent"].(string), "2001") {
		t.Errorf("the message is %v", m)
	}
	if got := p.get("/rooms/secret/messages").list(t); len(got) != 0 {
		t.Errorf("the other room's history: %v", got)
	}
	other.say("all quiet")
	other.wantMessage("bob", "all quiet")
	other.silent()
}

func TestRoomsAreListed(t *testing.T) {
	p := start(t, programOptions{})
	for _, room := range []string{"b", "a", "b"} {
		p.join(room, "ann")
	}
	var rooms []object
	p.eventually("two rooms are listed", func() bool {
		rooms = p.get("/rooms").list(t)
		return len(rooms) == 2
	})
	for i, name := range []string{"a", "b"} {
		created, _ := rooms[i]["created"].(string)
		if _, err := time.Parse(time.RFC3339Nano, created); rooms[i]["room"] != name || err != nil {
			t.Errorf("room %d is %v", i, rooms[i])
		}
	}
	if rest := p.get("/rooms?after=a").list(t); len(rest) != 1 || rest[0]["room"] != "b" {
		t.Errorf("after a: %v", rest)
	}
}

func TestRoomsSleepWhileSocketsStay(t *testing.T) {
	p := start(t, programOptions{flags: []string{"--hibernate-after", "200ms"}})
	both := p.joinAll("general", "ann", "bob")
	ann, bob := both[0], both[1]
	inbox := p.connect("/users/zoe/inbox")
	for range 2 {
		p.eventually("nothing is awake", func() bool { return p.metric("chat_objects_awake") == 0 })
		if n := p.metric("chat_sockets"); n != 3 {
			t.Fatalf("%v sockets, want 3", n)
		}
		bob.say("@zoe woken") // the tag finds both, the attachment knows who
		ann.wantMessage("bob", "@zoe woken")
		bob.wantMessage("bob", "@zoe woken")
	}
	for range 2 {
		inbox.want(object{"notification": object{"from": "bob"}})
	}
	p.eventually("nothing is awake", func() bool { return p.metric("chat_objects_awake") == 0 })
	_ = bob.conn.NetConn().Close()
	ann.want(object{"type": "presence", "left": []string{"bob"}})
}

func TestHealthAndMetrics(t *testing.T) {
	p := start(t, programOptions{})
	if r := p.get("/healthz"); r.status != 200 || r.body != "ok\n" {
		t.Errorf("/healthz: %d %q", r.status, r.body)
	}
	ann := p.join("general", "ann")
	ann.say("hello")
	ann.wantMessage("ann", "hello")
	text := p.get("/metrics").body
	for _, name := range []string{"chat_sockets 1", "chat_objects_awake", "chat_objects_known", "chat_turns_total", "chat_turn_seconds_count",
		"chat_commit_seconds_count", "chat_commit_batches_count", "chat_events_total", "chat_calls_total", "chat_round_trips_total",
		"chat_dead_letters_total 0", "chat_frames_in_total 1", "go_goroutines"} {
		if !strings.Contains(text, "\n"+name) {
			t.Errorf("no %s in\n%s", name, text)
		}
	}
}
