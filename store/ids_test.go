package store

import (
	"errors"
	"testing"
)

func TestIDsOfAnEarlierProcessAreNotReached(t *testing.T) {
	folder := t.TempDir()
	ahead := idsAhead.Milliseconds()
	began := int64(0)
	in := func(f func(s *Store)) {
		t.Helper()
		s := openStore(t, Options{Folder: folder})
		if s.IDsFrom() != began {
			t.Errorf("ids begin at %d, want %d", s.IDsFrom(), began)
		}
		f(s)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	one := PutThing{Thing: message(1, `{}`), Insert: true}
	in(func(s *Store) {
		s.NoteID(1000)
		save(t, s.View(general, s.Epoch()), one)
		s.NoteID(1000 + ahead) // it has come up to the mark, with a transaction that fails
		if err := trySave(s.View(general, s.Epoch()), one); !errors.Is(err, ErrConflict) {
			t.Fatal(err)
		}
	})
	began = 1000 + ahead
	in(func(s *Store) {
		s.NoteID(began)
		if err := trySave(s.View(general, s.Epoch()), one); !errors.Is(err, ErrConflict) {
			t.Fatal(err)
		}
		save(t, s.View(general, s.Epoch()), PutValue{"k", nil}) // the mark is not lost with the one before
		s.NoteID(began + ahead - 1)
		save(t, s.View(general, s.Epoch()), PutValue{"k", nil})
	})
	began += ahead
	in(func(s *Store) { save(t, s.View(general, s.Epoch()), PutValue{"k", nil}) }) // without an id
	in(func(*Store) {})
}
