package object

import (
	"hash/maphash"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/runtime/script"
)

// Call makes live calls for somebody who is no object. home is told of each
// result, by the id of its op, once; it is called from other goroutines and must
// not block.
func (n *Node) Call(calls *script.Calls, home func(id int64, value []byte, err *script.Error)) {
	n.stats.RoundTrips.Add(1)
	n.stats.Calls.Add(int64(len(calls.Ops)))
	t := &roundTrip{home: home, calls: calls, results: make([]opResult, len(calls.Ops))}
	t.timer = time.AfterFunc(taskTimeout, t.timeout)
	n.send(t)
}

// Hibernate has an object lose its virtual machine now, not after a while, if it
// is awake. told is called once, maybe from another goroutine: with false if
// something pins the object or waits for it.
func (n *Node) Hibernate(k key.Key, told func(asleep bool)) {
	s := &n.table[maphash.Comparable(n.seed, k)%shards]
	s.Lock()
	o := s.objects[k]
	s.Unlock()
	if o == nil || !o.ask(func(o *Object) { told(o.hibernate()) }) {
		told(true) // nothing of it is in memory
	}
}

// Awake lists the objects in memory that may have a virtual machine.
func (n *Node) Awake() (keys []key.Key) {
	for i := range n.table {
		s := &n.table[i]
		s.Lock()
		for k, o := range s.objects {
			o.mu.Lock()
			if o.agenda != nil {
				keys = append(keys, k)
			}
			o.mu.Unlock()
		}
		s.Unlock()
	}
	return keys
}

// ask is complete for what must know whether it will run.
func (o *Object) ask(c completion) (ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gone {
		return false
	}
	o.needAgenda()
	o.inbox.pushCompletion(c)
	o.start()
	return true
}

// hibernate ends the activation, if nothing pins it.
func (o *Object) hibernate() (asleep bool) {
	if o.act == nil {
		return true
	}
	o.mu.Lock()
	work := o.inbox.events.len() > 0
	o.mu.Unlock()
	if work || len(o.unreleased) > 0 || !o.act.vm.Idle() {
		return false
	}
	act := o.act
	o.act = nil
	act.end()
	return true
}
