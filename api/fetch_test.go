package api_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func privateFetch(s *setup) { s.objects.AllowPrivateFetch = true }

// world is a server outside, of which scripts fetch. It counts what reaches it,
// and holds back what asks for /hold until it is told.
type world struct {
	*httptest.Server
	hits   atomic.Int64
	now    atomic.Int64 // requests that are held back
	most   atomic.Int64
	let    chan struct{}
	letAll func()
}

func newWorld(t *testing.T) *world {
	w := &world{let: make(chan struct{})}
	w.letAll = sync.OnceFunc(func() { close(w.let) })
	w.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.hits.Add(1)
		switch {
		case strings.HasPrefix(r.URL.Path, "/hold"):
			for now := w.now.Add(1); ; {
				if most := w.most.Load(); now <= most || w.most.CompareAndSwap(most, now) {
					break
				}
			}
			defer w.now.Add(-1)
			select {
			case <-w.let:
			case <-r.Context().Done():
				return
			}
		case r.URL.Path == "/moved":
			http.Redirect(rw, r, "/json", http.StatusFound)
			return
		case r.URL.Path == "/json":
			rw.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(rw, `{"name":"world"}`)
			return
		case r.URL.Path == "/teapot":
			rw.WriteHeader(http.StatusTeapot)
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(rw, "%s %s %s", r.Method, r.Header.Get("X-From"), body)
	}))
	t.Cleanup(func() { w.letAll(); w.Close() })
	return w
}

// fetching has rooms fetch from the world; WORLD is its address.
const fetching = `
import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  onRequest() {
    const route = (path, f) => this.app.get(path, async (c) => {
      try { return c.json(await f(c)) } catch (e) { return c.json({ name: e.name, message: e.message }) }
    })
    route('/json/:room', async () => (await fetch('WORLD/moved')).json())
    route('/post/:room', async () => (await fetch('WORLD/', { method: 'POST', headers: { 'X-From': 'room' }, body: 'hello' })).text())
    route('/stored/:room', async () => {
      await this.ctx.storage.put('before', 1)
      const r = await fetch('WORLD/teapot')
      await this.ctx.storage.put('after', r.status)
      return [...(await this.ctx.storage.list()).entries()]
    })
    route('/many/:room', async () => (await Promise.all(Array.from({ length: 20 }, () => fetch('WORLD/hold')))).length)
    route('/abort/:room', async () => {
      const c = new AbortController()
      this.abort = () => c.abort('enough')
      try { await fetch('WORLD/hold', { signal: c.signal }) } catch (e) { return e }
    })
    route('/now/:room', () => { this.abort(); return 'told' })
    route('/timeout/:room', async () => fetch('WORLD/hold', { signal: AbortSignal.timeout(20) }))
    route('/private/:room', async () => fetch('WORLD/'))
    this.app.get('/fails/:room', async () => {
      fetch('WORLD/').catch((e) => { this.heard = e.message })
      await this.ctx.storage.put('x', 1)
      throw new Error('thrown')
    })
    this.app.get('/refused/:room', () => { fetch('http://127.0.0.1:1/x'); return new Response('ok') })
    this.app.get('/heard/:room', (c) => c.text(String(this.heard)))
    this.app.get('/through/:room', () => fetch('WORLD/json'))
    this.app.get('/changed/:room', async () => {
      const r = await fetch('WORLD/json')
      return new Response(await r.text() + ' and more', r)
    })
    this.app.post('/on/:room', (c) => { $.send('Note.made', c.req.param('room')); return c.text('sent') })
  },
  async webSocketMessage(ws, m) {
    await this.ctx.storage.put('m', m)
    fetch('WORLD/' + m)
    if (m === 'await') ws.send(await (await fetch('WORLD/hold')).text())
  },
  hear(text) { this.heard = text },
})
$.on.Note.made(async function noted(event) {
  const r = await fetch('WORLD/note', { method: 'POST', body: event.data + event.attempt })
  if (event.data === 'again' && event.attempt === 1) throw new Error('once more')
  $.Room(event.data).hear(await r.text())
})
`

func startFetching(t *testing.T, opts ...option) (*system, *world) {
	w := newWorld(t)
	return start(t, files{"room.js": strings.ReplaceAll(fetching, "WORLD", w.URL), "up.js": upgrade}, opts...), w
}

func TestScriptsFetch(t *testing.T) {
	s, _ := startFetching(t, privateFetch)
	for path, want := range map[string]string{
		"/json/a":    `{"name":"world"}`,
		"/post/a":    `"POST room hello"`,
		"/stored/a":  `[["after",418],["before",1]]`,
		"/timeout/a": `{"name":"TimeoutError","message":"The operation was aborted due to timeout"}`,
		"/through/a": `{"name":"world"}`,
		"/changed/a": `{"name":"world"} and more`,
	} {
		if _, body := s.get(path); body != want {
			t.Errorf("%s gives %s, want %s", path, body, want)
		}
	}
	if made, failed := s.metric("chat_fetches_total"), s.metric("chat_fetch_errors_total"); made != 6 || failed != 1 {
		t.Errorf("the metrics count %v fetches, %v failed; want 6 and 1", made, failed)
	}
}

func TestPrivateAddressesAreNotFetched(t *testing.T) {
	s, w := startFetching(t)
	host := strings.TrimPrefix(w.URL, "http://")
	want := `{"name":"TypeError","message":"fetch failed: ` + host + ` is not on the public Internet: --allow-private-fetch lets scripts fetch from private addresses"}`
	if _, body := s.get("/private/a"); body != want || w.hits.Load() != 0 {
		t.Errorf("%s, and %d requests came", body, w.hits.Load())
	}
}

func TestAFetchLeavesAfterItsCommit(t *testing.T) {
	s, w := startFetching(t, privateFetch)
	ws := s.connect("/ws/one")
	turns := s.node.Stats().Turns.Load()
	release := s.holdCommits()
	ws.send("await")
	s.eventually("the turn is over", func() bool { return s.node.Stats().Turns.Load() > turns })
	if s.node.Stats().Fetches.Load() != 0 || w.hits.Load() != 0 {
		t.Error("a fetch left before its commit")
	}
	release()
	s.eventually("both fetches leave", func() bool { return w.hits.Load() == 2 })
	w.letAll()
	ws.want("GET  ")
}

func TestAFailedTurnFetchesNothing(t *testing.T) {
	s, w := startFetching(t, privateFetch)
	if status, _ := s.get("/fails/a"); status != 500 {
		t.Errorf("status %d", status)
	}
	s.eventually("the fetch rejects", func() bool { _, body := s.get("/heard/a"); return body == "thrown" })
	if s.node.Stats().Fetches.Load() != 0 || w.hits.Load() != 0 {
		t.Error("a fetch of a failed turn left")
	}
}

// A rejection that nobody awaits is logged with the line of its fetch.
func TestAFailedFetchIsLoggedWithItsLine(t *testing.T) {
	s, _ := startFetching(t, privateFetch)
	s.get("/refused/a")
	line := 1 + strings.Count(fetching[:strings.Index(fetching, "http://127.0.0.1:1/x")], "\n")
	want := fmt.Sprintf("room.js:%d:", line)
	s.eventually("it is logged", func() bool { return s.errorCount("unhandled") == 1 })
	if log := s.log.String(); !strings.Contains(log, want) || !strings.Contains(log, "fetch failed: 127.0.0.1:1 refuses the connection") {
		t.Errorf("no %s in the log:\n%s", want, log)
	}
}

func TestAnObjectHasSixFetchesUnderWay(t *testing.T) {
	s, w := startFetching(t, privateFetch)
	result := make(chan string, 1)
	go func() { _, body := s.get("/many/a"); result <- body }()
	s.eventually("six are under way", func() bool { return w.now.Load() == 6 })
	if _, body := s.get("/json/b"); body != `{"name":"world"}` { // another room doesn't wait
		t.Error(body)
	}
	w.letAll()
	if body := <-result; body != "20" || w.most.Load() != 6 {
		t.Errorf("%s, at most %d at a time", body, w.most.Load())
	}
}

func TestASignalCutsTheConnection(t *testing.T) {
	s, w := startFetching(t, privateFetch)
	result := make(chan string, 1)
	go func() { _, body := s.get("/abort/a"); result <- body }()
	s.eventually("it is under way", func() bool { return w.now.Load() == 1 })
	s.get("/now/a")
	if body := <-result; body != `"enough"` {
		t.Error(body)
	}
	s.eventually("the server is left alone", func() bool { return w.now.Load() == 0 })
}

func TestAnObjectHibernatesAfterItsFetches(t *testing.T) {
	s, w := startFetching(t, privateFetch, hibernateAfter(time.Millisecond))
	ws := s.connect("/ws/one")
	ws.send("await")
	s.eventually("it is under way", func() bool { return w.now.Load() == 1 })
	s.get("/heard/other")
	s.eventually("the other object hibernates", func() bool { return s.node.Stats().Awake.Load() == 1 })
	w.letAll()
	ws.want("GET  ")
	s.eventually("this one hibernates too", func() bool { return s.node.Stats().Awake.Load() == 0 })
}

func TestEventHandlersFetch(t *testing.T) {
	s, w := startFetching(t, privateFetch)
	s.do("POST", "/on/once", "")
	s.do("POST", "/on/again", "")
	for room, want := range map[string]string{"once": "POST  once1", "again": "POST  again2"} {
		s.eventually(room+" hears", func() bool { _, body := s.get("/heard/" + room); return body == want })
	}
	if n := w.hits.Load(); n != 3 {
		t.Errorf("%d requests came, want 3", n)
	}
}

// A stop does not wait for the world.
func TestAStopEndsFetches(t *testing.T) {
	s, w := startFetching(t, privateFetch)
	ws := s.connect("/ws/one")
	ws.send("await")
	s.eventually("it is under way", func() bool { return w.now.Load() == 1 })
	s.stop()
	s.eventually("the server is left alone", func() bool { return w.now.Load() == 0 })
}
