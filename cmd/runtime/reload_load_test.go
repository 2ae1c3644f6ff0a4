package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// saying is a room that answers each message with its number and the version of
// the script, stores it, and tells of it by an event.
func saying(version int) string {
	return strings.Replace(numbered(version), "ws.send(", "$.send('Said.it', id)\n    ws.send(", 1) + "// " + strings.Repeat("long ", 2000) + "\n"
}

// tally counts what is told, by durable calls, and shows how often each came.
const tally = `import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Tally',
  onRequest() {
    this.app.get('/tally/:tally', async (c) => c.json([await this.read('once'), await this.read('again')]))
  },
  async read(key) { return (await this.ctx.storage.get(key)) ?? 0 },
  async add(id) {
    const times = await this.read('id:' + id)
    const count = times === 0 ? 'once' : 'again'
    this.ctx.storage.put('id:' + id, times + 1)
    this.ctx.storage.put(count, (await this.read(count)) + 1)
  },
})
$.on.Said.it((event) => { $.Tally('all').add(event.data) })
`

// talker sends messages one after the other, a few at a time without an answer,
// and checks that each is answered once, in order, by scripts that never go back.
type talker struct {
	client *client
	first  int
	sent   int
	last   int // version that answered
}

func (t *talker) talk(window int, stop <-chan struct{}) error {
	answered := 0
	for stop != nil || answered < t.sent {
		select {
		case <-stop:
			stop = nil
		default:
		}
		for stop != nil && t.sent-answered < window {
			t.sent++
			if err := t.client.conn.WriteString(fmt.Sprintf(`{"id":%d}`, t.first+t.sent)); err != nil {
				return fmt.Errorf("after %d messages: %w", t.sent, err)
			}
		}
		if answered == t.sent {
			continue
		}
		select {
		case text := <-t.client.messages:
			var id, version int
			if _, err := fmt.Sscanf(text, `{"id":%d,"version":%d}`, &id, &version); err != nil {
				return fmt.Errorf("received %s", text)
			}
			answered++
			if id != t.first+answered || version < t.last {
				return fmt.Errorf("received the answer %s after %d answers and version %d", text, answered-1, t.last)
			}
			t.last = version
		case err := <-t.client.closed:
			return fmt.Errorf("closed: %w", err)
		case <-time.After(patience):
			return fmt.Errorf("%d of %d messages are answered", answered, t.sent)
		}
	}
	return nil
}

func TestFiftyReloadsUnderLoad(t *testing.T) {
	const (
		reloads = 50
		rooms   = 3
		each    = 2 // clients of a room
		window  = 4
		apart   = 1_000_000 // numbers of a client's messages
	)
	dir := folder(t, map[string]string{"room.js": saying(0), "tally.js": tally})
	room := filepath.Join(dir, "room.js")
	p := start(t, programOptions{scripts: dir, flags: []string{"--turn-timeout=20s"}}) // a machine that stands still a while is no matter
	stop := make(chan struct{})
	var talking sync.WaitGroup
	var talkers []*talker
	for i := range rooms * each {
		k := &talker{client: p.connect(fmt.Sprint("/ws/r", i%rooms)), first: i * apart}
		talkers = append(talkers, k)
		talking.Go(func() {
			if err := k.talk(window, stop); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		})
	}
	began := time.Now()
	for i := 1; i <= reloads; i++ {
		text := saying(i)
		switch i % 5 {
		case 0: // in place, in two halves
			write(t, room, text[:len(text)/30])
			p.becomesBroken(i / 5)
			write(t, room, text)
		case 1: // in place
			write(t, room, text)
		case 2: // another file comes, a handler with it
			write(t, filepath.Join(dir, "tally2.js"), "import { $ } from 'dotdo'\n$.on.Said.it(() => {}, { name: 'second' })\n")
			save(t, room, text)
		case 3: // and moves
			move(t, filepath.Join(dir, "tally2.js"), filepath.Join(dir, "tally3.js"))
			save(t, room, text)
		case 4: // and goes
			remove(t, filepath.Join(dir, "tally3.js"))
			save(t, room, text)
		}
		p.becomes("/version/probe", fmt.Sprint("v", i))
	}
	took := time.Since(began)
	close(stop)
	talking.Wait()
	total := 0
	for i, k := range talkers {
		total += k.sent
		if k.sent < 2*reloads {
			t.Errorf("client %d sent %d messages only: this was no load", i, k.sent)
		}
	}
	t.Logf("%d reloads in %v, %d messages", reloads, took.Round(time.Millisecond), total)
	p.eventually("every event has come once", func() bool { return p.get("/tally/all").body == fmt.Sprintf("[%d,0]", total) })
	p.eventually("every reload is in the log", func() bool { return p.logged("scripts reloaded") >= reloads })
}

// becomesBroken waits until so many sets did not load.
func (p *program) becomesBroken(times int) {
	p.t.Helper()
	p.eventually("broken scripts are reported", func() bool { return p.logged("scripts not reloaded") >= times })
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}
