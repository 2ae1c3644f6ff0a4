package script

import (
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/dop251/goja"
)

// searchParams is the host value of a URLSearchParams: a list of names and
// values in the form of application/x-www-form-urlencoded.
type searchParams struct {
	list []Param
	url  *webURL // whose query it is, or nil
}

// parseSearch reads a query without its question mark.
func parseSearch(query string) (list []Param) {
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		list = append(list, Param{decodeFormText(name), decodeFormText(value)})
	}
	return list
}

// decodeFormText decodes a name or a value. What is no escape stays as it is.
func decodeFormText(s string) string {
	if !strings.ContainsAny(s, "%+") {
		return decodeUTF8(s)
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		b, escaped := escapedByte(s[i:])
		switch {
		case escaped:
			out = append(out, b)
			i += len("%00") - 1
		case s[i] == '+':
			out = append(out, ' ')
		default:
			out = append(out, s[i])
		}
	}
	return decodeUTF8(string(out))
}

func (p *searchParams) String() string {
	var b strings.Builder
	for i, param := range p.list {
		if i > 0 {
			b.WriteByte('&')
		}
		encodeFormText(&b, param.Name)
		b.WriteByte('=')
		encodeFormText(&b, param.Value)
	}
	return b.String()
}

func encodeFormText(b *strings.Builder, s string) {
	const hex = "0123456789ABCDEF"
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '*', c == '-', c == '.', c == '_':
			b.WriteByte(c)
		case c == ' ':
			b.WriteByte('+')
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
}

// set takes over a changed list, and writes it into the URL.
func (p *searchParams) set(vm *VM, list []Param) {
	if p.url == nil {
		p.list = list
		return
	}
	changed := searchParams{list: list}
	query := changed.String()
	if len(p.url.Href(false))-len(p.url.Search())+len("?")+len(query) > maxURL {
		vm.urlTooLong()
	}
	p.list = list
	p.url.SetSearch(query)
}

// matches returns what finds the parameters that has(name, value) and
// delete(name, value) mean; the value may be left out.
func (vm *VM) matches(call goja.FunctionCall) func(Param) bool {
	name := vm.usvString(call.Argument(0))
	if missing(call.Argument(1)) {
		return func(p Param) bool { return p.Name == name }
	}
	value := vm.usvString(call.Argument(1))
	return func(p Param) bool { return p == Param{name, value} }
}

// usvString is a string as the web platform has it: without lone surrogates.
func (vm *VM) usvString(v goja.Value) string {
	return strings.ToValidUTF8(vm.text(v), "\uFFFD")
}

func searchParamsConstructor(vm *VM) goja.Value {
	return vm.constructor(searchParamsClass, func(vm *VM, call goja.ConstructorCall) any {
		return &searchParams{list: vm.searchList(call.Argument(0))}
	})
}

// searchList reads what new URLSearchParams takes: a query, pairs, or an object.
func (vm *VM) searchList(init goja.Value) (list []Param) {
	if missing(init) {
		return nil
	}
	if from, ok := hostOf[*searchParams](init); ok {
		return slices.Clone(from.list)
	}
	o, ok := init.(*goja.Object)
	if !ok {
		return parseSearch(strings.TrimPrefix(vm.usvString(init), "?"))
	}
	if o.GetSymbol(goja.SymIterator) == nil {
		for _, name := range o.Keys() {
			list = append(list, Param{vm.usvString(vm.rt.ToValue(name)), vm.usvString(o.Get(name))})
		}
		return list
	}
	vm.rt.ForOf(o, func(v goja.Value) bool {
		pair, ok := v.(*goja.Object)
		if !ok || length(pair) != 2 {
			vm.throwType("URLSearchParams: each item must be a pair of name and value")
		}
		list = append(list, Param{vm.usvString(pair.Get("0")), vm.usvString(pair.Get("1"))})
		return true
	})
	return list
}

var searchParamsClass = &class{
	name: "URLSearchParams",
	getters: map[string]getter{
		"size": func(vm *VM, this *native) goja.Value { return vm.rt.ToValue(len(this.host.(*searchParams).list)) },
	},
	methods: map[string]method{
		"append": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			p := this.host.(*searchParams)
			added := Param{vm.usvString(call.Argument(0)), vm.usvString(call.Argument(1))}
			p.set(vm, append(p.list[:len(p.list):len(p.list)], added))
			return goja.Undefined()
		},
		"delete": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			p := this.host.(*searchParams)
			p.set(vm, slices.DeleteFunc(slices.Clone(p.list), vm.matches(call)))
			return goja.Undefined()
		},
		"get": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			name := vm.usvString(call.Argument(0))
			for _, param := range this.host.(*searchParams).list {
				if param.Name == name {
					return vm.rt.ToValue(param.Value)
				}
			}
			return goja.Null()
		},
		"getAll": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			name := vm.usvString(call.Argument(0))
			var values []any
			for _, param := range this.host.(*searchParams).list {
				if param.Name == name {
					values = append(values, param.Value)
				}
			}
			return vm.rt.NewArray(values...)
		},
		"has": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			return vm.rt.ToValue(slices.ContainsFunc(this.host.(*searchParams).list, vm.matches(call)))
		},
		"set": searchParamsSet,
		"sort": func(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
			p := this.host.(*searchParams)
			list := slices.Clone(p.list)
			slices.SortStableFunc(list, func(a, b Param) int { // the standard sorts by UTF-16
				return slices.Compare(utf16.Encode([]rune(a.Name)), utf16.Encode([]rune(b.Name)))
			})
			p.set(vm, list)
			return goja.Undefined()
		},
		"forEach": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			f, ok := goja.AssertFunction(call.Argument(0))
			if !ok {
				vm.throwType("URLSearchParams.forEach needs a function")
			}
			for _, param := range this.host.(*searchParams).list {
				_, err := f(call.Argument(1), vm.rt.ToValue(param.Value), vm.rt.ToValue(param.Name), this.self)
				vm.check(err)
			}
			return goja.Undefined()
		},
		"toString": func(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
			return vm.rt.ToValue(this.host.(*searchParams).String())
		},
		"entries": func(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
			return vm.paramEntries(this.host.(*searchParams))
		},
		"keys": func(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
			return vm.iterateParams(this.host.(*searchParams), func(p Param) any { return p.Name })
		},
		"values": func(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
			return vm.iterateParams(this.host.(*searchParams), func(p Param) any { return p.Value })
		},
	},
	prototype: func(vm *VM, proto *goja.Object) {
		tagged("URLSearchParams")(vm, proto)
		must(proto.DefineDataPropertySymbol(goja.SymIterator, vm.function("entries", func(vm *VM, call goja.FunctionCall) goja.Value {
			p, ok := hostOf[*searchParams](call.This)
			if !ok {
				vm.throwType("Illegal invocation: URLSearchParams.entries is called on something else")
			}
			return vm.paramEntries(p)
		}), goja.FLAG_TRUE, goja.FLAG_TRUE, goja.FLAG_FALSE))
	},
}

// searchParamsSet gives a name one value, in the place of its first.
func searchParamsSet(vm *VM, this *native, call goja.FunctionCall) goja.Value {
	p := this.host.(*searchParams)
	given := Param{vm.usvString(call.Argument(0)), vm.usvString(call.Argument(1))}
	list, found := []Param(nil), false
	for _, param := range p.list {
		if param.Name != given.Name {
			list = append(list, param)
		} else if !found {
			list, found = append(list, given), true
		}
	}
	if !found {
		list = append(list, given)
	}
	p.set(vm, list)
	return goja.Undefined()
}

func (vm *VM) paramEntries(p *searchParams) goja.Value {
	return vm.iterateParams(p, func(p Param) any { return vm.rt.NewArray(p.Name, p.Value) })
}

// iterateParams returns an iterator over the parameters as they are now.
func (vm *VM) iterateParams(p *searchParams, item func(Param) any) goja.Value {
	items := make([]any, len(p.list))
	for i, param := range p.list {
		items[i] = item(param)
	}
	return vm.iterator(items)
}
