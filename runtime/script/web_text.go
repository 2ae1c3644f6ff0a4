package script

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/dop251/goja"
)

// bom is the byte order mark, which decoders drop at the beginning.
const bom = "\uFEFF"

func textEncoderConstructor(vm *VM) goja.Value {
	return vm.constructor(textEncoderClass, func(*VM, goja.ConstructorCall) any { return nil })
}

var textEncoderClass = &class{
	name:    "TextEncoder",
	getters: map[string]getter{"encoding": func(vm *VM, _ *native) goja.Value { return vm.rt.ToValue("utf-8") }},
	methods: map[string]method{
		"encode": func(vm *VM, _ *native, call goja.FunctionCall) goja.Value {
			var text string
			if v := call.Argument(0); !missing(v) {
				text = strings.ToValidUTF8(vm.text(v), "\uFFFD")
			}
			return vm.newBytes("Uint8Array", []byte(text))
		},
		"encodeInto": func(vm *VM, _ *native, call goja.FunctionCall) goja.Value {
			into, ok := vm.bytesOf(call.Argument(1))
			if o, _ := call.Argument(1).(*goja.Object); !ok || viewName(o) != "Uint8Array" {
				vm.throwType("TextEncoder.encodeInto needs a Uint8Array")
			}
			read, written := 0, 0
			for _, c := range vm.text(call.Argument(0)) {
				if written+utf8.RuneLen(c) > len(into) {
					break
				}
				written += utf8.EncodeRune(into[written:], c)
				if read++; c > 0xFFFF { // counted in UTF-16
					read++
				}
			}
			o := vm.rt.NewObject()
			must(o.Set("read", read))
			must(o.Set("written", written))
			return o
		},
	},
	prototype: tagged("TextEncoder"),
}

// textDecoder decodes UTF-8.
type textDecoder struct {
	fatal, ignoreBOM bool
	begun            bool   // in the middle of a stream
	rest             string // of a stream: a character's first bytes
}

func textDecoderConstructor(vm *VM) goja.Value {
	return vm.constructor(textDecoderClass, func(vm *VM, call goja.ConstructorCall) any {
		d := &textDecoder{}
		if v := call.Argument(0); !missing(v) {
			switch strings.ToLower(strings.TrimSpace(vm.text(v))) {
			case "utf-8", "utf8", "unicode-1-1-utf-8":
			default:
				vm.throwError("RangeError", "the encoding %s is not supported: only utf-8 is", vm.quote(vm.text(v)))
			}
		}
		d.fatal = vm.option(call.Argument(1), "fatal")
		d.ignoreBOM = vm.option(call.Argument(1), "ignoreBOM")
		return d
	})
}

// option reads a boolean from an object of options that may be missing.
func (vm *VM) option(options goja.Value, name string) bool {
	o, ok := options.(*goja.Object)
	if !ok {
		return false
	}
	v := o.Get(name)
	return v != nil && v.ToBoolean()
}

var textDecoderClass = &class{
	name: "TextDecoder",
	getters: map[string]getter{
		"encoding":  func(vm *VM, _ *native) goja.Value { return vm.rt.ToValue("utf-8") },
		"fatal":     func(vm *VM, this *native) goja.Value { return vm.rt.ToValue(this.host.(*textDecoder).fatal) },
		"ignoreBOM": func(vm *VM, this *native) goja.Value { return vm.rt.ToValue(this.host.(*textDecoder).ignoreBOM) },
	},
	methods: map[string]method{
		"decode": func(vm *VM, this *native, call goja.FunctionCall) goja.Value {
			d := this.host.(*textDecoder)
			var data []byte
			if v := call.Argument(0); !missing(v) {
				var ok bool
				if data, ok = vm.bytesOf(v); !ok {
					vm.throwType("TextDecoder.decode needs an ArrayBuffer or a view of one")
				}
			}
			text, ok := d.decode(string(data), vm.option(call.Argument(1), "stream"))
			if !ok {
				vm.throwType("The encoded data was not valid for encoding utf-8")
			}
			return vm.rt.ToValue(text)
		},
	},
	prototype: tagged("TextDecoder"),
}

// decode decodes the next part of a stream, or, if it is not a stream, all. It
// reports false if the bytes are wrong and that matters.
func (d *textDecoder) decode(s string, stream bool) (text string, ok bool) {
	s = d.rest + s
	d.rest = ""
	if stream {
		if n := unfinished(s); n > 0 {
			s, d.rest = s[:len(s)-n], s[len(s)-n:]
		}
	}
	begun := d.begun
	d.begun = stream && (begun || s != "")
	if d.fatal && !utf8.ValidString(s) {
		d.rest, d.begun = "", false
		return "", false
	}
	if !begun && !d.ignoreBOM {
		s = strings.TrimPrefix(s, bom)
	}
	return decodeUTF8(s), true
}

// unfinished is how many bytes at the end of s could be the beginning of a character.
func unfinished(s string) int {
	for n := 1; n < utf8.UTFMax && n <= len(s); n++ {
		tail := s[len(s)-n:]
		if utf8.RuneStart(tail[0]) {
			if !utf8.FullRuneInString(tail) {
				return n
			}
			break
		}
	}
	return 0
}

// decodeUTF8 puts one U+FFFD for each longest beginning of a character that has
// no end, and for each other byte that is none: what browsers do.
func decodeUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && size == 1 {
			for size = min(utf8.UTFMax-1, len(s)); size > 1; size-- {
				if utf8.RuneStart(s[0]) && !utf8.FullRuneInString(s[:size]) {
					break
				}
			}
		}
		if r == utf8.RuneError {
			b.WriteRune(utf8.RuneError)
		} else {
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}

// btoa encodes a string of bytes as base64.
func btoa(vm *VM, call goja.FunctionCall) goja.Value {
	if len(call.Arguments) == 0 {
		vm.throwType("btoa needs a string")
	}
	text := vm.text(call.Argument(0))
	data := make([]byte, 0, len(text))
	for _, c := range text {
		if c > 0xFF {
			vm.throwError("InvalidCharacterError", "btoa: the string has characters above U+00FF")
		}
		data = append(data, byte(c))
	}
	return vm.rt.ToValue(base64.StdEncoding.EncodeToString(data))
}

// atob decodes base64 into a string of bytes.
func atob(vm *VM, call goja.FunctionCall) goja.Value {
	if len(call.Arguments) == 0 {
		vm.throwType("atob needs a string")
	}
	text := strings.Map(func(c rune) rune {
		if strings.ContainsRune(" \t\n\f\r", c) {
			return -1
		}
		return c
	}, vm.text(call.Argument(0)))
	if len(text)%4 == 0 {
		text = strings.TrimSuffix(strings.TrimSuffix(text, "="), "=")
	}
	data, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		vm.throwError("InvalidCharacterError", "atob: the string is not base64")
	}
	units := make([]uint16, len(data))
	for i, b := range data {
		units[i] = uint16(b)
	}
	return goja.StringFromUTF16(units)
}
