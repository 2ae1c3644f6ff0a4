package script

import (
	"github.com/dop251/goja"

	"chat.example.com.ai/runtime/key"
)

// stub stands for something in another object: the object itself, a property of
// it, or the result of a call, which need not be there yet. Property reads and
// calls on it give further stubs; only an await needs the value.
type stub struct {
	target key.Key
	call   *pendingCall // nil: the object itself, or a property of it
	path   []string     // read from there
	proxy  *goja.Object
	read   *pendingCall // the read of a property of the object, made at the first await
}

// newStub makes the script's face of a stub: a proxy whose every property is a
// stub, and which can be called and awaited.
func (vm *VM) newStub(s *stub) goja.Value {
	if vm.stubTarget == nil {
		vm.stubTarget = vm.rt.ToValue(func(goja.FunctionCall) goja.Value { return goja.Undefined() }).(*goja.Object)
	}
	proxy := vm.rt.NewProxy(vm.stubTarget, &goja.ProxyTrapConfig{
		Get: func(_ *goja.Object, name string, _ goja.Value) goja.Value { return vm.stubGet(s, name) },
		GetSym: func(_ *goja.Object, sym *goja.Symbol, _ goja.Value) goja.Value {
			switch sym {
			case stubSymbol:
				return vm.newNative(stubClass, s).self
			case goja.SymToPrimitive:
				return vm.stubMisuse(s, "text")
			}
			return goja.Undefined()
		},
		Apply: func(_ *goja.Object, _ goja.Value, args []goja.Value) goja.Value { return vm.stubApply(s, args) },
		Set: func(_ *goja.Object, name string, _ goja.Value, _ goja.Value) bool {
			vm.throwType("a property of another object cannot be set: call a method of it")
			return false
		},
	})
	s.proxy = vm.rt.ToValue(proxy).(*goja.Object)
	return s.proxy
}

// stubSymbol is how the host asks a proxy for the stub behind it. Scripts never
// see it: it is not registered, and the proxy has no own keys.
var stubSymbol = goja.NewSymbol("stub")

var stubClass = &class{name: "Stub"}

// stubOf returns the stub behind a script value, or nil.
func (vm *VM) stubOf(v goja.Value) *stub {
	o, ok := v.(*goja.Object)
	if !ok || vm.stubTarget == nil {
		return nil
	}
	if _, callable := goja.AssertFunction(o); !callable {
		return nil
	}
	s, _ := hostOf[*stub](o.GetSymbol(stubSymbol))
	return s
}

func (vm *VM) stubGet(s *stub, name string) goja.Value {
	switch name {
	case "then", "catch", "finally":
		if s.call == nil && s.path == nil {
			return goja.Undefined() // await $.User(id) gives the stub itself
		}
		return vm.stubPromise(s, name)
	case "toJSON":
		return vm.stubMisuse(s, "JSON")
	case "constructor", "prototype", "__proto__", "toString", "valueOf", "hasOwnProperty":
		return goja.Undefined()
	}
	if len(s.path) >= maxCallPath {
		vm.throwType("more than %d property reads in a chain", maxCallPath)
	}
	return vm.newStub(&stub{target: s.target, call: s.call, path: append(s.path[:len(s.path):len(s.path)], name)})
}

// String is the stub in an error message.
func (s *stub) String() string {
	switch {
	case s.call != nil:
		return "a call that was not awaited"
	case s.path != nil:
		return "a property of another object that was not awaited"
	}
	return "the object " + s.target.String()
}

// stubMisuse is a function that throws: an author who means the value of a stub
// has forgotten to await it.
func (vm *VM) stubMisuse(s *stub, use string) goja.Value {
	return vm.rt.ToValue(func(goja.FunctionCall) goja.Value {
		switch {
		case s.call != nil:
			vm.throwType("a call's result must be awaited before it is used as %s", use)
		case s.path != nil:
			vm.throwType("a property of another object must be awaited before it is used as %s", use)
		}
		vm.throwType("$.%s(id) is an object: it cannot be used as %s", s.target.Type, use)
		return nil
	})
}

func (vm *VM) stubApply(s *stub, args []goja.Value) goja.Value {
	switch {
	case s.call != nil:
		vm.throwType("%s: the result of a call is data: it has no methods", s.target.Type)
	case s.path == nil:
		vm.throwType("$.%s(id) is an object: call a method of it", s.target.Type)
	}
	return vm.newStub(&stub{target: s.target, call: vm.makeCall(s.target, s.path, true, args)})
}

// stubPromise makes a promise of what the stub stands for, and returns its then,
// catch or finally.
func (vm *VM) stubPromise(s *stub, name string) goja.Value {
	p, resolve, reject := vm.rt.NewPromise()
	promise := vm.rt.ToValue(p).(*goja.Object)
	method, ok := goja.AssertFunction(promise.Get(name))
	if !ok {
		return goja.Undefined()
	}
	started := false
	return vm.rt.ToValue(func(call goja.FunctionCall) goja.Value {
		if !started {
			started = true
			c, path := s.call, s.path
			if c == nil { // a read of a property of the object: made now
				if s.read == nil {
					s.read = vm.makeCall(s.target, s.path, false, nil)
				}
				c, path = s.read, nil
			}
			vm.await(c, func(value, err goja.Value) {
				if err == nil && len(path) > 0 {
					if ex := vm.rt.Try(func() { value = vm.pick(value, path) }); ex != nil {
						err = ex.Value()
					}
				}
				if err != nil {
					vm.check(reject(err))
					return
				}
				vm.check(resolve(value))
			})
		}
		v, err := method(promise, call.Arguments...)
		vm.check(err)
		return v
	})
}
