package socket

import (
	"fmt"
	"iter"
	"slices"
	"testing"
)

func ids(seq iter.Seq[*Socket]) []uint64 {
	var all []uint64
	for s := range seq {
		all = append(all, s.ID())
	}
	return all
}

func TestHub(t *testing.T) {
	for _, size := range []int{1, 3, indexAbove, indexAbove + 1, 100} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			srv := newServer(t, Config{})
			var hub Hub
			var all []*Socket
			for i := range size {
				tags := []string{"all"}
				if i%3 == 0 {
					tags = append(tags, "third")
				}
				if i%2 == 0 {
					tags = nil
				}
				s := srv.New(newOwner(), tags)
				hub.Add(s)
				all = append(all, s)
			}
			check := func() {
				t.Helper()
				var every, tagged, third []uint64
				for _, s := range all {
					every = append(every, s.ID())
					if s.hasTag("all") {
						tagged = append(tagged, s.ID())
					}
					if s.hasTag("third") {
						third = append(third, s.ID())
					}
				}
				slices.Reverse(every)
				if hub.Len() != len(all) || !slices.Equal(ids(hub.All()), every) {
					t.Fatalf("all: %v, want %v", ids(hub.All()), every)
				}
				if !slices.Equal(ids(hub.Tagged("all")), tagged) || !slices.Equal(ids(hub.Tagged("third")), third) {
					t.Fatalf("tagged: %v %v, want %v %v", ids(hub.Tagged("all")), ids(hub.Tagged("third")), tagged, third)
				}
				if ids(hub.Tagged("none")) != nil {
					t.Fatal("a tag that nobody has")
				}
			}
			check()
			// Remove the current one while iterating, both ways.
			n := 0
			for s := range hub.Tagged("all") {
				if n++; n%2 == 0 {
					hub.Remove(s)
					hub.Remove(s) // ignored
					all = slices.DeleteFunc(all, func(each *Socket) bool { return each == s })
				}
			}
			check()
			for s := range hub.All() {
				if n++; n%2 == 0 {
					hub.Remove(s)
					all = slices.DeleteFunc(all, func(each *Socket) bool { return each == s })
				}
			}
			check()
			hub.Add(srv.New(newOwner(), []string{"all"}))
			for s := range hub.All() {
				all = append(all, s)
				break
			}
			check()
			for s := range hub.All() {
				hub.Remove(s)
			}
			all = nil
			check()
			if hub.index != nil {
				t.Error("an empty hub keeps an index")
			}
		})
	}
}

func TestHubAutoResponse(t *testing.T) {
	var hub Hub
	if _, _, ok := hub.AutoResponse(); ok {
		t.Fatal("set")
	}
	hub.SetAutoResponse("a", "b")
	if request, response, ok := hub.AutoResponse(); !ok || request != "a" || response != "b" {
		t.Fatal("not set")
	}
	hub.ClearAutoResponse()
	if _, _, ok := hub.AutoResponse(); ok {
		t.Fatal("still set")
	}
}
