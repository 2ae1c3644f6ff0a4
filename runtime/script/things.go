package script

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/dop251/goja"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

// maxThing bounds the fields of one thing, encoded: what a message may be, and
// some room for what the script adds.
const maxThing = 2 << 20

// thingsClass is this.things.
var thingsClass = &class{
	name: "Things",
	methods: map[string]method{
		"create": thingsCreate,
		"get": func(vm *VM, _ *native, call goja.FunctionCall) goja.Value {
			return vm.promised(func() goja.Value {
				t, ok := vm.thing("get", call.Argument(0))
				if !ok {
					return goja.Null()
				}
				return vm.thingObject(t)
			})
		},
		"list":   func(vm *VM, _ *native, call goja.FunctionCall) goja.Value { return vm.promised(vm.thingsList(call)) },
		"count":  func(vm *VM, _ *native, call goja.FunctionCall) goja.Value { return vm.promised(vm.thingsCount(call)) },
		"update": func(vm *VM, _ *native, call goja.FunctionCall) goja.Value { return vm.promised(vm.thingsUpdate(call)) },
		"delete": func(vm *VM, _ *native, call goja.FunctionCall) goja.Value {
			return vm.promised(func() goja.Value {
				t, ok := vm.thing("delete", call.Argument(0))
				if ok {
					vm.view().Write(store.DeleteThing{ID: t.ID})
					vm.wrote(vm.view())
				}
				return vm.rt.ToValue(ok)
			})
		},
	},
}

// readError raises what went wrong in a read: the author's mistake as a
// TypeError, anything else as what it is. A turn that could not read what is stored
// fails: whatever it would say of that is wrong.
func (vm *VM) readError(err error) {
	if err == nil {
		return
	}
	var query *store.QueryError
	switch {
	case errors.As(err, &query):
		vm.throwType("%s", query.Error())
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		vm.throwError(TimeoutError, "a read took longer than the turn may")
	}
	e := NewError(StorageError, "the storage could not be read")
	e.setPosition(vm.caller())
	if vm.turn.err == nil { // one line for a turn
		vm.host.Log().Error("a read failed", "at", e.Position(), "error", err)
	}
	e.Reported = true
	vm.failTurn(e)
	vm.throwError(e.Name, "%s", e.Message)
}

func (vm *VM) thing(what string, v goja.Value) (store.Thing, bool) {
	id, ok := stringOf(v)
	if !ok {
		vm.throwType("things.%s takes the $id of a thing, not %s", what, vm.describe(v))
	}
	t, found, err := vm.view().Thing(vm.reads(), id)
	vm.readError(err)
	return t, found
}

// thingsCreate returns the thing at once, so that it can be sent without an
// await; awaiting it gives the same.
func thingsCreate(vm *VM, _ *native, call goja.FunctionCall) goja.Value {
	view := vm.view()
	o, ok := call.Argument(0).(*goja.Object)
	if !ok {
		vm.throwType("things.create takes an object, not %s", vm.describe(call.Argument(0)))
	}
	now := vm.now().UnixMilli()
	t := store.Thing{CreatedAt: now, UpdatedAt: now, Version: 1, Indexed: vm.noun.indexes}
	names := o.Keys()
	for _, name := range names {
		if !isMeta(name) {
			continue
		}
		v := o.Get(name)
		if goja.IsUndefined(v) {
			continue
		}
		switch name {
		case "$type":
			t.Type = vm.metaString(name, v)
		case "$id":
			if t.ID = vm.metaString(name, v); t.ID == "" || len(t.ID) > maxThingID {
				vm.throwType("things.create: $id has %d bytes, must have 1 to %d", len(t.ID), maxThingID)
			}
		default:
			vm.throwType("things.create: unknown key %s: only $type and $id can be given", name)
		}
	}
	if !key.ValidType(t.Type) {
		vm.throwType("things.create: $type is missing, or is not a name of letters and digits that begins with a capital")
	}
	if t.ID == "" {
		t.ID = vm.host.NewID()
	} else if _, exists, err := view.Thing(vm.reads(), t.ID); err != nil {
		vm.readError(err)
	} else if exists {
		vm.throwError("ConflictError", "things.create: there is a thing with the $id %q", t.ID)
	}
	fields := members(o, names, isMeta)
	t.Fields = vm.encodeMembers(o, fields, maxThing)
	view.Write(store.PutThing{Thing: t, Insert: true})
	vm.wrote(vm.view())
	return vm.newThing(t, fields)
}

// maxThingID bounds a given $id, in bytes, as the names of objects are.
const maxThingID = 256

func (vm *VM) metaString(name string, v goja.Value) string {
	s, ok := stringOf(v)
	if !ok {
		vm.throwType("%s must be a string, not %s", name, vm.describe(v))
	}
	return s
}

func isMeta(name string) bool { return strings.HasPrefix(name, "$") }

// thingObject is how a script sees a thing: its meta fields, and its own.
func (vm *VM) thingObject(t store.Thing) goja.Value {
	return vm.thingWith(&t, func(o *goja.Object) { vm.check(vm.decodeInto(t.Fields, o)) })
}

// newThing is thingObject of a thing that was made of these fields just now.
// Most need not be decoded for that: they are primitives and Dates.
func (vm *VM) newThing(t store.Thing, fields []member) goja.Value {
	for i, m := range fields {
		o, ok := m.value.(*goja.Object)
		if !ok {
			continue
		}
		if vm.classify(o) != dateClass {
			return vm.thingObject(t)
		}
		fields[i].value = vm.newDateObject(dateOf(o))
	}
	return vm.thingWith(&t, func(o *goja.Object) {
		for _, m := range fields {
			must(o.Set(m.key, m.value))
		}
	})
}

// thingWith makes the object of a thing, whose own fields set puts there.
func (vm *VM) thingWith(t *store.Thing, set func(o *goja.Object)) goja.Value {
	o := vm.rt.CreateObject(nil) // an assignment makes own properties only
	must(o.Set("$id", t.ID))
	must(o.Set("$type", t.Type))
	set(o)
	must(o.Set("$createdAt", vm.newDate(t.CreatedAt)))
	must(o.Set("$updatedAt", vm.newDate(t.UpdatedAt)))
	must(o.Set("$version", t.Version))
	must(o.SetPrototype(vm.plainPrototype()))
	return o
}

// thingsUpdate changes fields of a thing: undefined removes one. It returns the
// thing, or null if there is none.
func (vm *VM) thingsUpdate(call goja.FunctionCall) func() goja.Value {
	return func() goja.Value {
		target := call.Argument(0)
		if o, ok := target.(*goja.Object); ok { // a thing itself
			target = o.Get("$id")
			if target == nil {
				vm.throwType("things.update takes a thing or its $id")
			}
		}
		t, ok := vm.thing("update", target)
		if !ok {
			return goja.Null()
		}
		changes, ok := call.Argument(1).(*goja.Object)
		if !ok {
			vm.throwType("things.update takes the changes as its second argument")
		}
		merged := vm.rt.NewObject()
		vm.check(vm.decodeInto(t.Fields, merged))
		for _, name := range changes.Keys() {
			if isMeta(name) {
				vm.throwType("things.update: %s cannot be changed", name)
			}
			if v := changes.Get(name); goja.IsUndefined(v) {
				must(merged.Delete(name))
			} else {
				must(merged.Set(name, v))
			}
		}
		fields := members(merged, merged.Keys(), isMeta)
		t.Fields = vm.encodeMembers(merged, fields, maxThing)
		t.UpdatedAt = vm.now().UnixMilli()
		t.Version++
		t.Indexed = vm.noun.indexes
		vm.view().Write(store.PutThing{Thing: t})
		vm.wrote(vm.view())
		return vm.newThing(t, fields)
	}
}

func (vm *VM) thingsList(call goja.FunctionCall) func() goja.Value {
	return func() goja.Value {
		q := vm.query("things.list", call, true)
		things, err := vm.view().Things(vm.reads(), q)
		vm.readError(err)
		values := make([]any, len(things))
		for i, t := range things {
			values[i] = vm.thingObject(t)
		}
		return vm.rt.NewArray(values...)
	}
}

func (vm *VM) thingsCount(call goja.FunctionCall) func() goja.Value {
	return func() goja.Value {
		q := vm.query("things.count", call, false)
		n, err := vm.view().Count(vm.reads(), q)
		vm.readError(err)
		return vm.rt.ToValue(n)
	}
}

// query reads list({$type, where, orderBy, limit, after}), and also the form
// list('Message', {where, ...}). Unknown keys are errors.
func (vm *VM) query(what string, call goja.FunctionCall, ordered bool) store.Query {
	q := store.Query{Indexed: vm.noun.indexes}
	options := call.Argument(0)
	if typ, ok := stringOf(options); ok {
		q.Type = typ
		options = call.Argument(1)
	}
	if goja.IsUndefined(options) {
		options = vm.rt.NewObject()
	}
	o, ok := options.(*goja.Object)
	if !ok {
		vm.throwType("%s takes an object, not %s", what, vm.describe(options))
	}
	for _, name := range o.Keys() {
		v := o.Get(name)
		if goja.IsUndefined(v) {
			continue
		}
		switch {
		case name == "$type":
			q.Type = vm.metaString(name, v)
		case name == "where":
			q.Where = vm.conditions(what, v)
		case name == "orderBy" && ordered:
			q.OrderBy = vm.order(what, v)
		case name == "limit" && ordered:
			if q.Limit = int(v.ToInteger()); q.Limit < 1 {
				vm.throwType("%s: limit must be at least 1", what)
			}
		case name == "after" && ordered:
			q.After = vm.metaString(name, v)
		default:
			vm.throwType("%s: unknown key %q", what, name)
		}
	}
	if q.Type == "" {
		vm.throwType("%s: $type is missing", what)
	}
	return q
}

var operators = []string{"$eq", "$gt", "$gte", "$lt", "$lte", "$ne", "$in", "$exists"}

func (vm *VM) conditions(what string, v goja.Value) []store.Cond {
	where, ok := v.(*goja.Object)
	if !ok {
		vm.throwType("%s: where must be an object", what)
	}
	var conds []store.Cond
	for _, field := range where.Keys() {
		v := where.Get(field)
		test, isObject := v.(*goja.Object)
		if !isObject || isDate(test) {
			if goja.IsUndefined(v) {
				vm.throwType("%s: where.%s is undefined: null matches what is missing", what, field)
			}
			conds = append(conds, store.Cond{Field: field, Op: "$eq", Value: vm.operand(what, field, v)})
			continue
		}
		names := test.Keys()
		if len(names) == 0 {
			vm.throwType("%s: where.%s has no operator", what, field)
		}
		for _, op := range names {
			if !slices.Contains(operators, op) {
				vm.throwType("%s: where.%s: unknown operator %q", what, field, op)
			}
			arg := test.Get(op)
			c := store.Cond{Field: field, Op: op}
			switch op {
			case "$in":
				if o, ok := arg.(*goja.Object); !ok || !vm.isArray(o) {
					vm.throwType("%s: where.%s: $in takes an array, not %s", what, field, vm.describe(arg))
				}
				var list []any
				vm.rt.ForOf(arg, func(v goja.Value) bool {
					list = append(list, vm.operand(what, field, v))
					return true
				})
				c.Value = list
			case "$exists":
				if kindOf(arg) != boolKind {
					vm.throwType("%s: where.%s: $exists is true or false, not %s", what, field, vm.describe(arg))
				}
				c.Value = arg.ToBoolean()
			default:
				c.Value = vm.operand(what, field, arg)
			}
			conds = append(conds, c)
		}
	}
	return conds
}

// operand is a value that rows can be compared with.
func (vm *VM) operand(what, field string, v goja.Value) any {
	switch kindOf(v) {
	case nullKind:
		return nil
	case boolKind:
		return v.ToBoolean()
	case intKind, floatKind:
		return v.ToFloat()
	case stringKind:
		return wtf8(v.(goja.String))
	case objectKind:
		if t, ok := v.Export().(time.Time); ok {
			return t
		}
	}
	vm.throwType("%s: where.%s: %s cannot be compared: use a string, a number, a boolean, null or a Date", what, field, vm.describe(v))
	return nil
}

// wtf8 is a string as it is found in a row: half a surrogate pair is encoded on its
// own there, where UTF-8 has a replacement character.
func wtf8(s goja.String) string {
	text := s.String()
	if !strings.ContainsRune(text, utf8.RuneError) {
		return text
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < s.Length(); i++ {
		c := s.CharAt(i)
		if utf16.IsSurrogate(rune(c)) {
			if i+1 < s.Length() {
				if r := utf16.DecodeRune(rune(c), rune(s.CharAt(i+1))); r != utf8.RuneError {
					out = utf8.AppendRune(out, r)
					i++
					continue
				}
			}
			out = append(out, 0xE0|byte(c>>12), 0x80|byte(c>>6&0x3F), 0x80|byte(c&0x3F))
			continue
		}
		out = utf8.AppendRune(out, rune(c))
	}
	return string(out)
}

func isDate(o *goja.Object) bool { return o.ClassName() == "Date" }

// order reads orderBy: { sent: 'desc', $id: 'asc' } or [{ sent: 'desc' }, '$id'].
func (vm *VM) order(what string, v goja.Value) []store.Order {
	var orders []store.Order
	add := func(field string, direction goja.Value) {
		switch direction.String() {
		case "asc":
			orders = append(orders, store.Order{Field: field})
		case "desc":
			orders = append(orders, store.Order{Field: field, Desc: true})
		default:
			vm.throwType("%s: orderBy.%s is %s, must be 'asc' or 'desc'", what, field, vm.describe(direction))
		}
	}
	read := func(v goja.Value) {
		if field, ok := stringOf(v); ok {
			orders = append(orders, store.Order{Field: field})
			return
		}
		o, ok := v.(*goja.Object)
		if !ok {
			vm.throwType("%s: orderBy must be an object or an array", what)
		}
		for _, field := range o.Keys() {
			add(field, o.Get(field))
		}
	}
	if o, ok := v.(*goja.Object); ok && o.ClassName() == "Array" {
		vm.rt.ForOf(v, func(v goja.Value) bool { read(v); return true })
	} else {
		read(v)
	}
	return orders
}
