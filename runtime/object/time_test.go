package object_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/runtime/object"
	"chat.example.com.ai/runtime/script"
)

const timed = `
import { DO } from 'dotdo'
const sleep = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000))
const never = new Promise(() => {})
export default DO.extend({
  async init() { if (this.ctx.id.name === 'slow-init') await sleep(20); if (this.ctx.id.name === 'no-init') await never },
  onRequest() {
    this.app.get('/read/:room', (c) => c.text('hello'))
    this.app.get('/number/:room', (c) => c.text(String(this.number = (this.number ?? 0) + 1)))
    this.app.get('/timer/:room', (c) => { setTimeout(() => { this.fired = true }, 25_000); return c.text('set') })
    this.app.get('/fired/:room', (c) => c.text(String(this.fired)))
    this.app.get('/never/:room', async (c) => { await never })
    this.app.get('/until/:room', (c) => { this.ctx.waitUntil(never); return c.text('set') })
    this.app.get('/settled/:room', (c) => { this.ctx.waitUntil(sleep(60)); return c.text('set') })
    this.app.get('/block/:room', (c) => { this.field = 1; this.ctx.blockConcurrencyWhile(() => never); return c.text('blocked') })
    this.app.get('/field/:room', (c) => c.text(String(this.field)))
  },
})`

// inBubble runs f with a node on a clock that stands still until everything waits.
func inBubble(t *testing.T, f func(t *testing.T, n *object.Node)) {
	synctest.Test(t, func(t *testing.T) { f(t, newNode(t, timed)) })
}

func ask(n *object.Node, room, path string) (string, error) {
	r, err := n.Request(context.Background(), key.Key{Type: "Room", ID: room}, &script.Request{Method: "GET", URL: "http://x" + path})
	if err != nil {
		return "", err
	}
	return string(r.Body), nil
}

func wants(t *testing.T, n *object.Node, room, path, want string) {
	t.Helper()
	if got, err := ask(n, room, path); err != nil || got != want {
		t.Errorf("%s: %q, %v; want %q", path, got, err, want)
	}
}

// awake checks how many objects have a VM after a further while.
func awake(t *testing.T, n *object.Node, after time.Duration, want int64) {
	t.Helper()
	time.Sleep(after)
	synctest.Wait()
	if got := n.Stats().Awake.Load(); got != want {
		t.Errorf("%d objects are awake, want %d", got, want)
	}
}

func TestAnObjectHibernatesTenSecondsAfterItsLastTurn(t *testing.T) {
	inBubble(t, func(t *testing.T, n *object.Node) {
		wants(t, n, "a", "/read/a", "hello")
		awake(t, n, 7*time.Second, 1)
		wants(t, n, "a", "/read/a", "hello")
		awake(t, n, 9999*time.Millisecond, 1)
		awake(t, n, 2*time.Millisecond, 0)
		if known := n.Known(); known != 0 {
			t.Errorf("%d objects are known, want none", known)
		}
	})
}

func TestATimerPinsItsObjectUntilItHasFired(t *testing.T) {
	inBubble(t, func(t *testing.T, n *object.Node) {
		wants(t, n, "a", "/timer/a", "set")
		awake(t, n, 24*time.Second, 1)
		awake(t, n, 2*time.Second, 1)
		wants(t, n, "a", "/fired/a", "true")
		awake(t, n, 11*time.Second, 0)
	})
}

func TestWaitUntilPinsForAQuarterOfAnHourAtMost(t *testing.T) {
	inBubble(t, func(t *testing.T, n *object.Node) {
		wants(t, n, "a", "/until/a", "set")
		wants(t, n, "b", "/settled/b", "set")
		awake(t, n, 59*time.Second, 2)
		awake(t, n, 12*time.Second, 1)
		awake(t, n, 13*time.Minute, 1)
		awake(t, n, 2*time.Minute, 0)
	})
}

func TestARequestThatIsNeverSettledEndsAfterThirtySeconds(t *testing.T) {
	inBubble(t, func(t *testing.T, n *object.Node) {
		began := time.Now()
		_, err := ask(n, "a", "/never/a")
		var e *script.Error
		if took := time.Since(began); !errors.As(err, &e) || e.Name != script.TimeoutError || took < 30*time.Second || took > 32*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		awake(t, n, 12*time.Second, 0)
	})
}

func TestEventsWaitForInit(t *testing.T) {
	inBubble(t, func(t *testing.T, n *object.Node) {
		began := time.Now()
		results := make(chan string, 3)
		for i := range 3 {
			go func() {
				got, err := ask(n, "slow-init", "/read/slow-init")
				results <- fmt.Sprint(i >= 0, got, err)
			}()
		}
		for range 3 {
			if got := <-results; got != "truehello<nil>" {
				t.Error(got)
			}
		}
		if took := time.Since(began); took != 20*time.Second {
			t.Errorf("answered after %v, want 20s", took)
		}
	})
}

func TestAnInitThatIsNeverThroughFailsItsEvent(t *testing.T) {
	inBubble(t, func(t *testing.T, n *object.Node) {
		for range 2 { // the next event tries again
			began := time.Now()
			if _, err := ask(n, "no-init", "/read/no-init"); err == nil {
				t.Error("no error")
			}
			if took := time.Since(began); took != 30*time.Second {
				t.Errorf("failed after %v, want 30s", took)
			}
		}
	})
}

func TestABlockThatIsNeverThroughResetsTheObject(t *testing.T) {
	inBubble(t, func(t *testing.T, n *object.Node) {
		wants(t, n, "a", "/block/a", "blocked")
		began := time.Now()
		wants(t, n, "a", "/field/a", "undefined") // of a new VM
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("answered after %v, want 30s", took)
		}
	})
}

func TestRequestsWaitForRoomInTheInbox(t *testing.T) {
	inBubble(t, func(t *testing.T, n *object.Node) {
		const more = 100
		results := make(chan error, 3000)
		go func() { _, err := ask(n, "slow-init", "/read/slow-init"); results <- err }()
		synctest.Wait() // it has woken the object, whose init takes 20 seconds
		send := func(count int, limit time.Duration) {
			for range count {
				go func() {
					ctx, cancel := context.WithTimeout(context.Background(), limit)
					defer cancel()
					_, err := n.Request(ctx, key.Key{Type: "Room", ID: "slow-init"}, &script.Request{Method: "GET", URL: "http://x/read/slow-init"})
					results <- err
				}()
			}
			synctest.Wait()
		}
		send(1024, time.Minute)      // fill the inbox
		send(more, 10*time.Second)   // wait for room, and give up
		send(more, 30*time.Second)   // wait for room, and get it
		time.Sleep(40 * time.Second) // until all have ended
		answered, refused := 0, 0
		for range 1 + 1024 + 2*more {
			if err := <-results; err == nil {
				answered++
			} else {
				refused++
				var e *script.Error
				if !errors.As(err, &e) || e.Name != script.OverloadedError {
					t.Errorf("refused with %v", err)
				}
			}
		}
		if answered != 1+1024+more || refused != more {
			t.Errorf("%d were answered and %d refused, want %d and %d", answered, refused, 1+1024+more, more)
		}
	})
}

func TestRequestsWaitInLine(t *testing.T) {
	inBubble(t, func(t *testing.T, n *object.Node) {
		const many = 1024 + 50
		answers := make([]chan string, many)
		for i := range many {
			answers[i] = make(chan string, 1)
			go func() {
				got, err := ask(n, "slow-init", "/number/slow-init")
				answers[i] <- fmt.Sprint(got, " ", err)
			}()
			synctest.Wait() // it is in the inbox, or in line for it
		}
		for i, answer := range answers {
			if got, want := <-answer, fmt.Sprint(i+1, " ", nil); got != want {
				t.Fatalf("request %d is told %s, want %s", i+1, got, want)
			}
		}
	})
}
