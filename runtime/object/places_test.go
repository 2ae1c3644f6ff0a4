package object_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/runtime/object"
	"chat.example.com.ai/runtime/script"
)

const crowded = `
import { $, DO } from 'dotdo'
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))
export default DO.extend({
  onRequest() {
    this.app.get('/read/:room', (c) => c.text('hello'))
    this.app.get('/count/:room', async (c) => { this.n = (this.n ?? 0) + 1; return c.text(String(this.n)) })
    this.app.get('/sleep/:room', async (c) => { await sleep(5); return c.text('slept') })
    this.app.get('/chain/:room', async (c) => c.text(await this.down(Number(c.req.query('n')))))
    this.app.get('/pin/:room', (c) => { setInterval(() => {}, 1000); return c.text('pinned') })
  },
  async down(n) { return n === 0 ? 'end' : await $.Room(this.ctx.id.name + n).down(n - 1) },
})`

// inCrowd runs f with a node that has room for few objects awake.
func inCrowd(t *testing.T, maxAwake int, f func(t *testing.T, n *object.Node)) {
	synctest.Test(t, func(t *testing.T) {
		f(t, newNodeWith(t, crowded, object.Config{MaxAwake: maxAwake}))
		time.Sleep(time.Minute)
	})
}

func TestTheLongestIdleGivesUpItsPlace(t *testing.T) {
	inCrowd(t, 3, func(t *testing.T, n *object.Node) {
		for _, room := range []string{"a", "b", "c", "a"} { // b is idle for longest
			ask(n, room, "/count/"+room)
			time.Sleep(time.Second)
		}
		wants(t, n, "d", "/count/d", "1")
		awake(t, n, 0, 3)
		wants(t, n, "a", "/count/a", "3") // still awake
		wants(t, n, "c", "/count/c", "2")
		wants(t, n, "b", "/count/b", "1")
		awake(t, n, 0, 3)
	})
}

func TestWorkFromOutsideWaitsForAPlace(t *testing.T) {
	inCrowd(t, 2, func(t *testing.T, n *object.Node) {
		began := time.Now()
		order := make(chan string, 10)
		for i := range 6 { // each takes its place for five seconds
			go func() {
				room := fmt.Sprint("r", i)
				got, err := ask(n, room, "/sleep/"+room)
				order <- fmt.Sprint(i, got, err, time.Since(began))
			}()
			synctest.Wait()
		}
		if got := n.Stats().Awake.Load(); got != 2 {
			t.Errorf("%d objects are awake, want 2", got)
		}
		if got := n.Stats().Waiting.Load(); got != 4 {
			t.Errorf("%d objects wait, want 4", got)
		}
		var rounds []string
		for range 6 {
			rounds = append(rounds, <-order)
		}
		for i, got := range rounds { // two at a time, in the order they came
			if want := fmt.Sprintf("slept<nil> %ds", 5*(i/2+1)); !strings.HasSuffix(got, want) || int(got[0]-'0')/2 != i/2 {
				t.Errorf("answer %d: %s, want %s", i, got, want)
			}
		}
		awake(t, n, 20*time.Second, 0)
		if got := n.Stats().Waiting.Load(); got != 0 {
			t.Errorf("%d objects wait, want none", got)
		}
	})
}

func TestACallWakesItsTargetInAnyCase(t *testing.T) {
	inCrowd(t, 1, func(t *testing.T, n *object.Node) {
		began := time.Now()
		wants(t, n, "a", "/chain/a?n=20", "end") // 21 objects that wait for each other
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
		synctest.Wait()
		awake(t, n, 0, 1) // down to the target again, at once
	})
}

func TestACallWakesATargetThatWaits(t *testing.T) {
	inCrowd(t, 1, func(t *testing.T, n *object.Node) {
		done := make(chan string, 2)
		go func() { got, _ := ask(n, "a", "/sleep/a"); done <- got }() // in its place for 5 s
		synctest.Wait()
		go func() { got, _ := ask(n, "b1", "/read/b1"); done <- got }() // waits
		synctest.Wait()
		began := time.Now()
		go func() { ask(n, "b", "/chain/b?n=1"); done <- "chain" }() // waits behind it, then calls b1
		// All in the same instant, in which whoever has its answer may say so first.
		if all := []string{<-done, <-done, <-done}; !slices.Contains(all, "slept") || !slices.Contains(all, "chain") || time.Since(began) > 6*time.Second {
			t.Errorf("%s after %v", all, time.Since(began))
		}
	})
}

func TestARequestThatGaveUpWakesNobody(t *testing.T) {
	inCrowd(t, 1, func(t *testing.T, n *object.Node) {
		wants(t, n, "a", "/pin/a", "pinned") // for ever
		for i := range 10 {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			room := fmt.Sprint("r", i)
			_, err := n.Request(ctx, key.Key{Type: "Room", ID: room}, &script.Request{Method: "GET", URL: "http://x/read/" + room})
			cancel()
			if e := (*script.Error)(nil); !errors.As(err, &e) || e.Name != script.OverloadedError {
				t.Errorf("%v", err)
			}
		}
		if got := n.Stats().Wakes.Load(); got != 1 {
			t.Errorf("%d objects were woken, want 1", got)
		}
	}) // closing answers those that still wait
}

func TestAWaveOfRoomsStaysWithinThePlaces(t *testing.T) {
	const rooms, clients, places = 5000, 50, 100
	n := newNodeWith(t, crowded, object.Config{MaxAwake: places})
	before := heap()
	next := make(chan int)
	done := make(chan int64)
	for range clients {
		go func() {
			most := int64(0)
			for i := range next {
				room := fmt.Sprint("r", i)
				if got, err := ask(n, room, "/read/"+room); err != nil || got != "hello" {
					t.Errorf("%q %v", got, err)
				}
				most = max(most, n.Stats().Awake.Load())
			}
			done <- most
		}()
	}
	for i := range rooms {
		next <- i
	}
	close(next)
	for range clients {
		if most := <-done; most > places {
			t.Errorf("%d were awake at a time, more than %d", most, places)
		}
	}
	if took := int64(heap()) - int64(before); took > 2*places*maxAwake {
		t.Errorf("after %d rooms, %d bytes are in use", rooms, took)
	}
}
