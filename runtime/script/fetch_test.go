package script

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fetchesOf runs a script as one turn and returns what it came to, as text, with
// the fetches that leave. The result of fetches is what answer says.
func fetchesOf(t *testing.T, source string, answer func(f *Fetch) (*Fetched, *Error)) (result string, left []*Fetch, host *webHost) {
	t.Helper()
	vm, host := newWebHost(t)
	out := vm.run(func() {
		must(vm.rt.Set("result", "pending"))
		_, err := vm.rt.RunScript("a.js", "Promise.resolve((async () => {\n"+source+"\n})()).then(v => { result = v }, e => { result = e })")
		vm.check(err)
	})
	if out.Err != nil {
		t.Fatalf("%s\n fails the turn: %v", source, out.Err)
	}
	for len(out.Effects) > 0 {
		var next []Effect
		for _, e := range out.Effects {
			f := e.(*Fetch)
			if !f.Begin(func() {}) {
				continue
			}
			left = append(left, f)
			if answer != nil {
				res, err := answer(f)
				settled := vm.SettleFetch(f.ID, res, err)
				if settled.Err != nil {
					t.Fatal(settled.Err)
				}
				next = append(next, settled.Effects...)
			}
		}
		out.Effects = next
	}
	v := vm.rt.Get("result")
	if kindOf(v) == objectKind && nativeOf(v) == nil {
		if e := vm.errorOf(v); e.Stack != "" {
			return e.Error(), left, host
		}
		s, _ := vm.stringify(v)
		return s, left, host
	}
	return vm.text(v), left, host
}

func TestWhatAFetchSends(t *testing.T) {
	for _, tt := range []struct{ source, want string }{
		{`fetch('http://a/b?c=d#e')`, "GET http://a/b?c=d follow"},
		{`fetch(new URL('HTTPS://A:443/b/../c'))`, "GET https://a/c follow"},
		{`fetch('http://0x7f.1/')`, "GET http://127.0.0.1/ follow"},
		{`fetch('http://a/', { method: 'post', body: 'text' })`, "POST http://a/ follow Content-Type=text/plain;charset=UTF-8 text"},
		{`fetch('http://a/', { method: 'PUT', body: new Uint8Array([97, 98]).buffer })`, "PUT http://a/ follow ab"},
		{`fetch('http://a/', { method: 'PATCH', body: new URLSearchParams({ a: 'b c' }) })`, "PATCH http://a/ follow Content-Type=application/x-www-form-urlencoded;charset=UTF-8 a=b+c"},
		{`fetch('http://a/', { method: 'POST', headers: { 'content-type': 'application/json', x: ' y ' }, body: '{}' })`, "POST http://a/ follow Content-Type=application/json X=y {}"},
		{`fetch('http://a/', { headers: [['x', '1'], ['x', '2']] })`, "GET http://a/ follow X=1,2"},
		{`fetch(new Request('http://a/', { method: 'POST', body: 'b', redirect: 'manual' }), { headers: new Headers({ y: 'z' }) })`, "POST http://a/ manual Y=z b"},
		{`fetch('http://a/', { method: 'DELETE', redirect: 'error' })`, "DELETE http://a/ error"},
		{`fetch('http://a/', { method: 'POST', body: new Response('of a response').body })`, "POST http://a/ follow of a response"},
	} {
		_, left, _ := fetchesOf(t, tt.source, nil)
		if len(left) != 1 {
			t.Errorf("%s\n made %d fetches", tt.source, len(left))
			continue
		}
		f := left[0]
		got := []string{f.Method, f.URL, f.Redirect}
		for name, values := range f.Header {
			got = append(got, name+"="+strings.Join(values, ","))
		}
		slices.Sort(got[3:])
		if len(f.Body) > 0 {
			got = append(got, string(f.Body))
		}
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s\nsends %s\n want %s", tt.source, s, tt.want)
		}
	}
}

// What is wrong with the arguments rejects, with the author's position.
func TestWhatCannotBeFetched(t *testing.T) {
	for source, want := range map[string]string{
		`await fetch()`:               `TypeError: Invalid URL: "undefined"`,
		`await fetch('/relative')`:    `TypeError: Invalid URL: "/relative"`,
		`await fetch('file://a/b')`:   `TypeError: fetch: only http and https can be fetched, not "file://a/b"`,
		`await fetch('ws://a/')`:      `TypeError: fetch: only http and https can be fetched, not "ws://a/"`,
		`await fetch('http://u@a/')`:  `TypeError: fetch: a URL with a user name or a password cannot be fetched`,
		`await fetch('http://:p@a/')`: `TypeError: fetch: a URL with a user name or a password cannot be fetched`,
		`await fetch('http://a/', { headers: { 'x': 'a\r\nHost: b' } })`:                                    `TypeError: Invalid header value: "a\r\nHost: b"`,
		`await fetch('http://a/', { headers: { 'x\r\ny': 'a' } })`:                                          `TypeError: Invalid header name: "x\r\ny"`,
		`await fetch('http://a/', { method: 'GET / HTTP/1.1\r\nx: y' })`:                                    `TypeError: Invalid method: "GET / HTTP/1.1\r\nx: y"`,
		`await fetch('http://a/', { method: 'CONNECT' })`:                                                   `TypeError: a Request cannot have the method CONNECT`,
		`await fetch('http://a/', { body: 'x' })`:                                                           `TypeError: a Request with the method GET has no body`,
		`await fetch('http://a/', { method: 'POST', body: 'x'.repeat(4 * 1024 * 1024 + 1) })`:               `TypeError: fetch: the body is larger than 4194304 bytes`,
		`await fetch('http://a/', 5)`:                                                                       `TypeError: the second argument of Request is an object`,
		`await fetch('http://a/', { signal: 5 })`:                                                           `TypeError: signal is an AbortSignal, not 5`,
		`for (let i = 0; i < 64; i++) fetch('http://a/'); await fetch('http://a/').catch(e => { throw e })`: `OverloadedError: fetch: more than 64 fetches of this object are under way`,
	} {
		got, left, _ := fetchesOf(t, source, nil)
		if !strings.HasPrefix(got, "a.js:2:") || !strings.HasSuffix(got, ": "+want) {
			t.Errorf("%s\n got %s\nwant a.js:2:…: %s", source, got, want)
		}
		if len(left) != 0 && len(left) != 64 {
			t.Errorf("%s\nmade %d fetches", source, len(left))
		}
	}
}

func TestWhatAFetchReturns(t *testing.T) {
	answer := func(f *Fetch) (*Fetched, *Error) {
		switch {
		case strings.HasSuffix(f.URL, "/fails"):
			return nil, NewError("TypeError", "fetch failed: no")
		case strings.HasSuffix(f.URL, "/empty"):
			return &Fetched{Status: 204}, nil
		}
		return &Fetched{Status: 404, StatusText: "Not Here", URL: "http://b/", Redirected: true, Body: []byte(`{"a":"é"}`),
			Header: http.Header{"Content-Type": {"application/json"}, "Set-Cookie": {"a", "b"}}}, nil
	}
	for source, want := range map[string]string{
		`const r = await fetch('http://a/'); return [r instanceof Response, r.status, r.ok, r.statusText, r.url, r.redirected, r.headers.get('content-type'), r.headers.getSetCookie(), (await r.json()).a, r.bodyUsed].join()`: "true,404,false,Not Here,http://b/,true,application/json,a,b,é,true",
		`const r = await fetch('http://a/'); const c = r.clone(); return [await r.text(), c.url, (await c.arrayBuffer()).byteLength].join()`:                                                                                    `{"a":"é"},http://b/,10`,
		`return fetch('http://a/').then(r => new Response(r.body, r)).then(r => [r.status, r.headers.get('content-type'), r.url].join())`:                                                                                       "404,application/json,",
		`const r = await fetch('http://a/empty'); return [r.ok, r.body === null, await r.text()].join()`:                                                                                                                        "true,true,",
		`const all = await Promise.all(['x', 'y'].map(p => fetch('http://a/' + p))); return all.length`:                                                                                                                         "2",
		"\n  await fetch('http://a/fails')":                                                      "a.js:3:14: TypeError: fetch failed: no",
		`try { await fetch('http://a/fails') } catch (e) { return e instanceof TypeError }`:      "true",
		`const r = await fetch('http://a/1'); return (await fetch('http://a/2')).status`:         "404",
		`class Mine extends Response {}; return [typeof fetch, fetch.name, fetch.length].join()`: "function,fetch,0",
	} {
		if got, _, _ := fetchesOf(t, source, answer); got != want {
			t.Errorf("%s\n got %s\nwant %s", source, got, want)
		}
	}
}

func TestASignalEndsAFetch(t *testing.T) {
	for _, tt := range []struct {
		source, want string
		left         int
	}{
		{`const c = new AbortController(); const p = fetch('http://a/', { signal: c.signal }); c.abort(); await p`, "AbortError: This operation was aborted", 0},
		{`const c = new AbortController(); const p = fetch(new Request('http://a/', { signal: c.signal })); c.abort('mine'); await p`, "mine", 0},
		{`await fetch('http://a/', { signal: AbortSignal.abort('before') })`, "before", 0},
		{`const c = new AbortController(); const p = fetch('http://a/', { signal: AbortSignal.any([c.signal, AbortSignal.timeout(1000)]) }); c.abort('any'); await p`, "any", 0},
		{`const c = new AbortController(); await fetch('http://a/', { signal: c.signal }); c.abort(); return 'too late'`, "too late", 1},
		{`await fetch('http://a/', { signal: AbortSignal.timeout(1000) }); return 'in time'`, "in time", 1},
	} {
		got, left, host := fetchesOf(t, tt.source, func(*Fetch) (*Fetched, *Error) { return &Fetched{Status: 200}, nil })
		if !strings.HasSuffix(got, tt.want) || len(left) != tt.left {
			t.Errorf("%s\n got %s and made %d fetches\nwant %s and %d", tt.source, got, len(left), tt.want, tt.left)
		}
		if len(host.timers) > 0 {
			t.Errorf("%s\nleaves a timer", tt.source)
		}
	}
}

// A signal that ends a fetch under way cancels it, at once, and says so to whoever
// awaits it with the line where the time-out was set.
func TestATimeoutEndsAFetchUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		vm, host := newWebHost(t)
		out := vm.run(func() {
			_, err := vm.rt.RunScript("a.js", "var result\nfetch('http://a/', {\nsignal: AbortSignal.timeout(1000) }).catch(e => { result = e })")
			vm.check(err)
		})
		canceled := false
		f := out.Effects[0].(*Fetch)
		if !f.Begin(func() { canceled = true }) || len(host.timers) != 1 || vm.Idle() {
			t.Fatal("the fetch is not under way")
		}
		time.Sleep(time.Second)
		for id := range vm.timers {
			if out := vm.Timer(id, 7); out.Err != nil {
				t.Fatal(out.Err)
			}
		}
		if e := vm.errorOf(vm.rt.Get("result")); !canceled || !f.Stopped() || e.Name != TimeoutError || e.File != "a.js" || e.Line != 3 {
			t.Errorf("canceled: %v; rejected with %v", canceled, e)
		}
		if out := vm.SettleFetch(f.ID, &Fetched{Status: 200}, nil); out.Err != nil || !vm.Idle() || vm.fetches != 0 {
			t.Errorf("the fetch is not over: %v, %d", out.Err, vm.fetches)
		}
	})
}

// A turn that fails sends nothing, and its fetches reject.
func TestTheFetchesOfAFailedTurnReject(t *testing.T) {
	vm, _ := newWebHost(t)
	out := vm.run(func() {
		_, err := vm.rt.RunScript("a.js", "var result\nfetch('http://a/').catch(e => { result = e })\nthrow new Error('thrown')")
		vm.check(err)
	})
	if out.Err == nil || len(out.Effects) != 0 || len(out.Rejected) != 1 {
		t.Fatalf("%v, %d effects, %d rejected", out.Err, len(out.Effects), len(out.Rejected))
	}
	vm.Settle(out.Rejected[0], nil, out.Err)
	if e := vm.errorOf(vm.rt.Get("result")); e.Message != "thrown" || !vm.Idle() || vm.fetches != 0 {
		t.Errorf("rejected with %v", e)
	}
}
