package script

import (
	"net/http"

	"github.com/dop251/goja"
)

const (
	// maxFetchBody is how many bytes the body of a fetch has at most: as many as
	// that of a response.
	maxFetchBody = 4 << 20
	// maxFetches is how many fetches of one object are not settled: enough to tell a
	// few dozen services at once, and too few to fill the queue that all share.
	maxFetches = 64
)

// Fetch is an HTTP request to the world outside. The effect is a *Fetch. Like a
// call it is made when the turn is durable, whether anybody awaits it or not. The
// URL is absolute, its scheme http or https.
type Fetch struct {
	ID       int64 // the VM's; SettleFetch brings the result under it
	Method   string
	URL      string
	Header   http.Header
	Body     []byte
	Redirect string // follow, manual or error

	cancel  func()
	stopped bool
}

func (*Fetch) effect() {}

// Begin is called by whoever makes the request, in the object's goroutine. It
// reports false if the request is not to be made, since its signal has ended it;
// else cancel is called when that happens.
func (f *Fetch) Begin(cancel func()) bool {
	f.cancel = cancel
	return !f.stopped
}

// Stopped reports whether its signal has ended the fetch: nobody wants the result.
func (f *Fetch) Stopped() bool { return f.stopped }

func (f *Fetch) stop() {
	f.stopped = true
	if f.cancel != nil {
		f.cancel()
	}
}

// Fetched is what a fetch came to. The VM takes over the body and doesn't change it.
type Fetched struct {
	Status     int
	StatusText string
	Header     http.Header
	Body       []byte
	URL        string
	Redirected bool
}

func newFetch(vm *VM) goja.Value {
	return vm.function("fetch", func(vm *VM, call goja.FunctionCall) goja.Value {
		vm.needHost("fetch")
		p, resolve, reject := vm.rt.NewPromise()
		ex := vm.rt.Try(func() {
			vm.startFetch(vm.makeRequest(call.Argument(0), call.Argument(1)), func(value, err goja.Value) {
				if err != nil {
					vm.check(reject(err))
					return
				}
				vm.check(resolve(value))
			})
		})
		if ex != nil {
			vm.check(reject(ex.Value()))
		}
		return vm.rt.ToValue(p)
	})
}

// startFetch has a request made when the turn is durable, and done called once it
// is settled: by a response, a failure, or its signal.
func (vm *VM) startFetch(r *request, done func(value, err goja.Value)) {
	u, ok := parseURL(r.url, nil)
	switch {
	case !ok || u.Scheme() != "http" && u.Scheme() != "https":
		vm.throwType("fetch: only http and https can be fetched, not %s", vm.quote(r.url))
	case u.Username() != "" || u.Password() != "":
		vm.throwType("fetch: a URL with a user name or a password cannot be fetched")
	case len(r.body) > maxFetchBody:
		vm.throwType("fetch: the body is larger than %d bytes", maxFetchBody)
	case r.signal != nil && r.signal.check(vm):
		done(nil, r.signal.reason)
		return
	case vm.fetches >= maxFetches:
		vm.throwError(OverloadedError, "fetch: more than %d fetches of this object are under way", maxFetches)
	}
	f := &Fetch{Method: r.method, URL: u.Href(true), Header: r.headers.httpHeader(), Body: r.body, Redirect: r.redirect}
	var c *pendingCall
	unwatch := func() {}
	if r.signal != nil {
		unwatch = r.signal.watch(vm, func() {
			f.stop()
			if !c.settled {
				vm.settleCall(c, nil, r.signal.reason)
			}
		})
	}
	c = vm.newCall() // it pins the VM, and goes down with its turn, as a call does
	f.ID, c.awaited = c.id, true
	vm.fetches++
	c.waiting = append(c.waiting, func(value, err goja.Value) {
		vm.fetches--
		unwatch()
		done(value, err)
	})
	vm.collect(f, len(f.Body)+r.headers.size)
}

// SettleFetch brings the response of a fetch, or why there is none.
func (vm *VM) SettleFetch(id int64, r *Fetched, failure *Error) Outcome {
	return vm.run(func() {
		c := vm.calls[id]
		switch {
		case c == nil: // its signal was faster
		case failure != nil:
			err := vm.newError(failure.Name, failure.Message)
			vm.setStack(err, "at "+c.position)
			vm.settleCall(c, nil, err)
		default:
			body := r.Body
			if bodyless(r.Status) {
				body = nil
			}
			vm.settleCall(c, vm.newResponse(&response{
				content: content{body: body}, status: r.Status, statusText: r.StatusText,
				headers: newHeaders(r.Header), url: r.URL, redirected: r.Redirected,
			}), nil)
		}
	})
}
