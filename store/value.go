package store

import (
	"bytes"
	"cmp"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// scalar is a value as it is compared and sorted: nothing, a number or a text.
// Booleans are 0 and 1, dates their milliseconds; objects and lists are nothing.
type scalar struct {
	kind scalarKind
	num  float64
	text string
	// composite: nothing to compare or sort by, and still not null. It has no part
	// in the order.
	composite bool
}

type scalarKind uint8

// In the order in which they sort.
const (
	nothing scalarKind = iota
	number
	text
)

func numberOf(f float64) scalar { return scalar{kind: number, num: f} }
func textOf(s string) scalar    { return scalar{kind: text, text: s} }

// compare orders scalars as SQLite orders their stored forms.
func (a scalar) compare(b scalar) int {
	if c := cmp.Compare(a.kind, b.kind); c != 0 {
		return c
	}
	switch a.kind {
	case number:
		return cmp.Compare(a.num, b.num)
	case text:
		return strings.Compare(a.text, b.text)
	}
	return 0
}

// bind is the form in the database. Nothing is minus infinity, so that a column of
// them is never null and one comparison finds the next row in any order.
func (a scalar) bind() any {
	switch a.kind {
	case number:
		return a.num
	case text:
		return a.text
	}
	return math.Inf(-1)
}

// lookup finds the field with a dotted name in an encoded object, and reports
// whether it is there.
func lookup(doc []byte, name string) (scalar, bool) {
	for {
		part, rest, more := strings.Cut(name, ".")
		value, ok := member(doc, part)
		if !ok {
			return scalar{}, false
		}
		if !more {
			return scalarOf(value), true
		}
		doc, name = value, rest
	}
}

// scalarOf reads one encoded value.
func scalarOf(raw []byte) scalar {
	if len(raw) == 0 {
		return scalar{}
	}
	switch raw[0] {
	case '"':
		return textOf(unquote(raw))
	case 't':
		return numberOf(1)
	case 'f':
		return numberOf(0)
	case 'n':
		return scalar{}
	case '[':
		return scalar{composite: true}
	case '{':
		date, ok := member(raw, "$date")
		if !ok || date[0] != '-' && (date[0] < '0' || date[0] > '9') {
			return scalar{composite: true}
		}
		return scalarOf(date)
	}
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil && !math.IsInf(f, 0) {
		return scalar{}
	}
	return numberOf(f)
}

// member returns the encoded value of one member of an encoded object. It trusts
// the encoding (the database has checked it or will) no further than not to panic.
func member(doc []byte, key string) ([]byte, bool) {
	i := skipSpace(doc, 0)
	if i >= len(doc) || doc[i] != '{' {
		return nil, false
	}
	for i = skipSpace(doc, i+1); i < len(doc) && doc[i] == '"'; i = skipSpace(doc, i+1) {
		end := stringEnd(doc, i)
		found := sameString(doc[i:end], key)
		i = skipSpace(doc, end)
		if i >= len(doc) || doc[i] != ':' {
			return nil, false
		}
		i = skipSpace(doc, i+1)
		end = valueEnd(doc, i)
		if found && end > i {
			return doc[i:end], true
		}
		i = skipSpace(doc, end)
		if i >= len(doc) || doc[i] != ',' {
			return nil, false
		}
	}
	return nil, false
}

func skipSpace(doc []byte, i int) int {
	for i < len(doc) && (doc[i] == ' ' || doc[i] == '\n' || doc[i] == '\t' || doc[i] == '\r') {
		i++
	}
	return i
}

// stringEnd returns the index after the string that begins at i.
func stringEnd(doc []byte, i int) int {
	for i++; i < len(doc); i++ {
		switch doc[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(doc)
}

// valueEnd returns the index after the value that begins at i.
func valueEnd(doc []byte, i int) int {
	depth := 0
	for i < len(doc) {
		switch doc[i] {
		case '"':
			i = stringEnd(doc, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i // the end of what holds a bare value
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',', ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}

func sameString(quoted []byte, s string) bool {
	if len(quoted) == len(s)+2 && string(quoted[1:len(quoted)-1]) == s {
		return true
	}
	return len(quoted) > len(s)+2 && unquote(quoted) == s // it may have escapes
}

// unquote decodes a string as SQLite does: half a surrogate pair is encoded on its
// own, where encoding/json would put a replacement character.
func unquote(quoted []byte) string {
	if len(quoted) < 2 {
		return ""
	}
	raw := quoted[1 : len(quoted)-1]
	i := bytes.IndexByte(raw, '\\')
	if i < 0 {
		return string(raw)
	}
	out := append(make([]byte, 0, len(raw)), raw[:i]...)
	for i < len(raw) {
		c := raw[i]
		i++
		if c != '\\' || i == len(raw) {
			out = append(out, c)
			continue
		}
		c = raw[i]
		i++
		switch c {
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
			high := hex4(raw[i:])
			i = min(i+4, len(raw))
			if high&0xfc00 == 0xd800 && i+6 <= len(raw) && raw[i] == '\\' && raw[i+1] == 'u' {
				if low := hex4(raw[i+2:]); low&0xfc00 == 0xdc00 {
					out = utf8.AppendRune(out, (high-0xd800)<<10+(low-0xdc00)+0x10000)
					i += 6
					continue
				}
			}
			if high&0xf800 == 0xd800 {
				out = append(out, 0xe0|byte(high>>12), 0x80|byte(high>>6&0x3f), 0x80|byte(high&0x3f))
				continue
			}
			out = utf8.AppendRune(out, high)
		default:
			out = append(out, c)
		}
	}
	return string(out)
}

func hex4(b []byte) rune {
	if len(b) < 4 {
		return utf8.RuneError
	}
	n, err := strconv.ParseUint(string(b[:4]), 16, 16)
	if err != nil {
		return utf8.RuneError
	}
	return rune(n)
}
