package script

import (
	"math"
	"slices"
	"time"

	"github.com/dop251/goja"
)

// abortSignal is the host value of an AbortSignal. What a timeout or the sources
// of a combined signal do to it takes effect on its own only while somebody
// watches; else it is looked up when a script asks. So a signal that a fetch has
// no more use for holds neither a timer nor its object awake.
type abortSignal struct {
	object *goja.Object

	aborted  bool
	order    int64 // of aborting, among the signals of the VM
	reason   goja.Value
	deadline time.Time      // of AbortSignal.timeout
	position string         // where that was called, for its error
	sources  []*abortSignal // of AbortSignal.any; they have no sources themselves

	watchers []*abortWatcher
	timer    int64    // running while there are watchers; 0 if none
	unwatch  []func() // its sources

	listeners []abortListener
	onabort   goja.Value
	unlisten  func() // not nil while there are listeners
}

type abortWatcher struct{ aborted func() }

type abortListener struct {
	f    goja.Value // a function, or an object with handleEvent
	once bool
}

func (vm *VM) newSignal() *abortSignal {
	s := &abortSignal{reason: goja.Undefined()}
	s.object = vm.newNative(signalClass, s).self
	return s
}

// signalOf returns the signal of an option; nil if there is none.
func (vm *VM) signalOf(v goja.Value) *abortSignal {
	if nullish(v) {
		return nil
	}
	n := nativeOf(v)
	if n == nil || n.class != signalClass {
		vm.throwType("signal is an AbortSignal, not %s", vm.describe(v))
	}
	return n.host.(*abortSignal)
}

// check reports whether the signal is aborted by now.
func (s *abortSignal) check(vm *VM) bool {
	if !s.aborted && len(s.watchers) == 0 {
		s.look(vm)
	}
	return s.aborted
}

// look aborts the signal if its time is up or a source is aborted.
func (s *abortSignal) look(vm *VM) {
	if !s.deadline.IsZero() && !vm.now().Before(s.deadline) {
		s.expire(vm)
	}
	var first *abortSignal
	for _, source := range s.sources {
		if source.check(vm) && (first == nil || source.order < first.order) {
			first = source
		}
	}
	if first != nil {
		s.abort(vm, first.reason)
	}
}

func (s *abortSignal) expire(vm *VM) {
	s.timer = 0
	reason := vm.newError(TimeoutError, "The operation was aborted due to timeout")
	vm.setStack(reason, "at "+s.position)
	s.abort(vm, reason)
}

// watch has aborted called when the signal is, which it isn't yet, unless unwatch
// is called before.
func (s *abortSignal) watch(vm *VM, aborted func()) (unwatch func()) {
	if len(s.watchers) == 0 && !s.deadline.IsZero() {
		if len(vm.timers) >= maxTimers {
			vm.throwError("RangeError", "AbortSignal.timeout: more than %d timers", maxTimers)
		}
		s.timer = vm.startTimer(max(s.deadline.Sub(vm.now()), minTimer), 0, func() { s.expire(vm) })
	}
	if len(s.watchers) == 0 {
		for _, source := range s.sources {
			s.unwatch = append(s.unwatch, source.watch(vm, func() { s.abort(vm, source.reason) }))
		}
	}
	w := &abortWatcher{aborted}
	s.watchers = append(s.watchers, w)
	return func() {
		if i := slices.Index(s.watchers, w); i >= 0 {
			s.watchers = slices.Delete(s.watchers, i, i+1)
			s.rest(vm)
		}
	}
}

// rest lets go of what only watchers need, if there are none.
func (s *abortSignal) rest(vm *VM) {
	if len(s.watchers) > 0 {
		return
	}
	if s.timer != 0 {
		vm.stopTimer(s.timer)
		s.timer = 0
	}
	for _, unwatch := range s.unwatch {
		unwatch()
	}
	s.unwatch = nil
}

// abort aborts the signal, once: first for those who watch it, then for the
// listeners of scripts.
func (s *abortSignal) abort(vm *VM, reason goja.Value) {
	if s.aborted {
		return
	}
	s.aborted, s.order, s.reason = true, vm.id(), reason
	watchers := s.watchers
	s.watchers = nil
	s.rest(vm)
	for _, w := range watchers {
		w.aborted()
	}
	listeners := s.listeners
	s.listeners, s.unlisten = nil, nil
	if len(listeners) == 0 && nullish(s.onabort) {
		return
	}
	event := vm.rt.NewObject()
	must(event.Set("type", "abort"))
	must(event.Set("target", s.object))
	must(event.Set("currentTarget", s.object))
	if !nullish(s.onabort) {
		s.tell(vm, s.onabort, event)
	}
	for _, l := range listeners {
		s.tell(vm, l.f, event)
		if !l.once {
			s.listeners = append(s.listeners, l)
		}
	}
}

// tell calls a listener. What it throws is reported like a rejection that nobody
// awaits, and keeps nothing from the others.
func (s *abortSignal) tell(vm *VM, listener goja.Value, event *goja.Object) {
	ex := vm.rt.Try(func() {
		this := goja.Value(s.object)
		f, ok := goja.AssertFunction(listener)
		if !ok {
			this = listener
			f, ok = goja.AssertFunction(listener.(*goja.Object).Get("handleEvent"))
		}
		if ok {
			_, err := f(this, event)
			vm.check(err)
		}
	})
	if ex != nil {
		_, _, reject := vm.rt.NewPromise()
		vm.check(reject(ex.Value()))
	}
}

// listen keeps the signal watched while a script listens.
func (s *abortSignal) listen(vm *VM) {
	listens := len(s.listeners) > 0 || !nullish(s.onabort)
	switch {
	case listens && s.unlisten == nil && !s.check(vm):
		s.unlisten = s.watch(vm, func() {}) // the listeners come after those who watch
	case !listens && s.unlisten != nil:
		s.unlisten()
		s.unlisten = nil
	}
}

// abortReason is what a script gave as the reason, or the usual one.
func (vm *VM) abortReason(v goja.Value) goja.Value {
	if missing(v) {
		return vm.newError("AbortError", "This operation was aborted")
	}
	return v
}

func abortControllerConstructor(vm *VM) goja.Value {
	return vm.constructor(controllerClass, func(vm *VM, _ goja.ConstructorCall) any { return vm.newSignal() })
}

// controllerClass is AbortController; its host value is the signal.
var controllerClass = &class{
	name: "AbortController",
	getters: map[string]getter{
		"signal": func(_ *VM, this *native) goja.Value { return this.host.(*abortSignal).object },
	},
	methods: map[string]method{
		"abort": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			this.host.(*abortSignal).abort(vm, vm.abortReason(call.Argument(0)))
			return goja.Undefined()
		},
	},
	prototype: tagged("AbortController"),
}

func abortSignalConstructor(vm *VM) goja.Value {
	ctor := vm.constructor(signalClass, func(vm *VM, _ goja.ConstructorCall) any {
		vm.throwType("Illegal constructor: a signal comes from an AbortController, or from AbortSignal.timeout, any or abort")
		return nil
	})
	vm.static(ctor, "abort", func(vm *VM, call goja.FunctionCall) goja.Value {
		s := vm.newSignal()
		s.abort(vm, vm.abortReason(call.Argument(0)))
		return s.object
	})
	vm.static(ctor, "timeout", func(vm *VM, call goja.FunctionCall) goja.Value {
		ms := call.Argument(0).ToFloat()
		if math.IsNaN(ms) || ms < 0 {
			vm.throwType("AbortSignal.timeout takes milliseconds, not %s", vm.describe(call.Argument(0)))
		}
		s := vm.newSignal()
		s.position = vm.caller()
		s.deadline = vm.now().Add(time.Duration(min(ms, float64(maxTimer/time.Millisecond)) * float64(time.Millisecond)))
		return s.object
	})
	vm.static(ctor, "any", func(vm *VM, call goja.FunctionCall) goja.Value {
		s := vm.newSignal()
		seen := make(map[*abortSignal]bool)
		vm.rt.ForOf(call.Argument(0), func(v goja.Value) bool {
			given := vm.signalOf(v)
			if given == nil {
				vm.throwType("AbortSignal.any takes a list of AbortSignals")
			}
			if given.check(vm) {
				s.abort(vm, given.reason)
			}
			sources := given.sources
			if len(sources) == 0 {
				sources = []*abortSignal{given}
			}
			for _, source := range sources {
				if !seen[source] {
					seen[source] = true
					s.sources = append(s.sources, source)
				}
			}
			return true
		})
		return s.object
	})
	return ctor
}

var signalClass = &class{
	name: "AbortSignal",
	getters: map[string]getter{
		"aborted": func(vm *VM, this *native) goja.Value { return vm.rt.ToValue(this.host.(*abortSignal).check(vm)) },
		"reason": func(vm *VM, this *native) goja.Value {
			s := this.host.(*abortSignal)
			s.check(vm)
			return s.reason
		},
		"onabort": func(_ *VM, this *native) goja.Value {
			if s := this.host.(*abortSignal); s.onabort != nil {
				return s.onabort
			}
			return goja.Null()
		},
	},
	setters: map[string]setter{
		"onabort": func(vm *VM, this *native, v goja.Value) {
			s := this.host.(*abortSignal)
			if s.onabort = goja.Null(); isFunction(v) {
				s.onabort = v
			}
			s.listen(vm)
		},
	},
	methods: map[string]method{
		"throwIfAborted": func(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
			if s := this.host.(*abortSignal); s.check(vm) {
				panic(s.reason)
			}
			return goja.Undefined()
		},
		"addEventListener": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			s, f := this.host.(*abortSignal), call.Argument(1)
			if vm.text(call.Argument(0)) != "abort" || nullish(f) || s.listenerAt(f) >= 0 {
				return goja.Undefined()
			}
			if _, ok := f.(*goja.Object); !ok {
				vm.throwType("addEventListener takes a function, or an object with handleEvent")
			}
			s.listeners = append(s.listeners, abortListener{f: f, once: vm.option(call.Argument(2), "once")})
			s.listen(vm)
			return goja.Undefined()
		},
		"removeEventListener": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			s := this.host.(*abortSignal)
			if i := s.listenerAt(call.Argument(1)); i >= 0 && vm.text(call.Argument(0)) == "abort" {
				s.listeners = slices.Delete(s.listeners, i, i+1)
				s.listen(vm)
			}
			return goja.Undefined()
		},
	},
	prototype: tagged("AbortSignal"),
}

func (s *abortSignal) listenerAt(f goja.Value) int {
	return slices.IndexFunc(s.listeners, func(l abortListener) bool { return l.f.SameAs(f) })
}

func isFunction(v goja.Value) bool {
	_, ok := goja.AssertFunction(v)
	return ok
}
