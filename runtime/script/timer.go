package script

import (
	"time"

	"github.com/dop251/goja"
)

// Timers live in the VM and pin it. What they do is a turn of its own.
const (
	minTimer  = time.Millisecond
	maxTimer  = 1<<31*time.Millisecond - time.Millisecond // as in browsers
	maxTimers = 10_000                                    // of one object
)

type timer struct {
	every time.Duration // 0: once
	hops  int
	f     goja.Callable
	args  []goja.Value
	host  func() // instead of f, for the runtime's own
}

func (vm *VM) startTimer(d, every time.Duration, host func()) int64 {
	id := vm.id()
	if vm.timers == nil {
		vm.timers = make(map[int64]*timer)
	}
	vm.timers[id] = &timer{every: every, host: host, hops: vm.hops()}
	vm.host.StartTimer(id, d)
	return id
}

func (vm *VM) stopTimer(id int64) {
	if _, ok := vm.timers[id]; ok {
		delete(vm.timers, id)
		vm.host.StopTimer(id)
	}
}

// fireTimer runs a timer that is due, as a task of its own.
func (vm *VM) fireTimer(id int64, task0 TaskID) {
	t := vm.timers[id]
	if t == nil {
		return // cleared while it was on its way
	}
	if t.every == 0 {
		delete(vm.timers, id)
	} else {
		vm.host.StartTimer(id, t.every)
	}
	if t.host != nil {
		t.host()
		return
	}
	vm.begin(&task{id: task0, kind: "timer", hops: t.hops}, func() []goja.Value {
		// What an async callback returns is nobody's: its rejection is logged.
		_, err := t.f(goja.Undefined(), t.args...)
		vm.check(err)
		return nil
	})
}

func newSetTimer(name string, repeat bool) func(vm *VM) goja.Value {
	return func(vm *VM) goja.Value {
		return vm.rt.ToValue(func(call goja.FunctionCall) goja.Value {
			vm.needHost(name)
			f, ok := goja.AssertFunction(call.Argument(0))
			if !ok {
				vm.throwType("%s takes a function", name)
			}
			if len(vm.timers) >= maxTimers {
				vm.throwError("RangeError", "%s: more than %d timers", name, maxTimers)
			}
			d := minTimer
			if ms := call.Argument(1).ToFloat(); ms > 1 {
				d = min(time.Duration(min(ms, float64(maxTimer/time.Millisecond)))*time.Millisecond, maxTimer)
			}
			every := time.Duration(0)
			if repeat {
				every = d
			}
			id := vm.startTimer(d, every, nil)
			t := vm.timers[id]
			t.f = f
			if len(call.Arguments) > 2 {
				t.args = append(t.args, call.Arguments[2:]...)
			}
			return vm.rt.ToValue(id)
		})
	}
}

func newClearTimer(vm *VM) goja.Value {
	return vm.rt.ToValue(func(call goja.FunctionCall) goja.Value {
		if vm.host != nil {
			vm.stopTimer(call.Argument(0).ToInteger())
		}
		return goja.Undefined()
	})
}
