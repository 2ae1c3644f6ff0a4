package store

import (
	"fmt"
	"sync"
	"testing"

	"chat.example.com.ai/runtime/key"
)

// Objects that run far ahead of the disk don't hold up one that has a single turn
// to commit, and each one's own turns stay in order.
func TestAGroupHasSomethingOfEverybody(t *testing.T) {
	const most, busy, each = 8, 5, 12
	hold := make(chan struct{})
	var holding sync.Once
	began := make(chan struct{})
	s, err := Open(t.Context(), Options{Memory: true, MaxGroup: most, BeforeCommit: func() {
		holding.Do(func() { close(began) })
		<-hold
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var order []string
	var all sync.WaitGroup
	put := func(v *View, name string) {
		v.Write(PutThing{Thing: Thing{ID: name, Type: "Note", Fields: []byte("{}")}, Insert: true})
		all.Add(1)
		s.Commit(v.Seal(), func(err error) {
			if err != nil {
				t.Error(err)
			}
			order = append(order, name) // the writer's goroutine
			all.Done()
		})
	}
	view := func(name string) *View { return s.View(key.Key{Type: "Room", ID: name}, s.Epoch()) }
	put(view("first"), "first")
	<-began
	var views []*View
	for i := range busy {
		views = append(views, view(fmt.Sprint("busy", i)))
	}
	for n := range each {
		for i, v := range views {
			put(v, fmt.Sprintf("%d-%02d", i, n))
		}
	}
	put(view("quiet"), "quiet")
	close(hold)
	all.Wait()
	last := map[byte]string{}
	for i, name := range order {
		if name == "quiet" && i > most {
			t.Errorf("the one turn of a quiet object is number %d: %q", i, order[:i])
		}
		if '0' <= name[0] && name[0] <= '9' {
			if name <= last[name[0]] {
				t.Errorf("%s behind %s", name, last[name[0]])
			}
			last[name[0]] = name
		}
	}
	if len(order) != 2+busy*each {
		t.Errorf("%d were committed", len(order))
	}
}
