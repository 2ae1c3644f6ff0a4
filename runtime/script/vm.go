package script

import (
	"context"
	"time"

	"github.com/dop251/goja"

	"chat.example.com.ai/store"
)

// maxCallStack bounds JavaScript calls within calls. It is far above what a
// parser of deep data needs, and far below what Go's stack can hold. Where each
// call goes through a built-in, the way back from the deepest takes the square of
// the depth: 1.3 s from 4000 calls of sort within each other.
const maxCallStack = 2000

// VM is the virtual machine of one object while it is awake: an instance made of
// the parts of its noun, or an event handler with the script that it is in. It is
// used by one goroutine at a time.
type VM struct {
	rt   *goja.Runtime
	set  *Set
	noun *noun
	host Host    // nil while scripts are only looked at, or loaded ahead
	test *TestVM // of which this is the VM; nil outside of tests

	classes    map[*class]*classState
	plainProto *goja.Object // Object.prototype; a script can change it, but not put another in its place
	intrinsics map[string]goja.Value
	trampoline goja.Callable
	body       func() // what the trampoline runs
	watch      *watch

	// What the scripts made of the VM.
	loading  *module
	extended *goja.Object             // the argument of the last DO.extend
	instance *goja.Object             // this of every method
	parts    []*goja.Object           // the noun's, in path order
	handlers map[string]goja.Callable // by name, in a VM of handlers
	found    *module                  // where discovery puts what it finds
	asked    bool                     // without a host, scripts did what they would do otherwise with one
	unnamed  map[string]int           // handlers without a name of their own, counted
	booted   bool

	// What this VM has made so far of what scripts can reach.
	app        *native
	ctx        *native
	kv         *native // storage
	syncKV     *native
	things     *native
	dollar     *native
	nouns      map[string]goja.Value // the functions $.User and so on
	dotdo      *goja.Object
	send       goja.Value   // the built-in broadcast
	stubTarget *goja.Object // what every stub's proxy stands before

	// The running turn.
	turn    turn
	fork    *store.View // of the running transactionSync
	current *task       // on whose behalf JavaScript runs

	// What outlives a turn.
	tasks   map[TaskID]*task
	timers  map[int64]*timer
	calls   map[int64]*pendingCall // and fetches
	fetches int                    // that are not settled
	sockets map[uint64]*native
	waits   int // waitUntil promises that are pending
	blocks  int // blockConcurrencyWhile functions that are pending
	lastID  int64
	turns   int64 // that ran

	// autoResponse is the pair as this VM has set it, committed or not; nil if it hasn't.
	autoResponse *SetAutoResponse
}

// Preload makes a VM that some object of the noun will have: its scripts are
// loaded, its routes registered, and it waits for Attach and Boot. It returns nil
// where scripts could tell that from a VM that does it all in Boot: if they fail,
// which is then an object's error, if they ask for the time, an object or the
// log, or if they leave something for later.
func (s *Set) Preload(nounName string) *VM {
	n := s.noun(nounName)
	if nounName == HandlerNoun || n.unfit.Load() {
		return nil
	}
	vm := s.newVM(nil)
	vm.noun = n
	if out := vm.run(vm.assemble); out.Err != nil || vm.asked {
		n.unfit.Store(true) // the next ones would hardly do better
		return nil
	}
	return vm
}

// Attach gives a VM of Preload to the object that it is for, once.
func (vm *VM) Attach(host Host) { vm.host = host }

// NewObject makes the VM of an object, empty: Boot loads the scripts into it.
func (s *Set) NewObject(host Host) *VM {
	vm := s.newVM(host)
	if k := host.Key(); k.Type != HandlerNoun {
		vm.noun = s.noun(k.Type)
	}
	return vm
}

func (s *Set) newVM(host Host) *VM {
	vm := &VM{
		rt:         goja.New(),
		set:        s,
		host:       host,
		classes:    make(map[*class]*classState),
		intrinsics: make(map[string]goja.Value),
	}
	vm.rt.SetMaxCallStackSize(maxCallStack)
	vm.rt.SetPromiseRejectionTracker(vm.trackRejection)
	vm.rt.SetAsyncContextTracker((*asyncContext)(vm))
	vm.rt.SetTimeSource(vm.now)
	vm.installGlobals(webGlobals, hostGlobals, hiddenGlobals, boundGlobals)
	vm.boundStrings()
	vm.trampoline, _ = goja.AssertFunction(vm.rt.ToValue(func(goja.FunctionCall) goja.Value {
		vm.body()
		return goja.Undefined()
	}))
	vm.watch = newWatch(vm)
	return vm
}

// asyncContext carries the current task over awaits.
type asyncContext VM

func (c *asyncContext) Grab() any {
	if c.host == nil {
		c.asked = true // in Boot, what is left for later comes after init has begun
	}
	return c.current
}

func (c *asyncContext) Resumed(current any) { c.current, _ = current.(*task) }

func (c *asyncContext) Exited() { c.current = nil }

// intrinsic returns a global.
func (vm *VM) intrinsic(name string) goja.Value {
	if v, ok := vm.intrinsics[name]; ok {
		return v
	}
	v := vm.rt.GlobalObject().Get(name)
	vm.intrinsics[name] = v
	return v
}

// plainPrototype is the prototype of plain objects.
func (vm *VM) plainPrototype() *goja.Object {
	if vm.plainProto == nil {
		vm.plainProto = vm.rt.NewObject().Prototype()
	}
	return vm.plainProto
}

// load runs a module and returns its exports.
func (vm *VM) load(m *module) *goja.Object {
	vm.loading, vm.extended = m, nil
	defer func() { vm.loading = nil }()
	wrapper, err := vm.rt.RunProgram(m.program)
	vm.check(err)
	function, ok := goja.AssertFunction(wrapper)
	if !ok {
		vm.throwType("%s is not a module", m.file)
	}
	moduleObject, exports := vm.rt.NewObject(), vm.rt.NewObject()
	must(moduleObject.Set("exports", exports))
	_, err = function(goja.Undefined(), exports, vm.rt.ToValue(vm.require), moduleObject)
	vm.check(err)
	exports, ok = moduleObject.Get("exports").(*goja.Object)
	if !ok {
		vm.throwType("%s exports nothing", m.file)
	}
	return exports
}

// check raises an error that a call into JavaScript returned, again.
func (vm *VM) check(err error) {
	if err != nil {
		panic(err)
	}
}

func (vm *VM) require(call goja.FunctionCall) goja.Value {
	name := call.Argument(0).String()
	switch {
	case name == "dotdo":
		return vm.dotdoModule()
	case name == testModule && vm.test != nil:
		return vm.test.exports
	}
	vm.throwError("Error", "Cannot find module '%s'", name)
	return nil
}

// partOf returns the part that a module exports, or nil.
func (vm *VM) partOf(m *module, exports *goja.Object) *goja.Object {
	part, ok := exports.Get("default").(*goja.Object)
	switch {
	case vm.extended == nil:
		if ok {
			vm.throwType("%s: the default export must be DO.extend({...})", m.file)
		}
		return nil
	case !ok || part != vm.extended:
		vm.throwType("%s: DO.extend({...}) must be the default export", m.file)
	}
	return part
}

// build loads the parts of the noun and makes the instance of them: its
// prototypes are the parts themselves, the typed ones first, then what every
// object has. So a typed part's member hides an untyped one's, and nothing is copied.
func (vm *VM) build() {
	for _, m := range vm.noun.parts {
		vm.parts = append(vm.parts, vm.partOf(m, vm.load(m)))
	}
	base := vm.newNative(baseClass, vm)
	last := base.self
	for _, typed := range []bool{false, true} {
		for i := len(vm.parts) - 1; i >= 0; i-- {
			if (vm.noun.parts[i].noun != "") == typed {
				must(vm.parts[i].SetPrototype(last))
				last = vm.parts[i]
			}
		}
	}
	vm.instance = vm.rt.CreateObject(last)
}

// assemble is what all VMs of a noun begin with.
func (vm *VM) assemble() {
	vm.build()
	vm.hook("onRequest")
}

// hook calls a lifecycle handler of every part that has it, in path order, and
// returns what they returned.
func (vm *VM) hook(name string, args ...goja.Value) (results []goja.Value) {
	for i, part := range vm.parts {
		if !vm.noun.parts[i].hasHook(name) {
			continue
		}
		if f, ok := goja.AssertFunction(part.Get(name)); ok {
			v, err := f(vm.instance, args...)
			vm.check(err)
			results = append(results, v)
		}
	}
	return results
}

func (m *module) hasHook(name string) bool {
	for _, h := range m.hooks {
		if h == name {
			return true
		}
	}
	return false
}

// baseClass is what every object has: the end of an instance's prototype chain.
var baseClass = &class{
	name: "DurableObject",
	getters: map[string]getter{
		"app": func(vm *VM, _ *native) goja.Value {
			if vm.app == nil {
				vm.app = vm.newApp()
			}
			return vm.app.self
		},
		"ctx": func(vm *VM, _ *native) goja.Value {
			if vm.ctx == nil {
				vm.ctx = vm.newNative(ctxClass, vm)
			}
			return vm.ctx.self
		},
		"things": func(vm *VM, _ *native) goja.Value {
			if vm.things == nil {
				vm.things = vm.newNative(thingsClass, vm)
			}
			return vm.things.self
		},
		"broadcast": func(vm *VM, _ *native) goja.Value {
			if vm.send == nil {
				vm.send = vm.rt.ToValue(vm.broadcast)
			}
			return vm.send
		},
	},
	prototype: nil,
}

// view is the object's rows. There are none while scripts are only looked at.
func (vm *VM) view() *store.View {
	vm.needHost("storage")
	if vm.fork != nil {
		return vm.fork
	}
	return vm.host.View()
}

// needHost throws where a script uses what only a running object has.
func (vm *VM) needHost(what string) {
	if vm.host == nil {
		vm.asked = true
		vm.throwError("Error", "%s cannot be used at the top level of a script: no object is running", what)
	}
}

func (vm *VM) reads() context.Context { return vm.host.Reads() }

func (vm *VM) now() time.Time {
	if vm.host == nil {
		vm.asked = true
		return time.Now()
	}
	return vm.host.Now()
}

// id returns a number that is unique in this VM.
func (vm *VM) id() int64 {
	vm.lastID++
	return vm.lastID
}

// promised runs f and returns its result as a promise; what it throws rejects.
func (vm *VM) promised(f func() goja.Value) goja.Value {
	p, resolve, reject := vm.rt.NewPromise()
	var v goja.Value
	if ex := vm.rt.Try(func() { v = f() }); ex != nil {
		vm.check(reject(ex.Value()))
	} else {
		vm.check(resolve(v))
	}
	return vm.rt.ToValue(p)
}
