package object

import (
	"slices"

	"chat.example.com.ai/runtime/script"
)

// event is something that an object takes from outside: a message, a request, a
// call. It enters when its turn has come, or is refused with an error.
type event interface {
	// enter handles the event, in the object's goroutine, with an activation.
	enter(o *Object, act *activation)
	// wakes reports whether the event needs the object awake.
	wakes(o *Object) bool
	// ignored ends an event that nobody in the scripts wants.
	ignored(o *Object)
	// refuse tells whoever waits that the event was not handled. It can be called
	// from any goroutine.
	refuse(err *script.Error)
}

// completion is the end of something that the object started: a commit, a
// timer, the result of a call. What was started bounds them, so they are never
// refused, and they enter while events wait.
type completion func(o *Object)

// inbox holds what waits for an object, in one order. Completions enter while
// the object is gated; events then stay where they are. It is guarded by the
// object's mutex.
type inbox struct {
	events      queue[event]
	completions queue[completion]
	next        uint64
}

func (b *inbox) pushEvent(e event) {
	b.next++
	b.events.push(b.next, e)
}

func (b *inbox) pushCompletion(c completion) {
	b.next++
	b.completions.push(b.next, c)
}

// pop takes the oldest entry; while gated, the oldest completion.
func (b *inbox) pop(gated bool) (e event, c completion, ok bool) {
	switch {
	case b.completions.len() > 0 && (gated || b.events.len() == 0 || b.completions.order() < b.events.order()):
		return nil, b.completions.pop(), true
	case b.events.len() > 0 && !gated:
		return b.events.pop(), nil, true
	}
	return nil, nil, false
}

// newcomer reports whether the next is a request.
func (b *inbox) newcomer() bool {
	if b.completions.len() > 0 || b.events.len() == 0 {
		return false
	}
	_, request := b.events.first().(*requestEvent)
	return request
}

func (b *inbox) empty() bool { return b.events.len() == 0 && b.completions.len() == 0 }

// queue is a first-in first-out list that gives its memory back when it is empty.
type queue[T any] struct {
	items []entry[T]
	head  int
}

type entry[T any] struct {
	order uint64
	item  T
}

func (q *queue[T]) len() int { return len(q.items) - q.head }

func (q *queue[T]) push(order uint64, item T) { q.items = append(q.items, entry[T]{order, item}) }

// putBack makes an item the first, whatever is in another queue.
func (q *queue[T]) putBack(item T) { q.items = slices.Insert(q.items, q.head, entry[T]{item: item}) }

func (q *queue[T]) order() uint64 { return q.items[q.head].order }

func (q *queue[T]) first() T { return q.items[q.head].item }

func (q *queue[T]) pop() T {
	item := q.items[q.head].item
	q.items[q.head] = entry[T]{}
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		const keep = 16 // entries that an idle object may hold on to
		if cap(q.items) > keep {
			q.items = nil
		}
	} else if q.head > 64 && q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return item
}
