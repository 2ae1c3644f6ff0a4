package object_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"chat.example.com.ai/runtime/object"
	"chat.example.com.ai/runtime/script"
)

const laborious = `
import { DO } from 'dotdo'
export default DO.extend({
  onRequest() {
    this.app.get('/measure/:room', (c) => { let n = 0; const end = Date.now() + 20; while (Date.now() < end) n++; return c.text(String(n)) })
    this.app.get('/work/:room', (c) => { for (let n = c.req.query('n'); n > 0; n--) Date.now(); return c.text('done') })
    this.app.get('/loop/:room', () => { for (;;); })
  },
})`

// measure has the room "other" awake, and returns the query of a work of 20 ms.
func measure(t *testing.T, n *object.Node) string {
	t.Helper()
	times, err := ask(n, "other", "/measure/other")
	if err != nil {
		t.Fatal(err)
	}
	return "?n=" + times
}

// Each turn needs a fiftieth of its time, and all of them together many times as much
// as one has: those that wait for a processor lose none of theirs.
func TestManyThatAreBusyAtOnceAllCome(t *testing.T) {
	n := newNodeOf(t, laborious, script.Options{TurnTimeout: time.Second}, object.Config{})
	labor := measure(t, n)
	var all sync.WaitGroup
	for i := range 150 * runtime.GOMAXPROCS(0) {
		all.Go(func() {
			room := fmt.Sprintf("r%d", i)
			wants(t, n, room, "/work/"+room+labor, "done")
		})
	}
	all.Wait()
}

// An object that has much to do hands on to others between its turns.
func TestAnObjectThatIsFloodedHandsOn(t *testing.T) {
	n := newNodeOf(t, laborious, script.Options{}, object.Config{})
	labor := measure(t, n)
	var all sync.WaitGroup
	var done atomic.Int64
	const rooms, each = 4, 30
	for i := range rooms * runtime.GOMAXPROCS(0) {
		room := fmt.Sprintf("r%d", i)
		for range each {
			all.Go(func() {
				get(t, n, room, "/work/"+room+labor)
				done.Add(1)
			})
		}
	}
	for done.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	get(t, n, "other", "/work/other")
	if n := done.Load(); n > 2*each {
		t.Errorf("%d turns of others were before it", n)
	}
	all.Wait()
}

// Objects that loop, as many as may run at a time, are seen by others as a short wait.
func TestObjectsThatLoopDoNotHoldUpOthers(t *testing.T) {
	n := newNodeOf(t, laborious, script.Options{TurnTimeout: 2 * time.Second}, object.Config{})
	measure(t, n)
	var loops sync.WaitGroup
	var ended atomic.Int64
	for i := range max(4, 2*runtime.GOMAXPROCS(0)) {
		room := fmt.Sprintf("r%d", i)
		loops.Go(func() {
			if got, err := ask(n, room, "/loop/"+room); err == nil {
				t.Errorf("a loop: %s", got)
			}
			ended.Add(1)
		})
	}
	time.Sleep(50 * time.Millisecond)
	get(t, n, "other", "/work/other")
	if ended.Load() > 0 {
		t.Error("the other had to wait until one was over")
	}
	loops.Wait()
}
