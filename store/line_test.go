package store

import (
	"errors"
	"testing"

	"chat.example.com.ai/runtime/key"
)

// A turn is computed from what the turns before it wrote: if one of those is not
// stored, it must not be either.
func TestBatchesBehindOneThatFailedFailToo(t *testing.T) {
	s, err := Open(t.Context(), Options{Memory: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	room := key.Key{Type: "Room", ID: "one"}
	put := func(v *View, id string) *Batch {
		v.Write(PutThing{Thing: Thing{ID: id, Type: "Note", Fields: []byte("{}")}, Insert: true})
		return v.Seal()
	}
	v, other := s.View(room, s.Epoch()), s.View(key.Key{Type: "Room", ID: "two"}, s.Epoch())
	if err := s.CommitWait(t.Context(), put(v, "a")); err != nil {
		t.Fatal(err)
	}
	if err := s.CommitWait(t.Context(), put(v, "a")); !errors.Is(err, ErrConflict) {
		t.Fatalf("the same $id twice: %v", err)
	}
	if err := s.CommitWait(t.Context(), put(v, "b")); !errors.Is(err, ErrBroken) {
		t.Errorf("a turn behind one that failed: %v, want ErrBroken", err)
	}
	if err := s.CommitWait(t.Context(), put(other, "a")); err != nil {
		t.Errorf("another object: %v", err)
	}
	fresh := s.View(room, s.Epoch())
	if err := s.CommitWait(t.Context(), put(fresh, "b")); err != nil {
		t.Errorf("a fresh view: %v", err)
	}
}
