package object

import (
	"time"

	"chat.example.com.ai/runtime/script"
)

// reloadGrace is how long an object goes on with scripts that were replaced while
// something pins it: long enough for most calls and fetches to come home, short
// enough that whoever saves a file sees what it does at once.
const reloadGrace = 500 * time.Millisecond

// generation is a set of scripts, and since when it is the node's.
type generation struct {
	set   *script.Set
	since time.Time
}

// Reload has all objects run another set. An object moves to it between two
// turns: at once if nothing pins its VM, else as soon as nothing does, and after
// reloadGrace in any case. Meanwhile it takes events as ever. Sockets stay, with
// their tags and attachments; what turns have sent and written stays; what is in
// the inbox waits for the new VM. It can be called at any time, by one goroutine
// at a time, and waits for no object.
func (n *Node) Reload(set *script.Set) {
	n.scripts.Store(&generation{set, time.Now()})
	n.ready.drop()
	for i := range n.table {
		s := &n.table[i]
		s.Lock()
		objects := make([]*Object, 0, len(s.objects))
		for _, o := range s.objects {
			objects = append(objects, o)
		}
		s.Unlock()
		for _, o := range objects {
			o.look()
		}
	}
}

// look has an object that is awake find out that its scripts were replaced.
func (o *Object) look() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.gone && o.agenda != nil {
		o.inbox.pushCompletion(func(*Object) {})
		o.start()
	}
}

// outdated reports whether the object is awake with scripts that were replaced.
func (o *Object) outdated() bool { return o.act != nil && o.act.set != o.node.Scripts() }

// renew is called between turns of an object that is outdated: it moves as soon
// as nothing pins it. Its uncommitted turns keep the next VM waiting, which would
// not see them.
func (o *Object) renew() {
	act := o.act
	switch {
	case act.vm.Idle():
		o.act = nil
		act.end()
	case !act.leaving:
		act.leaving = true
		act.after(func(o *Object) { o.replace(act) }, reloadGrace-time.Since(o.node.scripts.Load().since))
	}
}

// replace ends an activation that something still pins. Its timers go; what its
// scripts wait for, and who waits for them, is told. An object that had timers is
// woken at once, so that those that init starts go on.
func (o *Object) replace(act *activation) {
	e := script.NewError(script.ReloadedError, "the scripts were reloaded before it was settled")
	first := act.booting // it has seen nothing yet of the scripts that go
	act.booting = nil
	timed := act.vm.Timed()
	for id, r := range act.replies {
		if _, ok := r.(*deliveryEvent); ok { // to be tried again as a whole, whatever its handler would make of the error
			o.dropSockets(act.vm.Abandon(id))
			delete(act.replies, id)
			o.queue(&turn{failed: []failure{{r, e}}})
		}
	}
	for _, id := range act.vm.Awaited() {
		if o.act != act { // a turn without end has cost the VM
			break
		}
		act.kind = "call result"
		o.settle(act, act.vm.Settle(id, nil, e), nil)
	}
	o.drop(act, e)
	switch {
	case first != nil:
		o.putBack(first)
	case timed:
		o.offer(wakeEvent{}, false)
	}
}

// putBack makes an event that has not entered the next one again.
func (o *Object) putBack(e event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.needAgenda()
	if _, counted := e.(countedEvent); counted {
		o.waiting++
	}
	if _, call := e.(*callEvent); call {
		o.calls++
	}
	o.inbox.events.putBack(e)
}

// wakeEvent wakes an object, and is nothing else.
type wakeEvent struct{}

func (wakeEvent) enter(*Object, *activation) {}
func (wakeEvent) wakes(*Object) bool         { return true }
func (wakeEvent) ignored(*Object)            {}
func (wakeEvent) refuse(*script.Error)       {}
