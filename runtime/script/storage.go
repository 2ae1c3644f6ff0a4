package script

import (
	"slices"

	"github.com/dop251/goja"

	"chat.example.com.ai/store"
)

// Limits of this.ctx.storage, the first three those of Durable Objects on SQLite.
const (
	maxStorageKey   = 2048    // bytes
	maxStorageKeys  = 128     // of one call
	maxStorageValue = 2 << 20 // bytes of key and value together
	maxStorageList  = 10_000  // keys of one list: all of them are in memory at once
)

// storageMethod is a method of the storage, on the object's rows or on those that
// a transaction sees.
type storageMethod func(vm *VM, rows func() *store.View, call goja.FunctionCall) goja.Value

// onRows makes a method of the storage itself. Reads are answered within the turn,
// so an await on them lets no other event in.
func (f storageMethod) onRows(vm *VM, _ *native, call goja.FunctionCall) goja.Value {
	return vm.promised(func() goja.Value { return f(vm, vm.view, call) })
}

// atOnce makes a method that returns what the other one promises.
func (f storageMethod) atOnce(vm *VM, _ *native, call goja.FunctionCall) goja.Value {
	return f(vm, vm.view, call)
}

// storageClass is this.ctx.storage.
var storageClass = &class{
	name: "DurableObjectStorage",
	methods: map[string]method{
		"get":             storageMethod(storageGet).onRows,
		"put":             storageMethod(storagePut).onRows,
		"delete":          storageMethod(storageDelete).onRows,
		"list":            storageMethod(storageList).onRows,
		"deleteAll":       storageMethod(storageDeleteAll).onRows,
		"sync":            storageMethod(storageSync).onRows,
		"transaction":     storageTransaction,
		"transactionSync": storageTransactionSync,
		"setAlarm":        storageMethod(storageSetAlarm).onRows,
		"getAlarm":        storageMethod(storageGetAlarm).onRows,
		"deleteAlarm":     storageMethod(storageDeleteAlarm).onRows,
	},
	getters: map[string]getter{
		"kv": func(vm *VM, this *native) goja.Value {
			if vm.syncKV == nil {
				vm.syncKV = vm.newNative(syncKVClass, nil)
			}
			return vm.syncKV.self
		},
	},
}

// syncKVClass is this.ctx.storage.kv: the same without promises, which are dear. The
// first one costs a VM 12 KB.
var syncKVClass = &class{
	name: "SyncKvStorage",
	methods: map[string]method{
		"get":    storageMethod(storageGet).atOnce,
		"put":    storageMethod(storagePut).atOnce,
		"delete": storageMethod(storageDelete).atOnce,
		"list":   storageMethod(storageList).atOnce,
	},
}

func (vm *VM) storageKey(v goja.Value) string {
	key, ok := stringOf(v)
	switch {
	case !ok:
		vm.throwType("storage: a key is a string, not %s", vm.describe(v))
	case key == "":
		vm.throwType("storage: a key is empty")
	case len(key) > maxStorageKey:
		vm.throwError("RangeError", "storage: a key has %d bytes, more than %d", len(key), maxStorageKey)
	}
	return key
}

// storageKeys reads one key, or a list of them.
func (vm *VM) storageKeys(v goja.Value) (keys []string, list bool) {
	if _, list = v.(*goja.Object); !list {
		return []string{vm.storageKey(v)}, false
	}
	vm.rt.ForOf(v, func(v goja.Value) bool {
		if keys = append(keys, vm.storageKey(v)); len(keys) > maxStorageKeys {
			vm.throwError("RangeError", "storage: more than %d keys in one call", maxStorageKeys)
		}
		return true
	})
	return keys, true
}

func storageGet(vm *VM, rows func() *store.View, call goja.FunctionCall) goja.Value {
	keys, list := vm.storageKeys(call.Argument(0))
	values, err := rows().Values(vm.reads(), keys)
	vm.readError(err)
	if !list {
		return vm.stored(values[keys[0]])
	}
	result := vm.newMap()
	for _, key := range slices.Sorted(slices.Values(keys)) {
		if data, ok := values[key]; ok {
			result.set(vm.rt.ToValue(key), vm.stored(data))
		}
	}
	return result.object
}

// stored decodes a value of the storage; a missing one is undefined.
func (vm *VM) stored(data []byte) goja.Value {
	if data == nil {
		return goja.Undefined()
	}
	v, err := vm.decode(data)
	vm.check(err)
	return v
}

func storagePut(vm *VM, rows func() *store.View, call goja.FunctionCall) goja.Value {
	if entries, ok := call.Argument(0).(*goja.Object); ok {
		if p := entries.Prototype(); p != nil && p != vm.plainPrototype() {
			vm.throwType("storage.put takes a key and a value, or an object of them, not %s", vm.describe(entries))
		}
		names := entries.Keys()
		if len(names) > maxStorageKeys {
			vm.throwError("RangeError", "storage: more than %d keys in one call", maxStorageKeys)
		}
		all := rows().Fork() // or none, if one of them is wrong
		for _, name := range names {
			vm.putValue(all, vm.storageKey(vm.rt.ToValue(name)), entries.Get(name))
		}
		all.Join()
		return goja.Undefined()
	}
	key := vm.storageKey(call.Argument(0))
	vm.putValue(rows(), key, call.Argument(1))
	return goja.Undefined()
}

func (vm *VM) putValue(view *store.View, key string, v goja.Value) {
	if goja.IsUndefined(v) {
		vm.throwType("storage.put: the value of %q is undefined", key)
	}
	data, err := vm.encode(v, maxStorageValue-len(key))
	vm.explain(err, "storage.put: the value of %q", clip(key, 200))
	view.Write(store.PutValue{Key: key, Value: data})
	vm.wrote(view)
}

func storageDelete(vm *VM, rows func() *store.View, call goja.FunctionCall) goja.Value {
	keys, list := vm.storageKeys(call.Argument(0))
	view := rows()
	values, err := view.Values(vm.reads(), keys)
	vm.readError(err)
	for _, key := range keys {
		if _, ok := values[key]; ok {
			view.Write(store.DeleteValue{Key: key})
		}
	}
	vm.wrote(view)
	if list {
		return vm.rt.ToValue(len(values))
	}
	return vm.rt.ToValue(len(values) > 0)
}

func storageDeleteAll(vm *VM, rows func() *store.View, _ goja.FunctionCall) goja.Value {
	view := rows()
	view.Write(store.DeleteAllValues{})
	view.Write(store.DeleteAlarm{})
	vm.wrote(view)
	return goja.Undefined()
}

func storageList(vm *VM, rows func() *store.View, call goja.FunctionCall) goja.Value {
	o := vm.listOptions(call.Argument(0))
	if o.Limit == 0 || o.Limit > maxStorageList {
		o.Limit = maxStorageList + 1
	}
	values, err := rows().ListValues(vm.reads(), o)
	vm.readError(err)
	if len(values) > maxStorageList {
		vm.throwError("RangeError", "storage.list: more than %d keys: give a limit, and go on with startAfter", maxStorageList)
	}
	result := vm.newMap()
	for _, kv := range values {
		result.set(vm.rt.ToValue(kv.Key), vm.stored(kv.Value))
	}
	return result.object
}

// listOptions reads the options of storage.list. Those that are undefined or null
// count as not given.
func (vm *VM) listOptions(v goja.Value) (o store.ListOptions) {
	if nullish(v) {
		return o
	}
	options, ok := v.(*goja.Object)
	if !ok {
		vm.throwType("storage.list takes an object, not %s", vm.describe(v))
	}
	for _, name := range options.Keys() {
		v := options.Get(name)
		if nullish(v) {
			continue
		}
		switch name {
		case "start":
			o.Start = vm.metaString("storage.list: start", v)
		case "startAfter":
			o.StartAfter = vm.metaString("storage.list: startAfter", v)
		case "end":
			o.End = vm.metaString("storage.list: end", v)
		case "prefix":
			o.Prefix = vm.metaString("storage.list: prefix", v)
		case "reverse":
			o.Reverse = v.ToBoolean()
		case "limit":
			if o.Limit = int(v.ToInteger()); o.Limit < 1 {
				vm.throwType("storage.list: limit must be at least 1")
			}
		default:
			vm.throwType("storage.list: unknown option %q", name)
		}
	}
	if o.Start != "" && o.StartAfter != "" {
		vm.throwType("storage.list: start and startAfter exclude each other")
	}
	return o
}

// scriptMap is a Map that the host fills.
type scriptMap struct {
	vm     *VM
	object *goja.Object
	put    goja.Callable
}

func (vm *VM) newMap() *scriptMap {
	o, err := vm.rt.New(vm.intrinsic("Map"))
	vm.check(err)
	put, _ := goja.AssertFunction(o.Get("set"))
	return &scriptMap{vm, o, put}
}

func (m *scriptMap) set(k, v goja.Value) {
	_, err := m.put(m.object, k, v)
	m.vm.check(err)
}
