package script

import (
	"net/http"
	"slices"
	"strings"

	"github.com/dop251/goja"
)

// maxHeaders is how many bytes of names and values one Headers holds. Servers
// and browsers commonly refuse more than 16 to 64 KiB.
const maxHeaders = 64 << 10

// headers are the fields of a request or a response. Names are in lower case,
// in the order in which they were added.
type headers struct {
	fields []headerField
	size   int
}

type headerField struct{ name, value string }

// newHeaders takes over the fields of h, sorted by name.
func newHeaders(h http.Header) *headers {
	hs := &headers{}
	for name, values := range h {
		for _, v := range values {
			hs.fields = append(hs.fields, headerField{strings.ToLower(name), v})
		}
	}
	slices.SortStableFunc(hs.fields, func(a, b headerField) int { return strings.Compare(a.name, b.name) })
	for _, f := range hs.fields {
		hs.size += len(f.name) + len(f.value)
	}
	return hs
}

// httpHeader returns the fields as net/http has them.
func (h *headers) httpHeader() http.Header {
	out := make(http.Header, len(h.fields))
	for _, f := range h.fields {
		out.Add(f.name, f.value)
	}
	return out
}

func (h *headers) clone() *headers {
	return &headers{fields: slices.Clone(h.fields), size: h.size}
}

// get returns the values of a name, in lower case, joined by commas.
func (h *headers) get(name string) (value string, ok bool) {
	for _, f := range h.fields {
		switch {
		case f.name != name:
		case ok:
			value += ", " + f.value
		default:
			value, ok = f.value, true
		}
	}
	return value, ok
}

func (h *headers) delete(name string) {
	h.fields = slices.DeleteFunc(h.fields, func(f headerField) bool {
		if f.name != name {
			return false
		}
		h.size -= len(f.name) + len(f.value)
		return true
	})
}

// add appends a field that was checked; it reports false if there is no room.
func (h *headers) add(name, value string) bool {
	if h.size += len(name) + len(value); h.size > maxHeaders {
		return false
	}
	h.fields = append(h.fields, headerField{name, value})
	return true
}

// set replaces the fields of a name, at the place of the first.
func (h *headers) set(name, value string) bool {
	i := slices.IndexFunc(h.fields, func(f headerField) bool { return f.name == name })
	if i < 0 {
		return h.add(name, value)
	}
	rest := h.fields[i+1:]
	h.fields = h.fields[:i+1]
	h.size += len(value) - len(h.fields[i].value)
	h.fields[i].value = value
	for _, f := range rest {
		if f.name == name {
			h.size -= len(f.name) + len(f.value)
		} else {
			h.fields = append(h.fields, f)
		}
	}
	return h.size <= maxHeaders
}

// headerName checks the name of a field and returns it in lower case.
func (vm *VM) headerName(v goja.Value) string {
	name := vm.text(v)
	if !isToken(name) {
		vm.throwType("Invalid header name: %s", vm.quote(name))
	}
	return strings.ToLower(name)
}

// headerValue checks the value of a field and returns it trimmed.
func (vm *VM) headerValue(v goja.Value) string {
	value := strings.Trim(vm.text(v), " \t\r\n")
	for i := 0; i < len(value); i++ {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7F {
			vm.throwType("Invalid header value: %s", vm.quote(value))
		}
	}
	return value
}

// quote shows a text in an error message.
func (vm *VM) quote(s string) string {
	const most = 100 // enough to recognise it
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return string(appendQuotedText(nil, s))
}

// isToken reports whether s is a token of RFC 9110.
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

func (vm *VM) addHeader(h *headers, name, value goja.Value) {
	if !h.add(vm.headerName(name), vm.headerValue(value)) {
		vm.headersTooLarge()
	}
}

func (vm *VM) setHeader(h *headers, name, value goja.Value) {
	if !h.set(vm.headerName(name), vm.headerValue(value)) {
		vm.headersTooLarge()
	}
}

func (vm *VM) headersTooLarge() {
	vm.throwError("RangeError", "the headers are larger than %d bytes", maxHeaders)
}

// fillHeaders adds what new Headers(init) takes: an object, pairs, or Headers.
func (vm *VM) fillHeaders(h *headers, init goja.Value) {
	if nullish(init) {
		return
	}
	if from, ok := hostOf[*headers](init); ok {
		for _, f := range from.fields {
			if !h.add(f.name, f.value) {
				vm.headersTooLarge()
			}
		}
		return
	}
	o, ok := init.(*goja.Object)
	if !ok {
		vm.throwType("Invalid header: headers are an object, an array of pairs, or Headers")
	}
	if o.GetSymbol(goja.SymIterator) == nil {
		for _, name := range o.Keys() {
			vm.addHeader(h, vm.rt.ToValue(name), o.Get(name))
		}
		return
	}
	vm.rt.ForOf(o, func(v goja.Value) bool {
		pair, ok := v.(*goja.Object)
		if !ok || length(pair) != 2 {
			vm.throwType("Invalid header: each is a pair of name and value")
		}
		vm.addHeader(h, pair.Get("0"), pair.Get("1"))
		return true
	})
}

// sorted returns the fields as they are iterated: by name, values of one name
// joined, except for cookies.
func (h *headers) sorted() []headerField {
	fields := slices.Clone(h.fields)
	slices.SortStableFunc(fields, func(a, b headerField) int { return strings.Compare(a.name, b.name) })
	out := fields[:0]
	for _, f := range fields {
		if n := len(out); n > 0 && out[n-1].name == f.name && f.name != "set-cookie" {
			out[n-1].value += ", " + f.value
		} else {
			out = append(out, f)
		}
	}
	return out
}

func headersConstructor(vm *VM) goja.Value {
	return vm.constructor(headersClass, func(vm *VM, call goja.ConstructorCall) any {
		h := &headers{}
		vm.fillHeaders(h, call.Argument(0))
		return h
	})
}

var headersClass = &class{
	name: "Headers",
	methods: map[string]method{
		"get": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			if v, ok := this.host.(*headers).get(vm.headerName(call.Argument(0))); ok {
				return vm.rt.ToValue(v)
			}
			return goja.Null()
		},
		"has": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			_, ok := this.host.(*headers).get(vm.headerName(call.Argument(0)))
			return vm.rt.ToValue(ok)
		},
		"set": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			vm.setHeader(this.host.(*headers), call.Argument(0), call.Argument(1))
			return goja.Undefined()
		},
		"append": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			vm.addHeader(this.host.(*headers), call.Argument(0), call.Argument(1))
			return goja.Undefined()
		},
		"delete": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			this.host.(*headers).delete(vm.headerName(call.Argument(0)))
			return goja.Undefined()
		},
		"getSetCookie": func(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
			var cookies []any
			for _, f := range this.host.(*headers).fields {
				if f.name == "set-cookie" {
					cookies = append(cookies, f.value)
				}
			}
			return vm.rt.NewArray(cookies...)
		},
		"forEach": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			f, ok := goja.AssertFunction(call.Argument(0))
			if !ok {
				vm.throwType("Headers.forEach needs a function")
			}
			for _, field := range this.host.(*headers).sorted() {
				_, err := f(call.Argument(1), vm.rt.ToValue(field.value), vm.rt.ToValue(field.name), this.self)
				vm.check(err)
			}
			return goja.Undefined()
		},
		"entries": func(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
			return vm.iterate(this.host.(*headers), func(f headerField) any { return vm.rt.NewArray(f.name, f.value) })
		},
		"keys": func(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
			return vm.iterate(this.host.(*headers), func(f headerField) any { return f.name })
		},
		"values": func(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
			return vm.iterate(this.host.(*headers), func(f headerField) any { return f.value })
		},
	},
	prototype: func(vm *VM, proto *goja.Object) {
		tagged("Headers")(vm, proto)
		must(proto.DefineDataPropertySymbol(goja.SymIterator, vm.function("entries", func(vm *VM, call goja.FunctionCall) goja.Value {
			h, ok := hostOf[*headers](call.This)
			if !ok {
				vm.throwType("Illegal invocation: Headers.entries is called on something else")
			}
			return vm.iterate(h, func(f headerField) any { return vm.rt.NewArray(f.name, f.value) })
		}), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE))
	},
}

// iterate returns an iterator over the fields as they are now.
func (vm *VM) iterate(h *headers, item func(headerField) any) goja.Value {
	var items []any
	for _, f := range h.sorted() {
		items = append(items, item(f))
	}
	return vm.iterator(items)
}

// iterator returns an iterator over items.
func (vm *VM) iterator(items []any) goja.Value {
	array := vm.rt.NewArray(items...)
	values, ok := goja.AssertFunction(array.GetSymbol(goja.SymIterator))
	if !ok {
		vm.throwType("arrays are not iterable")
	}
	v, err := values(array)
	vm.check(err)
	return v
}
