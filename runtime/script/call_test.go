package script

import (
	"testing"

	"chat.example.com.ai/runtime/key"
)

// A call of a turn that failed is never made: not if the promises among its arguments are
// settled, and not if somebody awaits it, in a turn that comes before its rejection does.
func TestTheCallsOfAFailedTurnAreNeverMade(t *testing.T) {
	vm, _ := newWebHost(t)
	must(vm.rt.Set("user", vm.newStub(&stub{target: key.Key{Type: "User", ID: "ann"}})))
	script := func(source string) Outcome {
		return vm.run(func() {
			_, err := vm.rt.RunScript("a.js", source)
			vm.check(err)
		})
	}
	failed := script(`
var settle, call, results = []
user.hear(new Promise((resolve) => { settle = resolve })).then(null, (e) => results.push(e.message))
call = user.hear('at once')
throw new Error('thrown')`)
	if failed.Err == nil || len(failed.Effects) != 0 || len(failed.Rejected) != 2 {
		t.Fatalf("%v, %d effects, %d rejected", failed.Err, len(failed.Effects), len(failed.Rejected))
	}
	if out := script(`settle('leaked'); call.then(null, (e) => results.push(e.message)); user.hear('made')`); out.Err != nil || len(out.Effects) != 1 {
		t.Fatalf("%v, %d effects", out.Err, len(out.Effects))
	} else if ops := out.Effects[0].(*Calls).Ops; len(ops) != 1 || string(ops[0].Args[0].Value) != `"made"` {
		t.Errorf("made are %+v", ops)
	}
	for _, id := range failed.Rejected {
		vm.Settle(id, nil, failed.Err)
	}
	if got := vm.eval(t, "results.join()"); got != "thrown,thrown" {
		t.Errorf("rejected with %s", got)
	}
}
