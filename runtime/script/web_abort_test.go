package script

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestAbortSignal(t *testing.T) {
	runScripts(t, []scriptTest{
		{`const c = new AbortController(); const before = c.signal.aborted; c.abort(); [before, c.signal.aborted, c.signal.reason].join()`, "false,true,AbortError: This operation was aborted"},
		{`const c = new AbortController(); c.abort("mine"); c.abort("other"); c.signal.reason`, "mine"},
		{`const c = new AbortController(); c.abort(null); String(c.signal.reason)`, "null"},
		{`const c = new AbortController(); [c.signal === c.signal, c.signal.reason, c.signal.onabort, String(c.signal)].join()`, "true,,,[object AbortSignal]"},
		{`new AbortSignal()`, "TypeError: Illegal constructor: a signal comes from an AbortController, or from AbortSignal.timeout, any or abort"},
		{`AbortSignal.abort(7).reason`, "7"},
		{`AbortSignal.abort().throwIfAborted()`, "AbortError: This operation was aborted"},
		{`String(new AbortController().signal.throwIfAborted())`, "undefined"},

		{`const c = new AbortController(), out = []
		  c.signal.onabort = function (e) { out.push('on', e.type, this === c.signal, e.target === c.signal) }
		  const f = () => out.push('f')
		  c.signal.addEventListener('abort', f)
		  c.signal.addEventListener('abort', f)
		  c.signal.addEventListener('abort', { handleEvent() { out.push('object') } }, { once: true })
		  const gone = () => out.push('gone')
		  c.signal.addEventListener('abort', gone)
		  c.signal.removeEventListener('abort', gone)
		  c.signal.addEventListener('other', gone)
		  c.abort(); c.abort()
		  out.join()`, "on,abort,true,true,f,object"},
		{`const c = new AbortController(), out = []
		  c.signal.addEventListener('abort', () => { throw new Error('no') })
		  c.signal.addEventListener('abort', () => out.push('second'))
		  c.abort(); out.join()`, "second"},
		{`new AbortController().signal.addEventListener('abort', 5)`, "TypeError: addEventListener takes a function, or an object with handleEvent"},

		{`const a = new AbortController(), b = new AbortController(), s = AbortSignal.any([a.signal, b.signal])
		  const before = s.aborted; b.abort('b'); a.abort('a'); [before, s.aborted, s.reason].join()`, "false,true,b"},
		{`const a = new AbortController(), s = AbortSignal.any([AbortSignal.any([a.signal]), a.signal]), out = []
		  s.onabort = () => out.push(s.reason); a.abort('a'); out.join()`, "a"},
		{`AbortSignal.any([new AbortController().signal, AbortSignal.abort('x')]).reason`, "x"},
		{`AbortSignal.any([]).aborted`, "false"},
		{`AbortSignal.any([new AbortController()])`, "TypeError: signal is an AbortSignal, not [object AbortController]"},
		{`AbortSignal.any([null])`, "TypeError: AbortSignal.any takes a list of AbortSignals"},
		{`let s = new AbortController().signal; for (let i = 0; i < 20000; i++) s = AbortSignal.any([s]); s.aborted`, "false"},

		{`AbortSignal.timeout(-1)`, "TypeError: AbortSignal.timeout takes milliseconds, not -1"},
		{`AbortSignal.timeout()`, "TypeError: AbortSignal.timeout takes milliseconds, not undefined"},
		{`AbortSignal.timeout(Infinity).aborted`, "false"},

		{`const c = new AbortController(); const r = new Request('http://a/', {signal: c.signal, redirect: 'manual'}); [r.signal === c.signal, r.redirect, r.clone().signal === c.signal, new Request(r).redirect].join()`, "true,manual,true,manual"},
		{`const r = new Request('http://a/'); [r.signal.aborted, r.signal === r.signal, r.redirect, new Request(r, {signal: null}).signal.aborted].join()`, "false,true,follow,false"},
		{`new Request('http://a/', {signal: {}})`, "TypeError: signal is an AbortSignal, not [object Object]"},
		{`new Request('http://a/', {signal: new AbortController()})`, "TypeError: signal is an AbortSignal, not [object AbortController]"},
		{`new Request('http://a/', {redirect: 'sometimes'})`, `TypeError: redirect is follow, manual or error, not "sometimes"`},
	})
}

// A time-out has a timer, which keeps its object awake, only while somebody
// wants to hear of it.
func TestATimeoutThatNobodyWatchesHasNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vm, host := newWebHost(t)
		evalIn := func(source string) string {
			var got string
			if out := vm.run(func() { got = vm.eval(t, source) }); out.Err != nil {
				t.Fatal(out.Err)
			}
			return got
		}
		evalIn("\nvar s = AbortSignal.timeout(1000), any = AbortSignal.any([s, new AbortController().signal])")
		if len(host.timers) != 0 || !vm.Idle() {
			t.Error("there is a timer")
		}
		evalIn("var f = () => {}; any.addEventListener('abort', f)")
		if want := []time.Duration{time.Second}; !slices.Equal(host.timers, want) || vm.Idle() {
			t.Errorf("the timers are %v, want %v", host.timers, want)
		}
		evalIn("any.removeEventListener('abort', f)")
		if len(host.timers) != 0 || !vm.Idle() {
			t.Error("the timer is still there")
		}
		if got := evalIn("s.aborted || any.aborted"); got != "false" {
			t.Error("aborted before its time")
		}
		time.Sleep(time.Second)
		if got := evalIn("[any.aborted, any.reason, any.reason === s.reason].join()"); got != "true,TimeoutError: The operation was aborted due to timeout,true" {
			t.Error(got)
		}
	})
}

// webHost is a host without an object: timers only.
type webHost struct {
	roomHost
	timers []time.Duration
}

func (h *webHost) StartTimer(_ int64, d time.Duration) { h.timers = append(h.timers, d) }
func (h *webHost) StopTimer(int64)                     { h.timers = nil }

func newWebHost(t *testing.T) (*VM, *webHost) {
	t.Helper()
	vm, _ := newRoom(t, "", 0)
	host := &webHost{}
	vm.Attach(host)
	return vm, host
}
