package script

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/dop251/goja"
)

// response is what a script answers a request with.
type response struct {
	content
	status     int // 101 or 200 to 599; 0 of Response.error()
	statusText string
	headers    *headers
	socket     goja.Value // webSocket, or nil
	url        string     // of a fetch; else ""
	redirected bool

	headersObject goja.Value // once a script has asked for it
}

// responseOf returns the response behind a value. ok is false if there is none,
// or none that can be sent: that of Response.error().
func (vm *VM) responseOf(v goja.Value) (r *response, ok bool) {
	r, ok = hostOf[*response](v)
	return r, ok && r.status != 0
}

func (vm *VM) newResponse(r *response) goja.Value {
	return vm.newNative(responseClass, r).self
}

func responseConstructor(vm *VM) goja.Value {
	ctor := vm.constructor(responseClass, func(vm *VM, call goja.ConstructorCall) any {
		return vm.makeResponse(call.Argument(0), call.Argument(1))
	})
	vm.static(ctor, "json", func(vm *VM, call goja.FunctionCall) goja.Value {
		text, ok := vm.stringify(call.Argument(0))
		if !ok {
			vm.throwType("Response.json: the value is not JSON")
		}
		r := vm.makeResponse(vm.rt.ToValue(text), call.Argument(1), "application/json")
		return vm.newResponse(r)
	})
	vm.static(ctor, "redirect", func(vm *VM, call goja.FunctionCall) goja.Value {
		status := 302
		if v := call.Argument(1); !missing(v) {
			status = int(v.ToInteger())
		}
		return vm.newResponse(vm.redirect(vm.text(call.Argument(0)), status))
	})
	vm.static(ctor, "error", func(vm *VM, _ goja.FunctionCall) goja.Value {
		return vm.newResponse(&response{headers: &headers{}})
	})
	return ctor
}

// makeResponse is new Response(from, init). contentType, if given, is that of
// the content unless init names another.
func (vm *VM) makeResponse(from, init goja.Value, contentType ...string) *response {
	r := &response{status: http.StatusOK, headers: &headers{}}
	if !nullish(init) {
		o, ok := init.(*goja.Object)
		if !ok {
			vm.throwType("the second argument of Response is an object")
		}
		if v := o.Get("status"); !missing(v) {
			r.status = vm.statusCode(v)
		}
		if v := o.Get("statusText"); !missing(v) {
			r.statusText = vm.headerValue(v)
		}
		if v := o.Get("webSocket"); !nullish(v) {
			r.socket = v
		}
		vm.fillHeaders(r.headers, o.Get("headers"))
	}
	var kind string
	if r.content, kind = vm.takeBody(from); len(contentType) > 0 {
		kind = contentType[0]
	}
	vm.checkNoBody(r)
	if _, ok := r.headers.get("content-type"); !ok && kind != "" {
		r.headers.set("content-type", kind)
	}
	return r
}

// checkNoBody throws if the response has a body that its status forbids.
func (vm *VM) checkNoBody(r *response) {
	if r.body != nil && bodyless(r.status) {
		vm.throwType("a response with status %d has no body", r.status)
	}
}

// bodyless reports whether a response with this status cannot have a body.
func bodyless(status int) bool {
	switch status {
	case http.StatusSwitchingProtocols, http.StatusNoContent, http.StatusResetContent, http.StatusNotModified:
		return true
	}
	return false
}

// takeBody is bodyOf that also takes the body of another message.
func (vm *VM) takeBody(v goja.Value) (b content, contentType string) {
	if from, ok := hostOf[*content](v); ok {
		return content{body: from.read(vm)}, ""
	}
	return vm.bodyOf(v)
}

func (vm *VM) statusCode(v goja.Value) int {
	f := v.ToFloat()
	if status := int(f); f == float64(status) && (status == http.StatusSwitchingProtocols || status >= 200 && status <= 599) {
		return status
	}
	vm.throwError("RangeError", "a status is 101 or from 200 to 599, not %s", vm.describe(v))
	return 0
}

// redirect makes the response that sends a client to location.
func (vm *VM) redirect(location string, status int) *response {
	switch status {
	case 301, 302, 303, 307, 308:
	default:
		vm.throwError("RangeError", "%d is not the status of a redirect", status)
	}
	r := &response{status: status, headers: &headers{}}
	vm.setHeader(r.headers, vm.rt.ToValue("location"), vm.rt.ToValue(escapeLocation(location)))
	return r
}

// escapeLocation escapes what cannot stand in a header as it is.
func escapeLocation(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			b.WriteString(url.PathEscape(s[i : i+1]))
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// responseHeaders is the Headers object of a response.
func (vm *VM) responseHeaders(r *response) goja.Value {
	if r.headersObject == nil {
		r.headersObject = vm.newNative(headersClass, r.headers).self
	}
	return r.headersObject
}

var responseClass = &class{
	name: "Response",
	getters: map[string]getter{
		"status":     func(vm *VM, this *native) goja.Value { return vm.rt.ToValue(this.host.(*response).status) },
		"statusText": func(vm *VM, this *native) goja.Value { return vm.rt.ToValue(this.host.(*response).statusText) },
		"ok": func(vm *VM, this *native) goja.Value {
			status := this.host.(*response).status
			return vm.rt.ToValue(status >= 200 && status <= 299)
		},
		"headers":  func(vm *VM, this *native) goja.Value { return vm.responseHeaders(this.host.(*response)) },
		"body":     bodyStream,
		"bodyUsed": bodyUsed,
		"webSocket": func(_ *VM, this *native) goja.Value {
			if s := this.host.(*response).socket; s != nil {
				return s
			}
			return goja.Null()
		},
		"redirected": func(vm *VM, this *native) goja.Value { return vm.rt.ToValue(this.host.(*response).redirected) },
		"url":        func(vm *VM, this *native) goja.Value { return vm.rt.ToValue(this.host.(*response).url) },
		"type": func(vm *VM, this *native) goja.Value {
			if this.host.(*response).status == 0 {
				return vm.rt.ToValue("error")
			}
			return vm.rt.ToValue("default")
		},
	},
	methods: map[string]method{
		"text":        bodyText,
		"json":        bodyJSON,
		"arrayBuffer": bodyArrayBuffer,
		"clone": func(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
			r := this.host.(*response)
			if r.used && r.body != nil {
				vm.throwType("a Response whose body was used cannot be cloned")
			}
			return vm.newNative(this.class, &response{
				content: content{body: r.body}, status: r.status, statusText: r.statusText,
				headers: r.headers.clone(), socket: r.socket, url: r.url, redirected: r.redirected,
			}).self
		},
	},
	prototype: tagged("Response"),
}
