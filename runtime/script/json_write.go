package script

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/dop251/goja"
)

// jsonWriter is JSON.stringify.
type jsonWriter struct {
	vm       *VM
	out      []byte
	path     []*goja.Object // the objects around what is being written
	count    int
	replacer goja.Callable
	names    []string // of the properties to write; nil is all
	gap      string
	indent   string
}

// useReplacer takes the second argument of JSON.stringify.
func (w *jsonWriter) useReplacer(v goja.Value) {
	o, ok := v.(*goja.Object)
	if !ok {
		return
	}
	if f, ok := goja.AssertFunction(o); ok {
		w.replacer = f
		return
	}
	if !w.vm.isArray(o) {
		return
	}
	w.names = []string{}
	seen := map[string]bool{}
	for i, n := int64(0), length(o); i < n; i++ {
		if i%checkEvery == 0 {
			w.vm.checkTime()
		}
		var name string
		switch v := o.Get(strconv.FormatInt(i, 10)); kindOf(v) {
		case stringKind, intKind, floatKind:
			name = v.String()
		case objectKind:
			if c := v.(*goja.Object).ClassName(); c != "Number" && c != "String" {
				continue
			}
			name = w.vm.text(v)
		default:
			continue
		}
		if !seen[name] {
			seen[name] = true
			w.names = append(w.names, name)
		}
	}
}

// useSpace takes the third argument of JSON.stringify.
func (w *jsonWriter) useSpace(v goja.Value) {
	const most = 10 // of the standard
	v = w.vm.unbox(v)
	switch kindOf(v) {
	case intKind, floatKind:
		w.gap = strings.Repeat(" ", int(max(0, min(most, v.ToInteger()))))
	case stringKind:
		s := v.(goja.String)
		w.gap = s.Substring(0, min(most, s.Length())).String()
	}
}

// unbox returns the primitive in a Number, String, Boolean or BigInt object, and
// any other value as it is.
func (vm *VM) unbox(v goja.Value) goja.Value {
	o, ok := v.(*goja.Object)
	if !ok {
		return v
	}
	switch o.ClassName() {
	case "Number":
		return o.ToNumber()
	case "String":
		return o.ToString()
	case "Boolean":
		return vm.rt.ToValue(o.Export())
	}
	if o.ExportType() == bigintType {
		return vm.rt.ToValue(o.Export())
	}
	return v
}

// write writes a value that stands under key in holder, and reports whether
// there is JSON for it. A nil holder is made if the replacer wants to see it.
func (w *jsonWriter) write(holder *goja.Object, key string, v goja.Value) bool {
	if w.count++; w.count%checkEvery == 0 {
		w.vm.checkTime()
	}
	kind := kindOf(v)
	if kind == objectKind || kind == bigintKind {
		v = w.toJSON(key, v)
	}
	if w.replacer != nil {
		if holder == nil {
			holder = w.vm.rt.NewObject()
			w.vm.define(holder, key, v)
		}
		if v == nil {
			v = goja.Undefined()
		}
		var err error
		v, err = w.replacer(holder, w.vm.rt.ToValue(key), v)
		w.vm.check(err)
	}
	if kind = kindOf(v); kind == objectKind {
		v = w.vm.unbox(v)
		kind = kindOf(v)
	}
	switch kind {
	case nullKind:
		w.out = append(w.out, "null"...)
	case boolKind:
		w.out = strconv.AppendBool(w.out, v.ToBoolean())
	case intKind:
		w.out = strconv.AppendInt(w.out, v.ToInteger(), 10)
	case floatKind:
		w.out = appendNumber(w.out, v)
	case stringKind:
		w.out = appendQuoted(w.out, v.(goja.String))
	case bigintKind:
		w.vm.throwType("Do not know how to serialize a BigInt")
	case objectKind:
		return w.object(v.(*goja.Object))
	default:
		return false
	}
	w.checkSize()
	return true
}

func (w *jsonWriter) checkSize() {
	if len(w.out) > maxJSON {
		w.vm.throwError("RangeError", "the JSON is longer than %d bytes", maxJSON)
	}
}

func (w *jsonWriter) toJSON(key string, v goja.Value) goja.Value {
	var f goja.Value
	if o, ok := v.(*goja.Object); ok {
		f = o.Get("toJSON")
	} else {
		f = v.ToObject(w.vm.rt).Get("toJSON")
	}
	if _, ok := f.(*goja.Object); !ok {
		return v
	}
	if call, ok := goja.AssertFunction(f); ok {
		var err error
		v, err = call(v, w.vm.rt.ToValue(key))
		w.vm.check(err)
	}
	return v
}

func (w *jsonWriter) object(o *goja.Object) bool {
	if _, ok := callable(o); ok {
		return false
	}
	if slices.Contains(w.path, o) {
		w.vm.throwType("Converting circular structure to JSON")
	}
	if len(w.path) == maxDepth {
		w.vm.tooDeep()
	}
	w.path = append(w.path, o)
	outer := w.indent
	w.indent += w.gap
	if w.vm.isArray(o) {
		w.elements(o, outer)
	} else {
		w.members(o, outer)
	}
	w.indent = outer
	w.path = w.path[:len(w.path)-1]
	w.checkSize()
	return true
}

func (w *jsonWriter) elements(o *goja.Object, outer string) {
	w.out = append(w.out, '[')
	n := length(o)
	for i := int64(0); i < n; i++ {
		if i > 0 {
			w.out = append(w.out, ',')
		}
		w.newline(w.indent)
		key := strconv.FormatInt(i, 10)
		if !w.write(o, key, o.Get(key)) {
			w.out = append(w.out, "null"...)
			w.checkSize()
		}
	}
	if n > 0 {
		w.newline(outer)
	}
	w.out = append(w.out, ']')
}

func (w *jsonWriter) members(o *goja.Object, outer string) {
	w.out = append(w.out, '{')
	names := w.names
	if names == nil {
		names = o.Keys()
	}
	empty := true
	for _, name := range names {
		mark := len(w.out)
		if !empty {
			w.out = append(w.out, ',')
		}
		w.newline(w.indent)
		w.out = appendQuotedText(w.out, name)
		w.out = append(w.out, ':')
		if w.gap != "" {
			w.out = append(w.out, ' ')
		}
		if w.write(o, name, o.Get(name)) {
			empty = false
		} else {
			w.out = w.out[:mark]
		}
	}
	if !empty {
		w.newline(outer)
	}
	w.out = append(w.out, '}')
}

func (w *jsonWriter) newline(indent string) {
	if w.gap != "" {
		w.out = append(w.out, '\n')
		w.out = append(w.out, indent...)
	}
}

// appendNumber writes a number that isn't an integer of goja's; what isn't
// finite is null.
func appendNumber(out []byte, v goja.Value) []byte {
	if goja.IsNaN(v) || goja.IsInfinity(v) {
		return append(out, "null"...)
	}
	return append(out, v.String()...)
}

// appendQuoted writes a string of JavaScript. Lone surrogates, which UTF-8 has
// no way to say, become escapes.
func appendQuoted(out []byte, s goja.String) []byte {
	text := s.String()
	if !strings.ContainsRune(text, utf8.RuneError) {
		return appendQuotedText(out, text)
	}
	// Either the string has replacement characters, or goja put them for surrogates.
	out = append(out, '"')
	start := 0
	units := s.Length()
	for i := 0; i < units; i++ {
		c := s.CharAt(i)
		switch {
		case c < 0xD800 || c > 0xDFFF:
			continue
		case c < 0xDC00 && i+1 < units && s.CharAt(i+1)&0xFC00 == 0xDC00:
			i++
			continue
		}
		out = appendEscaped(out, s.Substring(start, i).String())
		out = append(out, '\\', 'u', hexDigits[c>>12], hexDigits[c>>8&15], hexDigits[c>>4&15], hexDigits[c&15])
		start = i + 1
	}
	out = appendEscaped(out, s.Substring(start, units).String())
	return append(out, '"')
}

const hexDigits = "0123456789abcdef"

// appendQuotedText writes a Go string; bytes that are not UTF-8 become U+FFFD.
func appendQuotedText(out []byte, s string) []byte {
	out = append(out, '"')
	out = appendEscaped(out, s)
	return append(out, '"')
}

func appendEscaped(out []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 {
				out = append(out, s[start:i]...)
				out = append(out, "\uFFFD"...)
				start = i + 1
			}
			i += size
			continue
		}
		out = append(out, s[start:i]...)
		switch c {
		case '"', '\\':
			out = append(out, '\\', c)
		case '\b':
			out = append(out, '\\', 'b')
		case '\f':
			out = append(out, '\\', 'f')
		case '\n':
			out = append(out, '\\', 'n')
		case '\r':
			out = append(out, '\\', 'r')
		case '\t':
			out = append(out, '\\', 't')
		default:
			out = append(out, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(out, s[start:]...)
}
