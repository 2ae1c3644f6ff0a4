package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"chat.example.com.ai/runtime/key"
)

// hostile are texts that would do harm, or be cut or changed, where a value became
// a part of a statement.
var hostile = []string{
	`'`, `"`, "`", `;`, `--`, `/*`, `*/`, `\`, `%`, `_`, `?`, `?1`, `:a`, `@a`, `$a`, `[a]`, `#`, `x'00'`,
	`' OR '1'='1`, `'; DROP TABLE thing; --`, `") UNION SELECT * FROM owner --`, `a' || 'b`, `null`, `NULL`, `0`, `1e999`, `-9e999`,
	"\x00", "a\x00b", "a\x00c", "a", "\n", "\u007f", "\u2028", "ä", "\U0001F600", `$."a"`, `{"$date":1}`, `["a"]`, `*`, `[?(@.a)]`,
	strings.Repeat("'", 256), strings.Repeat("ä", 128),
}

// Whatever a value is, it is stored as it is, found as it is, and touches nothing
// else; committed, and while it waits.
func TestHostileValuesAreValues(t *testing.T) {
	for _, committed := range []bool{true, false} {
		t.Run(fmt.Sprint("committed=", committed), func(t *testing.T) {
			s := openStore(t, Options{})
			ctx := context.Background()
			victim := s.View(general, s.Epoch())
			save(t, victim, PutThing{Thing: message(1, `{"a":"x"}`)}, PutValue{"k", []byte("v")})
			v := s.View(room("hostile"), s.Epoch())
			for i, text := range hostile {
				encoded, err := json.Marshal(text)
				if err != nil {
					t.Fatal(err)
				}
				v.Write(PutThing{Insert: true, Thing: Thing{ID: text, Type: "Note", CreatedAt: int64(i), UpdatedAt: 1, Version: 1,
					Fields: fmt.Appendf(nil, `{"a":%s,"sent":%[1]s,"b":{"c":%[1]s}}`, encoded), Indexed: []string{"b.c"}}})
				v.Write(PutValue{text, []byte(text)})
			}
			b := v.Seal()
			if committed {
				if err := s.CommitWait(ctx, b); err != nil {
					t.Fatal(err)
				}
				v.Settled(b)
			}
			for i, text := range hostile {
				one, found, err := v.Thing(ctx, text)
				if err != nil || !found || one.ID != text || one.CreatedAt != int64(i) {
					t.Errorf("Thing(%q): %+v, %v, %v", text, one, found, err)
				}
				for _, q := range []Query{
					{Where: []Cond{{"$id", "$eq", text}}},
					{Where: []Cond{{"a", "$eq", text}}},
					{Where: []Cond{{"sent", "$eq", text}}},
					{Type: "Note", Where: []Cond{{"b.c", "$eq", text}}, Indexed: []string{"b.c"}},
					{Where: []Cond{{"a", "$in", []any{text, 5.0}}}},
					{Where: []Cond{{"$id", "$gte", text}}, Limit: 1},
					{Where: []Cond{{"$id", "$lte", text}}, OrderBy: []Order{{"$id", true}}, Limit: 1},
					{Type: "Note", Where: []Cond{{"a", "$lte", text}}, OrderBy: []Order{{"a", true}}, Limit: 1},
				} {
					if got := list(t, v, q); len(got) != 1 || got[0].ID != text {
						t.Errorf("%+v: %d things, the first %+v", q, len(got), got)
					}
				}
				if got := list(t, v, Query{Where: []Cond{{"$type", "$eq", text}}}); len(got) != 0 {
					t.Errorf("a type %q has things", text)
				}
				values, err := v.Values(ctx, []string{text})
				if err != nil || string(values[text]) != text {
					t.Errorf("Values(%q): %q, %v", text, values, err)
				}
				for name, opts := range map[string]ListOptions{"prefix": {Prefix: text}, "start": {Start: text, Limit: 1}} {
					if rows, err := v.ListValues(ctx, opts); err != nil || len(rows) == 0 || rows[0].Key != text {
						t.Errorf("ListValues by %s %q: %v, %v", name, text, rows, err)
					}
				}
				if rows, err := v.ListValues(ctx, ListOptions{Start: text, End: text + "\x00"}); err != nil || len(rows) != 1 {
					t.Errorf("ListValues up to %q: %v, %v", text, rows, err)
				}
			}
			// pages by each order are all of them
			for _, field := range []string{"$id", "a", "sent", "b.c", "$createdAt"} {
				for _, desc := range []bool{false, true} {
					q := Query{Type: "Note", OrderBy: []Order{{field, desc}}, Limit: 3, Indexed: []string{"b.c"}}
					seen := map[string]bool{}
					for {
						page := list(t, v, q)
						if len(page) == 0 {
							break
						}
						for _, one := range page {
							seen[one.ID] = true
							q.After = one.ID
						}
						if len(seen) > len(hostile) {
							break
						}
					}
					if len(seen) != len(hostile) {
						t.Errorf("%d things in the order of %s, want %d", len(seen), field, len(hostile))
					}
				}
			}
			if n := len(list(t, victim, Query{})); n != 1 {
				t.Errorf("another object has %d things", n)
			}
			mustHave(t, victim, "m000001", true)
		})
	}
}

// What is over a hostile row hides that row, and no other.
func TestHostileIDsInTheOverlay(t *testing.T) {
	s := openStore(t, Options{})
	v := s.View(general, s.Epoch())
	for _, text := range hostile {
		v.Write(PutThing{Insert: true, Thing: Thing{ID: text, Type: "Note", Version: 1, Fields: []byte(`{}`)}})
		v.Write(PutValue{text, []byte("old")})
	}
	save(t, v)
	for _, text := range hostile {
		f := v.Fork()
		f.Write(PutThing{Thing: Thing{ID: text, Type: "Note", Version: 2, Fields: []byte(`{}`)}})
		f.Write(PutValue{text, []byte("new")})
		seen := map[string]int64{}
		for _, one := range list(t, f, Query{Limit: MaxLimit}) {
			if _, twice := seen[one.ID]; twice {
				t.Errorf("%q is listed twice while %q is written", one.ID, text)
			}
			seen[one.ID] = one.Version
		}
		if len(seen) != len(hostile) || seen[text] != 2 {
			t.Errorf("while %q is written: %d things, want %d; its version is %d", text, len(seen), len(hostile), seen[text])
		}
		if n, err := f.Count(context.Background(), Query{Type: "Note"}); err != nil || n != len(hostile) {
			t.Errorf("while %q is written: %d things are counted, want %d (%v)", text, n, len(hostile), err)
		}
		rows, err := f.ListValues(context.Background(), ListOptions{})
		if err != nil || len(rows) != len(hostile) {
			t.Errorf("while %q is written: %d values, want %d (%v)", text, len(rows), len(hostile), err)
		}
	}
}

// Objects are told apart by their whole names.
func TestHostileObjects(t *testing.T) {
	s := openStore(t, Options{})
	views := map[string]*View{}
	for _, name := range hostile {
		views[name] = s.View(key.Key{Type: "Room", ID: name}, s.Epoch())
		save(t, views[name], PutThing{Thing: Thing{ID: name, Type: "Note", Fields: []byte(`{}`)}}, PutValue{"k", []byte(name)})
	}
	for name, v := range views {
		if got := list(t, v, Query{}); len(got) != 1 || got[0].ID != name {
			t.Errorf("%q has %+v", name, got)
		}
		if got, err := v.Values(context.Background(), []string{"k"}); err != nil || !reflect.DeepEqual(got, map[string][]byte{"k": []byte(name)}) {
			t.Errorf("%q has %q, %v", name, got, err)
		}
	}
}

// A field has a name of letters, digits and _, wherever it is given.
func TestNoOtherTextIsAField(t *testing.T) {
	s := openStore(t, Options{})
	v := s.View(general, s.Epoch())
	save(t, v, PutThing{Thing: message(1, `{"a":1}`)})
	names := append([]string{"", ".", "a.", ".a", "a..b", "a b", "1a", "a-b", "a.1", "$id.a", "$ID", "$", "$date", "a.$date", "a[0]", `a"`, `a".b`, "a'", "ａ", "a\x00",
		"a\n", " a", "a ", "t.id", "rowid.", `a" IS NULL OR "1`, "(SELECT 1)", "a,b", "a DESC", "a;", "count(*)", "a/*", "a--", "\xff"}, hostile...)
	for _, name := range names {
		if name == "a" || name == "t.id" || name == "NULL" || name == "null" || name == "_" {
			continue // proper names
		}
		for what, q := range map[string]Query{
			"where":   {Type: "Message", Where: []Cond{{name, "$eq", 1.0}}},
			"exists":  {Type: "Message", Where: []Cond{{name, "$exists", true}}},
			"orderBy": {Type: "Message", OrderBy: []Order{{name, false}}},
			"op":      {Type: "Message", Where: []Cond{{"a", name, 1.0}}},
		} {
			var mistake *QueryError
			if _, err := v.Things(context.Background(), q); !errors.As(err, &mistake) {
				t.Errorf("%s %q: %v, want a QueryError", what, name, err)
			}
			if _, err := v.Count(context.Background(), q); !errors.As(err, &mistake) {
				t.Errorf("count, %s %q: %v, want a QueryError", what, name, err)
			}
		}
		var mistake *QueryError
		err := trySave(s.View(general, s.Epoch()), PutThing{Thing: Thing{ID: "x", Type: "Note", Fields: []byte(`{}`), Indexed: []string{name}}})
		if !errors.As(err, &mistake) {
			t.Errorf("indexes %q: %v, want a QueryError", name, err)
		}
	}
	mustHave(t, v, "m000001", true)
	mustHave(t, v, "x", false)
}
