package event

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var target = key.Key{Type: "User", ID: "ann"}

// receiver takes deliveries, and commits them as an object would.
type receiver struct {
	store *store.Store
	mu    sync.Mutex
	got   []string
	fail  func(store.Delivery) error
	hold  chan struct{} // not nil: nothing is done before it closes
	holds string        // only the target of this name is held; all if empty
	max   int           // retries
}

func (r *receiver) MaxRetries(store.Delivery) int { return r.max }

func (r *receiver) Deliver(d store.Delivery, done func(error)) {
	r.mu.Lock()
	r.got = append(r.got, fmt.Sprintf("%s/%d", d.ID, d.Attempts+1))
	fail, hold := r.fail, r.hold
	if r.holds != "" && r.holds != d.Target.ID {
		hold = nil
	}
	r.mu.Unlock()
	if fail != nil {
		if err := fail(d); err != nil {
			done(err)
			return
		}
	}
	commit := func() {
		r.store.Commit(&store.Batch{Object: d.Target, Token: r.store.Epoch(), Writes: []store.Write{store.DoneDelivery{Seq: d.Seq}}}, done)
	}
	if hold == nil {
		commit()
		return
	}
	go func() { <-hold; commit() }()
}

func (r *receiver) received() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.got...)
}

// add commits deliveries a0, a1, … to the outbox.
func add(t *testing.T, s *store.Store, n int) (rows []store.Delivery) {
	t.Helper()
	b := &store.Batch{Object: key.Key{Type: "Room", ID: "r"}, Token: s.Epoch()}
	for i := range n {
		d := store.Delivery{Seq: s.NextSeq(), Kind: store.CallDelivery, Target: target, ID: fmt.Sprint("a", i), Type: "User.notify", Data: []byte("{}")}
		rows = append(rows, d)
		b.Writes = append(b.Writes, store.AddDelivery{Delivery: d})
	}
	if err := s.CommitWait(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return rows
}

func open(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Memory: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func left(t *testing.T, s *store.Store) (outbox, dead int64) {
	t.Helper()
	stats, err := s.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return stats.Outbox, stats.DeadLetters
}

func TestDeliveriesGoOutInOrderAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		defer s.Close()
		r := &receiver{store: s, max: 5}
		d := New(s, r, s.Epoch(), slog.New(slog.DiscardHandler))
		defer d.Close()
		d.bounds = few
		const n = 275 // more than is kept in memory
		r.hold = make(chan struct{})
		rows := add(t, s, n)
		for _, row := range rows {
			d.Committed(row)
		}
		synctest.Wait()
		if got := len(r.received()); got != few.inFlight {
			t.Errorf("%d were delivered at a time, want %d", got, few.inFlight)
		}
		close(r.hold)
		synctest.Wait()
		got := r.received()
		if len(got) != n {
			t.Fatalf("%d were delivered, want %d", len(got), n)
		}
		for i, id := range got {
			if want := fmt.Sprintf("a%d/1", i); id != want {
				t.Fatalf("at %d came %s, want %s", i, id, want)
			}
		}
		if outbox, dead := left(t, s); outbox != 0 || dead != 0 {
			t.Errorf("%d in the outbox, %d dead letters", outbox, dead)
		}
		if d.Stats().Delivered != n || len(d.lanes) != 0 || len(d.held) != 0 {
			t.Errorf("%+v, %d lanes, %d held", d.Stats(), len(d.lanes), len(d.held))
		}
	})
}

func TestWhatAnEarlierRunLeftIsDeliveredAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		defer s.Close()
		add(t, s, 3)
		r := &receiver{store: s, max: 5}
		d := New(s, r, s.Epoch(), slog.New(slog.DiscardHandler))
		defer d.Close()
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := fmt.Sprint(r.received()); got != "[a0/1 a1/1 a2/1]" {
			t.Error(got)
		}
	})
}

// permanent is an error that no further attempt can mend, transient one that says
// nothing of the delivery.
type failure struct{ permanent, transient bool }

func (failure) Error() string       { return "failed" }
func (f failure) IsPermanent() bool { return f.permanent }
func (f failure) IsTransient() bool { return f.transient }
func (failure) Position() string    { return "a.js:1:2" }

func TestAttemptsGrowApartAndEndAsADeadLetter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		defer s.Close()
		var times []time.Time
		r := &receiver{store: s, max: 5, fail: func(d store.Delivery) error {
			if d.ID == "a0" {
				times = append(times, time.Now())
				return errors.New("again")
			}
			return nil
		}}
		d := New(s, r, s.Epoch(), slog.New(slog.DiscardHandler))
		defer d.Close()
		for _, row := range add(t, s, 2) {
			d.Committed(row)
		}
		synctest.Wait()
		if got := fmt.Sprint(r.received()); got != "[a0/1 a1/1]" {
			t.Errorf("the one behind waited: %s", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(times) != 6 {
			t.Fatalf("%d attempts, want 6", len(times))
		}
		for i := 1; i < len(times); i++ {
			wait, base := times[i].Sub(times[i-1]), firstDelay<<(i-1)
			if wait < base*3/4 || wait > base*5/4 {
				t.Errorf("attempt %d came after %v, want about %v", i+1, wait, base)
			}
		}
		if outbox, dead := left(t, s); outbox != 0 || dead != 1 {
			t.Errorf("%d in the outbox, %d dead letters", outbox, dead)
		}
	})
}

func TestPermanentAndTransientFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		defer s.Close()
		tries := 0
		r := &receiver{store: s, max: 5, fail: func(d store.Delivery) error {
			if d.ID == "a0" {
				return failure{permanent: true}
			}
			if tries++; tries <= 20 {
				return failure{transient: true}
			}
			return nil
		}}
		d := New(s, r, s.Epoch(), slog.New(slog.DiscardHandler))
		defer d.Close()
		for _, row := range add(t, s, 2) {
			d.Committed(row)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		letters, err := s.FindLetters(t.Context(), store.LetterQuery{Limit: 10})
		if err != nil || len(letters) != 1 || letters[0].ID != "a0" || letters[0].Position != "a.js:1:2" || letters[0].Attempts != 1 {
			t.Errorf("dead letters %+v, %v", letters, err)
		}
		if outbox, _ := left(t, s); outbox != 0 || tries != 20+1 {
			t.Errorf("%d in the outbox after %d tries", outbox, tries)
		}
	})
}
