package script

import (
	"github.com/dop251/goja"
	"github.com/nlnwa/whatwg-url/url"
)

// maxURL is how many bytes a URL has at most. Servers commonly refuse more than
// 8 to 16 KiB; and the worst one takes a time to parse that grows with the square
// of its length (0.3 s at this), during which a script cannot be interrupted.
const maxURL = 16 << 10

// webURL is the host value of a URL.
type webURL struct {
	*url.Url
	params *native // its searchParams, once a script has asked for them
}

// parseURL parses a URL as browsers do, against base if that is not nil. ok is
// false if it is none.
func parseURL(text string, base *url.Url) (u *url.Url, ok bool) {
	if len(text) > maxURL {
		return nil, false
	}
	var err error
	if base != nil {
		u, err = base.Parse(text)
	} else {
		u, err = url.Parse(text)
	}
	return u, err == nil && len(u.Href(false)) <= maxURL
}

// urlOf parses the arguments of new URL(text, base).
func (vm *VM) urlOf(call goja.FunctionCall) (u *url.Url, ok bool) {
	var base *url.Url
	if v := call.Argument(1); !missing(v) {
		if base, ok = parseURL(vm.usvString(v), nil); !ok {
			return nil, false
		}
	}
	return parseURL(vm.usvString(call.Argument(0)), base)
}

func urlConstructor(vm *VM) goja.Value {
	ctor := vm.constructor(urlClass, func(vm *VM, call goja.ConstructorCall) any {
		u, ok := vm.urlOf(goja.FunctionCall{Arguments: call.Arguments})
		if !ok {
			vm.invalidURL(call.Argument(0))
		}
		return &webURL{Url: u}
	})
	vm.static(ctor, "canParse", func(vm *VM, call goja.FunctionCall) goja.Value {
		_, ok := vm.urlOf(call)
		return vm.rt.ToValue(ok)
	})
	vm.static(ctor, "parse", func(vm *VM, call goja.FunctionCall) goja.Value {
		if u, ok := vm.urlOf(call); ok {
			return vm.newNative(urlClass, &webURL{Url: u}).self
		}
		return goja.Null()
	})
	return ctor
}

func (vm *VM) invalidURL(v goja.Value) {
	vm.throwType("Invalid URL: %s", vm.quote(vm.text(v)))
}

var urlClass = &class{
	name: "URL",
	getters: map[string]getter{
		"href":         urlGetter(func(u *webURL) string { return u.Href(false) }),
		"origin":       urlGetter((*webURL).origin),
		"protocol":     urlGetter(func(u *webURL) string { return u.Protocol() }),
		"username":     urlGetter(func(u *webURL) string { return u.Username() }),
		"password":     urlGetter(func(u *webURL) string { return u.Password() }),
		"host":         urlGetter(func(u *webURL) string { return u.Host() }),
		"hostname":     urlGetter(func(u *webURL) string { return u.Hostname() }),
		"port":         urlGetter(func(u *webURL) string { return u.Port() }),
		"pathname":     urlGetter(func(u *webURL) string { return u.Pathname() }),
		"search":       urlGetter(func(u *webURL) string { return u.Search() }),
		"hash":         urlGetter(func(u *webURL) string { return u.Hash() }),
		"searchParams": func(vm *VM, this *native) goja.Value { return this.host.(*webURL).searchParams(vm).self },
	},
	setters: map[string]setter{
		"href": func(vm *VM, this *native, v goja.Value) {
			u, ok := parseURL(vm.usvString(v), nil)
			if !ok {
				vm.invalidURL(v)
			}
			this.host.(*webURL).replace(u)
		},
		"protocol": urlSetter((*url.Url).SetProtocol),
		"username": urlSetter((*url.Url).SetUsername),
		"password": urlSetter((*url.Url).SetPassword),
		"host":     urlSetter((*url.Url).SetHost),
		"hostname": urlSetter((*url.Url).SetHostname),
		"port":     urlSetter((*url.Url).SetPort),
		"pathname": urlSetter((*url.Url).SetPathname),
		"search":   urlSetter((*url.Url).SetSearch),
		"hash":     urlSetter((*url.Url).SetHash),
	},
	methods: map[string]method{
		"toString": urlText,
		"toJSON":   urlText,
	},
	prototype: tagged("URL"),
}

func urlText(vm *VM, this *native, _ goja.FunctionCall) goja.Value {
	return vm.rt.ToValue(this.host.(*webURL).Href(false))
}

func urlGetter(get func(*webURL) string) getter {
	return func(vm *VM, this *native) goja.Value { return vm.rt.ToValue(get(this.host.(*webURL))) }
}

// urlSetter assigns a part of a URL. What cannot be assigned changes nothing, as
// in browsers.
func urlSetter(set func(*url.Url, string)) setter {
	return func(vm *VM, this *native, v goja.Value) {
		u, text := this.host.(*webURL), vm.usvString(v)
		if len(text) > maxURL {
			vm.urlTooLong()
		}
		changed := u.Clone()
		set(changed, text)
		if len(changed.Href(false)) > maxURL {
			vm.urlTooLong()
		}
		u.replace(changed)
	}
}

func (vm *VM) urlTooLong() {
	vm.throwError("RangeError", "the URL is longer than %d bytes", maxURL)
}

// replace puts another URL in the place of this one; its searchParams follow.
func (u *webURL) replace(changed *url.Url) {
	u.Url = changed
	if u.params != nil {
		u.params.host.(*searchParams).list = parseSearch(u.Query())
	}
}

// searchParams is the URLSearchParams of the URL: what is done to one shows in
// the other.
func (u *webURL) searchParams(vm *VM) *native {
	if u.params == nil {
		u.params = vm.newNative(searchParamsClass, &searchParams{list: parseSearch(u.Query()), url: u})
	}
	return u.params
}

func (u *webURL) origin() string {
	switch u.Scheme() {
	case "http", "https", "ws", "wss", "ftp":
		return u.Protocol() + "//" + u.Host()
	case "blob":
		if inner, ok := parseURL(u.Pathname(), nil); ok && (inner.Scheme() == "http" || inner.Scheme() == "https") {
			return inner.Protocol() + "//" + inner.Host()
		}
	}
	return "null"
}
