package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"chat.example.com.ai/store"
)

const (
	// MaxNumbers is how many dead letters can be named at a time: they are one
	// transaction, and in memory together.
	MaxNumbers = 256
	// page is how many dead letters a request reads, replays or drops.
	page = 100
)

// Filter says which dead letters are meant. Fields that are empty say nothing.
type Filter struct {
	Kind    string `json:"kind,omitempty"` // event, call, schedule or alarm
	Type    string `json:"type,omitempty"` // of the event, Message.sent; of a call, its method
	Handler string `json:"handler,omitempty"`
	Source  string `json:"source,omitempty"` // Room/general
	Target  string `json:"target,omitempty"` // Room/general
}

// Query asks for a page of dead letters.
type Query struct {
	Filter
	After int64 `json:"after,omitempty"` // only numbers above it
	Data  bool  `json:"data,omitempty"`  // whether to read what they carry
}

// Letter is a dead letter as people and programs read it.
type Letter struct {
	Number   int64           `json:"number"` // its position in the outbox
	DiedAt   time.Time       `json:"diedAt"`
	Kind     string          `json:"kind"`
	Type     string          `json:"type"`
	Handler  string          `json:"handler,omitempty"`
	Source   string          `json:"source"`
	Target   string          `json:"target"`
	ID       string          `json:"id"`
	SentAt   time.Time       `json:"sentAt"`
	Hops     int             `json:"hops"`
	Attempts int             `json:"attempts"`
	Error    string          `json:"error"`
	Position string          `json:"position,omitempty"` // file:line:column in a script, if one is known
	Data     json.RawMessage `json:"data,omitempty"`
}

// Selection is what to replay or to drop: either those with these numbers, all or
// none, in one transaction; or those of the filter, a page at a time, each by itself.
type Selection struct {
	Numbers []int64 `json:"numbers,omitempty"`
	Filter  Filter  `json:"filter"`
	After   int64   `json:"after,omitempty"` // only numbers above it
	Until   int64   `json:"until,omitempty"` // only numbers up to it; 0: those that are there now
}

// Outcome is what became of a selection.
type Outcome struct {
	Done int    `json:"done"`
	Kept []Kept `json:"kept,omitempty"` // what was to be replayed and was not
	// More says that there may be more: ask again, with After and Until from here.
	More  bool  `json:"more,omitempty"`
	After int64 `json:"after,omitempty"`
	Until int64 `json:"until,omitempty"`
}

// Kept is a dead letter that is still one.
type Kept struct {
	Number int64  `json:"number"`
	Reason string `json:"reason"`
}

// RequestError says what is wrong with a request; nothing has been done.
type RequestError struct{ Reason string }

func (e *RequestError) Error() string { return e.Reason }

// Letters lists, replays and drops the dead letters of a store.
type Letters struct {
	Store *store.Store
	// Replayed is told of each delivery that is in the outbox again, AlarmSet of the
	// time in milliseconds of each alarm, once that is durable. They must not block.
	// Both are nil where nothing runs: the next start finds them.
	Replayed func(store.Delivery)
	AlarmSet func(due int64)
}

// List returns the next page of dead letters, in the order of their numbers. There
// are no more if it is empty.
func (l *Letters) List(ctx context.Context, q Query) ([]Letter, error) {
	find, err := q.query()
	if err != nil {
		return nil, err
	}
	find.After, find.NoData = q.After, !q.Data
	found, err := l.Store.FindLetters(ctx, find)
	if err != nil {
		return nil, err
	}
	letters := make([]Letter, 0, len(found))
	for _, f := range found {
		letter := Letter{Number: f.Seq, DiedAt: time.UnixMilli(f.DiedAt).UTC(), Kind: f.Kind.String(), Type: f.Type, Handler: f.Handler,
			Source: f.Source, Target: f.Target.String(), ID: f.ID, SentAt: time.UnixMilli(f.At).UTC(), Hops: f.Hops, Attempts: f.Attempts,
			Error: f.Error, Position: f.Position}
		if q.Data {
			if letter.Data = f.Data; !json.Valid(f.Data) {
				if letter.Data, err = json.Marshal(string(f.Data)); err != nil {
					return nil, err
				}
			}
		}
		letters = append(letters, letter)
	}
	return letters, nil
}

// Replay puts dead letters back into the outbox, with fresh attempts and a position
// at its end, and sets the alarms of those that are alarms', unless the object has
// another by now. However many replay a letter at a time, it is replayed once.
func (l *Letters) Replay(ctx context.Context, s Selection) (Outcome, error) {
	return l.each(ctx, s, false, func(letter store.DeadLetter) (store.Write, func()) {
		if letter.Kind == store.AlarmDelivery {
			due := time.Now().UnixMilli()
			write := store.ReplayAlarm{Seq: letter.Seq, ID: 1 + rand.Int64N(1<<62), Due: due}
			return write, func() {
				if l.AlarmSet != nil {
					l.AlarmSet(due)
				}
			}
		}
		row := letter.Delivery
		row.Seq, row.Attempts, row.Hops, row.NextAt = l.Store.NextSeq(), 0, 0, 0
		return store.ReplayLetter{Seq: letter.Seq, As: row.Seq}, func() {
			if l.Replayed != nil {
				l.Replayed(row)
			}
		}
	})
}

// Drop deletes dead letters.
func (l *Letters) Drop(ctx context.Context, s Selection) (Outcome, error) {
	return l.each(ctx, s, true, func(letter store.DeadLetter) (store.Write, func()) {
		return store.DropLetter{Seq: letter.Seq}, func() {}
	})
}

// action makes a write of a letter, and what is to be done once that is stored.
type action func(store.DeadLetter) (write store.Write, then func())

// each takes an action on the letters of a selection.
func (l *Letters) each(ctx context.Context, s Selection, noData bool, act action) (Outcome, error) {
	if s.Numbers != nil {
		return l.named(ctx, s.Numbers, noData, act)
	}
	q, err := s.Filter.query()
	if err != nil {
		return Outcome{}, err
	}
	if s.Until == 0 { // what dies again meanwhile is not for this time
		if s.Until, err = l.Store.LastLetter(ctx); err != nil || s.Until == 0 {
			return Outcome{}, err
		}
	}
	q.After, q.Until, q.NoData = s.After, s.Until, noData
	letters, err := l.Store.FindLetters(ctx, q)
	if err != nil || len(letters) == 0 {
		return Outcome{}, err
	}
	out := Outcome{More: true, After: letters[len(letters)-1].Seq, Until: s.Until}
	results := make([]error, len(letters))
	afterwards := make([]func(), len(letters))
	var wait sync.WaitGroup
	for i, letter := range letters {
		var write store.Write
		write, afterwards[i] = act(letter)
		wait.Add(1)
		l.Store.Commit(l.batch(write), func(err error) {
			results[i] = err
			wait.Done()
		})
	}
	wait.Wait() // for the disk only, and whoever asked: what is stored must be told
	var failed error
	for i, err := range results {
		switch {
		case err == nil:
			out.Done++
			afterwards[i]()
		case errors.Is(err, store.ErrNoLetter): // somebody else was faster
		case errors.Is(err, store.ErrHasAlarm):
			out.Kept = append(out.Kept, Kept{letters[i].Seq, store.ErrHasAlarm.Error()})
		default:
			failed = err
		}
	}
	return out, failed
}

// named handles the letters with certain numbers, all or none.
func (l *Letters) named(ctx context.Context, numbers []int64, noData bool, act action) (Outcome, error) {
	if len(numbers) == 0 || len(numbers) > MaxNumbers {
		return Outcome{}, &RequestError{fmt.Sprintf("name 1 to %d dead letters at a time", MaxNumbers)}
	}
	var writes []store.Write
	var afterwards []func()
	named := make(map[int64]bool, len(numbers))
	for _, number := range numbers {
		if named[number] {
			continue
		}
		named[number] = true
		found, err := l.Store.FindLetters(ctx, store.LetterQuery{Seqs: []int64{number}, Limit: 1, NoData: noData})
		if err != nil {
			return Outcome{}, err
		}
		if len(found) == 0 {
			return Outcome{}, nothingDone(&store.LetterError{Seq: number, Err: store.ErrNoLetter})
		}
		write, then := act(found[0])
		writes, afterwards = append(writes, write), append(afterwards, then)
	}
	result := make(chan error, 1)
	l.Store.Commit(l.batch(writes...), func(err error) { result <- err })
	if err := <-result; err != nil {
		return Outcome{}, nothingDone(err)
	}
	for _, then := range afterwards {
		then()
	}
	return Outcome{Done: len(writes)}, nil
}

// nothingDone is the error of letters that were named, one of which cannot be had.
func nothingDone(err error) error {
	var e *store.LetterError
	if errors.As(err, &e) && (e.Err == store.ErrNoLetter || e.Err == store.ErrHasAlarm) {
		return &RequestError{e.Error() + "; nothing was done"}
	}
	return err
}

func (l *Letters) batch(writes ...store.Write) *store.Batch {
	return &store.Batch{Token: l.Store.Epoch(), Writes: writes}
}

// query is the filter as the store knows it.
func (f Filter) query() (store.LetterQuery, error) {
	q := store.LetterQuery{Type: f.Type, Handler: f.Handler, Source: f.Source, Target: f.Target, Limit: page}
	if f.Kind == "" {
		return q, nil
	}
	var err error
	if q.Kind, err = store.ParseKind(f.Kind); err != nil {
		return q, &RequestError{err.Error()}
	}
	return q, nil
}
