package event

import (
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

// few are bounds that a test passes without much ado.
var few = bounds{inFlight: 16, waiting: 200, readBatch: 50, lanes: 100}

// dispatcher makes one for a receiver, until the test ends.
func dispatcher(t *testing.T, s *store.Store, r *receiver) *Dispatcher {
	t.Helper()
	d := New(s, r, s.Epoch(), slog.New(slog.DiscardHandler))
	d.bounds = few
	t.Cleanup(d.Close)
	return d
}

// inFolder opens a store that can be opened again, and made to fail.
func inFolder(t *testing.T, folder string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Folder: folder, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// addTo commits deliveries for a target, with IDs that begin with its name.
func addTo(t *testing.T, s *store.Store, d *Dispatcher, name string, n int) {
	t.Helper()
	b := &store.Batch{Object: key.Key{Type: "Room", ID: "r"}, Token: s.Epoch()}
	var rows []store.Delivery
	for i := range n {
		row := store.Delivery{Seq: s.NextSeq(), Kind: store.CallDelivery, Target: key.Key{Type: "User", ID: name}, ID: fmt.Sprint(name, i), Type: "User.notify", Data: []byte("{}")}
		rows = append(rows, row)
		b.Writes = append(b.Writes, store.AddDelivery{Delivery: row})
	}
	if err := s.CommitWait(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if d != nil {
		for _, row := range rows {
			d.Committed(row)
		}
	}
}

// pass lets time pass, and what it brings.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func count(ids []string, prefix string) (n int) {
	for _, id := range ids {
		if strings.HasPrefix(id, prefix) {
			n++
		}
	}
	return n
}

// rest checks that nothing is left in memory.
func (d *Dispatcher) rest(t *testing.T) {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.lanes) != 0 || len(d.held) != 0 {
		t.Errorf("%d lanes, %d held", len(d.lanes), len(d.held))
	}
}

// However many wait for another attempt: none of them is in memory, and none of them
// waits for anything but its time.
func TestWhatWaitsForAnotherAttemptIsInTheStoreAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		defer s.Close()
		const n = 530
		var mu sync.Mutex
		late := time.Duration(0)
		began := time.Now()
		r := &receiver{store: s, max: 5, fail: func(d store.Delivery) error {
			if d.Attempts == 0 {
				return errors.New("not yet")
			}
			mu.Lock()
			defer mu.Unlock()
			late = max(late, time.Since(time.UnixMilli(d.NextAt)))
			return nil
		}}
		d := dispatcher(t, s, r)
		addTo(t, s, d, "ann", n)
		synctest.Wait()
		d.rest(t)
		pass(firstDelay * 5 / 4)
		if got := count(r.received(), "ann"); got != 2*n {
			t.Errorf("%d attempts after %v, want %d", got, time.Since(began), 2*n)
		}
		if late > 10*time.Millisecond {
			t.Errorf("an attempt was %v late", late)
		}
		pass(time.Second) // for the store to be told
		if outbox, dead := left(t, s); outbox != 0 || dead != 0 {
			t.Errorf("%d in the outbox, %d dead letters", outbox, dead)
		}
		d.rest(t)
	})
}

func TestRetriesGoOnAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		folder := t.TempDir()
		s := inFolder(t, folder)
		r := &receiver{store: s, max: 5, fail: func(store.Delivery) error { return errors.New("no") }}
		d := New(s, r, s.Epoch(), slog.New(slog.DiscardHandler))
		addTo(t, s, d, "ann", 3)
		pass(20 * time.Second) // attempts 1 to 5 are over, about
		before := len(r.received())
		d.Close()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		pass(5 * time.Second)
		s = inFolder(t, folder)
		defer s.Close()
		again := &receiver{store: s, max: 5, fail: r.fail}
		d = dispatcher(t, s, again)
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		early := len(again.received())
		pass(20 * time.Second)
		if got := len(again.received()); before+got != 18 || early == got {
			t.Errorf("%d attempts before, %d at once after the restart, %d in all after it; want 18 together", before, early, got)
		}
		if outbox, dead := left(t, s); outbox != 0 || dead != 3 {
			t.Errorf("%d in the outbox, %d dead letters", outbox, dead)
		}
	})
}

// broken has the store refuse whatever is committed, as a full disk does.
func broken(t *testing.T, folder string, refuse bool) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(folder, "chat.db"))
	if err != nil {
		t.Fatal(err)
	}
	by := map[bool]string{true: "+ 1", false: "- 1"}[refuse]
	if _, err := db.Exec("UPDATE owner SET epoch = epoch " + by); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestNothingIsStrandedByAStoreThatFailsForAWhile(t *testing.T) {
	for name, max := range map[string]int{"another attempt": 5, "a dead letter": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				folder := t.TempDir()
				s := inFolder(t, folder)
				defer s.Close()
				r := &receiver{store: s, max: max, fail: func(d store.Delivery) error {
					if d.Attempts == 0 {
						return errors.New("once")
					}
					return nil
				}}
				d := dispatcher(t, s, r)
				addTo(t, s, nil, "ann", 300)
				broken(t, folder, true)
				if err := d.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				pass(5 * time.Minute)
				if got := len(r.received()); got != few.inFlight {
					t.Errorf("%d attempts while nothing could be stored, want %d", got, few.inFlight)
				}
				broken(t, folder, false)
				pass(maxTrouble * 5 / 4)
				pass(firstDelay * 5 / 4)
				pass(time.Second)
				wantDead := int64(0)
				if max == 0 {
					wantDead = 300
				}
				if outbox, dead := left(t, s); outbox != 0 || dead != wantDead {
					t.Errorf("%d in the outbox, %d dead letters", outbox, dead)
				}
				d.rest(t)
			})
		})
	}
}

// What hangs keeps its own lane from going on, and no other.
func TestALaneThatHangsHoldsUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		defer s.Close()
		r := &receiver{store: s, max: 5, hold: make(chan struct{}), holds: "ann"}
		d := dispatcher(t, s, r)
		addTo(t, s, d, "ann", few.inFlight+10)
		addTo(t, s, d, "bob", 1000)
		synctest.Wait()
		if ann, bob := count(r.received(), "ann"), count(r.received(), "bob"); ann != few.inFlight || bob != 1000 {
			t.Errorf("%d of the one that hangs, want %d; %d of the other, want 1000", ann, few.inFlight, bob)
		}
		close(r.hold)
		synctest.Wait()
		if ann := count(r.received(), "ann"); ann != few.inFlight+10 {
			t.Errorf("%d of the one that hung, want %d", ann, few.inFlight+10)
		}
	})
}

// The lane of what is due is full: it reads by itself when it has room, and the others
// don't wait.
func TestWhatIsDueWaitsForRoomInItsLaneOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		defer s.Close()
		const n = 530
		r := &receiver{store: s, max: 5, hold: make(chan struct{}), holds: "none", fail: func(d store.Delivery) error {
			if d.Attempts == 0 {
				return errors.New("not yet")
			}
			return nil
		}}
		d := dispatcher(t, s, r)
		addTo(t, s, d, "ann", n)
		addTo(t, s, d, "bob", 1)
		synctest.Wait()
		r.mu.Lock()
		r.holds = "ann"
		r.mu.Unlock()
		pass(2 * time.Second)
		if ann, bob := count(r.received(), "ann"), count(r.received(), "bob"); ann != n+few.inFlight || bob != 2 {
			t.Errorf("%d attempts of the one that hangs, want %d; %d of the other, want 2", ann, n+few.inFlight, bob)
		}
		d.mu.Lock()
		if held := len(d.held); held > few.inFlight+few.waiting {
			t.Errorf("%d are in memory", held)
		}
		d.mu.Unlock()
		close(r.hold)
		pass(time.Second)
		if got := count(r.received(), "ann"); got != 2*n {
			t.Errorf("%d attempts, want %d", got, 2*n)
		}
		if outbox, dead := left(t, s); outbox != 0 || dead != 0 {
			t.Errorf("%d in the outbox, %d dead letters", outbox, dead)
		}
	})
}

// More targets were left than are taken up at a time; those that get something new
// meanwhile get it behind what is older.
func TestManyTargetsAreTakenUpInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		defer s.Close()
		const targets = 250
		b := &store.Batch{Object: key.Key{Type: "Room", ID: "r"}, Token: s.Epoch()}
		for i := range 2 * targets {
			name := fmt.Sprintf("u%05d-", i%targets)
			b.Writes = append(b.Writes, store.AddDelivery{Delivery: store.Delivery{Seq: s.NextSeq(), Kind: store.CallDelivery,
				Target: key.Key{Type: "User", ID: name}, ID: fmt.Sprint(name, i/targets), Type: "User.notify", Data: []byte("{}")}})
		}
		if err := s.CommitWait(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		r := &receiver{store: s, max: 5, hold: make(chan struct{})}
		d := dispatcher(t, s, r)
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := len(d.lanes); n < few.lanes || n >= few.lanes+few.readBatch {
			t.Errorf("%d lanes", n)
		}
		last := fmt.Sprintf("u%05d-", targets-1)
		addTo(t, s, d, last, 1)
		synctest.Wait()
		var got []string
		for _, id := range r.received() {
			if strings.HasPrefix(id, last) {
				got = append(got, id)
			}
		}
		if want := fmt.Sprintf("[%s0/1 %s1/1 %s0/1]", last, last, last); fmt.Sprint(got) != want {
			t.Errorf("received %v, want %s", got, want)
		}
		close(r.hold)
		pass(2 * time.Second)
		if got := len(r.received()); got != 2*targets+1 {
			t.Errorf("%d were received, want %d", got, 2*targets+1)
		}
		d.rest(t)
	})
}

// The store never has more of a target in memory than the bounds of its lane say.
func TestLargeDeliveriesAreBoundInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t)
		defer s.Close()
		r := &receiver{store: s, max: 5, hold: make(chan struct{})}
		d := dispatcher(t, s, r)
		d.bounds.inFlight = maxInFlight
		const n, size = 60, 1 << 20
		b := &store.Batch{Object: key.Key{Type: "Room", ID: "r"}, Token: s.Epoch()}
		var rows []store.Delivery
		for i := range n {
			row := store.Delivery{Seq: s.NextSeq(), Kind: store.CallDelivery, Target: target, ID: fmt.Sprint("a", i), Data: make([]byte, size)}
			rows = append(rows, row)
			b.Writes = append(b.Writes, store.AddDelivery{Delivery: row})
		}
		if err := s.CommitWait(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			d.Committed(row)
		}
		synctest.Wait()
		d.mu.Lock()
		if held := len(d.held); held > (maxInFlightBytes+maxWaitingBytes)/size+2 {
			t.Errorf("%d MiB are in memory", held)
		}
		d.mu.Unlock()
		close(r.hold)
		synctest.Wait()
		if got := len(r.received()); got != n {
			t.Errorf("%d were received, want %d", got, n)
		}
	})
}
