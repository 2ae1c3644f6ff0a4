package main_test

import (
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

// The crowd of a round. Each client says the next thing when most of what it said
// before is acknowledged, so the program always has something under way.
const (
	crashRooms   = 6
	crashClients = 3 // in each room
	crashWindow  = 8 // messages of a client that are not acknowledged
	crashPage    = 100
)

// A ledger of the events that were handled, beside the chat.
const crashLedger = `
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
})`

// crashTest is what is known of the program's data over all rounds.
type crashTest struct {
	t       *testing.T
	scripts string
	data    string
	chance  *rand.Rand
	rooms   [crashRooms]crashRoom
}

type crashRoom struct {
	name    string
	history []crashMessage
	place   map[crashMessage]int // in the history
	stored  map[string]bool      // contents
	authors [crashClients]*crashAuthor
}

// crashAuthor is somebody who comes back in each round.
type crashAuthor struct {
	room   *crashRoom
	name   string
	said   int
	open   []crashMessage // that are not acknowledged; they are said again, by their ids
	closed map[string]crashMessage
}

// crashMessage is a message as its author sends it, without $id, or as it is stored.
type crashMessage struct {
	ID      string `json:"$id"`
	Author  string `json:"author"`
	Content string `json:"content"`
	Given   string `json:"id"` // by its author
}

func newCrashTest(t *testing.T) *crashTest {
	seed := *crashSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("to draw the same again: -crash-seed=%d", seed)
	c := &crashTest{t: t, scripts: hastyWith(t, map[string]string{"ledger.js": crashLedger}), data: t.TempDir(),
		chance: rand.New(rand.NewPCG(seed, 0))}
	for i := range c.rooms {
		room := &c.rooms[i]
		room.name, room.place, room.stored = fmt.Sprintf("room%d", i), map[crashMessage]int{}, map[string]bool{}
		for n := range room.authors {
			room.authors[n] = &crashAuthor{room: room, name: fmt.Sprintf("author%d", n), closed: map[string]crashMessage{}}
		}
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

// crashClient is an author over one connection. It says what is open, and new things
// until the program dies, and keeps what it hears.
type crashClient struct {
	gws.BuiltinEventHandler
	*crashAuthor
	heard  []crashMessage // the reader's, until gone is closed
	acks   []crashMessage
	window chan struct{} // holds one of each message that is not acknowledged yet
	gone   chan struct{}
}

func (c *crashClient) OnClose(*gws.Conn, error) { close(c.gone) }

func (c *crashClient) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	var frame struct {
		Type    string
		Message crashMessage
	}
	if err := json.Unmarshal(m.Bytes(), &frame); err != nil {
		return
	}
	switch frame.Type {
	case "message":
		c.heard = append(c.heard, frame.Message)
	case "ack":
		c.acks = append(c.acks, frame.Message)
		<-c.window
	}
}

// talk says things until the connection is gone, or only what is open.
func (c *crashClient) talk(conn *gws.Conn, onlyOpen bool) {
	for n := 0; !onlyOpen || n < len(c.open); n++ {
		if n == len(c.open) {
			c.said++
			c.open = append(c.open, crashMessage{Author: c.name, Given: fmt.Sprint(c.said), Content: fmt.Sprintf("%s says %d in %s to @ann", c.name, c.said, c.room.name)})
		}
		text, _ := json.Marshal(object{"type": "message", "id": c.open[n].Given, "content": c.open[n].Content})
		for range 1 + n%10/9 { // now and then twice
			select {
			case c.window <- struct{}{}:
			case <-c.gone:
				return
			}
			if conn.WriteMessage(gws.OpcodeText, text) != nil {
				<-c.gone
				return
			}
		}
	}
	for range cap(c.window) { // until all is acknowledged
		select {
		case c.window <- struct{}{}:
		case <-c.gone:
			return
		}
	}
	_ = conn.WriteClose(1000, nil)
	<-c.gone
}

// crowd has all authors talk, and returns them as clients when their connections are
// gone. talking is called when all are connected.
func (c *crashTest) crowd(p *program, onlyOpen bool, talking func()) (clients []*crashClient) {
	var connecting, all sync.WaitGroup
	for i := range c.rooms {
		for _, author := range c.rooms[i].authors {
			client := &crashClient{crashAuthor: author, window: make(chan struct{}, crashWindow), gone: make(chan struct{})}
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
				client.talk(conn, onlyOpen)
			})
		}
	}
	connecting.Wait()
	talking()
	all.Wait()
	return clients
}

// check compares what the program has after a round with what its clients have heard.
func (c *crashTest) check(p *program, clients []*crashClient) {
	c.t.Helper()
	for i := range c.rooms {
		room := &c.rooms[i]
		known := len(room.history)
		said := map[string]bool{}
		for _, author := range room.authors {
			for _, message := range author.open {
				said[message.Content] = !room.stored[message.Content]
			}
		}
		for _, message := range c.page(p, room, room.last()) {
			if !said[message.Content] {
				c.t.Errorf("%s: %+v is there twice, or nobody has said it", room.name, message)
			}
			said[message.Content], room.stored[message.Content] = false, true
			room.place[message] = len(room.history)
			room.history = append(room.history, message)
		}
		for _, client := range clients {
			if client.room == room {
				c.compare(client)
			}
		}
		for _, author := range room.authors {
			author.settle()
		}
		c.checkEvents(p, room, known)
	}
}

// compare looks for what a client has heard: all of it, in its order, without a gap.
// What was acknowledged is there too, and the same each time.
func (c *crashTest) compare(client *crashClient) {
	for n, message := range client.heard {
		place, ok := client.room.place[message]
		if !ok {
			c.t.Errorf("%s: %s has heard %+v, and the history does not have it", client.room.name, client.name, message)
			return // one is enough
		}
		if n > 0 && place != client.room.place[client.heard[n-1]]+1 {
			c.t.Errorf("%s: %s has heard %q next after %q, the history has it %d later", client.room.name, client.name,
				message.Content, client.heard[n-1].Content, place-client.room.place[client.heard[n-1]])
		}
	}
	for _, message := range client.acks {
		if _, ok := client.room.place[message]; !ok {
			c.t.Errorf("%s: %+v is acknowledged, and the history does not have it", client.room.name, message)
			return
		}
		if before, ok := client.closed[message.Given]; ok && before != message {
			c.t.Errorf("%s: acknowledged with %+v and with %+v", client.room.name, before, message)
		}
		client.closed[message.Given] = message
	}
}

// settle leaves open what is not acknowledged.
func (a *crashAuthor) settle() {
	a.open = slices.DeleteFunc(a.open, func(m crashMessage) bool {
		_, ok := a.closed[m.Given]
		return ok
	})
}

// checkEvents waits until the events of the messages from a place on are handled, and
// looks that there are no others. The handler's call takes effect once, however often
// it runs.
func (c *crashTest) checkEvents(p *program, room *crashRoom, from int) {
	c.t.Helper()
	after := ""
	if from > 0 {
		after = room.history[from-1].ID
	}
	messages := room.history[from:]
	var notes []crashNote
	p.eventually("the events of "+room.name+" are handled", func() bool {
		notes = c.notes(p, room, after)
		return len(notes) >= len(messages)
	})
	for i, note := range notes {
		if i >= len(messages) || note.ID != messages[i].ID {
			c.t.Errorf("%s: an event of %s was handled, and the history does not have that message there", room.name, note.ID)
			return
		}
		if note.Times != 1 {
			c.t.Errorf("%s: the call for %s took effect %d times", room.name, note.ID, note.Times)
		}
	}
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
func (c *crashTest) page(p *program, room *crashRoom, after string) (messages []crashMessage) {
	c.t.Helper()
	for {
		var page []crashMessage
		c.read(p, fmt.Sprintf("/rooms/%s/messages?after=%s&limit=%d", room.name, after, crashPage), &page)
		if messages = append(messages, page...); len(page) < crashPage {
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
	if len(r.history) == 0 {
		return ""
	}
	return r.history[len(r.history)-1].ID
}

// whole has everybody say what is open once more, and checks all rounds together:
// everything that was ever said is there, once, and its event was handled.
func (c *crashTest) whole(p *program) {
	c.t.Helper()
	c.check(p, c.crowd(p, true, func() {}))
	total := 0
	for i := range c.rooms {
		room := &c.rooms[i]
		if history := c.page(p, room, ""); !slices.Equal(history, room.history) {
			c.t.Errorf("%s: the history has %d messages in the end, or others, than the %d that were there after their rounds",
				room.name, len(history), len(room.history))
		}
		said := 0
		for _, author := range room.authors {
			said += author.said
			if len(author.open) > 0 {
				c.t.Errorf("%s: %d messages of %s are not acknowledged in the end", room.name, len(author.open), author.name)
			}
		}
		if said != len(room.history) {
			c.t.Errorf("%s: %d messages were said, the history has %d", room.name, said, len(room.history))
		}
		c.checkEvents(p, room, 0)
		total += said
	}
	if strings.Contains(p.stderr.String(), "dead letter") {
		c.t.Errorf("there are dead letters:\n%s", tail(p.stderr.String()))
	}
	c.t.Logf("%d messages", total)
	if total == 0 {
		c.t.Error("nobody has said anything")
	}
}

// What any client has heard, or was told to be stored, is in the history once, in the
// order in which it was heard, and its event was handled, whenever the program is
// killed. Who says again what was not acknowledged says it once.
func TestNothingIsLostInACrash(t *testing.T) {
	c := newCrashTest(t)
	p := c.start(programOptions{})
	for round := range c.rounds(50, 5) {
		clients := c.crowd(p, false, func() {
			<-time.After(time.Duration(c.chance.IntN(200)) * time.Millisecond) // the moment is what is drawn
			_ = p.process.Kill()
		})
		p.wait()
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
	for place, most := range map[string]int{failpoint.BeforeCommit: 15, failpoint.AfterCommit: 15, failpoint.Release: 100} {
		t.Run(place, func(t *testing.T) {
			binary, err := failpointBinary()
			if err != nil {
				t.Fatal(err)
			}
			c := newCrashTest(t)
			for round := range c.rounds(6, 2) {
				p := c.start(programOptions{binary: binary, env: map[string]string{
					"CHAT_FAILPOINT": fmt.Sprintf("%s:%d", place, 1+c.chance.IntN(most))}})
				clients := c.crowd(p, false, func() {})
				if code := p.wait(); code != -1 {
					t.Errorf("it was not killed, but ended with %d", code)
				}
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
