package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chat.example.com.ai/runtime/key"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var general = key.Key{Type: "Room", ID: "general"}

func openStore(t testing.TB, opts Options) *Store {
	t.Helper()
	if opts.Folder == "" {
		opts.Memory = true
	}
	opts.Log = slog.New(slog.DiscardHandler)
	s, err := Open(context.Background(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// message is a thing with an $id that sorts by n.
func message(n int, fields string) Thing {
	return Thing{ID: fmt.Sprintf("m%06d", n), Type: "Message", CreatedAt: int64(n), UpdatedAt: int64(n), Version: 1, Fields: []byte(fields)}
}

// save writes in one turn and waits for the commit.
func save(t testing.TB, v *View, writes ...Write) {
	t.Helper()
	if err := trySave(v, writes...); err != nil {
		t.Fatal(err)
	}
}

func trySave(v *View, writes ...Write) error {
	for _, w := range writes {
		v.Write(w)
	}
	b := v.Seal()
	err := v.store.CommitWait(context.Background(), b)
	v.Settled(b)
	return err
}

func list(t testing.TB, v *View, q Query) []Thing {
	t.Helper()
	things, err := v.Things(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return things
}

func ids(things []Thing) string {
	var out []string
	for _, t := range things {
		out = append(out, strings.TrimLeft(t.ID, "m0"))
	}
	return strings.Join(out, " ")
}

func mustHave(t testing.TB, v *View, id string, want bool) {
	t.Helper()
	_, found, err := v.Thing(context.Background(), id)
	if err != nil || found != want {
		t.Fatalf("Thing(%s): found %v, error %v; want found %v", id, found, err, want)
	}
}

func TestWhatWasCommittedIsThereAfterReopening(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data?with #odd%20name")
	ctx := context.Background()
	s, err := Open(ctx, Options{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	v := s.View(general, s.Epoch())
	want := message(1, `{"text":"hi","sent":{"$date":5}}`)
	seq := s.NextSeq()
	sentTo := Delivery{Seq: seq, Kind: EventDelivery, Target: key.Key{Type: "Handler", ID: "notify"}, Handler: "notify",
		ID: "e1", Type: "Message.sent", Source: "Room/general", Data: []byte(`{}`), At: 7, Hops: 2, Attempts: 1, NextAt: 9}
	save(t, v, PutThing{Thing: want, Insert: true}, PutValue{"k", []byte("v")}, PutValue{"empty", nil}, AddDelivery{sentTo})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	again := openStore(t, Options{Folder: folder})
	if again.Epoch() != s.Epoch()+1 {
		t.Errorf("epoch %d after %d", again.Epoch(), s.Epoch())
	}
	if n := again.NextSeq(); n != seq+1 {
		t.Errorf("next seq %d, want %d", n, seq+1)
	}
	v = again.View(general, again.Epoch())
	got, found, err := v.Thing(ctx, want.ID)
	if err != nil || !found || !reflect.DeepEqual(got, want) {
		t.Errorf("Thing: %+v, %v, %v", got, found, err)
	}
	values, err := v.Values(ctx, []string{"k", "empty", "missing"})
	if err != nil || len(values) != 2 || string(values["k"]) != "v" || values["empty"] == nil {
		t.Errorf("Values: %q, %v", values, err)
	}
	deliveries, _, err := again.DueDeliveriesOf(ctx, sentTo.Target, 9, 10)
	if err != nil || len(deliveries) != 1 || !reflect.DeepEqual(deliveries[0], sentTo) {
		t.Errorf("Deliveries: %+v, %v", deliveries, err)
	}
}

func TestFolderOfAnotherProcessIsRefused(t *testing.T) {
	folder := t.TempDir()
	openStore(t, Options{Folder: folder})
	if _, err := Open(context.Background(), Options{Folder: folder}); !errors.Is(err, ErrLocked) {
		t.Fatalf("error %v", err)
	}
}

func TestNewerDatabaseIsRefused(t *testing.T) {
	folder := t.TempDir()
	s := openStore(t, Options{Folder: folder})
	if _, err := s.conn.ExecContext(context.Background(), "PRAGMA user_version = 1000"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(context.Background(), Options{Folder: folder})
	if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "1000") {
		t.Fatalf("error %v", err)
	}
	// the lock is free again
	if _, err := Open(context.Background(), Options{Folder: folder}); !errors.Is(err, ErrNewer) {
		t.Fatalf("error %v", err)
	}
}

func TestABadBatchFailsAlone(t *testing.T) {
	var hold sync.Mutex
	hold.Lock()
	s := openStore(t, Options{BeforeCommit: func() { hold.Lock(); hold.Unlock() }})
	v := s.View(general, s.Epoch())
	results := make(chan error, 10)
	var order []int
	commit := func(i int, b *Batch) {
		s.Commit(b, func(err error) { order = append(order, i); results <- err })
	}
	// the first is held at its COMMIT, so that the others make one group
	commit(0, &Batch{Object: general, Token: s.Epoch(), Writes: []Write{PutThing{Thing: message(0, `{}`), Insert: true}}})
	commit(1, &Batch{Object: general, Token: s.Epoch(), Writes: []Write{PutThing{Thing: message(1, `{}`), Insert: true}}})
	commit(2, &Batch{Object: general, Token: s.Epoch(), Writes: []Write{PutThing{Thing: message(2, `{}`)}, PutThing{Thing: message(0, `{}`), Insert: true}}})
	commit(3, &Batch{Object: general, Token: s.Epoch() - 1, Writes: []Write{PutThing{Thing: message(3, `{}`)}}})
	commit(4, &Batch{Object: general, Token: s.Epoch(), Writes: []Write{PutThing{Thing: message(4, `{}`)}, DoneDelivery{12345}}})
	commit(5, &Batch{Object: general, Token: s.Epoch(), Writes: []Write{PutThing{Thing: message(5, `{"broken`)}}})
	commit(6, &Batch{Object: general, Token: s.Epoch(), Writes: []Write{PutThing{Thing: message(6, `{}`), Insert: true}}})
	hold.Unlock()
	for i, want := range []error{nil, nil, ErrConflict, ErrFenced, ErrNotFound, errors.New("any"), nil} {
		err := <-results
		if (err == nil) != (want == nil) || i != 5 && !errors.Is(err, want) {
			t.Errorf("batch %d: %v, want %v", i, err, want)
		}
	}
	if !reflect.DeepEqual(order, []int{0, 1, 2, 3, 4, 5, 6}) {
		t.Errorf("done in the order %v", order)
	}
	if got := ids(list(t, v, Query{})); got != " 1 6" {
		t.Errorf("stored: %q", got)
	}
}

func TestWaitingBatchesShareATransaction(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		var groups []int
		s, err := Open(context.Background(), Options{Memory: true, MaxGroup: 4,
			BeforeCommit:  func() { <-gate },
			ObserveCommit: func(batches int, took time.Duration) { groups = append(groups, batches) }})
		if err != nil {
			t.Fatal(err)
		}
		v := s.View(general, s.Epoch())
		done := 0
		for i := range 10 {
			v.Write(PutThing{Thing: message(i, `{}`)})
			s.Commit(v.Seal(), func(err error) {
				if err == nil {
					done++
				}
			})
			synctest.Wait()
		}
		if done != 0 {
			t.Errorf("%d batches are done before a COMMIT", done)
		}
		close(gate)
		if err := s.Close(); err != nil { // commits what waits
			t.Fatal(err)
		}
		if done != 10 || !reflect.DeepEqual(groups, []int{1, 4, 4, 1}) {
			t.Errorf("%d done, groups %v", done, groups)
		}
		if err := s.CommitWait(context.Background(), &Batch{}); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		if _, _, err := s.View(general, 1).Thing(context.Background(), "x"); !errors.Is(err, ErrClosed) {
			t.Errorf("read after Close: %v", err)
		}
	})
}

func TestAnotherOwnerFencesOff(t *testing.T) {
	s := openStore(t, Options{})
	v := s.View(general, s.Epoch())
	if _, err := s.conn.ExecContext(context.Background(), "UPDATE owner SET epoch = epoch + 1"); err != nil {
		t.Fatal(err)
	}
	if err := trySave(v, PutThing{Thing: message(1, `{}`)}); !errors.Is(err, ErrFenced) {
		t.Fatalf("error %v", err)
	}
}

func TestAFullDiskFailsBatchesAndTheWriterGoesOn(t *testing.T) {
	s := openStore(t, Options{})
	ctx := context.Background()
	v := s.View(general, s.Epoch())
	save(t, v, PutValue{"before", []byte("x")})
	var pages int
	if err := s.conn.QueryRowContext(ctx, "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := s.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", pages+2)); err != nil {
		t.Fatal(err)
	}
	err := trySave(v, PutValue{"big", make([]byte, 1<<20)})
	if err == nil || !strings.Contains(err.Error(), "full") {
		t.Fatalf("error %v", err)
	}
	v = s.View(general, s.Epoch()) // one whose batch failed is of no more use
	save(t, v, PutValue{"small", []byte("y")})
	if _, err := s.conn.ExecContext(ctx, "PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	save(t, v, PutValue{"big", make([]byte, 1<<20)})
	rows, err := v.ListValues(ctx, ListOptions{})
	if err != nil || len(rows) != 3 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
}

func TestAFailedCommitFailsItsWholeGroup(t *testing.T) {
	var s *Store
	broken := true
	s = openStore(t, Options{BeforeCommit: func() {
		if broken { // what SQLite does at some I/O errors
			if err := s.exec(s.write.rollback); err != nil {
				t.Error(err)
			}
		}
		broken = false
	}})
	v := s.View(general, s.Epoch())
	indexed := message(1, `{"room":"x"}`)
	indexed.Indexed = []string{"room"}
	if err := trySave(v, PutThing{Thing: indexed}); err == nil {
		t.Fatal("no error")
	}
	v = s.View(general, s.Epoch()) // the old one rests on what is not there
	save(t, v, PutThing{Thing: indexed})
	if got := ids(list(t, v, Query{Type: "Message", Where: []Cond{{"room", "$eq", "x"}}, Indexed: []string{"room"}})); got != "1" {
		t.Errorf("stored: %q", got)
	}
}

func TestOutbox(t *testing.T) {
	s := openStore(t, Options{})
	ctx := context.Background()
	alice, bob := key.Key{Type: "User", ID: "a/lice"}, key.Key{Type: "User", ID: "bob"}
	v := s.View(general, s.Epoch())
	var all []Delivery
	for i, target := range []key.Key{alice, bob, alice, alice} {
		d := Delivery{Seq: s.NextSeq(), Kind: CallDelivery, Target: target, ID: fmt.Sprint(i), Data: []byte{byte(i)}, At: 1000 + int64(i)}
		all = append(all, d)
		v.Write(AddDelivery{d})
	}
	save(t, v)
	targets, err := s.DeliveryTargets(ctx, key.Key{}, 10)
	if err != nil || !reflect.DeepEqual(targets, []key.Key{alice, bob}) {
		t.Fatalf("targets %v, %v", targets, err)
	}
	if targets, err = s.DeliveryTargets(ctx, alice, 10); err != nil || !reflect.DeepEqual(targets, []key.Key{bob}) {
		t.Fatalf("targets %v, %v", targets, err)
	}
	got, more, err := s.Deliveries(ctx, alice, all[0].Seq, 1)
	if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], all[2]) || !more {
		t.Fatalf("deliveries %+v, %v", got, err)
	}

	// the dispatcher writes for no object
	letter := DeadLetter{Delivery: all[2], Error: "boom", Position: "user.js:1:2", DiedAt: 99}
	if err := s.CommitWait(ctx, &Batch{Token: s.Epoch(), Writes: []Write{RetryDelivery{all[0].Seq, 3, 77}, BuryDelivery{letter}}}); err != nil {
		t.Fatal(err)
	}
	save(t, s.View(alice, s.Epoch()), DoneDelivery{all[3].Seq})
	if got, more, err = s.Deliveries(ctx, alice, 0, 10); err != nil || len(got) != 0 || more {
		t.Fatalf("not tried yet: %+v, %v", got, err)
	}
	if at, found, err := s.NextDelivery(ctx, 76); at != 77 || !found || err != nil {
		t.Fatalf("the next is due at %d, %v, %v", at, found, err)
	}
	if _, found, err := s.NextDelivery(ctx, 77); found || err != nil {
		t.Fatalf("another is due: %v", err)
	}
	for name, due := range map[string]func(after, until int64) ([]Delivery, bool, error){
		"of all": func(after, until int64) ([]Delivery, bool, error) {
			return s.DueDeliveries(ctx, after, math.MaxInt64, until, 10)
		},
		"of one": func(_, until int64) ([]Delivery, bool, error) { return s.DueDeliveriesOf(ctx, alice, until, 10) },
	} {
		if got, more, err := due(76, 77); err != nil || len(got) != 1 || got[0].Attempts != 3 || got[0].NextAt != 77 || got[0].Target != alice || more {
			t.Fatalf("due %s: %+v, %v", name, got, err)
		}
		if got, _, err := due(76, 76); err != nil || len(got) != 0 {
			t.Fatalf("due %s too early: %+v, %v", name, got, err)
		}
	}
	if got, _, err = s.DueDeliveries(ctx, 77, all[0].Seq, 77, 10); err != nil || len(got) != 0 {
		t.Fatalf("due twice: %+v, %v", got, err)
	}
	letters, err := s.FindLetters(ctx, LetterQuery{Limit: 10})
	if err != nil || len(letters) != 1 || !reflect.DeepEqual(letters[0], letter) {
		t.Fatalf("letters %+v, %v", letters, err)
	}
	if letters, err = s.FindLetters(ctx, LetterQuery{After: letter.Seq, Limit: 10}); err != nil || len(letters) != 0 {
		t.Fatalf("letters %+v, %v", letters, err)
	}
	stats, err := s.Stats(ctx)
	if err != nil || stats.Outbox != 2 || stats.OldestAt != 1000 || stats.DeadLetters != 1 || stats.Bytes == 0 {
		t.Fatalf("stats %+v, %v", stats, err)
	}
	// a delivery takes effect once
	if err := trySave(s.View(alice, s.Epoch()), DoneDelivery{all[3].Seq}); !errors.Is(err, ErrNotFound) {
		t.Fatalf("done twice: %v", err)
	}
}

func TestMemoryLeavesNothingBehind(t *testing.T) {
	s := openStore(t, Options{})
	folder := s.temporary
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(folder); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("%s: %v", folder, err)
	}
}

func TestCommitsAreSynced(t *testing.T) {
	s := openStore(t, Options{Folder: t.TempDir()})
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "0"} {
		var got string
		if err := s.conn.QueryRowContext(context.Background(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, want %q (%v)", pragma, got, want, err)
		}
	}
}
