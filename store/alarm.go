package store

import (
	"context"
	"fmt"

	"chat.example.com.ai/runtime/key"
)

// Alarm is the alarm of an object. It has one at most, and it stays until a batch
// ends it (EndAlarm) or takes it back (DeleteAlarm). Times are milliseconds since
// 1970, UTC.
type Alarm struct {
	Object key.Key
	// ID tells this alarm from every other that the object has had. Whoever sets it
	// chooses a random one, not 0.
	ID        int64
	Scheduled int64 // the time it was set for
	Due       int64 // not before this time: Scheduled, or that of the next attempt
	Attempts  int   // that failed
}

type (
	// SetAlarm sets the object's alarm, in place of the one that it has.
	SetAlarm struct{ ID, At int64 }
	// DeleteAlarm takes the object's alarm back, if it has one.
	DeleteAlarm struct{}
	// EndAlarm removes the object's alarm if it still is the one with this ID: its
	// handler's turn is committed by the same transaction.
	EndAlarm struct{ ID int64 }
	// RetryAlarm notes a failed attempt, if the alarm still is the one with this ID.
	RetryAlarm struct {
		ID       int64
		Attempts int
		Due      int64
	}
)

func (SetAlarm) write()    {}
func (DeleteAlarm) write() {}
func (EndAlarm) write()    {}
func (RetryAlarm) write()  {}

const alarmFields = `object, id, scheduled, due, attempts`

// Alarm returns the object's alarm, and whether it has one.
func (v *View) Alarm(ctx context.Context) (Alarm, bool, error) {
	var ended map[int64]bool // by writes that are newer than the alarm
	for w := range v.newestFirst {
		switch w := w.(type) {
		case SetAlarm:
			return Alarm{Object: v.object, ID: w.ID, Scheduled: w.At, Due: w.At}, !ended[w.ID], nil
		case DeleteAlarm:
			return Alarm{}, false, nil
		case EndAlarm:
			if ended == nil {
				ended = make(map[int64]bool, 1)
			}
			ended[w.ID] = true
		}
	}
	a := Alarm{Object: v.object}
	found, err := v.store.one(ctx, []any{&a.ID, &a.Scheduled, &a.Due, &a.Attempts},
		`SELECT id, scheduled, due, attempts FROM alarm WHERE object = ?`, v.name)
	return a, found && !ended[a.ID], err
}

// DueAlarms returns up to limit alarms that are due at a time, the longest overdue
// first.
func (s *Store) DueAlarms(ctx context.Context, at int64, limit int) ([]Alarm, error) {
	rows, err := s.cache.query(ctx, `SELECT `+alarmFields+` FROM alarm WHERE due <= ? ORDER BY due, object LIMIT ?`, at, max(limit, 0))
	if err != nil {
		return nil, s.readError(ctx, err)
	}
	defer rows.Close()
	var alarms []Alarm
	for rows.Next() {
		var a Alarm
		var name string
		if err := rows.Scan(&name, &a.ID, &a.Scheduled, &a.Due, &a.Attempts); err != nil {
			return nil, s.readError(ctx, err)
		}
		if a.Object, err = key.Parse(name); err != nil {
			return nil, fmt.Errorf("store: the object of an alarm: %w", err)
		}
		alarms = append(alarms, a)
	}
	return alarms, s.readError(ctx, rows.Err())
}

// NextAlarm returns when the first alarm is due after a time, and whether there is
// one.
func (s *Store) NextAlarm(ctx context.Context, after int64) (due int64, found bool, err error) {
	found, err = s.one(ctx, []any{&due}, `SELECT due FROM alarm WHERE due > ? ORDER BY due LIMIT 1`, after)
	return due, found, err
}

// Schedule is what is kept of a handler that runs at certain times.
type Schedule struct {
	Name string // of the handler
	Cron string // the times, as the script wrote them
	Last int64  // every run up to this time is in the outbox, milliseconds
}

type (
	// PutSchedule inserts or replaces a schedule.
	PutSchedule struct{ Schedule Schedule }
	// DeleteSchedule removes one, if it is there.
	DeleteSchedule struct{ Name string }
)

func (PutSchedule) write()    {}
func (DeleteSchedule) write() {}

// Schedules returns all schedules, in the order of their names.
func (s *Store) Schedules(ctx context.Context) ([]Schedule, error) {
	rows, err := s.cache.query(ctx, `SELECT name, cron, last FROM schedule ORDER BY name`)
	if err != nil {
		return nil, s.readError(ctx, err)
	}
	defer rows.Close()
	var all []Schedule
	for rows.Next() {
		var each Schedule
		if err := rows.Scan(&each.Name, &each.Cron, &each.Last); err != nil {
			return nil, s.readError(ctx, err)
		}
		all = append(all, each)
	}
	return all, s.readError(ctx, rows.Err())
}

// applyTime runs the writes of this file.
func (s *Store) applyTime(object string, w Write) error {
	switch w := w.(type) {
	case SetAlarm:
		return wrap("set an alarm", s.exec(s.write.setAlarm, object, w.ID, w.At, w.At))
	case DeleteAlarm:
		return wrap("delete an alarm", s.exec(s.write.deleteAlarm, object))
	case EndAlarm:
		return wrap("end an alarm", s.exec(s.write.endAlarm, object, w.ID))
	case RetryAlarm:
		return wrap("note an attempt of an alarm", s.exec(s.write.retryAlarm, w.Attempts, w.Due, object, w.ID))
	case PutSchedule:
		return wrap("put a schedule", s.exec(s.write.putSchedule, w.Schedule.Name, w.Schedule.Cron, w.Schedule.Last))
	case DeleteSchedule:
		return wrap("delete a schedule", s.exec(s.write.deleteSchedule, w.Name))
	default:
		return fmt.Errorf("store: unknown write %T", w)
	}
}
