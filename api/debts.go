package api

import (
	"container/list"
	"time"
)

// maxDebts is how many addresses, or users, are remembered because they asked for
// something a short while ago: some 4 MiB. Beyond it those who have not asked for longest
// are forgotten. Who has so many addresses gains nothing by that: each of them is new.
const maxDebts = 16 << 10

// debts remembers who has asked lately, each until it may ask for a whole burst again,
// and at most maxDebts. Somebody's mutex guards it.
type debts[K comparable] struct {
	of    map[K]*list.Element
	order list.List // of *debt[K]; who has not asked for longest first
}

type debt[K comparable] struct {
	key    K
	fullAt time.Time // when it may ask for a burst again
}

// take has somebody owe one more, if that is within a burst.
func (d *debts[K]) take(key K, each time.Duration, burst int) (wait time.Duration, ok bool) {
	if each == 0 {
		return 0, true
	}
	now := time.Now()
	for range 2 { // more than comes, so that what is forgotten is not behind for long
		if first := d.order.Front(); first != nil && !first.Value.(*debt[K]).fullAt.After(now) {
			d.forget(first)
		}
	}
	element := d.of[key]
	if element == nil {
		if d.of == nil {
			d.of = make(map[K]*list.Element)
		}
		if len(d.of) == maxDebts {
			d.forget(d.order.Front())
		}
		element = d.order.PushBack(&debt[K]{key: key})
		d.of[key] = element
	}
	d.order.MoveToBack(element)
	one := element.Value.(*debt[K])
	full := one.fullAt
	if full.Before(now) {
		full = now
	}
	full = full.Add(each)
	if wait = full.Sub(now) - time.Duration(burst)*each; wait > 0 {
		return wait, false
	}
	one.fullAt = full
	return 0, true
}

func (d *debts[K]) forget(element *list.Element) {
	delete(d.of, element.Value.(*debt[K]).key)
	d.order.Remove(element)
}
