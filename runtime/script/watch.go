package script

import (
	"sync"
	"sync/atomic"
	"time"
)

// watch ends a turn that runs too long. At the time-out it interrupts the VM;
// at twice the time-out, when something runs that goja cannot interrupt, it
// tells the host. One timer serves all turns of a VM.
type watch struct {
	vm       *VM
	timeout  time.Duration
	overseer *Overseer   // measures instead of the timer; or nil
	expired  atomic.Bool // the running turn has passed its deadline

	mu       sync.Mutex
	timer    *time.Timer
	running  bool
	hung     bool
	deadline time.Time
}

func newWatch(vm *VM) *watch {
	return &watch{vm: vm, timeout: vm.set.options.TurnTimeout, overseer: vm.set.options.Overseer}
}

// start arms the watch for a turn.
func (w *watch) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running, w.hung = true, false
	w.deadline = time.Now().Add(w.timeout)
	if w.overseer != nil {
		w.overseer.begin(w)
	} else if w.timer == nil {
		w.timer = time.AfterFunc(w.timeout, w.fire)
	} else {
		w.timer.Reset(w.timeout)
	}
}

// stop ends the turn's watch and reports whether it had expired.
func (w *watch) stop() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = false
	if w.overseer != nil {
		w.overseer.end(w)
	} else {
		w.timer.Stop()
	}
	return w.expired.Load()
}

// expire interrupts the running turn.
func (w *watch) expire() {
	if !w.expired.Swap(true) {
		w.vm.rt.Interrupt(NewError(TimeoutError, "the turn ran longer than %v", w.timeout))
	}
}

func (w *watch) fire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.running || time.Now().Before(w.deadline) { // a late call, of an earlier turn
		return
	}
	if !w.expired.Load() {
		w.expire()
		w.deadline = w.deadline.Add(w.timeout)
		w.timer.Reset(w.timeout)
		return
	}
	switch {
	case w.hung:
	case w.vm.host != nil:
		w.hung = true
		w.vm.host.Hung()
	default:
		w.hung = true
		w.vm.set.options.Log.Error("the top level of a script cannot be interrupted: a core is lost until it ends")
	}
}

// expired reports whether the running turn has passed its deadline, for host
// functions that loop.
func (vm *VM) expired() bool { return vm.watch != nil && vm.watch.expired.Load() }

// TurnDeadline is when the running turn's time is up.
func (vm *VM) TurnDeadline() time.Time {
	vm.watch.mu.Lock()
	defer vm.watch.mu.Unlock()
	return vm.watch.deadline
}
