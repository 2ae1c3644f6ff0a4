package object_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/runtime/object"
	"chat.example.com.ai/runtime/script"
)

const reachable = `
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  onRequest() { this.app.get('/read/:room', (c) => c.text('hello')) },
  count() { this.n = (this.n ?? 0) + 1; return this.n },
  add(a, b) { return a + b },
  later() { return new Promise((resolve) => setTimeout(resolve, 5000)) },
  never() { return new Promise(() => {}) },
})`

var roomA = key.Key{Type: "Room", ID: "a"}

// outcome is what calls from outside come to, by their ids.
type outcome struct {
	mu     sync.Mutex
	values map[int64]string
}

func (o *outcome) home(id int64, value []byte, err *script.Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, twice := o.values[id]; twice {
		o.values[id] += " twice"
		return
	}
	o.values[id] = string(value)
	if err != nil {
		o.values[id] = err.Error()
	}
}

// of returns what a call came to, "" if it goes on.
func (o *outcome) of(id int64) string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.values[id]
}

func callRoom(n *object.Node, ops ...script.Op) *outcome {
	o := &outcome{values: make(map[int64]string)}
	for i := range ops {
		ops[i].ID, ops[i].Call = int64(i), true
	}
	n.Call(&script.Calls{Target: roomA, Hops: 1, Ops: ops}, o.home)
	synctest.Wait()
	return o
}

func TestCallsFromOutside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, reachable)
		got := callRoom(n, script.Op{Path: []string{"count"}}, script.Op{Path: []string{"count"}},
			script.Op{Path: []string{"add"}, Args: []script.Arg{{Ref: 2}, {Value: json.RawMessage("40")}}},
			script.Op{Path: []string{"missing"}}, script.Op{Path: []string{"never"}})
		for id, want := range []string{"1", "2", "42", "does not exist"} {
			if !strings.Contains(got.of(int64(id)), want) {
				t.Errorf("call %d: %s, want %s", id, got.of(int64(id)), want)
			}
		}
		if got.of(4) != "" {
			t.Errorf("a call that never ends gave %s", got.of(4))
		}
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if !strings.Contains(got.of(4), "TimeoutError") || strings.Contains(got.of(4), "twice") {
			t.Errorf("a call that never ends gave %q", got.of(4))
		}
	})
}

func TestHibernationOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, reachable)
		hibernate := func(want bool) {
			t.Helper()
			told := make(chan bool, 1)
			n.Hibernate(roomA, func(asleep bool) { told <- asleep })
			if got := <-told; got != want {
				t.Errorf("asleep: %v, want %v", got, want)
			}
			synctest.Wait()
		}
		hibernate(true) // never awake
		count := func(want string) {
			t.Helper()
			if got := callRoom(n, script.Op{Path: []string{"count"}}).values[0]; got != want {
				t.Errorf("count %s, want %s", got, want)
			}
		}
		count("1")
		count("2")
		if awake := n.Awake(); !slices.Equal(awake, []key.Key{roomA}) {
			t.Errorf("awake: %v", awake)
		}
		hibernate(true)
		if awake := n.Stats().Awake.Load(); awake != 0 || len(n.Awake()) != 0 {
			t.Errorf("%d objects are awake, %v", awake, n.Awake())
		}
		count("1")
		later := callRoom(n, script.Op{Path: []string{"later"}})
		hibernate(false) // its timer pins it
		count("2")
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if _, ok := later.values[0]; !ok {
			t.Error("the pinned call gave nothing")
		}
		hibernate(true)
		count("1")
	})
}
