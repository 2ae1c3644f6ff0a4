package store

import (
	"context"
	"slices"

	"chat.example.com.ai/runtime/key"
)

// writeBytes is about what a write takes beside its texts and payloads.
const writeBytes = 128

// View is what one object sees of the store: the committed rows and, over them,
// its own writes of turns that are not committed yet and of the current one. It
// belongs to one goroutine at a time. What it returns must not be changed: it may
// be what a batch still has to write.
type View struct {
	store   *Store
	object  key.Key
	name    string // object as it is stored
	token   uint64
	turn    []Write
	bytes   int
	pending []*Batch // sealed and not settled, oldest first
	line    *line    // made with the first batch
	parent  *View    // of a fork
}

// View opens the view of an object. token is the fencing token under which the
// object is owned; all batches of the view carry it.
func (s *Store) View(object key.Key, token uint64) *View {
	return &View{store: s, object: object, name: object.String(), token: token}
}

// Write adds a change to the current turn. The view keeps what w refers to.
func (v *View) Write(w Write) {
	v.turn = append(v.turn, w)
	v.bytes += size(w)
}

// Fork opens a view over the view: its writes are seen there only, until Join.
// Writes of the view itself are seen in both. A fork is never sealed.
func (v *View) Fork() *View {
	return &View{store: v.store, object: v.object, name: v.name, token: v.token, parent: v}
}

// Join adds the writes of a fork to the current turn of the view that it was made
// of, and leaves the fork empty.
func (v *View) Join() {
	v.parent.turn = append(v.parent.turn, v.turn...)
	v.parent.bytes += v.bytes
	v.Discard()
}

// Turn returns the number of writes of the current turn and about how many bytes
// they hold; of a fork, with those of the view below.
func (v *View) Turn() (writes, bytes int) {
	if v.parent != nil {
		writes, bytes = v.parent.Turn()
	}
	return writes + len(v.turn), bytes + v.bytes
}

// Discard forgets the writes of the current turn: it failed.
func (v *View) Discard() {
	clear(v.turn)
	v.turn, v.bytes = v.turn[:0], 0
}

// EndsOnly reports whether all that the current turn writes is the end of one
// delivery.
func (v *View) EndsOnly() (seq int64, only bool) {
	if len(v.turn) != 1 {
		return 0, false
	}
	done, only := v.turn[0].(DoneDelivery)
	return done.Seq, only
}

// Seal ends the current turn. It returns its writes as a batch to commit, or nil
// if there are none. They stay visible until Settled.
func (v *View) Seal() *Batch {
	if len(v.turn) == 0 {
		return nil
	}
	if v.line == nil {
		v.line = &line{}
	}
	b := &Batch{Object: v.object, Token: v.token, Writes: v.turn, Bytes: v.bytes, line: v.line}
	v.turn, v.bytes = nil, 0
	v.pending = append(v.pending, b)
	return b
}

// Settled says that the commit of a batch has returned, so its writes are no
// longer laid over the committed rows. After a commit that failed they are gone,
// and later turns may rest on them: every later batch of the view fails with
// ErrBroken, and the view is of no more use.
func (v *View) Settled(b *Batch) {
	if i := slices.Index(v.pending, b); i >= 0 {
		v.pending = slices.Delete(v.pending, i, i+1)
	}
}

func (v *View) clean() bool {
	return len(v.pending) == 0 && len(v.turn) == 0 && (v.parent == nil || v.parent.clean())
}

// newestFirst yields the writes that are not committed, backwards.
func (v *View) newestFirst(yield func(Write) bool) {
	for _, w := range slices.Backward(v.turn) {
		if !yield(w) {
			return
		}
	}
	for _, b := range slices.Backward(v.pending) {
		for _, w := range slices.Backward(b.Writes) {
			if !yield(w) {
				return
			}
		}
	}
	if v.parent != nil {
		v.parent.newestFirst(yield)
	}
}

func size(w Write) int {
	n := writeBytes
	switch w := w.(type) {
	case PutThing:
		n += len(w.Thing.ID) + len(w.Thing.Fields)
	case PutValue:
		n += len(w.Key) + len(w.Value)
	case AddDelivery:
		n += len(w.Delivery.Data) + len(w.Delivery.ID)
	case BuryDelivery:
		n += len(w.Letter.Data) + len(w.Letter.Error)
	}
	return n
}

// Thing returns the thing with an $id, and whether there is one.
func (v *View) Thing(ctx context.Context, id string) (Thing, bool, error) {
	for w := range v.newestFirst {
		switch w := w.(type) {
		case PutThing:
			if w.Thing.ID == id {
				return w.Thing, true, nil
			}
		case DeleteThing:
			if w.ID == id {
				return Thing{}, false, nil
			}
		}
	}
	return v.store.thing(ctx, v.name, id)
}

// Things lists the things that a query asks for, in its order. A mistake in the
// query is a *QueryError. A query that lasts beyond the deadline of ctx is broken
// off, with an error that wraps the context's.
func (v *View) Things(ctx context.Context, q Query) ([]Thing, error) {
	p, err := compile(q)
	if err != nil {
		return nil, err
	}
	if p.afterID != "" {
		t, found, err := v.Thing(ctx, p.afterID)
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, queryErrorf("after", "there is no thing with the $id %q", p.afterID)
		}
		p.after = p.keys(&t)
	}
	ids, overlay := v.overlayThings(p)
	stored, err := v.store.things(ctx, v.name, p, ids)
	if err != nil || len(overlay) == 0 {
		return stored, err
	}
	return p.merge(stored, overlay), nil
}

// Count counts the things that have the Type of a query and meet its Where. The
// rest of the query must be valid, and is ignored.
func (v *View) Count(ctx context.Context, q Query) (int, error) {
	p, err := compile(q)
	if err != nil {
		return 0, err
	}
	ids, overlay := v.overlayThings(p)
	n, err := v.store.count(ctx, v.name, p, ids)
	return n + len(overlay), err
}

// overlayThings returns the $id of each thing that uncommitted writes touch, whose
// committed state is not to be looked at, and those of them that the plan selects.
func (v *View) overlayThings(p *plan) (ids []string, selected []Thing) {
	if v.clean() {
		return nil, nil
	}
	seen := map[string]struct{}{}
	for w := range v.newestFirst {
		var id string
		put, isPut := w.(PutThing)
		if del, ok := w.(DeleteThing); ok {
			id = del.ID
		} else if isPut {
			id = put.Thing.ID
		} else {
			continue
		}
		if _, ok := seen[id]; ok {
			continue
		}
		seen[id] = struct{}{}
		ids = append(ids, id)
		if isPut && p.matches(&put.Thing) && (p.after == nil || p.compare(p.keys(&put.Thing), p.after) > 0) {
			selected = append(selected, put.Thing)
		}
	}
	return ids, selected
}
