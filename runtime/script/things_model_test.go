package script

import (
	"cmp"
	"fmt"
	"math"
	"strings"
)

// dice makes decisions of the bytes of a fuzzer; without more of them, the first.
type dice struct{ data []byte }

func (d *dice) roll(n int) int {
	if len(d.data) == 0 {
		return 0
	}
	b := int(d.data[0])
	d.data = d.data[1:]
	return b % n
}

func (d *dice) bits() (n uint64) {
	for range 8 {
		n = n<<8 | uint64(d.roll(256))
	}
	return n
}

func pick[T any](d *dice, from ...T) T { return from[d.roll(len(from))] }

// literal is a value as a script writes it, and as the model keeps it.
type literal struct {
	source string
	value  any // nil, float64, str, fields, opaque or absent
}

type (
	str    string             // a string, as it is compared: half a surrogate pair is encoded on its own
	fields map[string]literal // a plain object
	opaque struct{}           // anything that is neither null nor can be compared
	absent struct{}           // undefined
)

var thingTypes = []string{"Message", "Note"}

func (d *dice) text() literal {
	units := []uint16(nil)
	switch d.roll(4) {
	case 0:
		return quoted(pick(d, "", "a", "b", "10", "9", "Z", "é", "x\x00y", "\u2028", "😀", `"q"\`, "line\n", "'; --", "%", "\uFFFD"))
	case 1:
		units = []uint16{pick(d, uint16(0xD800), 0xDBFF, 0xDC00, 0xFFFF, 0xE000)}
	}
	for range d.roll(5) {
		units = append(units, uint16(d.roll(256))<<8|uint16(d.roll(256)))
	}
	return quotedUnits(units)
}

func quoted(s string) literal {
	var units []uint16
	for _, r := range s {
		if r > 0xFFFF {
			units = append(units, uint16(0xD800+(r-0x10000)>>10), uint16(0xDC00+(r-0x10000)&0x3FF))
		} else {
			units = append(units, uint16(r))
		}
	}
	return quotedUnits(units)
}

func quotedUnits(units []uint16) literal {
	var source strings.Builder
	var value []byte
	for i := 0; i < len(units); i++ {
		u := units[i]
		fmt.Fprintf(&source, `\u%04x`, u)
		switch {
		case u&0xFC00 == 0xD800 && i+1 < len(units) && units[i+1]&0xFC00 == 0xDC00:
			i++
			fmt.Fprintf(&source, `\u%04x`, units[i])
			value = append(value, string(rune(u&0x3FF)<<10+rune(units[i]&0x3FF)+0x10000)...)
		case u&0xF800 == 0xD800:
			value = append(value, 0xE0|byte(u>>12), 0x80|byte(u>>6&0x3F), 0x80|byte(u&0x3F))
		default:
			value = append(value, string(rune(u))...)
		}
	}
	return literal{`"` + source.String() + `"`, str(value)}
}

func (d *dice) number() literal {
	n := 0.0
	switch d.roll(4) {
	case 0, 1:
		n = float64(d.roll(5))
	case 2:
		n = pick(d, 0.5, -1.25, 0.1+0.2, 1e21, 1<<53, 1<<53-1, -(1 << 53), 9223372036854775000, 9223372036854775808, -9223372036854775808,
			5e-324, math.MaxFloat64, 123456789012345678, 1e15, 1e-7, 4.35, 2.2250738585072014e-308, 9007199254740993, 1700000000000)
	case 3:
		n = math.Float64frombits(d.bits())
	}
	return numberLiteral(n)
}

func numberLiteral(n float64) literal {
	switch {
	case math.IsNaN(n):
		return literal{"NaN", opaque{}}
	case math.IsInf(n, 0):
		return literal{map[bool]string{true: "Infinity", false: "-Infinity"}[n > 0], opaque{}}
	case n == 0 && math.Signbit(n):
		return literal{"-0", 0.0}
	}
	return literal{fmt.Sprintf("%.17g", n), n}
}

func (d *dice) date() literal {
	const most = 8_640_000_000_000_000
	switch d.roll(3) {
	case 0:
		n := d.roll(5)
		return literal{fmt.Sprintf("new Date(%d)", n), float64(n)}
	case 1:
		n := int64(d.bits()) % (most + 1)
		return literal{fmt.Sprintf("new Date(%d)", n), float64(n)}
	}
	return literal{"new Date(NaN)", opaque{}}
}

// any makes a value of a field.
func (d *dice) any(depth int) literal {
	switch d.roll(10) {
	case 0:
		return literal{"null", nil}
	case 1:
		return pick(d, literal{"true", 1.0}, literal{"false", 0.0})
	case 2, 3, 4:
		return d.number()
	case 5, 6:
		return d.text()
	case 7:
		return d.date()
	case 8:
		if depth < 3 {
			return d.object(depth + 1)
		}
	}
	if d.roll(3) == 0 {
		return literal{"undefined", absent{}}
	}
	return literal{pick(d, "[]", "[1, {a: 1}]", "12n", "new Map([['a', 1]])", "new Set([1])", "new Uint8Array([1, 2])", "/a/g", "new Error('x')", "{$date: 5}", "{$number: '-0'}", "Infinity", "-Infinity"), opaque{}}
}

func (d *dice) object(depth int) literal {
	var source strings.Builder
	members := fields{}
	source.WriteByte('{')
	if d.roll(4) == 0 { // a thing within a thing
		source.WriteString("$id: 'x', $type: 'Y', ")
	}
	for range d.roll(4) {
		name, v := pick(d, "a", "b", "c", "_"), d.any(depth)
		fmt.Fprintf(&source, "%s: %s, ", name, v.source)
		members[name] = v
	}
	source.WriteByte('}')
	return literal{source.String(), members}
}

// thing is a thing of the model.
type thing struct {
	id, typ          string
	created, updated int64
	version          float64
	fields           fields
}

// find returns what stands at a path, as it is compared.
func (t *thing) find(path string) any {
	switch path {
	case "$id":
		return str(t.id)
	case "$type":
		return str(t.typ)
	case "$createdAt":
		return float64(t.created)
	case "$updatedAt":
		return float64(t.updated)
	case "$version":
		return t.version
	}
	at := any(t.fields)
	for name := range strings.SplitSeq(path, ".") {
		members, ok := at.(fields)
		if !ok {
			return absent{}
		}
		v, ok := members[name]
		if !ok {
			return absent{}
		}
		at = v.value
	}
	return at
}

// rank is the place of a kind of value in the order.
func rank(v any) int {
	switch v.(type) {
	case float64:
		return 1
	case str:
		return 2
	}
	return 0
}

func compareValues(a, b any) int {
	if c := cmp.Compare(rank(a), rank(b)); c != 0 {
		return c
	}
	switch a := a.(type) {
	case float64:
		return cmp.Compare(a, b.(float64))
	case str:
		return cmp.Compare(a, b.(str))
	}
	return 0
}

func equalValues(v, wanted any) bool {
	if wanted == nil { // null matches what is missing too, and nothing else
		return v == nil || v == any(absent{})
	}
	return rank(v) != 0 && compareValues(v, wanted) == 0
}
