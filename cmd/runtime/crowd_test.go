package main_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lxzan/gws"
)

// connectAtOnce is how many of a crowd are in their handshake at a time.
const connectAtOnce = 64

// crowd is many sockets in one room. What they receive is counted, not kept.
type crowd struct {
	p       *program
	members []*member
	readers sync.WaitGroup
	frames  atomic.Int64
	bytes   atomic.Int64
	strange atomic.Pointer[string] // a frame that should not have come
}

// member is one socket of a crowd.
type member struct {
	gws.BuiltinEventHandler
	crowd   *crowd
	conn    *gws.Conn
	welcome atomic.Pointer[presence]
	told    atomic.Int64 // presence frames
	named   atomic.Int64 // changes that they told of, by name or as more
	count   atomic.Int64 // how many people were here when it last heard
	closed  atomic.Bool
}

// presence is what welcome and presence frames say.
type presence struct {
	Type         string
	Users        []string
	Joined, Left []string
	More, Count  int
}

func (m *member) OnMessage(_ *gws.Conn, message *gws.Message) {
	data := message.Bytes()
	m.crowd.frames.Add(1)
	m.crowd.bytes.Add(int64(len(data)))
	f := new(presence)
	err := json.Unmarshal(data, f)
	switch {
	case err == nil && f.Type == "welcome" && m.welcome.CompareAndSwap(nil, f):
	case err == nil && f.Type == "presence":
		m.told.Add(1)
		m.named.Add(int64(len(f.Joined) + len(f.Left) + f.More))
	default:
		text := string(data)
		m.crowd.strange.Store(&text)
	}
	m.count.Store(int64(f.Count)) // the reader's alone: in order
	_ = message.Close()
}

func (m *member) OnClose(*gws.Conn, error) { m.closed.Store(true) }

// gather connects so many people to a room.
func (p *program) gather(room string, people int) *crowd {
	p.t.Helper()
	c := &crowd{p: p, members: make([]*member, people)}
	p.t.Cleanup(c.end)
	var next, failed atomic.Int64
	var workers sync.WaitGroup
	for range connectAtOnce {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < people && failed.Load() == 0; i = int(next.Add(1)) - 1 {
				m := &member{crowd: c}
				conn, _, err := gws.NewClient(m, &gws.ClientOption{
					Addr:             fmt.Sprintf("ws://%s/ws/%s?user=u%d", p.addr, room, i),
					HandshakeTimeout: patience, ReadBufferSize: 1 << 10,
				})
				if err != nil {
					failed.Add(1)
					p.t.Errorf("socket %d of %d: %v", i, people, err)
					return
				}
				m.conn, c.members[i] = conn, m
				c.readers.Go(conn.ReadLoop)
			}
		})
	}
	workers.Wait()
	if failed.Load() > 0 {
		p.t.FailNow()
	}
	return c
}

func (c *crowd) end() {
	for _, m := range c.members {
		if m != nil {
			_ = m.conn.NetConn().Close()
		}
	}
	c.readers.Wait()
}

// eventually waits until f has held for every one of these.
func (c *crowd) eventually(what string, members []*member, f func(*member) bool) {
	c.p.t.Helper()
	done := 0
	c.p.eventually(what, func() bool {
		for done < len(members) && f(members[done]) {
			done++
		}
		return done == len(members)
	})
}

// crowdWithin is how long a crowd may take to come, and to go: several times what
// it takes on two processors that the clients share, where a frame for each of
// the others takes minutes.
const crowdWithin = patience

func crowdSize() int {
	if testing.Short() || raceOptions != "" {
		return 1000
	}
	return 5000
}

// A crowd joins a room, and leaves it, and what everybody hears of it stays far
// from a frame for each of the others.
func TestACrowdComesAndGoes(t *testing.T) {
	people := crowdSize()
	p := start(t, programOptions{})
	began := time.Now()
	c := p.gather("general", people)
	c.eventually("everybody is welcome, and has heard of everybody", c.members, func(m *member) bool {
		return m.welcome.Load() != nil && m.count.Load() == int64(people)
	})
	took := time.Since(began)
	t.Logf("%d joined in %v: %d frames, %d KB", people, took, c.frames.Load(), c.bytes.Load()>>10)
	if took > crowdWithin {
		t.Errorf("%d people took %v to join, more than %v", people, took, crowdWithin)
	}
	c.bounded(took)
	for _, m := range c.members {
		if w := m.welcome.Load(); len(w.Users) > 100 || w.Count > people {
			t.Fatalf("welcomed by %d of %d", len(w.Users), w.Count)
		}
	}
	if got := p.get("/rooms/general/presence").object(t); got["count"] != float64(people) || len(got["users"].([]any)) != 1000 {
		t.Errorf("%v are present", got["count"])
	}

	stay, leave := c.members[:10], c.members[10:]
	for _, m := range stay {
		m.named.Store(0)
	}
	began = time.Now()
	for _, m := range leave {
		_ = m.conn.NetConn().Close()
	}
	c.eventually("those who stay have heard that the others left", stay, func(m *member) bool {
		return m.count.Load() == int64(len(stay))
	})
	left := time.Since(began)
	t.Logf("%d left in %v", len(leave), left)
	if left > crowdWithin {
		t.Errorf("%d people took %v to leave, more than %v", len(leave), left, crowdWithin)
	}
	c.bounded(took + left)
	for _, m := range stay {
		if named := m.named.Load(); named != int64(len(leave)) {
			t.Errorf("%d changes were told, want %d", named, len(leave))
		}
		if m.closed.Load() {
			t.Error("one who stays is closed")
		}
	}
	if n := p.metric("chat_sockets"); n != float64(len(stay)) {
		t.Errorf("%v sockets are left, want %d", n, len(stay))
	}
}

// bounded checks that nobody received more than a welcome and a frame each
// quarter of a second, and nothing that doesn't belong there.
func (c *crowd) bounded(took time.Duration) {
	c.p.t.Helper()
	most := int64(took/(250*time.Millisecond)) + 2
	for _, m := range c.members {
		if told := m.told.Load(); told > most {
			c.p.t.Fatalf("one was told %d times of who comes and goes in %v", told, took)
		}
	}
	if text := c.strange.Load(); text != nil {
		c.p.t.Errorf("somebody received %s", *text)
	}
}
