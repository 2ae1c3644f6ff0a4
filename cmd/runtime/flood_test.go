package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

// flooder is a client that sends as fast as TCP takes it, in bursts, and reads all
// that comes. It costs so little that the program beside it has the machine.
type flooder struct {
	room, name string
	conn       net.Conn
	in         *bufio.Reader
	sent       atomic.Int64 // messages, that TCP took
	heard      atomic.Int64 // messages, of all
	number     int          // of the message that it sends next
	rest       []byte       // of a write that was interrupted
	next       map[string]int
	wrong      error // what it should not have heard, or the end of its connection
}

const (
	// burst is how many messages a flooder sends in one write.
	burst = 32
	// digits are those of a message's number.
	digits = 8
)

// flooder joins a room, as a client that is ready to flood it.
func (p *program) flooder(room, name string) *flooder {
	p.t.Helper()
	r := p.upgradeRaw(p.t, "/ws/"+room+"?user="+name, "")
	_ = r.SetDeadline(time.Time{})
	_ = r.Conn.(*net.TCPConn).SetWriteBuffer(16 << 10) // what waits here is not the program's
	return &flooder{room: room, name: name, conn: r.Conn, in: r.in, next: make(map[string]int)}
}

// send sends until over is closed. A write that is held up then is interrupted.
func (f *flooder) send(over <-chan struct{}, say string) {
	template := whole(0x81, `{"type":"message","content":"`+f.name+" "+strings.Repeat("0", digits)+" "+say+`"}`)
	at := bytes.Index(template, []byte(" 0000")) + 1
	all := bytes.Repeat(template, burst)
	_ = f.conn.SetWriteDeadline(time.Time{})
	for out := f.rest; ; out = all {
		if len(out) == 0 || &out[0] == &all[0] {
			for i := range burst {
				digitsOf(all[i*len(template)+at:], f.number+i)
			}
			f.number += burst
			out = all
		}
		n, err := f.conn.Write(out)
		f.rest = bytes.Clone(out[n:])
		if err != nil {
			return
		}
		f.sent.Add(burst)
		select {
		case <-over:
			return
		default:
		}
	}
}

func digitsOf(to []byte, n int) {
	for i := digits - 1; i >= 0; i-- {
		to[i] = byte('0' + n%10)
		n /= 10
	}
}

// read reads until the connection ends. Of each sender it must hear every message
// once and in order, from its first on.
func (f *flooder) read() {
	buf := make([]byte, 64<<10)
	content := []byte(`"content":"`)
	for {
		head, err := f.in.Peek(4)
		if err != nil {
			f.wrong = err
			return
		}
		size, skip := int(head[1]), 2
		if size == 126 {
			size, skip = int(head[2])<<8|int(head[3]), 4
		}
		if head[0]&0xF == 8 || size == 127 {
			f.wrong = fmt.Errorf("a frame of type %d", head[0])
			return
		}
		_, _ = f.in.Discard(skip)
		payload := buf[:size]
		if _, err := io.ReadFull(f.in, payload); err != nil {
			f.wrong = err
			return
		}
		at := bytes.Index(payload, content)
		if at < 0 {
			continue // presence
		}
		said := payload[at+len(content):]
		name, rest, _ := bytes.Cut(said, []byte(" "))
		n := 0
		for _, c := range rest[:digits] {
			n = 10*n + int(c-'0')
		}
		if want, ok := f.next[string(name)]; ok && n != want {
			f.wrong = fmt.Errorf("message %d of %s, want %d", n, name, want)
			return
		} else if !ok {
			f.next[string(name)] = 0
		}
		f.next[string(name)] = n + 1
		f.heard.Add(1)
	}
}

// flooding is flooders at work.
type flooding struct {
	all     []*flooder
	say     string
	over    chan struct{}
	sending sync.WaitGroup
	reading sync.WaitGroup
	program *program
}

// flood has so many clients flood each of the rooms.
func (p *program) flood(rooms, each int, say string) *flooding {
	p.t.Helper()
	f := &flooding{program: p, say: say}
	for r := range rooms {
		for i := range each {
			f.all = append(f.all, p.flooder(fmt.Sprintf("flood%d", r), fmt.Sprintf("f%d", i)))
		}
	}
	for _, each := range f.all {
		f.reading.Go(each.read)
	}
	f.goOn()
	return f
}

// goOn has all send, at first or after stop.
func (f *flooding) goOn() {
	f.over = make(chan struct{})
	for _, each := range f.all {
		f.sending.Go(func() { each.send(f.over, f.say) })
	}
}

// sent and heard are how many messages TCP took, and how many were seen by anybody.
func (f *flooding) sent() (n int64) {
	for _, each := range f.all {
		n += each.sent.Load()
	}
	return n
}

func (f *flooding) heard() (n int64) {
	for _, each := range f.all {
		n += each.heard.Load()
	}
	return n
}

// stop ends the sending at once: what a client was about to write, it doesn't.
func (f *flooding) stop() {
	close(f.over)
	for _, each := range f.all {
		_ = each.conn.SetWriteDeadline(time.Now())
	}
	f.sending.Wait()
}

// hangUp ends the connections, after which each flooder knows what it has heard.
func (f *flooding) hangUp() {
	for _, each := range f.all {
		_ = each.conn.Close()
	}
	f.reading.Wait()
}

// probe measures round trips in a room of two that nobody floods, one in so long.
type probe struct {
	mu    sync.Mutex
	trips []trip
	stop  chan struct{}
	ended chan struct{}
}

type trip struct {
	at   time.Time
	took time.Duration
}

func (p *program) probe(t *testing.T, room string, every time.Duration) *probe {
	t.Helper()
	both := p.joinAll(room, "ann", "bob")
	b := &probe{stop: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(b.ended)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-b.stop:
				return
			case <-tick.C:
			}
			began, text := time.Now(), fmt.Sprint("hello ", i)
			if both[i%2].conn.WriteString(`{"type":"message","content":"`+text+`"}`) != nil {
				t.Error("a bystander was cut")
				return
			}
			for _, c := range both {
				select {
				case m := <-c.messages:
					if !strings.Contains(m, text) {
						t.Errorf("a bystander hears %s, want %s", m, text)
						return
					}
				case <-time.After(patience):
					t.Error("a bystander hears nothing")
					return
				}
			}
			b.mu.Lock()
			b.trips = append(b.trips, trip{began, time.Since(began)})
			b.mu.Unlock()
		}
	}()
	return b
}

// between are the round trips that began in a time, the longest last.
func (b *probe) between(from, to time.Time) (took []time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, each := range b.trips {
		if !each.at.Before(from) && each.at.Before(to) {
			took = append(took, each.took)
		}
	}
	slices.Sort(took)
	return took
}

func (b *probe) end() {
	close(b.stop)
	<-b.ended
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}

// wantStored opens the data of a program that has ended, and checks that whatever
// any flooder has heard is in the history of its room, once and in order.
func (f *flooding) wantStored(t *testing.T) (stored int) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Folder: f.program.data})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	history := make(map[string]map[string]int) // by room: the next message of each sender
	for _, each := range f.all {
		if history[each.room] == nil {
			history[each.room] = readHistory(t, s, each.room)
			for _, n := range history[each.room] {
				stored += n
			}
		}
		for sender, next := range each.next {
			if have := history[each.room][sender]; have < next {
				t.Errorf("%s in %s has heard %d messages of %s, of which %d are stored", each.name, each.room, next, sender, have)
			}
		}
	}
	return stored
}

func readHistory(t *testing.T, s *store.Store, room string) map[string]int {
	t.Helper()
	next := make(map[string]int)
	view := s.View(key.Key{Type: "Room", ID: room}, s.Epoch())
	for after := ""; ; {
		page, err := view.Things(context.Background(), store.Query{Type: "Message", Limit: store.MaxLimit, After: after})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			return next
		}
		for _, thing := range page {
			var m struct{ Author, Content string }
			if err := json.Unmarshal(thing.Fields, &m); err != nil {
				t.Fatal(err)
			}
			n := 0
			_, rest, _ := strings.Cut(m.Content, " ")
			if _, err := fmt.Sscanf(rest[:digits], "%d", &n); err != nil || n != next[m.Author] {
				t.Fatalf("the history of %s has %q behind %d messages of %s", room, m.Content, next[m.Author], m.Author)
			}
			next[m.Author]++
			after = thing.ID
		}
	}
}

// watchMemory reads what the program has resident until it is told to stop, and
// gives the most.
func (p *program) watchMemory() (stop func() (most int64)) {
	end, most := make(chan struct{}), make(chan int64)
	go func() {
		top := int64(0)
		for {
			select {
			case <-end:
				most <- top
				return
			case <-time.After(100 * time.Millisecond):
				top = max(top, p.memory(false))
			}
		}
	}()
	return func() int64 { close(end); return <-most }
}
