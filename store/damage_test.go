package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"chat.example.com.ai/runtime/key"
)

// damagedRooms are what the histories of some rooms look like, read in each order that
// has an index.
func damagedRooms(s *Store) (lines []string, err error) {
	for _, room := range []string{"a", "b", "c"} {
		v := s.View(key.Key{Type: "Room", ID: room}, s.Epoch())
		for _, order := range []Order{{Field: "$id"}, {Field: "sent", Desc: true}, {Field: "$createdAt"}} {
			things, err := v.Things(context.Background(), Query{Type: "Message", OrderBy: []Order{order}, Limit: 1000})
			if err != nil {
				return nil, err
			}
			for _, t := range things {
				lines = append(lines, fmt.Sprint(room, order, t.ID, t.Type, t.CreatedAt, t.UpdatedAt, t.Version, string(t.Fields)))
			}
		}
	}
	return lines, nil
}

// Wherever a page of the database is damaged: it stops the start, or it changes
// nothing, or it is a value that was turned into another one, which nothing tells. It
// never makes a history shorter.
func TestADamagedPageStopsTheStart(t *testing.T) {
	folder := t.TempDir()
	s, err := Open(context.Background(), Options{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	for _, room := range []string{"a", "b", "c"} {
		v := s.View(key.Key{Type: "Room", ID: room}, s.Epoch())
		for n := range 100 {
			v.Write(PutThing{Thing: message(n, fmt.Sprintf(`{"room":%q,"text":"this is message %d","sent":{"$date":%d}}`, room, n, n)), Insert: true})
		}
		save(t, v, PutValue{Key: "a", Value: []byte("1")})
	}
	save(t, s.View(key.Key{Type: "Room", ID: "gone"}, s.Epoch()), PutValue{Key: "big", Value: make([]byte, 20_000)})
	save(t, s.View(key.Key{Type: "Room", ID: "gone"}, s.Epoch()), DeleteAllValues{}) // pages on the freelist
	whole, err := damagedRooms(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, FileName)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	pages := len(sound) / page
	chance := rand.New(rand.NewPCG(1, 2))
	outcomes := map[string]int{}
	try := func(what string, damage func(data []byte)) {
		t.Helper()
		data := slices.Clone(sound)
		damage(data)
		killed{"chat.db": data}.write(t, folder)
		outcome, err := openDamaged(folder, whole)
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		outcomes[outcome]++
	}
	for n := range pages {
		at := n * page
		try(fmt.Sprintf("page %d is empty", n), func(data []byte) { clear(data[at : at+page]) })
		try(fmt.Sprintf("page %d is garbage", n), func(data []byte) {
			for i := range page {
				data[at+i] = byte(chance.Uint32())
			}
		})
		try(fmt.Sprintf("page %d is half empty", n), func(data []byte) { clear(data[at+page/2 : at+page]) })
		try(fmt.Sprintf("page %d is another", n), func(data []byte) {
			copy(data[at:at+page], sound[(n+1+chance.IntN(pages-1))%pages*page:])
		})
		for range 2 {
			i, bit := at+chance.IntN(page), chance.IntN(8)
			try(fmt.Sprintf("bit %d of byte %d of page %d", bit, i-at, n), func(data []byte) { data[i] ^= 1 << bit })
			i = at + chance.IntN(60) // its header, and where its rows are
			try(fmt.Sprintf("bit %d of byte %d of page %d", bit, i-at, n), func(data []byte) { data[i] ^= 1 << bit })
		}
	}
	for _, end := range []int{1, 50, page, page * pages / 2, page*pages - 1} {
		data := sound[:end]
		killed{"chat.db": data}.write(t, folder)
		if outcome, err := openDamaged(folder, whole); err != nil {
			t.Errorf("cut after %d bytes: %s, %v", end, outcome, err)
		}
	}
	t.Logf("%d pages: %v", pages, outcomes)
	if outcomes["refused"] == 0 || outcomes["right"] == 0 {
		t.Error("the test does not damage what it means to")
	}
}

// openDamaged says what comes of opening a database and reading it. The error is what
// must not come of it.
func openDamaged(folder string, whole []string) (outcome string, err error) {
	s, err := Open(context.Background(), Options{Folder: folder})
	if err != nil {
		return "refused", nil
	}
	defer s.Close()
	got, err := damagedRooms(s)
	if err != nil {
		return "not read", nil
	}
	if len(got) != len(whole) {
		return "shorter", fmt.Errorf("%d lines instead of %d", len(got), len(whole))
	}
	different := 0
	for i := range got {
		if got[i] != whole[i] {
			different++
		}
	}
	switch {
	case different == 0:
		return "right", nil
	case different > 3: // one thing, in three orders
		return "changed", fmt.Errorf("%d lines are different", different)
	}
	return "another value", nil
}

// A database that is too large to be looked through at the start says so where it is
// read, and where it is checked.
func TestDamageInALargeDatabaseIsToldWhereItIsRead(t *testing.T) {
	folder := t.TempDir()
	s, err := Open(context.Background(), Options{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	v := s.View(general, s.Epoch())
	for n := range 100 {
		v.Write(PutThing{Thing: message(n, `{"text":"hello"}`), Insert: true})
	}
	b := v.Seal()
	if err := s.CommitWait(context.Background(), b); err != nil {
		t.Fatal(err)
	}
	if problems, err := Check(context.Background(), folder); !errors.Is(err, ErrLocked) {
		t.Errorf("a check of a database that is in use: %v, %v", problems, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if problems, err := Check(context.Background(), folder); len(problems) > 0 || err != nil {
		t.Errorf("a check of a sound database: %q, %v", problems, err)
	}
	path := filepath.Join(folder, FileName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := strings.LastIndex(string(data), "hello") / 4096 * 4096
	clear(data[at : at+8])
	killed{"chat.db": data}.write(t, folder)
	if problems, err := Check(context.Background(), folder); len(problems) == 0 || err != nil {
		t.Errorf("a check: %q, %v", problems, err)
	}
	s, err = Open(context.Background(), Options{Folder: folder, CheckUpTo: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if things, err := s.View(general, s.Epoch()).Things(context.Background(), Query{Type: "Message", Limit: 1000}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("%d things, %v", len(things), err)
	}
}

// Whoever is told of damage wants to save what can be read: of a log there is more than
// SQLite would apply, and than is left when it has.
func TestACheckChangesNothing(t *testing.T) {
	left := killedStore(t)
	folder := t.TempDir()
	left.write(t, folder)
	s, err := Open(t.Context(), Options{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	closed, err := os.ReadFile(filepath.Join(folder, "chat.db"))
	if err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Options{Folder: folder})
	save(t, s.View(general, s.Epoch()), PutValue{Key: "a", Value: []byte("1")})
	damaged := kill(t, folder) // in a page that the log doesn't have
	at := bytes.LastIndex(damaged["chat.db"], []byte("hello")) / 4096 * 4096
	clear(damaged["chat.db"][at : at+8])
	for _, test := range []struct {
		name  string
		files killed
		sound bool
	}{
		{"sound", left, true},
		{"damaged", damaged, false},
		{"without an index", left.with("chat.db-shm", nil), true},
		{"a damaged log", left.with("chat.db-wal", append([]byte("x"), left["chat.db-wal"][1:]...)), false},
		{"closed", killed{"chat.db": closed}, true},
	} {
		folder := t.TempDir()
		test.files.write(t, folder)
		problems, err := Check(t.Context(), folder)
		if err != nil || len(problems) == 0 != test.sound {
			t.Errorf("%s: %q, %v", test.name, problems, err)
		}
		for _, name := range []string{"chat.db", "chat.db-wal"} {
			data, err := os.ReadFile(filepath.Join(folder, name))
			if want, was := test.files[name]; was && !bytes.Equal(data, want) || !was && !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: %s had %d bytes, and has %d others (%v)", test.name, name, len(want), len(data), err)
			}
		}
	}
}
