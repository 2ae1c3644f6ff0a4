package script

import (
	"math"
	"math/rand/v2"

	"github.com/dop251/goja"

	"chat.example.com.ai/store"
)

// AlarmSet tells the clock of an alarm that this turn set.
type AlarmSet struct{ At int64 }

func (AlarmSet) effect() {}

// maxTime is the last millisecond that a Date can hold.
const maxTime = 8_640_000_000_000_000

// storageSetAlarm is storage.setAlarm(Date or milliseconds). A time that has passed
// is due at once.
func storageSetAlarm(vm *VM, rows func() *store.View, call goja.FunctionCall) goja.Value {
	view := rows()
	if vm.noun == nil || vm.noun.alarm == nil {
		vm.throwType("storage.setAlarm: no part of %s has a method alarm()", vm.host.Key().Type)
	}
	at := vm.timeOf("storage.setAlarm", call.Argument(0))
	view.Write(store.SetAlarm{ID: 1 + rand.Int64N(math.MaxInt64), At: at})
	vm.wrote(view)
	vm.collect(AlarmSet{At: at}, 0)
	return goja.Undefined()
}

// timeOf reads a Date, or a number of milliseconds since 1970.
func (vm *VM) timeOf(what string, v goja.Value) int64 {
	var ms float64
	if o, ok := v.(*goja.Object); ok && vm.classify(o) == dateClass {
		at, valid := dateOf(o)
		if !valid {
			vm.throwType("%s: the Date is invalid", what)
		}
		ms = float64(at)
	} else if !isNumber(v) {
		vm.throwType("%s takes a Date or a number of milliseconds, not %s", what, vm.describe(v))
	} else {
		ms = v.ToFloat()
	}
	if math.IsNaN(ms) || ms < 0 || ms > maxTime {
		vm.throwError("RangeError", "%s: %s is no time since 1970", what, vm.describe(v))
	}
	return int64(ms)
}

func isNumber(v goja.Value) bool {
	switch v.Export().(type) {
	case int64, float64:
		return true
	}
	return false
}

// storageGetAlarm is storage.getAlarm(): milliseconds, or null if there is no alarm,
// or none but that whose handler runs.
func storageGetAlarm(vm *VM, rows func() *store.View, _ goja.FunctionCall) goja.Value {
	a, ok, err := rows().Alarm(vm.reads())
	vm.readError(err)
	for _, t := range vm.tasks {
		ok = ok && t.alarm != a.ID
	}
	if !ok {
		return goja.Null()
	}
	return vm.rt.ToValue(a.Scheduled)
}

// storageDeleteAlarm is storage.deleteAlarm(). It doesn't stop a handler that runs.
func storageDeleteAlarm(vm *VM, rows func() *store.View, _ goja.FunctionCall) goja.Value {
	view := rows()
	view.Write(store.DeleteAlarm{})
	vm.wrote(view)
	return goja.Undefined()
}

// Alarm runs the noun's alarm(info), unless the alarm was set anew or deleted since.
// Its end removes the alarm in the same transaction.
func (vm *VM) Alarm(id TaskID, a store.Alarm) Outcome {
	return vm.run(func() {
		t := &task{id: id, kind: "alarm", alarm: a.ID}
		t.finish = func(t *task) {
			vm.host.View().Write(store.EndAlarm{ID: a.ID})
			vm.collect(Finished{Task: t.id}, 0)
		}
		vm.begin(t, func() []goja.Value {
			if now, ok, err := vm.view().Alarm(vm.reads()); err != nil || !ok || now != a {
				vm.readError(err)
				t.finish = func(t *task) { vm.collect(Finished{Task: t.id}, 0) }
				return nil
			}
			f, ok := goja.AssertFunction(vm.instance.Get("alarm"))
			if !ok {
				vm.throwType("%s.alarm is no method any more", vm.host.Key().Type)
			}
			info := vm.rt.NewObject()
			must(info.Set("isRetry", a.Attempts > 0))
			must(info.Set("retryCount", a.Attempts))
			must(info.Set("scheduledTime", a.Scheduled))
			v, err := f(vm.instance, info)
			vm.check(err)
			return []goja.Value{v}
		})
	})
}
