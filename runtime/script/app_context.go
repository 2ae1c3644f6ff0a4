package script

import (
	"slices"
	"strings"

	"github.com/dop251/goja"
)

// requestContext is c, what a handler gets: one for each request.
type requestContext struct {
	app      *app
	raw      *native // the Request
	request  *request
	path     string // escaped
	rawQuery string
	query    []Param // once it was parsed
	parsed   bool
	steps    []step
	index    int // of the step that is running

	status    int      // for the responses to come; 0 if not set
	headers   *headers // likewise
	res       *native  // the Response, once there is one
	finalized bool     // res is the answer, not only a place for headers
	err       goja.Value
	vars      *goja.Object
	req       *native
}

// contextOf returns the context of a receiver.
func contextOf(this *native) *requestContext { return this.host.(*requestContext) }

var contextClass = &class{
	name: "Context",
	getters: map[string]getter{
		"req": func(vm *VM, this *native) goja.Value {
			c := contextOf(this)
			if c.req == nil {
				c.req = vm.newNative(contextRequestClass, c)
			}
			return c.req.self
		},
		"res": func(vm *VM, this *native) goja.Value {
			c := contextOf(this)
			if c.res == nil {
				c.res = vm.newNative(responseClass, &response{status: 200, headers: c.takeHeaders()})
			}
			return c.res.self
		},
		"finalized": func(vm *VM, this *native) goja.Value { return vm.rt.ToValue(contextOf(this).finalized) },
		"error": func(_ *VM, this *native) goja.Value {
			if v := contextOf(this).err; v != nil {
				return v
			}
			return goja.Undefined()
		},
		"var": func(vm *VM, this *native) goja.Value { return contextOf(this).variables(vm) },
	},
	setters: map[string]setter{
		"res":   func(vm *VM, this *native, v goja.Value) { contextOf(this).answer(vm, v) },
		"error": func(_ *VM, this *native, v goja.Value) { contextOf(this).err = v },
	},
	methods: map[string]method{
		"json": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			text, ok := vm.stringify(call.Argument(0))
			if !ok {
				vm.throwType("c.json: the value is not JSON")
			}
			vm.checkBody(len(text))
			return contextOf(this).respond(vm, content{body: []byte(text)}, "application/json", call)
		},
		"text": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			b, _ := vm.bodyOf(vm.rt.ToValue(vm.text(call.Argument(0))))
			return contextOf(this).respond(vm, b, "text/plain; charset=UTF-8", call)
		},
		"html": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			b, _ := vm.bodyOf(vm.rt.ToValue(vm.text(call.Argument(0))))
			return contextOf(this).respond(vm, b, "text/html; charset=UTF-8", call)
		},
		"body":        contextBody,
		"newResponse": contextBody,
		"redirect": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			status := 302
			if v := call.Argument(1); !missing(v) {
				status = int(v.ToInteger())
			}
			r := vm.redirect(vm.text(call.Argument(0)), status)
			location, _ := r.headers.get("location")
			r.headers = contextOf(this).takeHeaders()
			r.headers.set("location", location)
			return vm.newResponse(r)
		},
		"notFound": func(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
			return vm.notFound(contextOf(this), this.self)
		},
		"header": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			h := contextOf(this).outgoing()
			switch name, value := call.Argument(0), call.Argument(1); {
			case missing(value):
				h.delete(vm.headerName(name))
			case vm.option(call.Argument(2), "append"):
				vm.addHeader(h, name, value)
			default:
				vm.setHeader(h, name, value)
			}
			return goja.Undefined()
		},
		"status": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			contextOf(this).status = vm.statusCode(call.Argument(0))
			return goja.Undefined()
		},
		"get": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			if v := contextOf(this).variables(vm).Get(vm.text(call.Argument(0))); v != nil {
				return v
			}
			return goja.Undefined()
		},
		"set": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			c, name := contextOf(this), vm.text(call.Argument(0))
			if name == userVariable && c.request.user != nil {
				vm.throwType("c.set('user'): it is whom the request is from, and stays so")
			}
			vm.check(c.variables(vm).Set(name, call.Argument(1)))
			return goja.Undefined()
		},
	},
	prototype: tagged("Context"),
}

func contextBody(vm *VM, this *native, call goja.FunctionCall) goja.Value {
	b, kind := vm.takeBody(call.Argument(0))
	v := contextOf(this).respond(vm, b, "", call)
	if r, _ := vm.responseOf(v); kind != "" {
		if _, given := r.headers.get("content-type"); !given {
			r.headers.set("content-type", kind)
		}
	}
	return v
}

// userVariable is the variable that has whom the request is from. Where nobody was
// verified it is one like any other.
const userVariable = "user"

// variables is the object behind get, set and var. It has no prototype.
func (c *requestContext) variables(vm *VM) *goja.Object {
	if c.vars == nil {
		c.vars = vm.rt.CreateObject(nil)
		if u := c.request.user; u != nil {
			vm.check(c.vars.DefineDataProperty(userVariable, vm.userObject(u), goja.FLAG_FALSE, goja.FLAG_FALSE, goja.FLAG_TRUE))
		}
	}
	return c.vars
}

// outgoing is where c.header writes: the answer if there is one, otherwise what
// the next response begins with.
func (c *requestContext) outgoing() *headers {
	if c.res != nil {
		return c.res.host.(*response).headers
	}
	if c.headers == nil {
		c.headers = &headers{}
	}
	return c.headers
}

// takeHeaders returns what c.header set so far, for a new response.
func (c *requestContext) takeHeaders() *headers {
	if c.headers == nil {
		return &headers{}
	}
	return c.headers.clone()
}

// respond makes a response of a body and the arguments of c.json(v, status,
// headers) or c.json(v, {status, headers}).
func (c *requestContext) respond(vm *VM, b content, kind string, call goja.FunctionCall) goja.Value {
	r := &response{content: b, status: 200, headers: c.takeHeaders()}
	if c.status != 0 {
		r.status = c.status
	}
	if kind != "" {
		r.headers.set("content-type", kind)
	}
	given := call.Argument(2)
	switch v := call.Argument(1); {
	case kindOf(v) == objectKind:
		init := v.(*goja.Object)
		if v := init.Get("status"); !missing(v) {
			r.status = vm.statusCode(v)
		}
		if v := init.Get("webSocket"); !nullish(v) {
			r.socket = v
		}
		given = init.Get("headers")
	case !missing(v):
		r.status = vm.statusCode(v)
	}
	c.addHeaders(vm, r.headers, given)
	vm.checkNoBody(r)
	return vm.newResponse(r)
}

// addHeaders sets the fields of a record, whose values are strings or arrays of them.
func (c *requestContext) addHeaders(vm *VM, h *headers, given goja.Value) {
	o, ok := given.(*goja.Object)
	if !ok {
		return
	}
	if from, ok := hostOf[*headers](given); ok {
		for _, f := range from.fields {
			h.delete(f.name)
		}
		vm.fillHeaders(h, given)
		return
	}
	for _, name := range o.Keys() {
		value := o.Get(name)
		list, ok := value.(*goja.Object)
		if !ok || !vm.isArray(list) {
			vm.setHeader(h, vm.rt.ToValue(name), value)
			continue
		}
		h.delete(vm.headerName(vm.rt.ToValue(name)))
		for _, text := range vm.texts(value) {
			vm.addHeader(h, vm.rt.ToValue(name), vm.rt.ToValue(text))
		}
	}
}

// answer makes v the Response of the request. Headers of the one before it are
// kept where the new one has none.
func (c *requestContext) answer(vm *VM, v goja.Value) {
	if nullish(v) {
		c.res, c.finalized = nil, false
		return
	}
	r, ok := vm.responseOf(v)
	if !ok {
		vm.throwType("a handler of %s %s returned %s, not a Response", c.request.method, c.path, vm.describe(v))
	}
	if c.res != nil {
		if old := c.res.host.(*response); old != r {
			for _, f := range slices.Clone(old.headers.fields) {
				if f.name == "set-cookie" {
					r.headers.add(f.name, f.value)
				} else if _, ok := r.headers.get(f.name); !ok && f.name != "content-type" {
					r.headers.set(f.name, f.value)
				}
			}
		}
	}
	c.res, c.finalized = nativeOf(v), true
}

// contextRequestClass is c.req.
var contextRequestClass = &class{
	name: "HonoRequest",
	getters: map[string]getter{
		"url":    func(vm *VM, this *native) goja.Value { return vm.rt.ToValue(contextOf(this).request.url) },
		"method": func(vm *VM, this *native) goja.Value { return vm.rt.ToValue(contextOf(this).request.method) },
		"path": func(vm *VM, this *native) goja.Value {
			return vm.rt.ToValue(decodeEscapes(contextOf(this).path, reservedInPath))
		},
		"raw":        func(_ *VM, this *native) goja.Value { return contextOf(this).raw.self },
		"routeIndex": func(vm *VM, this *native) goja.Value { return vm.rt.ToValue(contextOf(this).index) },
	},
	setters: map[string]setter{
		"routeIndex": func(_ *VM, this *native, v goja.Value) { contextOf(this).index = int(v.ToInteger()) },
	},
	methods: map[string]method{
		"param": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			c := contextOf(this)
			var params []Param
			if c.index >= 0 && c.index < len(c.steps) {
				params = c.steps[c.index].params
			}
			return vm.lookUp(params, call.Argument(0))
		},
		"query": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			return vm.lookUp(contextOf(this).queries(), call.Argument(0))
		},
		"queries": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			return vm.lookUpAll(contextOf(this).queries(), call.Argument(0))
		},
		"header": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			h := contextOf(this).request.headers
			if missing(call.Argument(0)) {
				o := vm.rt.NewObject()
				for _, f := range h.sorted() {
					vm.define(o, f.name, vm.rt.ToValue(f.value))
				}
				return o
			}
			if v, ok := h.get(strings.ToLower(vm.text(call.Argument(0)))); ok {
				return vm.rt.ToValue(v)
			}
			return goja.Undefined()
		},
		"text":        contextRequestBody((*VM).textOf),
		"json":        contextRequestBody((*VM).jsonOf),
		"arrayBuffer": contextRequestBody((*VM).bufferOf),
	},
	prototype: tagged("HonoRequest"),
}

// reservedInPath is what stays escaped in c.req.path, as decodeURI has it.
const reservedInPath = ";/?:@&=+$,#%"

// contextRequestBody reads the body of the request. Unlike the Request itself,
// c.req may be asked again and again, as by a middleware and then the handler.
func contextRequestBody(read func(vm *VM, data []byte) goja.Value) method {
	return func(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
		r := contextOf(this).request
		r.used = true
		return vm.promised(func() goja.Value { return read(vm, r.body) })
	}
}

// queries are the parameters of the query, decoded.
func (c *requestContext) queries() []Param {
	if c.parsed {
		return c.query
	}
	c.parsed = true
	c.query = parseSearch(c.rawQuery)
	return c.query
}

// lookUp returns the first value of a name, or an object of all if there is no name.
func (vm *VM) lookUp(params []Param, name goja.Value) goja.Value {
	if missing(name) {
		o := vm.rt.NewObject()
		seen := make(map[string]bool, len(params))
		for _, p := range params {
			if !seen[p.Name] {
				seen[p.Name] = true
				vm.define(o, p.Name, vm.rt.ToValue(p.Value))
			}
		}
		return o
	}
	key := vm.text(name)
	for _, p := range params {
		if p.Name == key {
			return vm.rt.ToValue(p.Value)
		}
	}
	return goja.Undefined()
}

// lookUpAll returns all values of a name as an array, or an object of such if
// there is no name.
func (vm *VM) lookUpAll(params []Param, name goja.Value) goja.Value {
	var names []string
	values := map[string][]any{}
	for _, p := range params {
		if values[p.Name] == nil {
			names = append(names, p.Name)
		}
		values[p.Name] = append(values[p.Name], p.Value)
	}
	if !missing(name) {
		if list := values[vm.text(name)]; list != nil {
			return vm.rt.NewArray(list...)
		}
		return goja.Undefined()
	}
	o := vm.rt.NewObject()
	for _, n := range names {
		vm.define(o, n, vm.rt.NewArray(values[n]...))
	}
	return o
}
