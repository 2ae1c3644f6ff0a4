package object_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chat.example.com.ai/runtime/fetch"
	"chat.example.com.ai/runtime/object"
)

const fetching = `
import { DO } from 'dotdo'
export default DO.extend({
  onRequest() {
    const settled = (n, path) => Promise.all(Array.from({ length: n }, () => fetch('http://world/' + path).then(() => 'ok', (e) => e.name + ': ' + e.message)))
    this.app.get('/fetch/:room', async (c) => {
      const results = await settled(Number(c.req.query('n') ?? 1), c.req.query('path'))
      const counts = {}
      for (const r of results) counts[r] = (counts[r] ?? 0) + 1
      return c.json(counts)
    })
    this.app.get('/large/:room', async (c) => {
      const body = 'x'.repeat(4 << 20)
      return c.text(await fetch('http://world/never', { method: 'POST', body }).then(() => 'ok', (e) => e.name))
    })
    this.app.get('/later/:room', (c) => { fetch('http://world/20s').then(() => { this.done = true }); return c.text('made') })
    this.app.get('/done/:room', (c) => c.text(String(this.done)))
    this.app.get('/init/:room', (c) => c.text(this.answer))
  },
  async init() { if (this.ctx.id.name === 'fetches') this.answer = (await fetch('http://world/20s')).url },
})`

// world answers what scripts ask: /20s after twenty seconds, /never not at all.
type world struct {
	asked, now, most atomic.Int64
}

func (w *world) answer(ctx context.Context, r *fetch.Request) (*fetch.Response, error) {
	w.asked.Add(1)
	w.most.Store(max(w.most.Load(), w.now.Add(1))) // in a bubble a maximum that is a little old does no harm
	defer w.now.Add(-1)
	d := 20 * time.Second
	if strings.HasSuffix(r.URL, "/never") {
		d = time.Hour
	}
	select {
	case <-time.After(d):
		return &fetch.Response{Status: 200, URL: r.URL}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func inWorld(t *testing.T, f func(t *testing.T, n *object.Node, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{}
		n := newNode(t, fetching)
		n.FetchBy(w.answer)
		f(t, n, w)
	})
}

func TestAFetchEndsAfterThirtySeconds(t *testing.T) {
	inWorld(t, func(t *testing.T, n *object.Node, w *world) {
		began := time.Now()
		wants(t, n, "a", "/fetch/a?path=never", `{"TimeoutError: fetch: no response within 30s":1}`)
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("it took %v", took)
		}
		awake(t, n, 11*time.Second, 0)
		if w.now.Load() != 0 || n.Stats().FetchErrors.Load() != 1 {
			t.Error("the fetch goes on")
		}
	})
}

func TestAFetchPinsItsObject(t *testing.T) {
	inWorld(t, func(t *testing.T, n *object.Node, w *world) {
		wants(t, n, "a", "/later/a", "made")
		awake(t, n, 19*time.Second, 1)
		awake(t, n, 2*time.Second, 1)
		wants(t, n, "a", "/done/a", "true")
		awake(t, n, 11*time.Second, 0)
	})
}

func TestInitMayFetch(t *testing.T) {
	inWorld(t, func(t *testing.T, n *object.Node, w *world) {
		wants(t, n, "fetches", "/init/fetches", "http://world/20s")
	})
}

// Fetches wait for each other within an object, and waiting is part of their time.
func TestFetchesOfAnObjectWaitInLine(t *testing.T) {
	inWorld(t, func(t *testing.T, n *object.Node, w *world) {
		result := make(chan map[string]int, 1)
		go func() {
			text, err := ask(n, "a", "/fetch/a?path=20s&n=70")
			var counts map[string]int
			if err := errors.Join(err, json.Unmarshal([]byte(text), &counts)); err != nil {
				t.Error(err)
			}
			result <- counts
		}()
		time.Sleep(29 * time.Second)
		if asked, most := w.asked.Load(), w.most.Load(); asked != 12 || most != 6 {
			t.Errorf("%d were made, %d at a time; want 12 and 6", asked, most)
		}
		want := map[string]int{
			"ok": 6, "TimeoutError: fetch: no response within 30s": 58,
			"OverloadedError: fetch: more than 64 fetches of this object are under way": 6,
		}
		if got := <-result; !maps.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
	})
}

func TestTheFetchesOfAllAreBounded(t *testing.T) {
	inWorld(t, func(t *testing.T, n *object.Node, w *world) {
		const rooms, each = 20, 60 // more than 1,024 together
		results := make(chan string, rooms)
		for i := range rooms {
			go func() {
				room := fmt.Sprint("r", i)
				got, err := ask(n, room, fmt.Sprint("/fetch/", room, "?path=never&n=", each))
				results <- fmt.Sprint(got, err)
			}()
		}
		synctest.Wait()
		if now := w.now.Load(); now != object.MaxFetching {
			t.Errorf("%d are under way, want %d", now, object.MaxFetching)
		}
		refused := 0
		for range rooms {
			var count int
			if _, rest, ok := strings.Cut(<-results, `"OverloadedError: fetch: too many fetches wait":`); ok {
				if _, err := fmt.Sscanf(rest, "%d", &count); err != nil {
					t.Error(err)
				}
			}
			refused += count
		}
		if refused != rooms*each-1024 {
			t.Errorf("%d were refused, want %d", refused, rooms*each-1024)
		}
		wants(t, n, "b", "/fetch/b?path=20s", `{"ok":1}`) // and then there is room again
	})
}

func TestTheBodiesThatWaitAreBounded(t *testing.T) {
	inWorld(t, func(t *testing.T, n *object.Node, w *world) {
		const rooms = 20 // with 80 MiB together
		results := make(chan string, rooms)
		for i := range rooms {
			go func() {
				got, err := ask(n, fmt.Sprint("r", i), fmt.Sprint("/large/r", i))
				results <- fmt.Sprint(got, err)
			}()
		}
		counts := map[string]int{}
		for range rooms {
			counts[<-results]++
		}
		if counts["OverloadedError<nil>"] != 4 || counts["TimeoutError<nil>"] != 16 {
			t.Errorf("%v", counts)
		}
	})
}
