package main_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lxzan/gws"

	"chat.example.com.ai/runtime/failpoint"
)

var (
	crashRounds = flag.Int("crash-rounds", 0, "how often the crash test kills the program; 0 is 50, or 5 with -short")
	crashSeed   = flag.Uint64("crash-seed", 0, "what the crash test draws its chances from; 0 is something new")
)

// The crowd of a round. Each client says the next thing when it has heard most of
// what it said before, so the program always has something under way.
const (
	crashRooms   = 6
	crashClients = 3 // in each room
	crashWindow  = 8 // messages of a client that it has not heard yet
)

// The scripts beside the chat: a ledger of the events that were handled, and all of a
// room's history, the oldest first.
var crashScripts = map[string]string{
	"ledger.js": `
import { $, DO } from 'dotdo'
$.on.Message.sent((event) => { $.Ledger(event.data.room).note(event.data.$id) })
export default DO.extend({
  $type: 'Ledger',
  onRequest() {
    this.app.get('/ledger/:ledger', async (c) => c.json(await this.things.list(
      { $type: 'Note', orderBy: { $id: 'asc' }, after: c.req.query('after') || undefined, limit: 1000 })))
  },
  async note(id) {
    const note = await this.things.get(id)
    if (note) await this.things.update(id, { times: note.times + 1 })
    else this.things.create({ $type: 'Note', $id: id, times: 1 })
  },
})`,
	"whole.js": `
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  onRequest() {
    this.app.get('/whole/:room', async (c) => c.json(await this.things.list(
      { $type: 'Message', orderBy: { $id: 'asc' }, after: c.req.query('after') || undefined, limit: 1000 })))
  },
})`,
}

// crashTest is what is known of the program's data over all rounds.
type crashTest struct {
	t       *testing.T
	scripts string
	data    string
	chance  *rand.Rand
	rooms   [crashRooms]crashRoom
}

type crashRoom struct {
	name     string
	contents map[string]bool // of all messages of the history so far
	ids      []string        // in the order of the history
}

func newCrashTest(t *testing.T) *crashTest {
	seed := *crashSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("to draw the same again: -crash-seed=%d", seed)
	c := &crashTest{t: t, scripts: shippedWith(t, crashScripts), data: t.TempDir(), chance: rand.New(rand.NewPCG(seed, 0))}
	for i := range c.rooms {
		c.rooms[i] = crashRoom{name: fmt.Sprintf("room%d", i), contents: map[string]bool{}}
	}
	return c
}

// rounds is how many are asked for.
func (c *crashTest) rounds(usual, short int) int {
	switch {
	case *crashRounds > 0:
		return *crashRounds
	case testing.Short():
		return short
	}
	return usual
}

func (c *crashTest) start(o programOptions) *program {
	o.scripts, o.data = c.scripts, c.data
	o.flags = append(o.flags, "--watch=false")
	return start(c.t, o)
}

// crashClient says things until the program dies, and keeps what it hears.
type crashClient struct {
	gws.BuiltinEventHandler
	room   *crashRoom
	name   string
	heard  []crashMessage // owned by the reader until gone is closed
	window chan struct{}  // holds one of each message that was not heard yet
	gone   chan struct{}
	sent   map[string]bool // owned by the writer until it has ended
}

type crashMessage struct {
	ID      string `json:"$id"`
	Author  string `json:"author"`
	Content string `json:"content"`
}

func (c *crashClient) OnClose(*gws.Conn, error) { close(c.gone) }

func (c *crashClient) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	var frame struct {
		Type    string
		Message crashMessage
	}
	if err := json.Unmarshal(bytes.Clone(m.Bytes()), &frame); err != nil || frame.Type != "message" {
		return
	}
	c.heard = append(c.heard, frame.Message)
	if frame.Message.Author == c.name {
		<-c.window
	}
}

// talk says things until the connection is gone.
func (c *crashClient) talk(conn *gws.Conn, prefix string) {
	for n := 0; ; n++ {
		select {
		case c.window <- struct{}{}:
		case <-c.gone:
			return
		}
		content := fmt.Sprintf("%s %s %d @ann", prefix, c.name, n)
		c.sent[content] = true
		text, _ := json.Marshal(object{"type": "message", "content": content})
		if conn.WriteMessage(gws.OpcodeText, text) != nil {
			<-c.gone
			return
		}
	}
}

// crowd has clients talk in all rooms until the program dies, and returns them.
// talking is called when all are connected.
func (c *crashTest) crowd(p *program, round int, talking func()) (clients []*crashClient) {
	var connecting, all sync.WaitGroup
	for i := range c.rooms {
		for n := range crashClients {
			client := &crashClient{room: &c.rooms[i], name: fmt.Sprintf("client%d", n), sent: map[string]bool{},
				window: make(chan struct{}, crashWindow), gone: make(chan struct{})}
			clients = append(clients, client)
			connecting.Add(1)
			all.Go(func() {
				conn, _, err := gws.NewClient(client, &gws.ClientOption{
					Addr: "ws://" + p.addr + "/ws/" + client.room.name + "?user=" + client.name, HandshakeTimeout: patience})
				connecting.Done()
				if err != nil {
					close(client.gone) // the program died before; what else it may be is told by other tests
					return
				}
				all.Go(conn.ReadLoop)
				client.talk(conn, fmt.Sprintf("%d %s", round, client.room.name))
			})
		}
	}
	connecting.Wait()
	talking()
	all.Wait()
	p.wait()
	return clients
}

// check compares what the program has after a crash with what its clients have heard.
func (c *crashTest) check(p *program, clients []*crashClient) {
	c.t.Helper()
	for i := range c.rooms {
		room := &c.rooms[i]
		known := len(room.ids)
		fresh := c.page(p, "/whole/"+room.name, room.last())
		sent := map[string]bool{}
		for _, client := range clients {
			if client.room == room {
				for content := range client.sent {
					sent[content] = true
				}
			}
		}
		at := map[crashMessage]int{}
		for n, message := range fresh {
			if room.contents[message.Content] {
				c.t.Errorf("%s: %q is in the history twice", room.name, message.Content)
			}
			if !sent[message.Content] {
				c.t.Errorf("%s: nobody has said %q in this round", room.name, message.Content)
			}
			room.contents[message.Content] = true
			room.ids = append(room.ids, message.ID)
			at[message] = n
		}
		for _, client := range clients {
			if client.room == room {
				c.compare(client, at)
			}
		}
		c.checkEvents(p, room, room.ids[known:])
	}
}

// compare looks for what a client has heard: all of it, in its order, without a gap.
func (c *crashTest) compare(client *crashClient, at map[crashMessage]int) {
	for n, message := range client.heard {
		place, ok := at[message]
		switch {
		case !ok:
			c.t.Errorf("%s: %s has heard %+v, and the history does not have it", client.room.name, client.name, message)
			return // one is enough
		case n > 0 && place != at[client.heard[n-1]]+1:
			c.t.Errorf("%s: %s has heard %q as the next after %q, the history has it %d later", client.room.name, client.name,
				message.Content, client.heard[n-1].Content, place-at[client.heard[n-1]])
		}
	}
}

// checkEvents waits until the events of messages are handled, and looks that there
// are no others. The handler's call takes effect once, however often it runs.
func (c *crashTest) checkEvents(p *program, room *crashRoom, ids []string) {
	c.t.Helper()
	after := ""
	if known := len(room.ids) - len(ids); known > 0 {
		after = room.ids[known-1]
	}
	var notes []string
	p.eventually("the events of "+room.name+" are handled", func() bool {
		notes = notes[:0]
		for _, note := range c.notes(p, room, after) {
			notes = append(notes, note.ID)
			if note.Times != 1 {
				c.t.Errorf("%s: the call for %s took effect %d times", room.name, note.ID, note.Times)
			}
		}
		return len(notes) >= len(ids)
	})
	if !slices.Equal(notes, ids) {
		c.t.Errorf("%s: events of %d messages were handled, the history has %d; the first that differs is the %dth",
			room.name, len(notes), len(ids), firstDifference(notes, ids))
	}
}

func firstDifference(a, b []string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

type crashNote struct {
	ID    string `json:"$id"`
	Times int    `json:"times"`
}

func (c *crashTest) notes(p *program, room *crashRoom, after string) (notes []crashNote) {
	c.t.Helper()
	for {
		var page []crashNote
		c.read(p, "/ledger/"+room.name+"?after="+after, &page)
		if notes = append(notes, page...); len(page) < 1000 {
			return notes
		}
		after = page[len(page)-1].ID
	}
}

// page reads messages from behind an id to the end.
func (c *crashTest) page(p *program, path, after string) (messages []crashMessage) {
	c.t.Helper()
	for {
		var page []crashMessage
		c.read(p, path+"?after="+after, &page)
		if messages = append(messages, page...); len(page) < 1000 {
			return messages
		}
		after = page[len(page)-1].ID
	}
}

func (c *crashTest) read(p *program, path string, to any) {
	c.t.Helper()
	r := p.get(path)
	if r.status != 200 {
		c.t.Fatalf("GET %s: status %d: %s", path, r.status, r.body)
	}
	if err := json.Unmarshal([]byte(r.body), to); err != nil {
		c.t.Fatalf("GET %s: %v", path, err)
	}
}

func (r *crashRoom) last() string {
	if len(r.ids) == 0 {
		return ""
	}
	return r.ids[len(r.ids)-1]
}

// whole checks all rounds together, and that nothing was given up.
func (c *crashTest) whole(p *program) {
	c.t.Helper()
	total := 0
	for i := range c.rooms {
		room := &c.rooms[i]
		var ids []string
		for _, message := range c.page(p, "/whole/"+room.name, "") {
			ids = append(ids, message.ID)
		}
		if !slices.Equal(ids, room.ids) {
			c.t.Errorf("%s: the history has %d messages in the end, %d were there after their rounds; the first that differs is the %dth",
				room.name, len(ids), len(room.ids), firstDifference(ids, room.ids))
		}
		c.checkEvents(p, room, room.ids)
		total += len(ids)
	}
	if strings.Contains(p.stderr.String(), "dead letter") {
		c.t.Errorf("there are dead letters:\n%s", tail(p.stderr.String()))
	}
	c.t.Logf("%d messages", total)
	if total == 0 {
		c.t.Error("nobody has said anything")
	}
}

// What any client has heard is in the history once, in the order in which it was
// heard, and its event was handled, whenever the program is killed.
func TestNothingIsLostInACrash(t *testing.T) {
	c := newCrashTest(t)
	p := c.start(programOptions{})
	for round := range c.rounds(50, 5) {
		clients := c.crowd(p, round, func() {
			time.Sleep(time.Duration(c.chance.IntN(150)) * time.Millisecond) // the moment is what is drawn
			_ = p.process.Kill()
		})
		p = c.start(programOptions{})
		c.check(p, clients)
		if t.Failed() {
			t.Fatalf("in round %d", round)
		}
	}
	c.whole(p)
}

// The same where it hurts most.
func TestNothingIsLostAtAFailpoint(t *testing.T) {
	for _, place := range []string{failpoint.BeforeCommit, failpoint.AfterCommit, failpoint.Release} {
		t.Run(place, func(t *testing.T) {
			binary, err := failpointBinary()
			if err != nil {
				t.Fatal(err)
			}
			c := newCrashTest(t)
			for round := range c.rounds(8, 2) {
				p := c.start(programOptions{binary: binary, env: map[string]string{
					"CHAT_FAILPOINT": fmt.Sprintf("%s:%d", place, 1+c.chance.IntN(60))}})
				clients := c.crowd(p, round, func() {})
				p = c.start(programOptions{})
				c.check(p, clients)
				_ = p.process.Kill()
				p.wait()
				if t.Failed() {
					t.Fatalf("in round %d", round)
				}
			}
			c.whole(c.start(programOptions{}))
		})
	}
}
