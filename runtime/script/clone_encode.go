package script

import (
	"bytes"
	"encoding/base64"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/dop251/goja"
)

// The encoding of values that leave a VM, for storage, calls, events and
// attachments: JSON, with tags for what JSON lacks.
//
//	{"$date":ms}                           Date; null if it is invalid
//	{"$undefined":1}                       undefined, where it isn't a property of a plain object
//	{"$number":"NaN"}                      also Infinity, -Infinity
//	{"$bigint":"123"}                      BigInt
//	{"$bytes":"base64","type":"DataView"}  ArrayBuffer, or the part of it that a view shows
//	{"$map":[[k,v]]}  {"$set":[v]}         Map, Set
//	{"$error":{"name","message","stack"}}  Error
//	{"$regexp":["source","flags"]}         RegExp
//	{"$object":{...}}                      a plain object whose first key is one of these
//
// Number, String and Boolean objects become primitives. An object that is there
// twice becomes two. Lone surrogates in strings survive, as \u escapes; in names
// of properties goja cannot look them up, and such a property is left out.

// encode copies a value out of the VM. limit is the most bytes that it may take.
// err is what a script would catch: DataCloneError for what cannot leave (a
// function, a Symbol, a host object, a cycle), RangeError for what is too large
// or nested deeper than 500.
func (vm *VM) encode(v goja.Value, limit int) (data []byte, err error) {
	w := encoder{vm: vm, limit: limit, out: make([]byte, 0, firstRoom)}
	if ex := vm.rt.Try(func() { w.value(v) }); ex != nil {
		return nil, ex
	}
	return w.done(), nil
}

// member is a property of an object, read.
type member struct {
	key   string
	value goja.Value
}

// members reads those properties of an object that are not undefined, except
// those that skip names.
func members(o *goja.Object, keys []string, skip func(key string) bool) []member {
	all := make([]member, 0, len(keys))
	for _, key := range keys {
		if skip(key) {
			continue
		}
		if v := o.Get(key); !missing(v) {
			all = append(all, member{key, v})
		}
	}
	return all
}

// encodeMembers encodes what members has read of an object, as an object that
// decodeInto reads. It throws what encode returns.
func (vm *VM) encodeMembers(o *goja.Object, all []member, limit int) []byte {
	w := encoder{vm: vm, limit: limit, out: make([]byte, 0, firstRoom)}
	w.enter(o)
	w.out = append(w.out, '{')
	for i, m := range all {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.member(m.key, m.value)
	}
	w.out = append(w.out, '}')
	w.checkSize()
	return w.done()
}

// firstRoom is what is set aside for the text of a value: most chat messages fit,
// and need not be moved as they grow.
const firstRoom = 256

type encoder struct {
	vm    *VM
	out   []byte
	path  []*goja.Object // the objects around what is being written
	keys  []string       // the members of them on the way to it
	count int
	limit int
}

// member writes a member of an object.
func (w *encoder) member(key string, v goja.Value) {
	w.out = appendQuotedText(w.out, key)
	w.out = append(w.out, ':')
	w.inside(key, v)
}

// inside writes a value that stands under key in another.
func (w *encoder) inside(key string, v goja.Value) {
	w.keys = append(w.keys, key)
	w.value(v)
	w.keys = w.keys[:len(w.keys)-1]
}

// cannot throws what stands where a value is that cannot leave.
func (w *encoder) cannot(what string) {
	if len(w.keys) == 0 {
		w.vm.dataCloneError(what)
	}
	w.vm.throwError("DataCloneError", "%s is %s, which could not be cloned", w.vm.quotePath(w.keys), what)
}

// quotePath shows in an error message where in a value something is.
func (vm *VM) quotePath(keys []string) string {
	const most = 8 // enough to find it
	rest := ""
	if len(keys) > most {
		keys, rest = keys[:most], "…"
	}
	path := strings.Join(keys, ".") + rest
	if isPath.MatchString(path) {
		return path
	}
	return vm.quote(path)
}

var isPath = regexp.MustCompile(`^[\w.$…]{1,100}$`)

// done returns what was written without much unused room: it may be kept long.
func (w *encoder) done() []byte {
	if cap(w.out)-len(w.out) > len(w.out)/4 {
		return bytes.Clone(w.out)
	}
	return w.out
}

func (w *encoder) value(v goja.Value) {
	if w.count++; w.count%checkEvery == 0 {
		w.vm.checkTime()
	}
	switch kindOf(v) {
	case undefinedKind:
		w.out = append(w.out, `{"$undefined":1}`...)
	case nullKind:
		w.out = append(w.out, "null"...)
	case boolKind:
		w.out = strconv.AppendBool(w.out, v.ToBoolean())
	case intKind:
		w.out = strconv.AppendInt(w.out, v.ToInteger(), 10)
	case floatKind:
		w.number(v)
	case stringKind:
		s := v.(goja.String)
		if s.Length() > w.limit {
			w.tooLarge()
		}
		w.out = appendQuoted(w.out, s)
	case bigintKind:
		w.out = append(w.out, `{"$bigint":"`...)
		w.out = append(w.out, v.String()...)
		w.out = append(w.out, `"}`...)
	case symbolKind:
		w.cannot("a Symbol")
	case objectKind:
		w.object(v.(*goja.Object))
	}
	w.checkSize()
}

func (w *encoder) number(v goja.Value) {
	f := v.ToFloat()
	switch {
	case f == 0: // zero is an integer, so this is -0
		w.out = append(w.out, "-0.0"...)
	case goja.IsNaN(v) || goja.IsInfinity(v):
		w.out = append(w.out, `{"$number":"`...)
		w.out = append(w.out, v.String()...)
		w.out = append(w.out, `"}`...)
	default:
		w.out = appendNumber(w.out, v)
	}
}

func (w *encoder) checkSize() {
	if len(w.out) > w.limit {
		w.tooLarge()
	}
}

func (w *encoder) tooLarge() {
	w.vm.throwError("RangeError", "the value is larger than the limit of %d bytes", w.limit)
}

// enter begins an object that holds others.
func (w *encoder) enter(o *goja.Object) {
	if slices.Contains(w.path, o) {
		w.cannot("a value that contains itself")
	}
	if len(w.path) == maxDepth {
		w.vm.cloneTooDeep()
	}
	w.path = append(w.path, o)
}

func (w *encoder) leave() { w.path = w.path[:len(w.path)-1] }

func (w *encoder) object(o *goja.Object) {
	switch w.vm.classify(o) {
	case plainClass:
		w.enter(o)
		w.out = append(w.out, '{')
		w.fields(o)
		w.out = append(w.out, '}')
		w.leave()
	case arrayClass:
		w.enter(o)
		w.out = append(w.out, '[')
		for i, n := int64(0), length(o); i < n; i++ {
			if i > 0 {
				w.out = append(w.out, ',')
			}
			key := strconv.FormatInt(i, 10)
			w.inside(key, o.Get(key))
		}
		w.out = append(w.out, ']')
		w.leave()
	case mapClass:
		w.entries("Map", o, `{"$map":[`, func(k, v goja.Value) {
			w.out = append(w.out, '[')
			w.value(k)
			w.out = append(w.out, ',')
			w.value(v)
			w.out = append(w.out, ']')
		})
	case setClass:
		w.entries("Set", o, `{"$set":[`, func(k, _ goja.Value) { w.value(k) })
	default:
		w.leaf(o)
	}
}

func (w *encoder) entries(class string, o *goja.Object, open string, write func(k, v goja.Value)) {
	w.enter(o)
	w.out = append(w.out, open...)
	first := true
	w.vm.eachEntry(class, o, func(k, v goja.Value) {
		if !first {
			w.out = append(w.out, ',')
		}
		first = false
		write(k, v)
	})
	w.out = append(w.out, "]}"...)
	w.leave()
}

// fields writes the properties of a plain object. They go into $object if the
// first could be taken for a tag.
func (w *encoder) fields(o *goja.Object) {
	first, escaped := true, false
	for _, key := range o.Keys() {
		v := o.Get(key)
		if missing(v) {
			continue
		}
		if !first {
			w.out = append(w.out, ',')
		} else if isTag(key) {
			w.out = append(w.out, `"$object":{`...)
			escaped = true
		}
		first = false
		w.member(key, v)
	}
	if escaped {
		w.out = append(w.out, '}')
	}
}

func (w *encoder) leaf(o *goja.Object) {
	vm := w.vm
	switch class := vm.classify(o); class {
	case dateClass:
		w.out = append(w.out, `{"$date":`...)
		if ms, ok := dateOf(o); ok {
			w.out = strconv.AppendInt(w.out, ms, 10)
		} else {
			w.out = append(w.out, "null"...)
		}
		w.out = append(w.out, '}')
	case regexpClass:
		w.out = append(w.out, `{"$regexp":[`...)
		w.out = appendQuotedText(w.out, vm.text(o.Get("source")))
		w.out = append(w.out, ',')
		w.out = appendQuotedText(w.out, vm.text(o.Get("flags")))
		w.out = append(w.out, "]}"...)
	case errorClass:
		f := vm.errorFieldsOf(o)
		w.out = append(w.out, `{"$error":{"name":`...)
		w.out = appendQuotedText(w.out, f.name)
		w.out = append(w.out, `,"message":`...)
		w.out = appendQuotedText(w.out, f.message)
		if f.stack != "" {
			w.out = append(w.out, `,"stack":`...)
			w.out = appendQuotedText(w.out, f.stack)
		}
		w.out = append(w.out, "}}"...)
	case bufferClass, typedClass, dataViewClass:
		name := "ArrayBuffer"
		if class == typedClass {
			name = viewName(o)
		} else if class == dataViewClass {
			name = "DataView"
		}
		data, _ := vm.bytesOf(o)
		if len(data) > w.limit {
			w.tooLarge()
		}
		w.out = append(w.out, `{"$bytes":"`...)
		w.out = base64.StdEncoding.AppendEncode(w.out, data)
		w.out = append(w.out, `","type":"`...)
		w.out = append(w.out, name...)
		w.out = append(w.out, `"}`...)
	case boxedClass:
		w.value(vm.unbox(o))
	default:
		if s := vm.stubOf(o); s != nil && len(w.keys) > 0 { // not the cloning is wrong
			vm.throwError("DataCloneError", "%s is %s", vm.quotePath(w.keys), s)
		}
		w.cannot(vm.whatIs(o))
	}
}
