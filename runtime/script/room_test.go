package script

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"chat.example.com.ai/store"
)

// shipped is the folder of the chat.
var shipped = filepath.Join("..", "..", "scripts")

// shippedRoom is a room of the chat, without a network and without a clock: its
// timers fire when a test says so.
type shippedRoom struct {
	roomHost
	t      testing.TB
	set    *Set
	vm     *VM
	store  *store.Store
	view   *store.View
	last   TaskID
	ids    int
	began  time.Time
	clock  time.Duration // since then: it stands unless a test moves it
	timers map[int64]time.Duration
	frames map[Socket][]frame  // what each socket was sent of who is here
	said   map[Socket][]string // and what was said
	latest map[Socket]string   // of each welcome
}

// frame is a welcome or presence frame.
type frame struct {
	Type         string
	Users        []string
	Joined, Left []string
	More, Count  int
}

// otherFrame is what else a frame may have: a message, and the newest one's $id.
type otherFrame struct {
	Message *struct{ Content string }
	Latest  string
}

func (r *shippedRoom) Now() time.Time                           { return r.began.Add(r.clock) }
func (r *shippedRoom) View() *store.View                        { return r.view }
func (r *shippedRoom) Reads() context.Context                   { return r.t.Context() }
func (r *shippedRoom) NextSeq() int64                           { return r.store.NextSeq() }
func (r *shippedRoom) HandlersOf(string) []Handler              { return nil }
func (r *shippedRoom) NewID() string                            { r.ids++; return fmt.Sprintf("%026d", r.ids) }
func (r *shippedRoom) StartTimer(id int64, after time.Duration) { r.timers[id] = after }
func (r *shippedRoom) StopTimer(id int64)                       { delete(r.timers, id) }

func (r *shippedRoom) Accept(tags []string, user *User) Socket {
	r.ids++
	s := &testSocket{id: uint64(r.ids), tags: tags, user: user}
	r.sockets = append(r.sockets, s)
	return s
}

// newShippedRoom wakes a room of the chat that nobody has been in. Further
// scripts go beside those of the chat.
func newShippedRoom(t testing.TB, further map[string]string) *shippedRoom {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(shipped)); err != nil {
		t.Fatal(err)
	}
	for name, text := range further {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("import { DO } from 'dotdo'\n"+text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	set, err := Load(Options{Folder: folder, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), store.Options{Memory: true, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &shippedRoom{t: t, set: set, store: s, began: time.Now(), frames: make(map[Socket][]frame), said: make(map[Socket][]string), latest: make(map[Socket]string)}
	r.wake()
	return r
}

// wake gives the room a new VM. Its sockets stay.
func (r *shippedRoom) wake() {
	r.t.Helper()
	r.timers = make(map[int64]time.Duration)
	r.view = r.store.View(r.Key(), r.store.Epoch())
	r.vm = r.set.NewObject(r)
	r.settle(r.vm.Boot(r.task()))
}

func (r *shippedRoom) task() TaskID { r.last++; return r.last }

// settle lets a turn out, or takes it back, and returns the response in it.
func (r *shippedRoom) settle(out Outcome) (response *Response) {
	r.t.Helper()
	for _, s := range out.Orphans {
		r.remove(s)
	}
	if out.Err != nil {
		r.view.Discard()
		return nil
	}
	if b := r.view.Seal(); b != nil {
		if err := r.store.CommitWait(r.t.Context(), b); err != nil {
			r.t.Fatal(err)
		}
		r.view.Settled(b)
	}
	for _, e := range out.Effects {
		switch e := e.(type) {
		case Attach:
			e.Socket.(*testSocket).attachment = e.Data
		case Send:
			var f frame
			if err := json.Unmarshal(e.Message.Data, &f); err != nil {
				r.t.Fatal(err)
			}
			var m otherFrame
			if err := json.Unmarshal(e.Message.Data, &m); err != nil {
				r.t.Fatal(err)
			}
			if m.Message != nil {
				r.said[e.Socket] = append(r.said[e.Socket], m.Message.Content)
				continue
			}
			r.latest[e.Socket] = m.Latest
			r.frames[e.Socket] = append(r.frames[e.Socket], f)
		case Finished:
			if e.Response != nil {
				response = e.Response
			}
		}
	}
	return response
}

func (r *shippedRoom) get(path string) *Response {
	r.t.Helper()
	header := http.Header{"Upgrade": {"websocket"}}
	return r.settle(r.vm.Request(r.task(), &Request{Method: "GET", URL: "http://x" + path, Header: header}))
}

// join lets a person in; nil if that failed.
func (r *shippedRoom) join(user string) Socket {
	r.t.Helper()
	if response := r.get("/ws/general?user=" + user); response != nil {
		return response.Socket
	}
	return nil
}

// leave ends a socket with a code.
func (r *shippedRoom) leave(s Socket, code uint16) {
	r.t.Helper()
	r.settle(r.vm.Closed(r.task(), s, code, "", true))
	r.remove(s)
}

// wait lets time go on until the room has set no timers any more, and returns the
// longest of them.
func (r *shippedRoom) wait() (longest time.Duration) {
	r.t.Helper()
	for len(r.timers) > 0 {
		for _, id := range slices.Sorted(maps.Keys(r.timers)) {
			after := r.timers[id]
			longest = max(longest, after)
			r.clock += after
			delete(r.timers, id)
			out := r.vm.Timer(id, r.task())
			if out.Err != nil {
				r.t.Error(out.Err)
			}
			r.settle(out)
		}
	}
	return longest
}

// heard compares what a socket was sent since it was last looked at.
func (r *shippedRoom) heard(s Socket, want ...frame) {
	r.t.Helper()
	got := r.frames[s]
	delete(r.frames, s)
	if len(got) != len(want) {
		r.t.Fatalf("heard %+v, want %+v", got, want)
	}
	for i := range want {
		for _, names := range []*[]string{&got[i].Users, &got[i].Joined, &got[i].Left} {
			if len(*names) == 0 {
				*names = nil
			}
		}
		if !reflect.DeepEqual(got[i], want[i]) {
			r.t.Fatalf("heard %+v, want %+v", got[i], want[i])
		}
	}
}

func welcome(count int, users ...string) frame {
	return frame{Type: "welcome", Count: count, Users: users}
}
func joined(count int, users ...string) frame {
	return frame{Type: "presence", Count: count, Joined: users}
}
func left(count int, users ...string) frame {
	return frame{Type: "presence", Count: count, Left: users}
}

func TestWhoComesAndGoesIsToldTogether(t *testing.T) {
	r := newShippedRoom(t, nil)
	ann := r.join("ann")
	r.heard(ann, welcome(1, "ann"))
	if len(r.timers) != 0 {
		t.Error("a room waits to tell somebody that nobody else is there")
	}
	bob, cat := r.join("bob"), r.join("cat")
	r.heard(bob, welcome(2, "ann", "bob"))
	r.heard(cat, welcome(2, "ann", "cat")) // goes on with what ann has been told
	r.heard(ann)
	if after := r.wait(); after != 250*time.Millisecond {
		t.Errorf("told after %v", after)
	}
	for _, s := range []Socket{ann, bob, cat} {
		r.heard(s, joined(3, "bob", "cat"))
	}
	r.leave(bob, 1000)
	dan := r.join("dan")
	r.heard(dan, welcome(4, "ann", "bob", "cat", "dan"))
	r.wait()
	for _, s := range []Socket{ann, cat, dan} {
		r.heard(s, joined(4, "dan"), left(3, "bob")) // who may still come back
	}
	if r.wait() != 0 {
		t.Error("there is something to tell")
	}
}

// Nobody hears of a second tab, of a page that is loaded again, or of somebody
// who looks in for a moment.
func TestWhatChangesNothingIsNotTold(t *testing.T) {
	r := newShippedRoom(t, nil)
	ann, bob := r.join("ann"), r.join("bob")
	r.wait()
	r.frames = make(map[Socket][]frame)

	tab := r.join("bob")
	r.heard(tab, welcome(2, "ann", "bob"))
	r.wait()
	r.leave(bob, 1000) // the other tab is there
	r.wait()
	r.leave(tab, 1001)
	tab = r.join("bob")
	r.heard(tab, welcome(2, "ann", "bob"))
	r.wait()
	r.leave(r.join("cat"), 1000)
	r.wait()
	r.heard(ann)
	r.leave(tab, 1000)
	r.wait()
	r.heard(ann, left(1, "bob"))
}

func TestAWakenedRoomKnowsWhoIsThere(t *testing.T) {
	r := newShippedRoom(t, nil)
	ann, bob := r.join("ann"), r.join("bob")
	r.wait()
	r.frames = make(map[Socket][]frame)
	r.wake()
	cat := r.join("cat")
	r.heard(cat, welcome(3, "ann", "bob", "cat"))
	r.wait()
	r.heard(ann, joined(3, "cat"))
	r.wake()
	r.leave(bob, 1000)
	r.wait()
	r.heard(ann, left(2, "bob"))
	r.leave(ann, 1000)
	r.leave(cat, 1000)
	r.wait()
	ann = r.join("ann")
	r.heard(ann, welcome(1, "ann"))
	r.heard(r.join("bob"), welcome(2, "ann", "bob"))
}

// Fields are not taken back with a turn that fails: what the room tells is right
// all the same.
func TestWhoFailedToComeIsNotTold(t *testing.T) {
	r := newShippedRoom(t, map[string]string{
		"a.js": `export default DO.extend({ $type: 'Room', onRequest() {
			this.app.use('*', async (c, next) => { await next(); if (c.req.query('user') === 'eve') throw new Error('not you') })
		} })`,
		"z.js": `export default DO.extend({ $type: 'Room', webSocketClose(ws, code) { if (code === 4000) throw new Error('no') } })`,
	})
	if r.join("eve") != nil {
		t.Fatal("eve is in")
	}
	ann := r.join("ann")
	r.heard(ann, welcome(1, "ann")) // alone
	if r.join("eve") != nil {
		t.Fatal("eve is in")
	}
	r.wait()
	r.heard(ann)
	bob := r.join("bob")
	r.join("eve")
	r.heard(bob, welcome(2, "ann", "bob"))
	r.wait()
	r.heard(ann, joined(2, "bob"))
	r.leave(bob, 4000)
	r.wait()
	r.heard(ann, left(1, "bob"))
}

// What is on its way from somebody who is taken out of a private room is not said.
func TestWhoIsTakenOutSaysNothing(t *testing.T) {
	r := newShippedRoom(t, nil)
	members := func(list string) {
		t.Helper()
		response := r.settle(r.vm.Request(r.task(), &Request{Method: "PUT", URL: "http://x/rooms/general/members?user=ann", Body: []byte(`{"members":` + list + `}`)}))
		if response == nil || response.Status != 200 {
			t.Fatalf("%+v", response)
		}
	}
	members(`["bob"]`)
	ann, bob := r.join("ann"), r.join("bob")
	say := func(s Socket, content string) {
		t.Helper()
		if out := r.vm.Message(r.task(), s, true, []byte(`{"type":"message","content":"`+content+`"}`)); out.Err != nil {
			t.Fatal(out.Err)
		} else {
			r.settle(out)
		}
	}
	say(bob, "1")
	members(`[]`)
	say(bob, "2")
	say(ann, "3")
	if got := strings.Join(r.said[ann], " "); got != "1 3" {
		t.Errorf("ann heard %s", got)
	}
}

// A crowd is named as far as it makes sense, and counted.
func TestFramesOfACrowdAreBounded(t *testing.T) {
	const people = 300
	r := newShippedRoom(t, nil)
	first := r.join("first")
	var crowd []Socket
	for i := range people {
		crowd = append(crowd, r.join(fmt.Sprintf("p%03d", i)))
	}
	r.wait()
	got := r.frames[first][1]
	if len(r.frames[first]) != 2 || len(got.Joined) != 100 || got.Joined[99] != "p099" || got.More != people-100 || got.Count != people+1 {
		t.Errorf("the first heard %d joined, %d more, %d in all", len(got.Joined), got.More, got.Count)
	}
	late := r.join("late")
	if got := r.frames[late][0]; len(got.Users) != 100 || got.Users[0] != "first" || got.Count != people+2 {
		t.Errorf("the last is welcomed by %d of %d", len(got.Users), got.Count)
	}
	r.wait()
	delete(r.frames, first)
	for _, s := range crowd[:250] {
		r.leave(s, 1001)
	}
	r.join("new")
	r.wait()
	r.frames[first] = r.frames[first][1:] // of who is new
	got = r.frames[first][0]
	if len(r.frames[first]) != 1 || len(got.Left) != 100 || len(got.Joined) != 0 || got.More != 150 || got.Count != people+3-250 {
		t.Errorf("the first heard %d left, %d joined, %d more, %d in all", len(got.Left), len(got.Joined), got.More, got.Count)
	}
}

// The frames that a room sends of comings and goings are bounded: it gathers them
// for longer the more hear of them.
func TestALargeRoomGathersForLonger(t *testing.T) {
	r := newShippedRoom(t, nil)
	for i := range 5000 {
		s := &testSocket{id: uint64(i + 1_000_000), tags: []string{"room:general", fmt.Sprint("user:p", i)}}
		s.attachment = []byte(fmt.Sprintf(`{"user":"p%d","since":{"$date":0}}`, i))
		r.sockets = append(r.sockets, s)
	}
	r.join("ann")
	if after := r.wait(); after != 500*time.Millisecond {
		t.Errorf("5,000 people hear of others after %v", after)
	}
}

func TestPresenceIsPaged(t *testing.T) {
	r := newShippedRoom(t, nil)
	for _, user := range strings.Fields("dan bob ann cat bob") {
		r.join(user)
	}
	for query, want := range map[string]string{
		"":                   `{"room":"general","users":[{"user":"ann","sockets":1},{"user":"bob","sockets":2},{"user":"cat","sockets":1},{"user":"dan","sockets":1}],"count":4}`,
		"?limit=2":           `{"room":"general","users":[{"user":"ann","sockets":1},{"user":"bob","sockets":2}],"count":4}`,
		"?limit=2&after=bob": `{"room":"general","users":[{"user":"cat","sockets":1},{"user":"dan","sockets":1}],"count":4}`,
		"?after=bobo":        `{"room":"general","users":[{"user":"cat","sockets":1},{"user":"dan","sockets":1}],"count":4}`,
		"?after=zoe":         `{"room":"general","users":[],"count":4}`,
		"?limit=0":           `{"error":"limit is a number from 1 to 1000"}`,
		"?limit=1001":        `{"error":"limit is a number from 1 to 1000"}`,
		"?limit=x":           `{"error":"limit is a number from 1 to 1000"}`,
	} {
		if got := strings.TrimSpace(string(r.get("/rooms/general/presence" + query).Body)); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

// A clock that is set back changes what a message says of its time, and not the
// order in which people saw it, which pages and those who come back go by.
func TestAClockThatIsSetBackChangesNoOrder(t *testing.T) {
	r := newShippedRoom(t, nil)
	ann := r.join("ann")
	for i := range 6 {
		r.settle(r.vm.Message(r.task(), ann, true, []byte(fmt.Sprintf(`{"type":"message","content":"%d"}`, i))))
		r.clock -= time.Hour
	}
	type message struct {
		ID      string `json:"$id"`
		Content string
	}
	page := func(query string) (contents string, last string) {
		response := r.get("/rooms/general/messages" + query)
		var list []message
		if err := json.Unmarshal(response.Body, &list); err != nil {
			t.Fatalf("%s: %s", query, response.Body)
		}
		for _, m := range list {
			contents, last = contents+m.Content, m.ID
		}
		return contents, last
	}
	newest, id := page("?limit=3")
	older, _ := page("?limit=3&before=" + id)
	newer, _ := page("?after=" + id)
	if newest+older != "543210" || newer != "45" {
		t.Errorf("the newest are %s, before that %s, and after it %s", newest, older, newer)
	}
	r.join("bob&since=" + id)
	var told string
	for _, m := range r.said[r.sockets[len(r.sockets)-1]] {
		told += m
	}
	if told != "45" {
		t.Errorf("who comes back is sent %s", told)
	}
}

// A message whose turn failed is none, also for those who come next.
func TestTheNewestMessageIsOneThatIsThere(t *testing.T) {
	r := newShippedRoom(t, map[string]string{
		"z.js": `export default DO.extend({ $type: 'Room', webSocketMessage(ws, data) { if (data.includes('fail')) throw new Error('no') } })`,
	})
	ann := r.join("ann")
	say := func(content string) {
		r.settle(r.vm.Message(r.task(), ann, true, []byte(`{"type":"message","content":"`+content+`"}`)))
	}
	newest := func() string {
		var list []struct {
			ID string `json:"$id"`
		}
		if err := json.Unmarshal(r.get("/rooms/general/messages?limit=1").Body, &list); err != nil || len(list) == 0 {
			return ""
		}
		return list[0].ID
	}
	for i, content := range []string{"", "fail", "one", "fail", "two", "three", "fail"} {
		if content != "" {
			say(content)
		}
		for range 2 {
			if got, want := r.latest[r.join(fmt.Sprint("bob", i))], newest(); got != want {
				t.Errorf("after %q the newest message is %q, want %q", content, got, want)
			}
		}
	}
	if newest() == "" {
		t.Error("nothing was said")
	}
}

// What a room of thousands takes to let one more in, and to do so after a sleep.
func BenchmarkJoin(b *testing.B) {
	for _, people := range []int{0, 100, 5000} {
		crowded := func(b *testing.B) *shippedRoom {
			r := newShippedRoom(b, nil)
			for i := range people {
				s := &testSocket{id: uint64(i + 1_000_000), tags: []string{"room:general", fmt.Sprint("user:p", i)}}
				s.attachment = []byte(fmt.Sprintf(`{"user":"p%d","since":{"$date":0}}`, i))
				r.sockets = append(r.sockets, s)
			}
			return r
		}
		b.Run(fmt.Sprint("awake/people=", people), func(b *testing.B) {
			r := crowded(b)
			r.join("ann")
			for b.Loop() {
				s := r.join("bob")
				b.StopTimer()
				r.sockets = r.sockets[:people+1]
				r.vm.Forget(s)
				clear(r.frames)
				b.StartTimer()
			}
		})
		b.Run(fmt.Sprint("asleep/people=", people), func(b *testing.B) {
			r := crowded(b)
			for b.Loop() {
				r.wake()
				r.join("bob")
				b.StopTimer()
				r.sockets = r.sockets[:people]
				clear(r.frames)
				b.StartTimer()
			}
		})
	}
}

// A page of history, from the rows to the answer.
func BenchmarkHistoryPage(b *testing.B) {
	r := newShippedRoom(b, nil)
	ann := r.join("ann")
	for range 200 {
		r.settle(r.vm.Message(r.task(), ann, true, []byte(`{"type":"message","content":"hello, this is a message of about the usual length"}`)))
	}
	b.ReportAllocs()
	for b.Loop() {
		if response := r.get("/rooms/general/messages?limit=100"); response == nil || response.Status != 200 {
			b.Fatal(response)
		}
	}
}
