package script

import (
	"github.com/dop251/goja"

	"chat.example.com.ai/store"
)

// transaction is what the function of storage.transaction is given. Its writes are
// kept apart from the turn's until the function is through. If that takes several
// turns, other events enter in between, and see and write what they will; the
// writes are then of the turn in which it ends.
type transaction struct {
	view *store.View
	over string // why it can't be used any more
}

// inside makes a method of a transaction.
func (f storageMethod) inside(vm *VM, this *native, call goja.FunctionCall) goja.Value {
	return vm.promised(func() goja.Value {
		t := this.host.(*transaction)
		if t.over != "" {
			vm.throwError("Error", "storage.transaction: the transaction %s", t.over)
		}
		return f(vm, func() *store.View { return t.view }, call)
	})
}

var transactionClass = &class{
	name: "DurableObjectTransaction",
	methods: map[string]method{
		"get":    storageMethod(storageGet).inside,
		"put":    storageMethod(storagePut).inside,
		"delete": storageMethod(storageDelete).inside,
		"list":   storageMethod(storageList).inside,
		"rollback": func(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
			t := this.host.(*transaction)
			if t.over == "" {
				t.end("was rolled back")
			}
			return goja.Undefined()
		},
	},
}

// end drops what the transaction has written and not handed on.
func (t *transaction) end(why string) {
	t.over = why
	t.view.Discard()
}

// storageTransaction is storage.transaction(async (txn) => ...). What the function
// throws rejects, and undoes what it wrote; the turn goes on.
func storageTransaction(vm *VM, _ *native, call goja.FunctionCall) goja.Value {
	return vm.promised(func() goja.Value {
		f, ok := goja.AssertFunction(call.Argument(0))
		if !ok {
			vm.throwType("storage.transaction takes a function")
		}
		if vm.fork != nil {
			vm.throwError("Error", "storage.transaction: transactionSync is running, and will end first")
		}
		t := &transaction{view: vm.view().Fork()}
		promise, resolve, reject := vm.rt.NewPromise()
		result, err := f(goja.Undefined(), vm.newNative(transactionClass, t).self)
		if err != nil {
			t.end("has failed")
			vm.check(err)
		}
		vm.settle(result, func(v goja.Value) {
			if t.over == "" {
				t.view.Join()
				t.end("is over")
				vm.wrote(vm.view())
			}
			vm.check(resolve(v))
		}, func(reason goja.Value) {
			if t.over == "" {
				t.end("has failed")
			}
			vm.check(reject(reason))
		})
		return vm.rt.ToValue(promise)
	})
}

// storageTransactionSync is storage.transactionSync(() => ...): what the function
// writes, with the storage itself or as things, is undone if it throws.
func storageTransactionSync(vm *VM, _ *native, call goja.FunctionCall) goja.Value {
	f, ok := goja.AssertFunction(call.Argument(0))
	if !ok {
		vm.throwType("storage.transactionSync takes a function")
	}
	outer := vm.fork
	fork := vm.view().Fork()
	vm.fork = fork
	defer func() { vm.fork = outer }()
	v, err := f(goja.Undefined())
	vm.check(err)
	if o, ok := v.(*goja.Object); ok && o.ExportType() == promiseType {
		vm.throwType("storage.transactionSync takes a function that is not async")
	}
	fork.Join()
	return v
}

// storageSync is for scripts that know it: nothing leaves before it is on disk, so
// there is nothing to wait for.
func storageSync(*VM, func() *store.View, goja.FunctionCall) goja.Value { return goja.Undefined() }
