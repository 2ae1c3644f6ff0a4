package script

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/dop251/goja"
)

// shareBelow is the size of a document, in bytes, up to which its strings are
// cut out of it and not copied: a kept string then keeps no more than that alive.
const shareBelow = 1024

// jsonReader makes values of JSON text. With tags it also reads what encode
// writes for what JSON lacks.
type jsonReader struct {
	vm    *VM
	text  string
	pos   int
	depth int
	count int
	tags  bool
}

// document reads the whole text as one value.
func (r *jsonReader) document() goja.Value {
	r.space()
	v := r.value()
	r.end()
	return v
}

func (r *jsonReader) end() {
	r.space()
	if r.pos < len(r.text) {
		r.unexpected()
	}
}

func (r *jsonReader) value() goja.Value {
	if r.count++; r.count%checkEvery == 0 {
		r.vm.checkTime()
	}
	if r.pos >= len(r.text) {
		r.unexpected()
	}
	switch c := r.text[r.pos]; c {
	case '{':
		r.enter()
		v := r.object()
		r.depth--
		return v
	case '[':
		r.enter()
		v := r.vm.rt.NewArray(r.elements()...)
		r.depth--
		return v
	case '"':
		return r.str()
	case 't':
		r.word("true")
		return r.vm.rt.ToValue(true)
	case 'f':
		r.word("false")
		return r.vm.rt.ToValue(false)
	case 'n':
		r.word("null")
		return goja.Null()
	default:
		if c != '-' && (c < '0' || c > '9') {
			r.unexpected()
		}
		return r.number()
	}
}

func (r *jsonReader) enter() {
	r.pos++
	most := maxDepth
	if r.tags {
		most = maxWireDepth
	}
	if r.depth++; r.depth > most {
		r.vm.tooDeep()
	}
	r.space()
}

// object reads what follows a { and the space after it.
func (r *jsonReader) object() goja.Value {
	if r.tags && strings.HasPrefix(r.text[r.pos:], `"$`) {
		if v := r.tagged(); v != nil {
			return v
		}
	}
	return r.plain()
}

// plain reads the members of an object that is not tagged.
func (r *jsonReader) plain() *goja.Object {
	// Without a prototype an assignment can only make an own property, whatever
	// the name is and whatever a script did to Object.prototype.
	o := r.vm.rt.CreateObject(nil)
	r.members(o)
	must(o.SetPrototype(r.vm.plainPrototype()))
	return o
}

// members puts the members up to the } into o, which must have no prototype.
func (r *jsonReader) members(o *goja.Object) {
	if r.skip('}') {
		return
	}
	for {
		key := r.key()
		must(o.Set(key, r.value()))
		r.space()
		if r.skip('}') {
			return
		}
		r.expect(',')
		r.space()
	}
}

// key reads a name and the colon, and stands before the value then.
func (r *jsonReader) key() string {
	if r.pos >= len(r.text) || r.text[r.pos] != '"' {
		r.unexpected()
	}
	s, escaped := r.rawString()
	if escaped {
		s = string(utf16.Decode(r.unescape(s)))
	} else {
		s = r.keep(s)
	}
	r.space()
	r.expect(':')
	r.space()
	return s
}

// elements reads what follows a [ and the space after it.
func (r *jsonReader) elements() (items []any) {
	if r.skip(']') {
		return nil
	}
	for {
		items = append(items, r.value())
		r.space()
		if r.skip(']') {
			return items
		}
		r.expect(',')
		r.space()
	}
}

func (r *jsonReader) str() goja.Value {
	if r.pos >= len(r.text) || r.text[r.pos] != '"' {
		r.unexpected()
	}
	s, escaped := r.rawString()
	if !escaped {
		return r.vm.rt.ToValue(r.keep(s))
	}
	return goja.StringFromUTF16(r.unescape(s))
}

// keep returns a string that may outlive the document.
func (r *jsonReader) keep(s string) string {
	if len(r.text) > shareBelow {
		return strings.Clone(s)
	}
	return s
}

// rawString reads a string up to its closing quote, escapes as they are.
func (r *jsonReader) rawString() (s string, escaped bool) {
	start := r.pos + 1
	for i := start; i < len(r.text); i++ {
		switch c := r.text[i]; {
		case c == '"':
			r.pos = i + 1
			return r.text[start:i], escaped
		case c == '\\':
			escaped = true
			i++
		case c < 0x20:
			r.pos = i
			r.fail("Bad control character in string literal in JSON at position %d", i)
		}
	}
	r.pos = len(r.text)
	r.fail("Unterminated string in JSON at position %d", r.pos)
	return "", false
}

// unescape decodes a string that was read just now.
func (r *jsonReader) unescape(s string) []uint16 {
	out := make([]uint16, 0, len(s))
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '\\':
			i++
			switch e := s[i]; e {
			case '"', '\\', '/':
				out = append(out, uint16(e))
			case 'b':
				out = append(out, '\b')
			case 'f':
				out = append(out, '\f')
			case 'n':
				out = append(out, '\n')
			case 'r':
				out = append(out, '\r')
			case 't':
				out = append(out, '\t')
			case 'u':
				u, ok := hex4(s[i+1:])
				if !ok {
					r.fail("Bad Unicode escape in JSON before position %d", r.pos)
				}
				out = append(out, u)
				i += 4
			default:
				r.fail("Bad escaped character in JSON before position %d", r.pos)
			}
			i++
		case c < utf8.RuneSelf:
			out = append(out, uint16(c))
			i++
		default:
			c, size := utf8.DecodeRuneInString(s[i:])
			out = utf16.AppendRune(out, c)
			i += size
		}
	}
	return out
}

func hex4(s string) (u uint16, ok bool) {
	if len(s) < 4 {
		return 0, false
	}
	for i := range 4 {
		d := unhex(s[i])
		if d > 15 {
			return 0, false
		}
		u = u<<4 | uint16(d)
	}
	return u, true
}

func (r *jsonReader) number() goja.Value {
	start := r.pos
	if r.text[r.pos] == '-' {
		r.pos++
	}
	whole := true
	var n int64
	first := r.pos
	n = r.digits()
	if r.pos-first > 1 && r.text[first] == '0' {
		r.pos = first + 1
		r.unexpected()
	}
	if r.pos < len(r.text) && r.text[r.pos] == '.' {
		whole = false
		r.pos++
		r.digits()
	}
	if r.pos < len(r.text) && (r.text[r.pos] == 'e' || r.text[r.pos] == 'E') {
		whole = false
		r.pos++
		if r.pos < len(r.text) && (r.text[r.pos] == '+' || r.text[r.pos] == '-') {
			r.pos++
		}
		r.digits()
	}
	if negative := start != first; whole && r.pos-first <= 15 && (n != 0 || !negative) {
		if negative {
			n = -n
		}
		return r.vm.rt.ToValue(n)
	}
	f, err := strconv.ParseFloat(r.text[start:r.pos], 64)
	if err != nil && !math.IsInf(f, 0) { // out of range is infinity, as in JavaScript
		r.fail("Bad number in JSON at position %d", start)
	}
	return r.vm.rt.ToValue(f)
}

// digits skips one digit or more, and returns their value if they are few.
func (r *jsonReader) digits() (n int64) {
	start := r.pos
	for r.pos < len(r.text) {
		c := r.text[r.pos]
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int64(c-'0')
		r.pos++
	}
	if r.pos == start {
		r.unexpected()
	}
	return n
}

func (r *jsonReader) word(w string) {
	for i := range len(w) {
		r.expect(w[i])
	}
}

func (r *jsonReader) space() {
	for r.pos < len(r.text) {
		switch r.text[r.pos] {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return
		}
	}
}

func (r *jsonReader) skip(c byte) bool {
	if r.pos < len(r.text) && r.text[r.pos] == c {
		r.pos++
		return true
	}
	return false
}

func (r *jsonReader) expect(c byte) {
	if !r.skip(c) {
		r.unexpected()
	}
}

// unexpected throws for what stands at the position.
func (r *jsonReader) unexpected() {
	if r.pos >= len(r.text) {
		r.fail("Unexpected end of JSON input")
	}
	c, _ := utf8.DecodeRuneInString(r.text[r.pos:])
	r.fail("Unexpected token %q in JSON at position %d", c, r.pos)
}

func (r *jsonReader) fail(format string, args ...any) {
	panic(r.vm.newError("SyntaxError", fmt.Sprintf(format, args...)))
}
