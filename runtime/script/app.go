package script

import (
	"strings"

	"github.com/dop251/goja"
)

// maxRoutes bounds the registrations of one app, against a script that registers
// in a loop; every request looks at each.
const maxRoutes = 1000

// app is what scripts register their routes on: this.app, in Hono's manner.
type app struct {
	routes   []route
	notFound goja.Value // function, or nil
	onError  goja.Value // function, or nil
	run      goja.Callable
}

// route is one registration.
type route struct {
	method     string // upper case; ALL is any
	pattern    *Pattern
	path       string // as registered, with the base path
	middleware bool   // by use
	handlers   []goja.Value
	at         goja.StackFrame // where a script registered it
}

// matches reports whether the route is for a method. HEAD goes to GET as well:
// who sends the response leaves its body away.
func (r *route) matches(method string) bool {
	return r.method == "ALL" || r.method == method || method == "HEAD" && r.method == "GET"
}

// appView is what a script holds: the app, and where its paths begin.
type appView struct {
	*app
	base string
}

// newApp makes an app without routes. The native's host is an *app.
func (vm *VM) newApp() *native { return vm.newNative(appClass, &app{}) }

// appOf returns the app behind a receiver of appClass, and its base path.
func appOf(this *native) (a *app, base string) {
	if v, ok := this.host.(*appView); ok {
		return v.app, v.base
	}
	return this.host.(*app), ""
}

var appClass = &class{
	name: "App",
	methods: map[string]method{
		"get":    verb("GET"),
		"post":   verb("POST"),
		"put":    verb("PUT"),
		"patch":  verb("PATCH"),
		"delete": verb("DELETE"),
		"all":    verb("ALL"),
		"use": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			path, handlers := "*", call.Arguments
			if len(handlers) > 0 && kindOf(handlers[0]) == stringKind {
				path, handlers = handlers[0].String(), handlers[1:]
			}
			vm.register(this, []string{"ALL"}, path, true, handlers)
			return this.self
		},
		"on": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			methods := vm.texts(call.Argument(0))
			for i, m := range methods {
				if !isToken(m) {
					vm.throwType("app.on(%s): not a method", vm.quote(m))
				}
				methods[i] = strings.ToUpper(m)
			}
			handlers := call.Arguments[min(2, len(call.Arguments)):]
			for _, path := range vm.texts(call.Argument(1)) {
				vm.register(this, methods, path, false, handlers)
			}
			return this.self
		},
		"notFound": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			a, _ := appOf(this)
			a.notFound = vm.needFunction("app.notFound", call.Argument(0))
			return this.self
		},
		"onError": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			a, _ := appOf(this)
			a.onError = vm.needFunction("app.onError", call.Argument(0))
			return this.self
		},
		"basePath": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			a, base := appOf(this)
			return vm.newNative(this.class, &appView{app: a, base: joinPath(base, vm.text(call.Argument(0)))}).self
		},
	},
	prototype: tagged("App"),
}

// verb is the method that registers handlers for one HTTP method.
func verb(name string) method {
	return func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
		if kindOf(call.Argument(0)) != stringKind {
			vm.throwType("app.%s: the first argument is a path, not %s", strings.ToLower(name), vm.describe(call.Argument(0)))
		}
		vm.register(this, []string{name}, call.Argument(0).String(), false, call.Arguments[1:])
		return this.self
	}
}

// texts returns a string, or the strings of an array.
func (vm *VM) texts(v goja.Value) []string {
	o, ok := v.(*goja.Object)
	if !ok || !vm.isArray(o) {
		return []string{vm.text(v)}
	}
	var list []string
	vm.rt.ForOf(o, func(item goja.Value) bool {
		list = append(list, vm.text(item))
		return true
	})
	return list
}

func (vm *VM) needFunction(where string, v goja.Value) goja.Value {
	if _, ok := goja.AssertFunction(v); !ok {
		vm.throwType("%s: %s is not a function", where, vm.describe(v))
	}
	return v
}

// register adds a route for each of the methods. What is wrong is thrown, with the path.
func (vm *VM) register(this *native, methods []string, path string, middleware bool, handlers []goja.Value) {
	a, base := appOf(this)
	path = joinPath(base, path)
	pattern, err := ParsePattern(path)
	if err != nil {
		vm.throwType("the path %s is not valid: %v", vm.quote(path), err)
	}
	if len(handlers) == 0 {
		vm.throwType("the path %s has no handler", vm.quote(path))
	}
	for _, h := range handlers {
		if _, ok := goja.AssertFunction(h); !ok {
			vm.throwType("the path %s has a handler that is not a function: %s", vm.quote(path), vm.describe(h))
		}
	}
	if len(a.routes)+len(methods) > maxRoutes {
		vm.throwError("RangeError", "the path %s is one too many: an app has at most %d routes", vm.quote(path), maxRoutes)
	}
	at := vm.callerFrame()
	for _, m := range methods {
		a.routes = append(a.routes, route{m, pattern, path, middleware, append([]goja.Value(nil), handlers...), at})
	}
}

func joinPath(base, path string) string {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	base = strings.TrimSuffix(base, "/")
	if base != "" && path == "/" {
		path = ""
	}
	if base != "" && !strings.HasPrefix(base, "/") {
		base = "/" + base
	}
	return base + path
}

// step is one handler that a request meets.
type step struct {
	handler goja.Value
	params  []Param
	route   *route
}

// composeProgram runs the handlers of a request as Hono does. It is given the
// context, the handlers, the app's onError if it has one, and a function for
// requests that nobody answered: called with nothing it is notFound, called with
// the place of a handler it throws that this one forgot to.
var composeProgram = goja.MustCompile("<app>", `(async function (c, handlers, unanswered, onError) {
	let last = -1, missed = false;
	async function dispatch(i) {
		if (i <= last) throw new Error("next() called multiple times");
		last = i;
		let res, failed = false;
		try {
			if (i < handlers.length) {
				c.req.routeIndex = i;
				res = await handlers[i](c, async () => {
					try {
						await dispatch(i + 1);
					} finally {
						c.req.routeIndex = i;
					}
				});
			} else if (!c.finalized) {
				missed = true;
				res = await unanswered();
			}
		} catch (err) {
			if (onError === undefined) throw err;
			c.error = err;
			failed = true;
			res = await onError(err, c);
			if (!res && !c.finalized) throw err;
		}
		if (res && (failed || !c.finalized)) c.res = res;
	}
	await dispatch(0);
	if (c.finalized) return c.res;
	if (missed) throw new TypeError("app.notFound returned no Response");
	try {
		unanswered(last);
	} catch (err) {
		if (onError === undefined) throw err;
		c.error = err;
		c.res = await onError(err, c);
		if (!c.finalized) throw err;
	}
	return c.res;
})`, true)

// dispatch gives a request to the handlers that match it, in the order in which
// they were registered. It returns the Response or a promise of one, and throws
// or rejects with what a handler threw if the app has no onError.
func (vm *VM) dispatch(a *app, req *native) goja.Value {
	r := req.host.(*request)
	c := &requestContext{app: a, raw: req, request: r}
	c.path, c.rawQuery = splitURL(r.url)
	for i := range a.routes {
		rt := &a.routes[i]
		if !rt.matches(r.method) {
			continue
		}
		if params, ok := rt.pattern.Match(c.path); ok {
			for _, h := range rt.handlers {
				c.steps = append(c.steps, step{h, params, rt})
			}
		}
	}
	self := vm.newNative(contextClass, c).self
	if len(c.steps) == 1 && a.onError == nil {
		return vm.dispatchOne(c, self)
	}
	handlers := make([]any, len(c.steps))
	for i, s := range c.steps {
		handlers[i] = s.handler
	}
	return vm.compose(c, self, handlers...)
}

// compose runs handlers, and returns a promise of the Response.
func (vm *VM) compose(c *requestContext, self *goja.Object, handlers ...any) goja.Value {
	a := c.app
	if a.run == nil {
		v, err := vm.rt.RunProgram(composeProgram)
		vm.check(err)
		a.run, _ = goja.AssertFunction(v)
	}
	onError := goja.Undefined()
	if a.onError != nil {
		onError = a.onError
	}
	unanswered := vm.rt.ToValue(func(call goja.FunctionCall) goja.Value {
		if i := call.Argument(0); !missing(i) {
			panic(vm.forgotten(c.steps[i.ToInteger()].route))
		}
		return vm.notFound(c, self)
	})
	v, err := a.run(goja.Undefined(), self, vm.rt.NewArray(handlers...), unanswered, onError)
	vm.check(err)
	return v
}

// dispatchOne runs a single handler. If it answers at once, as when it accepts a
// socket, the VM needs none of its machinery for promises, which is large.
func (vm *VM) dispatchOne(c *requestContext, self *goja.Object) goja.Value {
	called := false
	next := vm.rt.ToValue(func(goja.FunctionCall) goja.Value {
		return vm.promised(func() goja.Value {
			if called {
				vm.throwError("Error", "next() called multiple times")
			}
			called = true
			return vm.compose(c, self) // ends in notFound
		})
	})
	handler, _ := goja.AssertFunction(c.steps[0].handler)
	v, err := handler(goja.Undefined(), self, next)
	vm.check(err)
	if r, ok := vm.responseOf(v); ok && r != nil && !c.finalized {
		c.answer(vm, v)
		return c.res.self
	}
	return vm.compose(c, self, vm.rt.ToValue(func(goja.FunctionCall) goja.Value { return v }))
}

// forgotten is the error for a handler that returned nothing and did not await
// next. Its position is where the route was registered: the handler itself is over.
func (vm *VM) forgotten(r *route) *goja.Object {
	route := r.method + " " + r.path
	if r.middleware {
		route = "use " + r.path
	}
	e := vm.newError("Error", route+": Context is not finalized. Did you forget to return a Response, or to await next()?")
	if p := r.position(); p != "" {
		vm.setStack(e, "at "+p)
	}
	return e
}

// position is where a script registered the route.
func (r *route) position() string {
	if p := r.at.Position(); p.Filename != "" {
		return p.String()
	}
	return ""
}

// splitURL returns the path and the query of an absolute URL, as they are
// written: routing must not depend on whether their escapes are valid.
func splitURL(u string) (path, query string) {
	if _, rest, ok := strings.Cut(u, "://"); ok {
		i := strings.IndexAny(rest, "/?#")
		if i < 0 {
			return "/", ""
		}
		u = rest[i:]
	}
	u, _, _ = strings.Cut(u, "#")
	path, query, _ = strings.Cut(u, "?")
	if path == "" {
		path = "/"
	}
	return path, query
}

// notFound answers a request that nothing took.
func (vm *VM) notFound(c *requestContext, self *goja.Object) goja.Value {
	if c.app.notFound != nil {
		f, _ := goja.AssertFunction(c.app.notFound)
		v, err := f(goja.Undefined(), self)
		vm.check(err)
		return v
	}
	r := &response{content: content{body: []byte(`{"error":"Not Found"}`)}, status: 404, headers: c.takeHeaders()}
	r.headers.set("content-type", "application/json")
	return vm.newResponse(r)
}
