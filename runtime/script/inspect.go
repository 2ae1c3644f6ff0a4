package script

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dop251/goja"
)

// Bounds of what the log shows of a value. A line has maxLogLine bytes; these see
// to it that one large part leaves room for the others.
const (
	maxShownDepth  = 5    // objects within each other
	maxShownItems  = 100  // of one array, Map, or object
	maxShownText   = 4096 // bytes of a string by itself: half a line
	maxShownString = 512  // bytes of a string in an object
)

// inspector shows values as a person would write them down. A part of a value
// that throws when it is looked at takes only its own place in the line.
type inspector struct {
	vm   *VM
	out  []byte
	path []*goja.Object // the objects around what is being shown
}

func (in *inspector) add(s string) { in.out = append(in.out, s...) }

// full reports whether nothing that is added can be seen.
func (in *inspector) full() bool { return len(in.out) > maxLogLine }

// careful runs what may run a script's code. If that throws, the error is shown
// in place of what it had added.
func (in *inspector) careful(f func()) {
	begun, depth := len(in.out), len(in.path)
	if ex := in.vm.rt.Try(f); ex != nil {
		in.path = in.path[:depth]
		in.out = append(in.out[:begun], "[threw "+in.vm.describe(ex.Value())+"]"...)
	}
}

// format shows the arguments of a call of console: %s, %d, %i, %f, %j, %o, %O
// and %c in the first stand for those that follow.
func (in *inspector) format(args []goja.Value) {
	if len(args) > 1 && kindOf(args[0]) == stringKind {
		text := shorten(args[0].(goja.String), maxShownText)
		args = args[1:]
		for {
			before, after, found := strings.Cut(text, "%")
			in.add(before)
			if !found {
				break
			}
			switch {
			case after != "" && after[0] == '%':
				in.add("%")
			case after != "" && len(args) > 0 && in.directive(after[0], args[0]):
				args = args[1:]
			default:
				in.add("%")
				text = after
				continue
			}
			text = after[1:]
		}
		if len(args) > 0 {
			in.add(" ")
		}
	}
	for i, v := range args {
		if i > 0 {
			in.add(" ")
		}
		in.text(v)
	}
}

// directive shows a value in the way that a letter after % says, and reports
// whether there is such a letter.
func (in *inspector) directive(letter byte, v goja.Value) bool {
	switch letter {
	case 's':
		in.text(v)
	case 'o', 'O':
		in.value(v)
	case 'j':
		in.careful(func() {
			text, ok := in.vm.stringify(v)
			if !ok {
				text = "undefined"
			}
			in.add(shorten(in.vm.rt.ToValue(text).(goja.String), maxShownText))
		})
	case 'd', 'i', 'f':
		switch kindOf(v) {
		case objectKind, symbolKind:
			in.add("NaN")
		case bigintKind:
			in.value(v)
		default:
			n := v.ToNumber()
			if f := n.ToFloat(); letter == 'i' && f == f {
				n = in.vm.rt.ToValue(n.ToInteger())
			}
			in.value(n)
		}
	case 'c': // a style, for browsers
	default:
		return false
	}
	return true
}

// text shows a value; a string as it is.
func (in *inspector) text(v goja.Value) {
	if s, ok := v.(goja.String); ok {
		in.add(shorten(s, maxShownText))
		return
	}
	in.value(v)
}

// value shows a value as it stands in an object.
func (in *inspector) value(v goja.Value) {
	if in.full() {
		return
	}
	switch kindOf(v) {
	case undefinedKind:
		in.add("undefined")
	case stringKind:
		in.quoted(shorten(v.(goja.String), maxShownString))
	case floatKind:
		if v.ToFloat() == 0 { // zero is an integer, so this is -0
			in.add("-")
		}
		in.add(v.String())
	case symbolKind:
		in.add("Symbol(" + v.String() + ")")
	case bigintKind:
		in.add(v.String() + "n")
	case objectKind:
		in.careful(func() { in.object(v.(*goja.Object)) })
	default:
		in.add(v.String())
	}
}

func (in *inspector) object(o *goja.Object) {
	vm := in.vm
	if s := vm.stubOf(o); s != nil {
		in.add("[" + s.String() + "]")
		return
	}
	if slices.Contains(in.path, o) {
		in.add("[circular]")
		return
	}
	in.path = append(in.path, o)
	switch class := vm.classify(o); class {
	case plainClass:
		in.plain(o)
	case arrayClass:
		in.items("Array", "", o)
	case typedClass:
		in.items(viewName(o), viewName(o), o)
	case mapClass:
		in.entries("Map", o)
	case setClass:
		in.entries("Set", o)
	case bufferClass, dataViewClass:
		data, _ := vm.bytesOf(o)
		in.add(fmt.Sprintf("[%d bytes]", len(data)))
	case dateClass:
		if _, ok := dateOf(o); !ok {
			in.add("Invalid Date")
			break
		}
		text, err := vm.builtin("Date", "toISOString")(o)
		vm.check(err)
		in.add(text.String())
	case regexpClass:
		in.add("/" + vm.text(o.Get("source")) + "/" + vm.text(o.Get("flags")))
	case errorClass:
		in.error(o)
	case boxedClass:
		in.add("[" + o.ClassName() + ": ")
		in.value(vm.unbox(o))
		in.add("]")
	default:
		in.other(o)
	}
	in.path = in.path[:len(in.path)-1]
}

// other shows what is neither data nor a collection of it.
func (in *inspector) other(o *goja.Object) {
	if o.ExportType() == promiseType {
		p := o.Export().(*goja.Promise)
		in.add("Promise {")
		switch p.State() {
		case goja.PromiseStatePending:
			in.add("pending")
		case goja.PromiseStateRejected:
			in.add("rejected ")
			in.value(p.Result())
		default:
			in.value(p.Result())
		}
		in.add("}")
		return
	}
	n := nativeOf(o)
	if n == nil {
		in.add("[" + strings.TrimPrefix(in.vm.whatIs(o), "a ") + "]")
		return
	}
	in.add(n.class.name)
	switch host := n.host.(type) {
	case *webURL:
		in.add("(" + host.Href(false) + ")")
	case *searchParams:
		in.add("(" + host.String() + ")")
	case *request:
		in.add("(" + host.method + " " + host.url + ")")
	case *response:
		in.add("(" + strconv.Itoa(host.status) + ")")
	case *headers:
		fields := host.sorted()
		in.list(" {", "}", len(fields), func(i int) {
			in.key(fields[i].name)
			in.quoted(fields[i].value)
		})
	}
	if len(n.order) > 0 {
		in.fields(" ", o)
	}
}

func (in *inspector) error(o *goja.Object) {
	e := in.vm.errorOf(o)
	in.add(e.Name + ": " + e.Message)
	if len(o.Keys()) > 0 {
		in.fields(" ", o)
	}
	if e.Stack != "" {
		in.add("\n" + e.Stack)
	}
	if cause := o.Get("cause"); !missing(cause) {
		in.add("\ncause: ")
		in.value(cause)
	}
}

// plain shows an object, after the name of its class if it has one.
func (in *inspector) plain(o *goja.Object) {
	name := ""
	if proto := o.Prototype(); proto != nil {
		if ctor, ok := proto.Get("constructor").(*goja.Object); ok && ctor != in.vm.intrinsic("Object") {
			name, _ = stringOf(ctor.Get("name"))
		}
	}
	if in.deep() {
		if name == "" {
			name = "Object"
		}
		in.add("[" + name + "]")
		return
	}
	if name != "" {
		name += " "
	}
	in.fields(name, o)
}

// deep reports whether the object being shown is only named.
func (in *inspector) deep() bool { return len(in.path) > maxShownDepth }

// fields shows the properties of an object, after a prefix.
func (in *inspector) fields(prefix string, o *goja.Object) {
	keys := o.Keys()
	in.list(prefix+"{", "}", len(keys), func(i int) {
		in.key(keys[i])
		in.careful(func() { in.value(o.Get(keys[i])) })
	})
}

func (in *inspector) key(key string) {
	if shownKeyRE.MatchString(key) {
		in.add(key)
	} else {
		in.quoted(shorten(in.vm.rt.ToValue(key).(goja.String), maxShownString))
	}
	in.add(": ")
}

// shownKeyRE are the keys that need no quotes.
var shownKeyRE = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]{0,100}$`)

// items shows an array, or what is like one, after a prefix.
func (in *inspector) items(kind, prefix string, o *goja.Object) {
	n := int(length(o))
	if in.deep() {
		in.add(fmt.Sprintf("[%s(%d)]", kind, n))
		return
	}
	if prefix != "" {
		prefix += " "
	}
	in.list(prefix+"[", "]", n, func(i int) {
		in.careful(func() { in.value(o.Get(strconv.Itoa(i))) })
	})
}

// entries shows a Map or a Set.
func (in *inspector) entries(class string, o *goja.Object) {
	n := 0
	if size := o.Get("size"); size != nil { // a script can take it away, or give it any value
		n = int(size.ToInteger())
	}
	if in.deep() {
		in.add(fmt.Sprintf("[%s(%d)]", class, n))
		return
	}
	var keys, values []goja.Value
	iterator, err := in.vm.builtin(class, "entries")(o)
	in.vm.check(err)
	in.vm.rt.ForOf(iterator, func(entry goja.Value) bool {
		pair := entry.ToObject(in.vm.rt)
		keys, values = append(keys, pair.Get("0")), append(values, pair.Get("1"))
		return len(keys) < maxShownItems
	})
	n = max(n, len(keys))
	in.list(class+" {", "}", n, func(i int) {
		if i >= len(keys) {
			return
		}
		in.value(keys[i])
		if class == "Map" {
			in.add(" => ")
			in.value(values[i])
		}
	})
}

// list shows count items between brackets, at most maxShownItems of them.
func (in *inspector) list(open, end string, count int, item func(i int)) {
	in.add(open)
	for i := 0; i < count && !in.full(); i++ {
		if i > 0 {
			in.add(", ")
		}
		if i == maxShownItems {
			in.add(fmt.Sprintf("… %d more", count-i))
			break
		}
		item(i)
	}
	in.add(end)
}

// quoted shows a string in single quotes: the log may put double ones around it.
func (in *inspector) quoted(s string) {
	in.add("'")
	for _, r := range s {
		switch r {
		case '\'', '\\':
			in.out = append(in.out, '\\', byte(r))
		case '\n':
			in.add(`\n`)
		case '\r':
			in.add(`\r`)
		case '\t':
			in.add(`\t`)
		default:
			in.out = utf8.AppendRune(in.out, r)
		}
	}
	in.add("'")
}

// shorten cuts a string to so many bytes, and then says how long it is.
func shorten(s goja.String, most int) string {
	n := s.Length()
	text := s.Substring(0, min(n, most)).String()
	if n <= most && len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:min(len(text), most)], "") + fmt.Sprintf("… (%d characters)", n)
}
