package script

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/dop251/goja"

	"chat.example.com.ai/runtime/key"
)

// discover runs a module once, in a VM that belongs to no object, to learn what
// it defines: its part, its routes, its event handlers.
func (s *Set) discover(m *module) error {
	vm := s.newVM(nil)
	vm.found = m
	var part *goja.Object
	member := "" // that is looked at
	out := vm.run(func() {
		part = vm.partOf(m, vm.load(m))
		if part == nil {
			return
		}
		m.hasPart = true
		for _, member = range part.GetOwnPropertyNames() {
			vm.discoverMember(m, part, member)
		}
	})
	if out.Err != nil {
		if out.Err.File == "" {
			out.Err.setPosition(m.positions[member])
		}
		return withFile(out.Err, m.file)
	}
	if part == nil || !slices.Contains(m.hooks, "onRequest") {
		return nil
	}
	out = vm.run(func() {
		vm.app = vm.newApp()
		must(part.SetPrototype(vm.newNative(discoveryClass, vm).self))
		f, _ := goja.AssertFunction(part.Get("onRequest"))
		_, err := f(vm.rt.CreateObject(part)) // its own methods can be called
		vm.check(err)
	})
	if out.Err != nil {
		return withFile(out.Err, m.file)
	}
	return m.discoverRoutes(vm.app.host.(*app))
}

// errorf makes an error about a route, where it was registered.
func (r *route) errorf(m *module, format string, args ...any) *Error {
	e := &Error{Name: "Error", Message: fmt.Sprintf(format, args...)}
	e.setPosition(r.position())
	return withFile(e, m.file)
}

// discoveryClass stands where baseClass is in an object's VM: there is an app,
// and nothing else yet.
var discoveryClass = &class{
	name: "DurableObject",
	getters: map[string]getter{
		"app":       func(vm *VM, _ *native) goja.Value { return vm.app.self },
		"ctx":       noObject("ctx"),
		"things":    noObject("things"),
		"broadcast": noObject("broadcast"),
	},
}

func noObject(member string) getter {
	return func(vm *VM, _ *native) goja.Value {
		vm.throwType("this.%s cannot be used while routes are registered: no object is running", member)
		return nil
	}
}

// withFile gives an error without a position the file it came from.
func withFile(e *Error, file string) *Error {
	if e.File == "" {
		e.File, e.Line, e.Column = file, 1, 1
	}
	return e
}

func (vm *VM) discoverMember(m *module, part *goja.Object, name string) {
	switch {
	case name == "$type":
		m.noun = vm.metaString(name, part.Get(name))
		if !key.ValidType(m.noun) || m.noun == HandlerNoun {
			vm.throwType("$type: %q cannot be a noun: a capital letter, then letters and digits", m.noun)
		}
	case name == "indexes":
		m.indexes = vm.indexes(part.Get(name))
	case slices.Contains(lifecycle, name):
		if _, ok := goja.AssertFunction(part.Get(name)); !ok {
			vm.throwType("%s must be a method", name)
		}
		m.hooks = append(m.hooks, name)
	case slices.Contains(reservedMembers, name):
		vm.throwType("%s belongs to every object: a part cannot define it", name)
	default:
		m.members = append(m.members, name)
		for _, hook := range lifecycle {
			if strings.EqualFold(name, hook) {
				vm.set.options.Log.Warn("a method is never called by the runtime: its name is misspelt?", "file", m.file, "method", name, "meant", hook)
			}
		}
	}
}

// indexes reads the property of that name: fields that the store can index.
func (vm *VM) indexes(v goja.Value) (fields []string) {
	o, ok := v.(*goja.Object)
	if !ok || !vm.isArray(o) {
		vm.throwType("indexes must be an array of names of fields, not %s", vm.describe(v))
	}
	vm.rt.ForOf(o, func(v goja.Value) bool {
		field := vm.metaString("an index", v)
		if !fieldRE.MatchString(field) {
			vm.throwType("indexes: %q is not the name of a field: letters, digits and _, with dots between names", field)
		}
		fields = append(fields, field)
		return true
	})
	return fields
}

// fieldRE is the grammar of the store: a name, dotted if the field lies deeper.
var fieldRE = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)

// discoverRoutes turns registrations into routes: the first path parameter names
// the object, its name is the noun.
func (m *module) discoverRoutes(a *app) error {
	for _, r := range a.routes {
		if r.middleware {
			continue
		}
		for _, reserved := range reservedPaths {
			if r.path == reserved || strings.HasPrefix(r.path, reserved+"/") {
				return r.errorf(m, "the route %s %s is the runtime's own", r.method, r.path)
			}
		}
		route := &Route{Method: r.method, Path: r.path, Noun: m.noun, File: m.file, pattern: r.pattern}
		if params := r.pattern.Params(); len(params) > 0 {
			route.Param = params[0]
			if route.Noun == "" {
				route.Noun = strings.ToUpper(params[0][:1]) + params[0][1:]
			}
		} else if route.Noun == "" {
			route.Noun = DefaultNoun
		}
		if _, err := key.New(route.Noun, DefaultObject); err != nil || route.Noun == HandlerNoun {
			if err == nil {
				err = errors.New("the noun is reserved")
			}
			return r.errorf(m, "the route %s %s leads to no noun: %v", r.method, r.path, err)
		}
		m.routes = append(m.routes, route)
	}
	return nil
}
