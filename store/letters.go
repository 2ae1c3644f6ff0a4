package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"chat.example.com.ai/runtime/key"
)

// maxLetterBytes bounds the data of the dead letters that are read at a time. Each
// holds 1 MiB at most.
const maxLetterBytes = 1 << 20

var (
	// ErrNoLetter says that there is no dead letter with this position: somebody
	// else has replayed or dropped it.
	ErrNoLetter = errors.New("there is no such dead letter")
	// ErrHasAlarm says that an alarm is not set again, because its object has
	// another one by now.
	ErrHasAlarm = errors.New("its object has another alarm by now")
)

// LetterError says for which dead letter a batch failed.
type LetterError struct {
	Seq int64
	Err error // ErrNoLetter, ErrHasAlarm, or what the database says
}

func (e *LetterError) Error() string { return fmt.Sprintf("dead letter %d: %v", e.Seq, e.Err) }
func (e *LetterError) Unwrap() error { return e.Err }

// kinds are the words for what dead letters carry.
var kinds = [...]string{EventDelivery: "event", CallDelivery: "call", ScheduleDelivery: "schedule", AlarmDelivery: "alarm"}

// String is the word for the kind: event, call, schedule or alarm.
func (k Kind) String() string {
	if int(k) < len(kinds) && kinds[k] != "" {
		return kinds[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// ParseKind reads the word for a kind.
func ParseKind(word string) (Kind, error) {
	for i, w := range kinds {
		if w != "" && w == word {
			return Kind(i), nil
		}
	}
	return 0, fmt.Errorf("%q: the kinds are event, call, schedule and alarm", word)
}

type (
	// ReplayLetter moves a dead letter into the outbox, where it has the position As
	// and neither attempts nor hops behind it. If it is gone, or is an alarm's, the
	// batch fails with ErrNoLetter.
	ReplayLetter struct{ Seq, As int64 }
	// ReplayAlarm sets the alarm of a dead letter, which must be an alarm's, again and
	// drops the letter. The alarm is due at a time in milliseconds; its handler is told
	// the time that it was set for. If the letter is gone, the batch fails with
	// ErrNoLetter; if the object has an alarm, with ErrHasAlarm.
	ReplayAlarm struct{ Seq, ID, Due int64 }
	// DropLetter deletes a dead letter. If it is gone, the batch fails with ErrNoLetter.
	DropLetter struct{ Seq int64 }
)

func (ReplayLetter) write() {}
func (ReplayAlarm) write()  {}
func (DropLetter) write()   {}

// LetterQuery says which dead letters are wanted. Fields that are empty say nothing.
type LetterQuery struct {
	After   int64 // only positions above it
	Until   int64 // only positions up to it; 0 is any
	Seqs    []int64
	Kind    Kind
	Type    string
	Handler string
	Source  string
	Target  string

	Limit int
	// NoData leaves Data empty, and does not read it.
	NoData bool
}

// FindLetters returns dead letters in the order of their positions: up to q.Limit,
// and fewer where their data comes to more than 1 MiB together, but one at least. So
// there are no more only if there are none.
func (s *Store) FindLetters(ctx context.Context, q LetterQuery) ([]DeadLetter, error) {
	b := &builder{}
	data := sqlText(`data`)
	if q.NoData {
		data = `x''`
	}
	b.add(`SELECT seq, kind, target, handler, id, type, source, `, data, `, at, hops, attempts, next_at, error, position, died_at
		FROM dead_letter WHERE seq > `, b.arg(q.After))
	if q.Until > 0 {
		b.add(` AND seq <= `, b.arg(q.Until))
	}
	if q.Seqs != nil {
		list, err := json.Marshal(q.Seqs)
		if err != nil {
			return nil, err
		}
		b.add(` AND seq IN (SELECT value FROM json_each(`, b.arg(string(list)), `))`)
	}
	if q.Kind != 0 {
		b.add(` AND kind = `, b.arg(int64(q.Kind)))
	}
	for _, c := range []struct {
		column sqlText
		value  string
	}{{"type", q.Type}, {"handler", q.Handler}, {"source", q.Source}, {"target", q.Target}} {
		if c.value != "" {
			b.add(` AND `, c.column, ` = `, b.arg(c.value))
		}
	}
	b.add(` ORDER BY seq LIMIT `, b.arg(max(q.Limit, 0)))
	text, args := b.statement()
	rows, err := s.cache.query(ctx, text, args...)
	if err != nil {
		return nil, s.readError(ctx, err)
	}
	defer rows.Close()
	var letters []DeadLetter
	for size := 0; size < maxLetterBytes && rows.Next(); {
		var l DeadLetter
		var target string
		if err := rows.Scan(&l.Seq, &l.Kind, &target, &l.Handler, &l.ID, &l.Type, &l.Source, &l.Data, &l.At, &l.Hops, &l.Attempts, &l.NextAt,
			&l.Error, &l.Position, &l.DiedAt); err != nil {
			return nil, s.readError(ctx, err)
		}
		if l.Target, err = key.Parse(target); err != nil {
			return nil, fmt.Errorf("store: the target of dead letter %d: %w", l.Seq, err)
		}
		letters = append(letters, l)
		size += len(l.Data)
	}
	return letters, s.readError(ctx, rows.Err())
}

// LastLetter returns the highest position of a dead letter; 0 if there is none.
func (s *Store) LastLetter(ctx context.Context) (seq int64, err error) {
	_, err = s.one(ctx, []any{&seq}, `SELECT coalesce(max(seq), 0) FROM dead_letter`)
	return seq, err
}

// applyLetter runs the writes of this file.
func (s *Store) applyLetter(w Write) error {
	switch w := w.(type) {
	case ReplayLetter:
		n, err := s.write.replayLetter.exec(w.As, w.Seq, int64(AlarmDelivery))
		return s.dropLetter(w.Seq, n, ErrNoLetter, err)
	case ReplayAlarm:
		n, err := s.write.replayAlarm.exec(w.ID, w.Due, w.Seq, int64(AlarmDelivery))
		return s.dropLetter(w.Seq, n, ErrHasAlarm, err)
	case DropLetter:
		return s.dropLetter(w.Seq, 1, nil, nil)
	default:
		return fmt.Errorf("store: unknown write %T", w)
	}
}

// dropLetter deletes a letter that was replayed, if moved says so; otherwise the
// error is why it was not.
func (s *Store) dropLetter(seq, moved int64, why, err error) error {
	if err != nil {
		return &LetterError{seq, err}
	}
	n, err := s.write.dropLetter.exec(seq)
	switch {
	case err != nil:
		return &LetterError{seq, err}
	case n == 0:
		return &LetterError{seq, ErrNoLetter}
	case moved == 0: // and the batch is undone
		return &LetterError{seq, why}
	}
	return nil
}
