package script

import (
	"encoding/json"
	"time"

	"github.com/dop251/goja"
)

// User is somebody whom the runtime has verified. It belongs to the request or the
// socket that it came with, never to an object, and is not changed.
type User struct {
	ID      string          // 1 to 256 bytes of UTF-8 without control characters
	Claims  json.RawMessage // an object: what is known of the user, as verified
	Expires time.Time       // when that ends; zero: never
}

// userObject is what scripts see of a user: { id, claims }, frozen through and
// through; undefined if nobody was verified.
func (vm *VM) userObject(u *User) goja.Value {
	if u == nil {
		return goja.Undefined()
	}
	o := vm.rt.NewObject()
	vm.define(o, "id", vm.rt.ToValue(u.ID))
	vm.define(o, "claims", vm.parse(string(u.Claims)))
	vm.freeze(o)
	return o
}

// freeze freezes a value that came out of JSON, so it goes no deeper than that may.
// Object.freeze may be a script's own by now; then it is only for itself that more can
// be put beside what is here.
func (vm *VM) freeze(v goja.Value) {
	o, ok := v.(*goja.Object)
	if !ok {
		return
	}
	for _, name := range o.GetOwnPropertyNames() {
		member := o.Get(name)
		vm.freeze(member)
		vm.check(o.DefineDataProperty(name, member, goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_NOT_SET))
	}
	if constructor, ok := vm.intrinsic("Object").(*goja.Object); ok {
		if freeze, ok := goja.AssertFunction(constructor.Get("freeze")); ok {
			_, err := freeze(goja.Undefined(), o)
			vm.check(err)
		}
	}
}
