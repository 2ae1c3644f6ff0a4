package store

import (
	"context"
	"errors"
	"testing"
)

func TestIndexesOutliveTheProcess(t *testing.T) {
	folder := t.TempDir()
	ctx := context.Background()
	q := Query{Type: "Message", Where: []Cond{{"room", "$eq", "x"}}, Indexed: []string{"room"}}
	useIndex := func(v *View) string {
		t.Helper()
		<-v.store.index("Message", field{name: "room"}).ready
		return ids(list(t, v, q))
	}
	in := func(n int, name string, indexed ...string) PutThing {
		thing := message(n, `{"room":"`+name+`"}`)
		thing.Indexed = indexed
		return PutThing{Thing: thing}
	}

	s := openStore(t, Options{Folder: folder})
	v := s.View(general, s.Epoch())
	save(t, v, in(1, "x"), in(2, "y")) // from before it was declared
	save(t, v, in(3, "x", "room"), in(4, "x", "room", sent))
	if got := useIndex(v); got != "1 3 4" {
		t.Errorf("listed %q", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	// a script that doesn't declare it any more
	s = openStore(t, Options{Folder: folder})
	v = s.View(general, s.Epoch())
	save(t, v, in(2, "x"), in(3, "y"), DeleteThing{"m000004"})
	if got := useIndex(v); got != "1 2" {
		t.Errorf("listed %q", got)
	}
	// as if the process had ended while it was being built
	if _, err := s.conn.ExecContext(ctx, "UPDATE thing_index_field SET ready = 0; DELETE FROM thing_index WHERE id = 'm000001'"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = openStore(t, Options{Folder: folder})
	if got := useIndex(s.View(general, s.Epoch())); got != "1 2" {
		t.Errorf("listed %q", got)
	}
}

func TestOnlyFieldsCanBeIndexed(t *testing.T) {
	s := openStore(t, Options{})
	for _, name := range []string{"$updatedAt", "a b", ""} {
		v := s.View(general, s.Epoch()) // one whose batch failed is of no more use
		thing := message(1, `{}`)
		thing.Indexed = []string{name}
		var mistake *QueryError
		if err := trySave(v, PutThing{Thing: thing}); !errors.As(err, &mistake) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestLookupInBrokenJSON(t *testing.T) {
	doc := `{"a" : {"b\u0063":"x\ud83d\ude00\ud800y\\","$date":-12.5e1}, "n":[1,{"z":"}"}], "e":{}}`
	for _, c := range []struct {
		name  string
		want  scalar
		found bool
	}{
		{"a", numberOf(-125), true},
		{"a.bc", textOf("x😀\xed\xa0\x80y\\"), true},
		{"n", scalar{composite: true}, true},
		{"e", scalar{composite: true}, true},
		{"e.x", scalar{}, false},
		{"b", scalar{}, false},
	} {
		if got, found := lookup([]byte(doc), c.name); got != c.want || found != c.found {
			t.Errorf("%s: %+v, %v", c.name, got, found)
		}
		for i := range doc { // cut anywhere, it must not panic
			lookup([]byte(doc[:i]), c.name)
		}
	}
}
