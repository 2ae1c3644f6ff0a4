package object

import (
	"container/list"
	"sync"
	"sync/atomic"
	"time"
)

// DefaultMaxAwake is how many objects are awake at a time, if nothing else is
// said: some 110 MiB of rooms of the shipped chat, at 53 KiB each. Under a wave over
// 100,000 rooms, with what the collector lets pile up, they came to 417 MB
// resident; 4096 of them to 817 MB, and the wave took 19 s rather than 22 s.
const DefaultMaxAwake = 2048

// maxLeaving is how many objects are told to hibernate at a time. It keeps a wave
// that falls asleep from starting a goroutine for each.
const maxLeaving = 16

// places are what objects need to be awake. There are limit of them, as a target:
// what comes from outside waits for one, in order, and the longest idle gives up
// its own; a call takes one at once, so that no object that waits for another can
// wait for ever.
//
// It also sends objects to sleep that have been idle for long enough, with one
// timer for all. Its mutex is held for a moment only, and no other is taken under
// it. Every operation takes constant time.
type places struct {
	limit int           // 0: none
	after time.Duration // how long an object may idle

	mu      sync.Mutex
	taken   int       // by objects that are awake or about to be
	idle    list.List // of *activation that nothing pinned when it rested; the longest idle first
	leaving int       // activations that were told to hibernate, and still have their places
	waiting list.List // of *Object with work from outside
	timer   *time.Timer
	set     bool // the timer is

	waits *atomic.Int64 // how many wait, for metrics
}

// place is what places knows of an object; its mutex guards it.
type place struct {
	reserved bool          // it has a place for the activation that it is about to make
	waits    *list.Element // in waiting; nil if it doesn't
}

// rank is what places knows of an activation; its mutex guards it.
type rank struct {
	idle    *list.Element // in idle; nil if it isn't
	since   time.Time     // when it rested; only its object's goroutine writes it
	leaving bool
}

// take reserves a place for an object that is asleep. If none is free, the object
// waits and is started when it has one; now takes one in any case.
func (p *places) take(o *Object, now bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case o.place.reserved:
		return true
	case now || p.limit == 0 || (p.taken < p.limit && p.waiting.Len() == 0):
		p.unwait(o)
		o.place.reserved = true
		p.taken++
		return true
	case o.place.waits == nil:
		o.place.waits = p.waiting.PushBack(o)
		p.waits.Add(1)
		o.node.begin()
	}
	return false
}

// unwait takes an object off the list of those that wait.
func (p *places) unwait(o *Object) {
	if o.place.waits != nil {
		p.waiting.Remove(o.place.waits)
		o.place.waits = nil
		p.waits.Add(-1)
		o.node.finish()
	}
}

// enter gives an activation the place that its object has reserved, or one over
// the limit.
func (p *places) enter(o *Object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unwait(o)
	if !o.place.reserved {
		p.taken++
	}
	o.place.reserved = false
}

// forgo gives back what an object has reserved and has no use for.
func (p *places) forgo(o *Object) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unwait(o)
	if o.place.reserved {
		o.place.reserved = false
		p.taken--
	}
}

// rested puts an activation that nothing pins behind all others that are idle.
func (p *places) rested(act *activation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if act.rank.leaving {
		return // it will find that it had a turn since
	}
	act.rank.since = time.Now()
	if act.rank.idle == nil {
		act.rank.idle = p.idle.PushBack(act)
	} else {
		p.idle.MoveToBack(act.rank.idle)
	}
}

// stays notes that an activation that was told to hibernate has something to do.
func (p *places) stays(act *activation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if act.rank.leaving {
		act.rank.leaving = false
		p.leaving--
	}
}

// leave gives back the place of an activation that has ended.
func (p *places) leave(act *activation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken--
	if act.rank.leaving {
		act.rank.leaving = false
		p.leaving--
	}
	if act.rank.idle != nil {
		p.idle.Remove(act.rank.idle)
		act.rank.idle = nil
	}
}

// next says what there is to do: an object that has got a place, or an activation
// that is to leave its own. If over, an object may have one over the limit when
// nobody can leave.
func (p *places) next(over bool) (admitted *Object, leaves *activation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if first := p.waiting.Front(); first != nil && (p.taken < p.limit || over && p.idle.Len() == 0 && p.leaving == 0) {
		o := first.Value.(*Object)
		o.node.begin() // for whoever starts it
		p.unwait(o)
		o.place.reserved = true
		p.taken++
		return o, nil
	}
	first := p.idle.Front()
	if first == nil {
		return nil, nil
	}
	act := first.Value.(*activation)
	short := p.limit > 0 && p.taken-p.leaving+p.waiting.Len() > p.limit
	idleFor := time.Since(act.rank.since)
	switch {
	case !short && idleFor < p.after:
		if !p.set {
			p.set = true
			p.timer.Reset(p.after - idleFor)
		}
		return nil, nil
	case p.leaving == maxLeaving:
		return nil, nil // the next one that has left leads here again
	}
	p.idle.Remove(first)
	act.rank.idle = nil
	act.rank.leaving = true
	p.leaving++
	return nil, act
}

// balance gives out the places that are free, and has objects hibernate that are
// in the way or have been idle for long enough.
func (n *Node) balance() {
	over := n.closing.Load() // nothing unpins an object any more
	for {
		o, act := n.places.next(over)
		switch {
		case o != nil:
			over = false
			o.admit()
			n.finish()
		case act != nil:
			act.object.complete(act.yield)
		default:
			return
		}
	}
}

// rebalance is called by the timer: some object may have been idle for long enough.
func (n *Node) rebalance() {
	n.places.mu.Lock()
	n.places.set = false
	n.places.mu.Unlock()
	if !n.closing.Load() {
		n.balance()
	}
}

// admit starts an object that has got a place.
func (o *Object) admit() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.agenda != nil && !o.inbox.empty() { // else it has found out by itself
		o.start()
	}
}

// yield has the object hibernate, if it still has nothing to do.
func (act *activation) yield(o *Object) {
	if o.act == act && (act.lastTurn.After(act.rank.since) || !o.hibernate()) {
		o.node.places.stays(act) // the end of what pins it leads to rest again
	}
}
