package script

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/dop251/goja"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

// maxEvent bounds the encoded data of one event.
const maxEvent = 1 << 20

// hostGlobals are the globals that belong to the runtime rather than the web.
var hostGlobals = map[string]func(vm *VM) goja.Value{
	"WebSocketPair":                newWebSocketPair,
	"WebSocket":                    newWebSocketGlobal,
	"WebSocketRequestResponsePair": newAutoResponsePair,
	"setTimeout":                   newSetTimer("setTimeout", false),
	"setInterval":                  newSetTimer("setInterval", true),
	"clearTimeout":                 newClearTimer,
	"clearInterval":                newClearTimer,
	"console":                      newConsole,
	"fetch":                        newFetch,
	"extractMentions":              newExtractMentions,
}

// dotdoModule is what import … from 'dotdo' gives.
func (vm *VM) dotdoModule() *goja.Object {
	if vm.dotdo == nil {
		o := vm.rt.NewObject()
		must(o.Set("$", vm.dollarObject()))
		must(o.Set("DO", vm.newNative(doClass, nil).self))
		vm.makeLazily(o, map[string]func(*VM) goja.Value{ // few scripts use it
			"extractMentions": func(vm *VM) goja.Value { return vm.rt.GlobalObject().Get("extractMentions") },
		})
		vm.dotdo = o
	}
	return vm.dotdo
}

// doClass is DO, of which scripts know extend.
var doClass = &class{
	name: "DO",
	methods: map[string]method{
		"extend": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			part, ok := call.Argument(0).(*goja.Object)
			switch {
			case !ok:
				vm.throwType("DO.extend takes an object of methods")
			case vm.loading == nil:
				vm.throwType("DO.extend is for the top level of a script")
			case vm.extended != nil:
				vm.throwType("a script has one DO.extend({...}), its default export")
			}
			vm.extended = part
			return part
		},
	},
}

func (vm *VM) dollarObject() goja.Value {
	if vm.dollar == nil {
		vm.dollar = vm.newNative(dollarClass, nil)
		// A noun is any property that looks like one: $.User is a function of an id.
		vm.dollar.fallback = func(name string) goja.Value {
			if !key.ValidType(name) {
				return nil
			}
			if f := vm.nouns[name]; f != nil {
				return f
			}
			f := vm.rt.ToValue(func(call goja.FunctionCall) goja.Value {
				id := call.Argument(0)
				if goja.IsUndefined(id) || goja.IsNull(id) {
					vm.throwType("$.%s(id): the id is %s", name, id)
				}
				target, err := key.New(name, id.String())
				if err != nil {
					vm.throwType("$.%s(id): %v", name, err)
				}
				return vm.newStub(&stub{target: target})
			})
			if vm.nouns == nil {
				vm.nouns = make(map[string]goja.Value)
			}
			if len(vm.nouns) < maxNouns {
				vm.nouns[name] = f
			}
			return f
		}
	}
	return vm.dollar.self
}

// dollarClass is $.
var dollarClass = &class{
	name: "$",
	methods: map[string]method{
		"send": dollarSend,
	},
	getters: map[string]getter{
		"on":    func(vm *VM, _ *native) goja.Value { return vm.newOn("", false) },
		"every": func(vm *VM, _ *native) goja.Value { return vm.newEvery() },
	},
}

// newOn is $.on, and $.on.Noun one step further.
func (vm *VM) newOn(noun string, hasNoun bool) goja.Value {
	n := vm.newNative(onClass, nil)
	n.fallback = func(name string) goja.Value {
		if !hasNoun {
			if name != "*" && !key.ValidType(name) {
				vm.throwType("$.on.%s: a noun begins with a capital letter", name)
			}
			return vm.newOn(name, true)
		}
		if name != "*" && !verbRE.MatchString(name) {
			vm.throwType("$.on.%s.%s: a verb is a word of letters and digits", noun, name)
		}
		return vm.rt.ToValue(func(call goja.FunctionCall) goja.Value {
			vm.on(noun, name, call)
			return goja.Undefined()
		})
	}
	return n.self
}

var onClass = &class{name: "$.on"}

var verbRE = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{0,63}$`)

// on registers an event handler, in a VM of handlers or while scripts are looked
// at. In an object's VM it does nothing.
func (vm *VM) on(noun, verb string, call goja.FunctionCall) {
	h, ok := vm.handler("$.on."+noun+"."+verb, noun+"."+verb, call.Argument(0), call.Argument(1))
	if ok {
		h.Noun, h.Verb = noun, verb
		vm.found.handlers = append(vm.found.handlers, h)
	}
}

// handler reads the function and the options of what registers a handler, and names
// it: as the author says, or by file and what it is for. It is registered here if
// the VM runs it; ok is true where it is to be noted.
func (vm *VM) handler(what, purpose string, handler, options goja.Value) (h Handler, ok bool) {
	f, ok := goja.AssertFunction(handler)
	if !ok {
		vm.throwType("%s takes a function", what)
	}
	if vm.loading == nil {
		vm.throwType("%s is for the top level of a script", what)
	}
	if vm.found == nil && vm.handlers == nil {
		return Handler{}, false
	}
	h = Handler{File: vm.loading.file, MaxRetries: DefaultMaxRetries, position: vm.caller()}
	if o, ok := options.(*goja.Object); ok {
		for _, option := range o.Keys() {
			switch option {
			case "name":
				h.Name = vm.metaString("name", o.Get(option))
			case "maxRetries":
				h.MaxRetries = vm.maxRetries(what, o.Get(option))
			default:
				vm.throwType("%s: unknown option %q", what, option)
			}
		}
	}
	if h.Name == "" {
		plain := vm.loading.file + "#" + purpose
		h.Name = plain
		if n := vm.unnamed[plain]; n > 0 { // a second one in the same file
			h.Name += "#" + strconv.Itoa(n+1)
		}
		if vm.unnamed == nil {
			vm.unnamed = make(map[string]int)
		}
		vm.unnamed[plain]++
	}
	if vm.handlers != nil {
		vm.handlers[h.Name] = f
		return h, false
	}
	var err error
	if h.Object, err = key.New(HandlerNoun, h.Name); err != nil {
		vm.throwType("%s: the handler needs another { name } than %q: 1 to %d bytes without control characters", what, h.Name, key.MaxID)
	}
	return h, true
}

// maxRetries reads the option of that name.
func (vm *VM) maxRetries(what string, v goja.Value) int {
	if _, isObject := v.(*goja.Object); !isObject {
		if n, ok := v.Export().(int64); ok && n >= 0 && n <= MaxMaxRetries {
			return int(n)
		}
	}
	vm.throwType("%s: maxRetries is a whole number from 0 to %d, not %s", what, MaxMaxRetries, vm.describe(v))
	return 0
}

// dollarSend is $.send('Noun.verb', data): the event commits with the turn.
func dollarSend(vm *VM, _ *native, call goja.FunctionCall) goja.Value {
	vm.needHost("$.send")
	if vm.test != nil {
		vm.throwType("$.send is for objects: a test makes one send by calling it")
	}
	typ, ok := stringOf(call.Argument(0))
	noun, verb, cut := strings.Cut(typ, ".")
	if !ok || !cut || !key.ValidType(noun) || !verbRE.MatchString(verb) {
		vm.throwType("$.send: an event type is Noun.verb, not %s", vm.describe(call.Argument(0)))
	}
	data, err := vm.encode(call.Argument(1), maxEvent)
	vm.check(err)
	id, hops := vm.host.NewID(), vm.hops()+1
	at := ""
	if hops > MaxHops {
		at = vm.caller()
	}
	for _, h := range vm.host.HandlersOf(typ) {
		vm.addDelivery(store.Delivery{
			Kind:    store.EventDelivery,
			Target:  h.Object,
			Handler: h.Name,
			ID:      id,
			Type:    typ,
			Data:    data,
			Hops:    hops,
		}, at)
	}
	return vm.rt.ToValue(id)
}

// mentionRE finds @name where no word character stands before it, so that an
// address is no mention.
var mentionRE = regexp.MustCompile(`(?:^|[^\pL\pN_@.])@([\pL\pN_](?:[\pL\pN_.-]{0,62}[\pL\pN_])?)`)

// newExtractMentions is extractMentions(text): the names mentioned as @name, each once.
func newExtractMentions(vm *VM) goja.Value {
	return vm.rt.ToValue(func(call goja.FunctionCall) goja.Value {
		text, _ := stringOf(call.Argument(0))
		names := []any{}
		if !strings.Contains(text, "@") { // most messages
			return vm.rt.NewArray()
		}
		seen := map[string]bool{}
		for _, m := range mentionRE.FindAllStringSubmatch(text, -1) {
			if !seen[m[1]] {
				seen[m[1]] = true
				names = append(names, m[1])
			}
		}
		return vm.rt.NewArray(names...)
	})
}
