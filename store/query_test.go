package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"chat.example.com.ai/runtime/key"
)

func TestHistory(t *testing.T) {
	s := openStore(t, Options{})
	v := s.View(general, s.Epoch())
	other := s.View(room("other"), s.Epoch())
	for i := range 10 {
		name := "x"
		if i%3 == 0 {
			name = "y"
		}
		// sent later, created earlier
		v.Write(PutThing{Thing: message(i, fmt.Sprintf(`{"room":%q,"sent":{"$date":%d}}`, name, 1000-i))})
		other.Write(PutThing{Thing: message(i, `{"room":"x"}`)})
	}
	v.Write(PutThing{Thing: Thing{ID: "u1", Type: "User", Fields: []byte(`{}`)}})
	save(t, v)
	save(t, other)

	inX := []Cond{{"room", "$eq", "x"}}
	bySent := []Order{{"sent", true}}
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{Type: "Message"}, " 1 2 3 4 5 6 7 8 9"},
		{Query{Limit: 2}, " 1"},
		{Query{Where: []Cond{{"$type", "$eq", "User"}}}, "u1"},
		{Query{Type: "Message", Where: inX, OrderBy: bySent, Limit: 3}, "1 2 4"},
		{Query{Type: "Message", Where: inX, OrderBy: bySent, Limit: 3, After: "m000004"}, "5 7 8"},
		{Query{Type: "Message", OrderBy: []Order{{"$id", true}}, After: "m000002"}, "1 "},
		{Query{Type: "Message", OrderBy: []Order{{"room", false}, {"sent", true}}}, "1 2 4 5 7 8  3 6 9"},
		{Query{Type: "Message", OrderBy: []Order{{"room", false}, {"sent", true}}, After: "m000008"}, " 3 6 9"},
		{Query{Type: "Message", Where: []Cond{{"sent", "$gt", time.UnixMilli(997)}}}, " 1 2"},
		{Query{Type: "Message", Where: []Cond{{"$createdAt", "$gte", time.UnixMilli(3)}, {"$createdAt", "$lt", 5.0}}}, "3 4"},
		{Query{Type: "Message", Where: []Cond{{"$id", "$in", []any{"m000001", "m000003", "nobody"}}}}, "1 3"},
	} {
		if got := ids(list(t, v, c.q)); got != c.want {
			t.Errorf("%+v: %q, want %q", c.q, got, c.want)
		}
	}
	n, err := v.Count(context.Background(), Query{Type: "Message", Where: inX})
	if err != nil || n != 6 {
		t.Errorf("Count: %d, %v", n, err)
	}
}

func TestMistakesInQueries(t *testing.T) {
	s := openStore(t, Options{})
	v := s.View(general, s.Epoch())
	for _, c := range []struct {
		q    Query
		want string
	}{
		{Query{Where: []Cond{{"a b", "$eq", 1.0}}}, `"a b"`},
		{Query{Where: []Cond{{`a"; DROP TABLE thing`, "$eq", 1.0}}}, "DROP"},
		{Query{Where: []Cond{{"$nope", "$eq", 1.0}}}, "$nope"},
		{Query{Where: []Cond{{"a", "$regex", "x"}}}, "$regex"},
		{Query{Where: []Cond{{"a", "$gt", nil}}}, "null"},
		{Query{Where: []Cond{{"a", "$in", "x"}}}, "list"},
		{Query{Where: []Cond{{"a", "$in", make([]any, MaxIn+1)}}}, "$in"},
		{Query{Where: []Cond{{"a", "$exists", 1.0}}}, "$exists"},
		{Query{Where: []Cond{{"a", "$eq", []byte("x")}}}, "kind"},
		{Query{Where: []Cond{{"$createdAt", "$gt", "2024-01-01"}}}, "date"},
		{Query{OrderBy: []Order{{"a..b", false}}}, "orderBy"},
		{Query{Limit: MaxLimit + 1}, "limit"},
		{Query{Limit: -1}, "limit"},
		{Query{After: "nobody"}, "nobody"},
	} {
		_, err := v.Things(context.Background(), c.q)
		var mistake *QueryError
		if !errors.As(err, &mistake) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want a QueryError with %q", c.q, err, c.want)
		}
	}
}

func TestSortingManyThingsNeedsAnIndex(t *testing.T) {
	s := openStore(t, Options{})
	v := s.View(general, s.Epoch())
	fill(t, v, MaxSorted+1)
	q := Query{Type: "Message", OrderBy: []Order{{"rank", true}}, Limit: 3}
	_, err := v.Things(context.Background(), q)
	var mistake *QueryError
	if !errors.As(err, &mistake) || !strings.Contains(err.Error(), "indexes: ['rank']") {
		t.Fatalf("error %v", err)
	}
	// declared later, it is built of what is there, in several steps
	q.Indexed = []string{"rank"}
	if got := ids(list(t, v, q)); got != "10000 9999 9998" {
		t.Errorf("by rank: %q", got)
	}
	q.After = "m009999"
	if got := ids(list(t, v, q)); got != "9998 9997 9996" {
		t.Errorf("after: %q", got)
	}
	// and kept, also by writes that don't declare it
	save(t, v, PutThing{Thing: message(9998, `{"rank":-1}`)}, DeleteThing{"m009997"}, PutThing{Thing: message(20000, `{"rank":{"$date":20000}}`)})
	q.After = ""
	if got := ids(list(t, v, q)); got != "20000 10000 9999" {
		t.Errorf("after writes: %q", got)
	}
	if got := ids(list(t, v, Query{Type: "Message", Where: []Cond{{"rank", "$eq", -1.0}}, Indexed: q.Indexed})); got != "9998" {
		t.Errorf("by value: %q", got)
	}
}

// fill commits n messages in room x, with sent and rank growing.
func fill(t testing.TB, v *View, n int) {
	t.Helper()
	for i := range n {
		v.Write(PutThing{Thing: message(i, fmt.Sprintf(`{"room":"x","rank":%d,"sent":{"$date":%d},"text":"hello, this is message %d"}`, i, i, i))})
		if i%1000 == 999 {
			save(t, v)
		}
	}
	v.Write(DeleteValue{"nothing"})
	save(t, v)
}

func TestQueriesUseIndexes(t *testing.T) {
	s := openStore(t, Options{})
	v := s.View(general, s.Epoch())
	save(t, v, PutThing{Thing: message(1, `{"room":"x"}`)})
	inX := []Cond{{"room", "$eq", "x"}}
	byRoom, byRank := field{name: "room"}, field{name: "rank"}
	for _, c := range []struct {
		name  string
		q     Query
		a     access
		index string
	}{
		{"sent", Query{Type: "Message", Where: inX, OrderBy: []Order{{"sent", true}}, Limit: 50}, access{}, "thing_sent (object=? AND type=?)"},
		{"sent, after", Query{Type: "Message", Where: inX, OrderBy: []Order{{"sent", true}}, Limit: 50, After: "m000001"}, access{}, "thing_sent (object=? AND type=? AND (sent,id)<(?,?))"},
		{"id", Query{Type: "Message", After: "m000001"}, access{}, "PRIMARY KEY (object=? AND id>?)"},
		{"id descending", Query{Type: "Message", Where: inX, OrderBy: []Order{{"$id", true}}}, access{}, "PRIMARY KEY (object=?)"},
		{"id without a type", Query{After: "m000001"}, access{}, "PRIMARY KEY (object=? AND id>?)"},
		{"createdAt", Query{Type: "Message", OrderBy: []Order{{"$createdAt", true}}}, access{}, "thing_created (object=? AND type=?)"},
		{"createdAt, after", Query{Type: "Message", OrderBy: []Order{{"$createdAt", false}}, After: "m000001"}, access{}, "thing_created (object=? AND type=? AND (created,id)>(?,?))"},
		{"declared", Query{Type: "Message", OrderBy: []Order{{"rank", true}}, After: "m000001"}, access{index: byRank}, "PRIMARY KEY (object=? AND type=? AND field=? AND (value,id)<(?,?))"},
		{"equal", Query{Type: "Message", Where: inX}, access{index: byRoom, equal: &scalar{kind: text, text: "x"}}, "PRIMARY KEY (object=? AND type=? AND field=? AND value=?)"},
		{"equal, after", Query{Type: "Message", Where: inX, After: "m000001"}, access{index: byRoom, equal: &scalar{kind: text, text: "x"}}, "PRIMARY KEY (object=? AND type=? AND field=? AND value=? AND id>?)"},
	} {
		p, err := compile(c.q)
		if err != nil {
			t.Fatal(err)
		}
		if c.q.After != "" {
			thing := message(1, `{"room":"x"}`)
			p.after = p.keys(&thing)
		}
		statement, args := selectThings(general.String(), p, c.a, nil)
		rows, err := s.reader.DB.Query(string("EXPLAIN QUERY PLAN "+statement), args...)
		if err != nil {
			t.Fatal(err)
		}
		var steps []string
		for rows.Next() {
			var a, b, d int
			var step string
			if err := rows.Scan(&a, &b, &d, &step); err != nil {
				t.Fatal(err)
			}
			steps = append(steps, step)
		}
		plan := strings.Join(steps, "; ")
		if !strings.Contains(plan, c.index) || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%s: %s\nwant %s, and nothing sorted", c.name, plan, c.index)
		}
	}
}

func TestALongQueryEndsAtItsDeadline(t *testing.T) {
	s := openStore(t, Options{})
	v := s.View(general, s.Epoch())
	fill(t, v, 4000)
	// the first thing matches at once, a second is never found
	q := Query{Type: "Message", Limit: 2}
	for range MaxConds - 1 {
		q.Where = append(q.Where, Cond{"text", "$ne", "x"})
	}
	q.Where = append(q.Where, Cond{"rank", "$eq", 0.0})
	whole := time.Hour // the quickest of some: a machine that others use too may stand still
	for range 3 {
		start := time.Now()
		if got := list(t, v, q); len(got) != 1 {
			t.Fatalf("%d things", len(got))
		}
		whole = min(whole, time.Since(start))
	}
	var took []time.Duration
	for range 3 { // of which one is enough
		ctx, cancel := context.WithTimeout(context.Background(), whole/10)
		start := time.Now()
		_, err := v.Things(ctx, q)
		took = append(took, time.Since(start))
		if cancel(); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v after %v; the whole query takes %v", err, took, whole)
		}
		mustHave(t, v, "m000001", true) // and the next is fine
	}
	if slices.Min(took) > whole/2 {
		t.Fatalf("it ended after %v; the whole query takes %v", took, whole)
	}
}

func room(id string) key.Key { return key.Key{Type: "Room", ID: id} }

// Random things and queries, with a part of the things uncommitted, against a view
// that has all of them committed.
func TestOverlayIsLikeCommitted(t *testing.T) {
	s := openStore(t, Options{})
	ctx := context.Background()
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 1))
		half := s.View(room(fmt.Sprint("half", seed)), s.Epoch())
		whole := s.View(room(fmt.Sprint("whole", seed)), s.Epoch())
		var indexed []string
		if seed%2 == 0 {
			indexed = []string{"a", "n.x"}
		}
		total := 120
		for i := range total {
			w := randomWrite(r, indexed)
			half.Write(w)
			whole.Write(w)
			switch {
			case i < total/2 && r.IntN(5) == 0: // committed
				save(t, half)
			case i == total/2: // committed, but not yet known to be
				if b := half.Seal(); s.CommitWait(ctx, b) != nil {
					t.Fatal("commit")
				}
			case i > total/2 && r.IntN(10) == 0: // pending
				half.Seal()
			case i > total/2 && r.IntN(20) == 0: // a turn that failed in between
				half.Seal()
				half.Write(randomWrite(r, indexed))
				half.Discard()
			}
		}
		save(t, whole)
		everything := list(t, whole, Query{Limit: MaxLimit})
		for range 60 {
			q := randomQuery(r, indexed)
			want, errWant := whole.Things(ctx, q)
			got, errGot := half.Things(ctx, q)
			if (errWant == nil) != (errGot == nil) {
				t.Fatalf("seed %d, %+v: errors %v and %v", seed, q, errGot, errWant)
			}
			if len(got)+len(want) > 0 && !reflect.DeepEqual(strip(got), strip(want)) {
				t.Fatalf("seed %d, %+v:\n got %s\nwant %s", seed, q, ids(got), ids(want))
			}
			nWant, _ := whole.Count(ctx, q)
			nGot, err := half.Count(ctx, q)
			if err != nil || nGot != nWant {
				t.Fatalf("seed %d, %+v: count %d, want %d (%v)", seed, q, nGot, nWant, err)
			}
			// the same by Go alone
			p, err := compile(q)
			if err != nil {
				t.Fatal(err)
			}
			n := 0
			for i := range everything {
				if p.matches(&everything[i]) {
					n++
				}
			}
			if n != nWant {
				t.Fatalf("seed %d, %+v: SQL matches %d, Go %d", seed, q, nWant, n)
			}
		}
	}
}

// strip leaves out what is not stored.
func strip(things []Thing) []Thing {
	for i := range things {
		things[i].Indexed = nil
	}
	return things
}

var strange = []string{"", "a", "b", "é", "10", "9", "x\x00y", "\u2028", "😀", "\"q\"\\", "Z", "line\n"}

func randomWrite(r *rand.Rand, indexed []string) Write {
	id := r.IntN(60)
	if r.IntN(6) == 0 {
		return DeleteThing{message(id, "").ID}
	}
	fields := map[string]any{}
	for _, name := range []string{"a", "b", "sent"} {
		if r.IntN(4) > 0 {
			fields[name] = randomJSON(r)
		}
	}
	if r.IntN(2) == 0 {
		fields["n"] = map[string]any{"x": randomJSON(r), "$date!": 1}
	}
	encoded, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	if r.IntN(10) == 0 { // half a surrogate pair, and escapes where none are needed
		encoded = []byte(`{ "\u0061" : "\ud800\/\u0041\ud83d\ude00" , "b":[{"a":1},"}"] }`)
	}
	t := message(id, string(encoded))
	t.CreatedAt = int64(r.IntN(20))
	t.UpdatedAt = int64(r.IntN(20))
	t.Version = int64(r.IntN(4))
	if r.IntN(5) == 0 {
		t.Type = "Note"
	}
	t.Indexed = indexed
	return PutThing{Thing: t}
}

func randomJSON(r *rand.Rand) any {
	switch r.IntN(9) {
	case 0:
		return nil
	case 1:
		return r.IntN(2) == 0
	case 2, 3:
		return r.IntN(5)
	case 4:
		return []float64{0.5, -1.25, 0.1 + 0.2, 1e21, 9223372036854775000, -9223372036854775808, 5e-324, 1.7976931348623157e308}[r.IntN(8)]
	case 5:
		return map[string]any{"$date": r.IntN(5)}
	case 6:
		return []any{1, map[string]any{"y": "}"}}
	case 7:
		return map[string]any{"$date": "no", "x": 1}
	}
	return strange[r.IntN(len(strange))]
}

func randomValue(r *rand.Rand) any {
	switch r.IntN(6) {
	case 0:
		return r.IntN(2) == 0
	case 1, 2:
		return float64(r.IntN(5))
	case 3:
		return []float64{0.5, -1.25, 0.1 + 0.2, 1e21, 9223372036854775000, -9223372036854775808, 5e-324, 1.7976931348623157e308}[r.IntN(8)]
	case 4:
		return time.UnixMilli(int64(r.IntN(5)))
	}
	return strange[r.IntN(len(strange))]
}

func randomQuery(r *rand.Rand, indexed []string) Query {
	q := Query{Limit: []int{0, 1, 5, 200}[r.IntN(4)], Indexed: indexed}
	if r.IntN(4) > 0 {
		q.Type = "Message"
	}
	names := []string{"a", "b", "sent", "n.x", "n", "missing", "$id", "$createdAt", "$updatedAt", "$version"}
	for range r.IntN(3) {
		c := Cond{Field: names[r.IntN(len(names))], Op: []string{"$eq", "$eq", "$gt", "$gte", "$lt", "$lte", "$ne", "$in", "$exists"}[r.IntN(9)]}
		value := func() any {
			switch {
			case c.Field == "$id":
				return message(r.IntN(60), "").ID
			case c.Field[0] == '$':
				return float64(r.IntN(20))
			case r.IntN(6) == 0 && (c.Op == "$eq" || c.Op == "$ne" || c.Op == "$in"):
				return nil
			}
			return randomValue(r)
		}
		switch c.Op {
		case "$exists":
			c.Value = r.IntN(2) == 0
		case "$in":
			values := []any{}
			for range r.IntN(4) {
				values = append(values, value())
			}
			c.Value = values
		default:
			c.Value = value()
		}
		q.Where = append(q.Where, c)
	}
	for range r.IntN(4) {
		q.OrderBy = append(q.OrderBy, Order{names[r.IntN(len(names))], r.IntN(2) == 0})
	}
	if r.IntN(2) == 0 {
		q.After = message(r.IntN(60), "").ID
	}
	return q
}
