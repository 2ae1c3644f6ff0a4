package script

import (
	"net/http"
	"strings"

	"github.com/dop251/goja"
)

// request is what a client asks, or what a script made.
type request struct {
	content
	method  string
	url     string // absolute
	headers *headers
	// redirect and signal are for fetch.
	redirect string       // follow, manual or error
	signal   *abortSignal // nil if none was given
	// user is whom a client's request is from, nil if nobody was verified. A script's
	// own request has none, nor has a copy.
	user *User

	headersObject goja.Value // once a script has asked for it
}

// newRequest makes the script's object of a client's request. The VM takes over
// body and doesn't change it. url is absolute.
func (vm *VM) newRequest(method, url string, h http.Header, body []byte) *native {
	if len(body) == 0 {
		body = nil
	}
	return vm.newNative(requestClass, &request{
		content: content{body: body}, method: method, url: url, headers: newHeaders(h), redirect: followRedirects,
	})
}

// followRedirects is what becomes of a redirect if nothing else is said.
const followRedirects = "follow"

func requestConstructor(vm *VM) goja.Value {
	return vm.constructor(requestClass, func(vm *VM, call goja.ConstructorCall) any {
		return vm.makeRequest(call.Argument(0), call.Argument(1))
	})
}

// makeRequest is new Request(input, init).
func (vm *VM) makeRequest(input, init goja.Value) *request {
	r := &request{method: http.MethodGet, headers: &headers{}, redirect: followRedirects}
	from, ok := hostOf[*request](input)
	if ok {
		r.method, r.url, r.headers = from.method, from.url, from.headers.clone()
		r.redirect, r.signal = from.redirect, from.signal
	} else {
		u, ok := parseURL(vm.usvString(input), nil)
		if !ok || u.Host() == "" {
			vm.invalidURL(input)
		}
		r.url = u.Href(false)
	}
	var given goja.Value
	if !nullish(init) {
		o, ok := init.(*goja.Object)
		if !ok {
			vm.throwType("the second argument of Request is an object")
		}
		if v := o.Get("method"); !missing(v) {
			r.method = vm.requestMethod(v)
		}
		if v := o.Get("headers"); !nullish(v) {
			r.headers = &headers{}
			vm.fillHeaders(r.headers, v)
		}
		if v := o.Get("redirect"); !missing(v) {
			switch r.redirect = vm.text(v); r.redirect {
			case followRedirects, "manual", "error":
			default:
				vm.throwType("redirect is follow, manual or error, not %s", vm.quote(r.redirect))
			}
		}
		if v := o.Get("signal"); !missing(v) {
			r.signal = vm.signalOf(v)
		}
		given = o.Get("body")
	}
	switch {
	case !nullish(given):
		if r.method == http.MethodGet || r.method == http.MethodHead {
			vm.throwType("a Request with the method %s has no body", r.method)
		}
		var kind string
		r.content, kind = vm.takeBody(given)
		if _, ok := r.headers.get("content-type"); !ok && kind != "" {
			r.headers.set("content-type", kind)
		}
	case from != nil:
		r.body = from.read(vm)
	}
	return r
}

// requestMethod checks a method; the usual ones may be written in lower case.
func (vm *VM) requestMethod(v goja.Value) string {
	method := vm.text(v)
	if !isToken(method) {
		vm.throwType("Invalid method: %s", vm.quote(method))
	}
	switch upper := strings.ToUpper(method); upper {
	case "CONNECT", "TRACE", "TRACK":
		vm.throwType("a Request cannot have the method %s", upper)
	case "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH":
		return upper
	}
	return method
}

var requestClass = &class{
	name: "Request",
	getters: map[string]getter{
		"method": func(vm *VM, this *native) goja.Value { return vm.rt.ToValue(this.host.(*request).method) },
		"url":    func(vm *VM, this *native) goja.Value { return vm.rt.ToValue(this.host.(*request).url) },
		"headers": func(vm *VM, this *native) goja.Value {
			r := this.host.(*request)
			if r.headersObject == nil {
				r.headersObject = vm.newNative(headersClass, r.headers).self
			}
			return r.headersObject
		},
		"redirect": func(vm *VM, this *native) goja.Value { return vm.rt.ToValue(this.host.(*request).redirect) },
		"signal": func(vm *VM, this *native) goja.Value {
			r := this.host.(*request)
			if r.signal == nil {
				r.signal = vm.newSignal() // which nothing aborts
			}
			return r.signal.object
		},
		"body":     bodyStream,
		"bodyUsed": bodyUsed,
	},
	methods: map[string]method{
		"text":        bodyText,
		"json":        bodyJSON,
		"arrayBuffer": bodyArrayBuffer,
		"clone": func(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
			r := this.host.(*request)
			if r.used && r.body != nil {
				vm.throwType("a Request whose body was used cannot be cloned")
			}
			return vm.newNative(this.class, &request{
				content: content{body: r.body}, method: r.method, url: r.url, headers: r.headers.clone(), redirect: r.redirect, signal: r.signal,
			}).self
		},
	},
	prototype: tagged("Request"),
}
