package store

import (
	"database/sql"
	"encoding/json"
	"math"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzLookup compares what Go finds in the encoded fields of a thing, which decides
// for what is not committed yet, with what SQL finds in the same row later.
func FuzzLookup(f *testing.F) {
	for _, seed := range [][2]string{
		{`{"a":1}`, "a"}, {`{ "\u0061" : "\ud800\/A\ud83d\ude00" }`, "a"}, {`{"a":{"b":[1,{"c":"}"}]}}`, "a.b"}, {`{"a":{"$date":-12.5e1}}`, "a"},
		{`{"a":{"$date":"x","b":true}}`, "a.b"}, {`{"a":0.30000000000000004}`, "a"}, {`{"a":123456789012345678901234567890}`, "a"}, {`{"a":9223372036854775808}`, "a"},
		{`{"a":-9223372036854775808}`, "a"}, {`{"a":5e-324}`, "a"}, {`{"a":1.7976931348623157e308}`, "a"}, {`{"a":-0.0}`, "a"}, {`{"a":null}`, "a"}, {`{"b":{"a":1}}`, "a"},
		{`{"a":"\u0000"}`, "a"}, {`{"a":"\"\\\b\f\n\r\t"}`, "a"}, {`{"aa":1,"a":{"a":{"a":false}}}`, "a.a.a"}, {`{"_1":{"$date":8640000000000000}}`, "_1"}, {`[1]`, "a"}, {`{"a":1e999}`, "a"},
		{`{"a":2.2250738585072011e-308}`, "a"}, {`{"a":9007199254740993}`, "a"}, {`{"a":{"$number":"NaN"}}`, "a"},
		{`{"a":23372077536854775808}`, "a"}, {`{"a":23372077536854780000}`, "a"},
	} {
		f.Add([]byte(seed[0]), seed[1])
	}
	s := openStore(f, Options{})
	db := s.reader.DB
	f.Fuzz(func(t *testing.T, doc []byte, name string) {
		at, err := parseField("where", name)
		if err != nil || at.meta != notMeta || strings.Count(name, ".") > 8 || len(name) > 200 {
			t.Skip()
		}
		found, exists := lookup(doc, name)                         // of whatever bytes: it must not panic
		if !json.Valid(doc) || !utf8.Valid(doc) || hasTwice(doc) { // 0xff ends a name for SQLite; nothing encodes it
			t.Skip()
		}
		if name == sent { // the column of that name holds what lookup found
			return
		}
		b := &builder{}
		b.add("SELECT ", b.value(at, access{}), ", json_type(t.fields, ", b.arg(at.path()), ") FROM (SELECT ", b.arg(string(doc)), " AS fields) t")
		var value any
		var kind sql.NullString
		text, args := b.statement()
		if err := db.QueryRow(string(text), args...).Scan(&value, &kind); err != nil {
			t.Fatalf("%s of %q: %v", name, doc, err)
		}
		if exists != kind.Valid {
			t.Fatalf("%s of %q: Go finds %v, SQL %v", name, doc, exists, kind)
		}
		if composite := (kind.String == "object" || kind.String == "array") && value == math.Inf(-1); found.composite != composite {
			t.Fatalf("%s of %q: composite is %v, but it is of kind %v with the value %v", name, doc, found.composite, kind.String, value)
		}
		want := found.bind()
		if a, b, ok := floats(want, value); ok && math.Nextafter(a, b) == b && manyDigits.Match(doc) {
			return // SQLite rounds otherwise then; what scripts store has 17 at most
		}
		if value != want {
			t.Fatalf("%s of %q: Go finds %v (%[3]T), SQL %v (%[4]T)", name, doc, want, value)
		}
	})
}

// manyDigits finds a number with more digits than tell all numbers apart, zeros at its
// end aside.
var manyDigits = regexp.MustCompile(`[1-9](\.?[0-9]){16,}\.?[1-9]`)

func floats(a, b any) (x, y float64, ok bool) {
	x, isX := a.(float64)
	y, isY := b.(float64)
	return x, y, isX && isY
}

// hasTwice reports whether an object has a name twice: nothing encodes that, and
// which one counts is anybody's guess.
func hasTwice(doc []byte) bool {
	dec := json.NewDecoder(strings.NewReader(string(doc)))
	dec.UseNumber()
	var names []map[string]bool // of the objects around; nil is a list
	isName := false
	for {
		token, err := dec.Token()
		if err != nil {
			return false
		}
		switch token {
		case json.Delim('{'):
			names, isName = append(names, map[string]bool{}), true
			continue
		case json.Delim('['):
			names, isName = append(names, nil), false
			continue
		case json.Delim('}'), json.Delim(']'):
			names = names[:len(names)-1]
		default:
			if isName {
				name := token.(string)
				if names[len(names)-1][name] {
					return true
				}
				names[len(names)-1][name], isName = true, false
				continue
			}
		}
		isName = len(names) > 0 && names[len(names)-1] != nil
	}
}
