package script

import (
	"slices"
	"strings"
	"time"

	"github.com/adhocore/gronx"
	"github.com/dop251/goja"
)

// Schedule is one $.every of a script: a handler that runs at certain times, UTC.
type Schedule struct {
	Handler        // without noun and verb; its name is as given by the author, or file#every cron
	Cron    string // as the author wrote it: five fields, or one of @hourly and so on
}

// Next returns the first time of the schedule after a time.
func (s Schedule) Next(after time.Time) (time.Time, error) {
	return gronx.NextTickAfter(s.Cron, after.UTC(), false)
}

// Due returns the time of the run that is due: the last one of the schedule that is
// after one time and not after another. ok is false if there is none.
func (s Schedule) Due(after, until time.Time) (at time.Time, ok bool, err error) {
	first, err := s.Next(after)
	if err != nil || first.After(until) {
		return time.Time{}, false, err
	}
	last, err := gronx.PrevTickBefore(s.Cron, until.UTC(), true)
	if err != nil || last.Before(first) {
		return first, true, nil // the one is as good as the other
	}
	return last, true, nil
}

// descriptors are the names that stand for five fields.
var descriptors = []string{"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@hourly"}

// checkCron throws unless a cron string has times, of whole minutes.
func (vm *VM) checkCron(cron string) {
	fields := len(strings.Fields(cron))
	switch {
	case strings.HasPrefix(cron, "@"):
		if !slices.Contains(descriptors, cron) {
			vm.throwType("$.every: %q is none of %s", cron, strings.Join(descriptors, ", "))
		}
	case fields != 5:
		vm.throwType("$.every: %q has %d fields, not five: minute, hour, day of the month, month, day of the week", cron, fields)
	case !gronx.IsValid(cron):
		_, err := gronx.NextTickAfter(cron, time.Unix(0, 0).UTC(), false)
		if err == nil {
			vm.throwType("$.every: %q is no cron string", cron)
		}
		vm.throwType("$.every: %q is no cron string: %v", cron, err)
	}
	// The days of the calendar come again after 400 years at most; February 29 after 8.
	if _, err := gronx.NextTickAfter(cron, time.Date(2096, 3, 1, 0, 0, 0, 0, time.UTC), false); err != nil {
		vm.throwType("$.every: no time ever is %q", cron)
	}
}

// newEvery is $.every(cron, handler), with $.every.minute(handler) and so on.
func (vm *VM) newEvery() goja.Value {
	every := vm.rt.ToValue(func(call goja.FunctionCall) goja.Value {
		cron, ok := stringOf(call.Argument(0))
		if !ok {
			vm.throwType("$.every takes a cron string, not %s", vm.describe(call.Argument(0)))
		}
		vm.every(cron, call.Argument(1), call.Argument(2))
		return goja.Undefined()
	}).ToObject(vm.rt)
	for name, cron := range map[string]string{"minute": "* * * * *", "hour": "0 * * * *", "day": "0 0 * * *"} {
		must(every.Set(name, func(call goja.FunctionCall) goja.Value {
			vm.every(cron, call.Argument(0), call.Argument(1))
			return goja.Undefined()
		}))
	}
	return every
}

// every registers a handler for certain times, in a VM of handlers or while scripts
// are looked at. In an object's VM it does nothing.
func (vm *VM) every(cron string, handler, options goja.Value) {
	cron = strings.Join(strings.Fields(cron), " ")
	if h, ok := vm.handler("$.every", "every "+cron, handler, options); ok {
		vm.checkCron(cron)
		vm.found.schedules = append(vm.found.schedules, Schedule{Handler: h, Cron: cron})
	}
}

// Schedules lists what runs at certain times.
func (s *Set) Schedules() []Schedule { return s.schedules }
