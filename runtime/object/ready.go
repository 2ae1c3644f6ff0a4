package object

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"chat.example.com.ai/runtime/script"
)

// Bounds of the VMs that are kept ready.
const (
	maxReady  = 8           // of all nouns together: 0.3 MB with the shipped chat
	keepReady = time.Minute // from the last one that was taken until the others go
)

// readyVMs are a few VMs that have loaded the scripts of a noun and belong to no
// object yet: most of what waking costs is done before there is anything to wake
// for. Each is used for one object only. Nothing is made for nouns that nobody
// asks for: each VM that was taken, or missed, is one to make.
//
// They are made by a goroutine of their own, while the machine isn't busy with
// turns; close waits for it.
type readyVMs struct {
	running atomic.Int64 // objects whose inboxes are worked on
	few     int64        // of them that leave a processor free

	mu     sync.Mutex
	vms    []readyVM // oldest first
	wanted []string  // nouns, maxReady at most

	missing atomic.Bool   // wanted is not empty
	refill  chan struct{} // told when VMs are missing and there is time to make them
	stop    chan struct{}
	done    chan struct{}
}

type readyVM struct {
	set  *script.Set
	noun string
	vm   *script.VM
}

func (r *readyVMs) init() {
	r.few = int64(max(1, runtime.GOMAXPROCS(0)/2))
	r.refill, r.stop, r.done = make(chan struct{}, 1), make(chan struct{}), make(chan struct{})
}

// take returns a VM for an object of the noun, or nil if none is ready.
func (r *readyVMs) take(set *script.Set, noun string) (vm *script.VM) {
	if noun == script.HandlerNoun {
		return nil // one object for each handler: they are awake when there is much to do
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.wanted) < maxReady {
		r.wanted = append(r.wanted, noun)
		r.missing.Store(true)
	}
	for i, each := range r.vms {
		if each.set == set && each.noun == noun {
			r.vms = slices.Delete(r.vms, i, i+1)
			return each.vm
		}
	}
	return nil
}

// ran notes that an object has nothing to do for now.
func (r *readyVMs) ran() {
	if r.running.Add(-1) < r.few && r.missing.Load() {
		select {
		case r.refill <- struct{}{}:
		default:
		}
	}
}

// run makes VMs until close.
func (r *readyVMs) run(scripts func() *script.Set) {
	defer close(r.done)
	unused := time.NewTimer(keepReady)
	defer unused.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-r.refill:
			for r.running.Load() < r.few && r.makeOne(scripts) {
			}
			unused.Reset(keepReady)
		case <-unused.C:
			r.mu.Lock()
			r.vms = nil
			r.mu.Unlock()
		}
	}
}

// makeOne makes the VM that is wanted first. It reports false if none is.
func (r *readyVMs) makeOne(scripts func() *script.Set) bool {
	r.mu.Lock()
	if len(r.wanted) == 0 {
		r.mu.Unlock()
		return false
	}
	noun := r.wanted[0]
	r.wanted = slices.Delete(r.wanted, 0, 1)
	r.missing.Store(len(r.wanted) > 0)
	r.mu.Unlock()
	set := scripts()
	vm := set.Preload(noun)
	if vm == nil {
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if set != scripts() { // replaced meanwhile, and drop has passed
		return true
	}
	if len(r.vms) == maxReady {
		r.vms = slices.Delete(r.vms, 0, 1)
	}
	r.vms = append(r.vms, readyVM{set, noun, vm})
	return true
}

// drop throws away what is made of scripts that were replaced. As many are made
// of the new ones with the next wakes.
func (r *readyVMs) drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, each := range r.vms {
		if len(r.wanted) < maxReady {
			r.wanted = append(r.wanted, each.noun)
			r.missing.Store(true)
		}
	}
	r.vms = nil
}

// close ends run and waits for it until ctx ends: a script's top level may loop
// for as long as a turn may.
func (r *readyVMs) close(ctx context.Context) error {
	close(r.stop)
	select {
	case <-r.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
