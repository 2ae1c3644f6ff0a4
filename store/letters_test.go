package store

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"

	"chat.example.com.ai/runtime/key"
)

func buried(seq int64, data int) DeadLetter {
	return DeadLetter{Delivery: Delivery{Seq: seq, Kind: EventDelivery, Target: key.Key{Type: "Handler", ID: "notify"}, Handler: "notify",
		ID: fmt.Sprint("e", seq), Type: "Message.sent", Source: "Room/general", Data: make([]byte, data), At: 7, Hops: 33, Attempts: 5, NextAt: 9},
		Error: "no", Position: "a.js:1:1", DiedAt: 11}
}

func bury(t *testing.T, s *Store, letters ...DeadLetter) {
	t.Helper()
	for _, l := range letters {
		commit(t, s, nil, BuryDelivery{Letter: l})
	}
}

// commit writes a batch that fails with an error, or none.
func commit(t *testing.T, s *Store, want error, writes ...Write) {
	t.Helper()
	if err := s.CommitWait(t.Context(), &Batch{Object: general, Token: s.Epoch(), Writes: writes}); !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}

func find(t *testing.T, s *Store, q LetterQuery) (seqs []int64) {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	letters, err := s.FindLetters(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range letters {
		seqs = append(seqs, l.Seq)
	}
	return seqs
}

// outbox reads all of it.
func outbox(t *testing.T, s *Store) (all []Delivery) {
	t.Helper()
	rows, err := s.cache.db.QueryContext(t.Context(), `SELECT `+outboxFields+` FROM outbox ORDER BY seq`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var d Delivery
		var target string
		if err := rows.Scan(&d.Seq, &d.Kind, &target, &d.Handler, &d.ID, &d.Type, &d.Source, &d.Data, &d.At, &d.Hops, &d.Attempts, &d.NextAt); err != nil {
			t.Fatal(err)
		}
		if d.Target, err = key.Parse(target); err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}

func TestDeadLettersAreFound(t *testing.T) {
	s := openStore(t, Options{})
	call, other := buried(2, 0), buried(3, 0)
	call.Kind, call.Type, call.Target = CallDelivery, "notify", key.Key{Type: "User", ID: "bob"}
	other.Handler, other.Source = "else", "Room/else"
	bury(t, s, buried(1, 3), call, other)
	for _, c := range []struct {
		q    LetterQuery
		want []int64
	}{
		{LetterQuery{}, []int64{1, 2, 3}},
		{LetterQuery{Limit: 2}, []int64{1, 2}},
		{LetterQuery{After: 1}, []int64{2, 3}},
		{LetterQuery{After: 1, Until: 2}, []int64{2}},
		{LetterQuery{Seqs: []int64{3, 1, 9}}, []int64{1, 3}},
		{LetterQuery{Seqs: []int64{}}, nil},
		{LetterQuery{Kind: CallDelivery}, []int64{2}},
		{LetterQuery{Type: "Message.sent"}, []int64{1, 3}},
		{LetterQuery{Handler: "else"}, []int64{3}},
		{LetterQuery{Handler: "notify", Target: "User/bob"}, []int64{2}},
		{LetterQuery{Source: "Room/else' OR 1=1 --"}, nil},
		{LetterQuery{Source: "Room/else"}, []int64{3}},
	} {
		if got := find(t, s, c.q); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: %v, want %v", c.q, got, c.want)
		}
	}
	if last, err := s.LastLetter(t.Context()); err != nil || last != 3 {
		t.Errorf("the last is %d, %v", last, err)
	}
	letters, err := s.FindLetters(t.Context(), LetterQuery{Limit: 1, NoData: true})
	want := buried(1, 0)
	want.Data = nil
	if err != nil || !reflect.DeepEqual(letters, []DeadLetter{want}) {
		t.Errorf("%+v, %v; want %+v", letters, err, want)
	}
}

// Large letters come a few at a time, and all in the end.
func TestAPageOfDeadLettersIsBounded(t *testing.T) {
	s := openStore(t, Options{})
	for i := range 5 {
		bury(t, s, buried(int64(i+1), maxLetterBytes*6/10))
	}
	if got := find(t, s, LetterQuery{}); !reflect.DeepEqual(got, []int64{1, 2}) {
		t.Errorf("%v", got)
	}
	if got := find(t, s, LetterQuery{After: 4}); !reflect.DeepEqual(got, []int64{5}) {
		t.Errorf("%v", got)
	}
	if got := find(t, s, LetterQuery{NoData: true}); len(got) != 5 {
		t.Errorf("%v", got)
	}
}

func TestAReplayedLetterIsAFreshDelivery(t *testing.T) {
	s := openStore(t, Options{})
	bury(t, s, buried(4, 3), buried(5, 3))
	commit(t, s, ErrNoLetter, ReplayLetter{Seq: 4, As: 20}, DropLetter{Seq: 9}) // nothing of it
	commit(t, s, nil, ReplayLetter{Seq: 4, As: 21})
	commit(t, s, ErrNoLetter, ReplayLetter{Seq: 4, As: 22})
	want := buried(4, 3).Delivery
	want.Seq, want.Attempts, want.Hops, want.NextAt = 21, 0, 0, 0
	if rows := outbox(t, s); !reflect.DeepEqual(rows, []Delivery{want}) {
		t.Errorf("%+v", rows)
	}
	commit(t, s, nil, DropLetter{Seq: 5})
	commit(t, s, ErrNoLetter, DropLetter{Seq: 5})
	if got := find(t, s, LetterQuery{}); got != nil {
		t.Errorf("left: %v", got)
	}
}

func TestAnAlarmIsReplayedUnlessThereIsAnother(t *testing.T) {
	s := openStore(t, Options{})
	l := buried(4, 0)
	l.Kind, l.Type, l.Target = AlarmDelivery, "alarm", general
	bury(t, s, l)
	commit(t, s, nil, SetAlarm{ID: 1, At: 100})
	commit(t, s, ErrHasAlarm, ReplayAlarm{Seq: 4, ID: 2, Due: 50})
	commit(t, s, ErrNoLetter, ReplayLetter{Seq: 4, As: 30}) // it is none of the outbox
	commit(t, s, nil, DeleteAlarm{})
	commit(t, s, nil, ReplayAlarm{Seq: 4, ID: 3, Due: 50})
	a, found, err := s.View(general, s.Epoch()).Alarm(t.Context())
	if want := (Alarm{Object: general, ID: 3, Scheduled: 7, Due: 50}); err != nil || !found || a != want {
		t.Errorf("%+v, %v, %v", a, found, err)
	}
	commit(t, s, ErrNoLetter, ReplayAlarm{Seq: 4, ID: 4, Due: 50})
}

// However many replay a letter at a time, in a group or not, one of them does.
func TestALetterIsReplayedOnce(t *testing.T) {
	s := openStore(t, Options{})
	const letters, replays = 20, 8
	for i := range letters {
		bury(t, s, buried(int64(i+1), 0))
	}
	s.seq.Store(letters)
	var all sync.WaitGroup
	var done atomic.Int64
	for range replays {
		all.Go(func() {
			for i := range letters {
				err := s.CommitWait(t.Context(), &Batch{Token: s.Epoch(), Writes: []Write{ReplayLetter{Seq: int64(i + 1), As: s.NextSeq()}}})
				if err == nil {
					done.Add(1)
				} else if !errors.Is(err, ErrNoLetter) {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if rows := outbox(t, s); len(rows) != letters || done.Load() != letters {
		t.Errorf("%d rows, %d replayed", len(rows), done.Load())
	}
}
