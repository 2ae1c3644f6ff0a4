package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// statements are the writer's, prepared on its connection.
type statements struct {
	begin, commit, rollback        *statement
	savepoint, release, rollbackTo *statement
	epoch, markIDs                 *statement

	insertThing, putThing, oldThing, deleteThing *statement
	addIndex, deleteIndex, declareIndex          *statement
	nextThings, indexReady                       *statement
	putValue, deleteValue, deleteAllValues       *statement
	addDelivery, doneDelivery, retryDelivery     *statement
	addLetter, replayLetter, replayAlarm         *statement
	dropLetter                                   *statement

	setAlarm, deleteAlarm, endAlarm, retryAlarm *statement
	putSchedule, deleteSchedule                 *statement

	all []*statement
}

const (
	thingInsert  = `INSERT INTO thing (object, id, type, created, updated, version, sent, fields) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`
	outboxFields = `seq, kind, target, handler, id, type, source, data, at, hops, attempts, next_at`
	letterFields = outboxFields + `, error, position, died_at`
)

func (w *statements) prepare(ctx context.Context, conn any) error {
	for _, p := range []struct {
		to  **statement
		sql sqlText
	}{
		{&w.begin, `BEGIN IMMEDIATE`},
		{&w.commit, `COMMIT`},
		{&w.rollback, `ROLLBACK`},
		{&w.savepoint, `SAVEPOINT batch`},
		{&w.release, `RELEASE batch`},
		{&w.rollbackTo, `ROLLBACK TO batch`},
		{&w.epoch, `SELECT epoch FROM owner`},
		{&w.markIDs, `UPDATE owner SET ids_until = ?`},

		{&w.insertThing, thingInsert},
		{&w.putThing, thingInsert + ` ON CONFLICT (object, id) DO UPDATE SET type = excluded.type, created = excluded.created,
			updated = excluded.updated, version = excluded.version, sent = excluded.sent, fields = excluded.fields`},
		{&w.oldThing, `SELECT type, fields FROM thing WHERE object = ? AND id = ?`},
		{&w.deleteThing, `DELETE FROM thing WHERE object = ? AND id = ?`},

		{&w.addIndex, `INSERT OR IGNORE INTO thing_index (object, type, field, value, id) VALUES (?, ?, ?, ?, ?)`},
		{&w.deleteIndex, `DELETE FROM thing_index WHERE object = ? AND type = ? AND field = ? AND value = ? AND id = ?`},
		{&w.declareIndex, `INSERT OR IGNORE INTO thing_index_field (type, field, ready) VALUES (?, ?, 0)`},
		{&w.nextThings, `SELECT object, id, CASE type WHEN ? THEN fields END FROM thing WHERE (object, id) > (?, ?) ORDER BY object, id LIMIT ?`},
		{&w.indexReady, `UPDATE thing_index_field SET ready = 1 WHERE type = ? AND field = ?`},

		{&w.putValue, `INSERT INTO key_value (object, key, value) VALUES (?, ?, ?) ON CONFLICT (object, key) DO UPDATE SET value = excluded.value`},
		{&w.deleteValue, `DELETE FROM key_value WHERE object = ? AND key = ?`},
		{&w.deleteAllValues, `DELETE FROM key_value WHERE object = ?`},

		{&w.addDelivery, `INSERT INTO outbox (` + outboxFields + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&w.doneDelivery, `DELETE FROM outbox WHERE seq = ?`},
		{&w.retryDelivery, `UPDATE outbox SET attempts = ?, next_at = ? WHERE seq = ?`},
		{&w.addLetter, `INSERT OR REPLACE INTO dead_letter (` + letterFields + `) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&w.replayLetter, `INSERT INTO outbox (` + outboxFields + `) SELECT ?, kind, target, handler, id, type, source, data, at, 0, 0, 0
			FROM dead_letter WHERE seq = ? AND kind <> ?`},
		{&w.replayAlarm, `INSERT OR IGNORE INTO alarm (` + alarmFields + `) SELECT target, ?, at, ?, 0 FROM dead_letter WHERE seq = ? AND kind = ?`},
		{&w.dropLetter, `DELETE FROM dead_letter WHERE seq = ?`},

		{&w.setAlarm, `INSERT OR REPLACE INTO alarm (` + alarmFields + `) VALUES (?, ?, ?, ?, 0)`},
		{&w.deleteAlarm, `DELETE FROM alarm WHERE object = ?`},
		{&w.endAlarm, `DELETE FROM alarm WHERE object = ? AND id = ?`},
		{&w.retryAlarm, `UPDATE alarm SET attempts = ?, due = ? WHERE object = ? AND id = ?`},
		{&w.putSchedule, `INSERT OR REPLACE INTO schedule (name, cron, last) VALUES (?, ?, ?)`},
		{&w.deleteSchedule, `DELETE FROM schedule WHERE name = ?`},
	} {
		stmt, err := prepareStatement(ctx, conn, p.sql)
		if err != nil {
			return fmt.Errorf("%s: %w", p.sql, err)
		}
		*p.to = stmt
		w.all = append(w.all, stmt)
	}
	return nil
}

func (w *statements) close() error {
	var errs []error
	for _, stmt := range w.all {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(errs...)
}

func (s *Store) exec(stmt *statement, args ...any) error {
	_, err := stmt.exec(args...)
	return err
}

// applyWrites runs the writes of a batch in their order.
func (s *Store) applyWrites(b *Batch) error {
	object := b.Object.String()
	for _, w := range b.Writes {
		if err := s.applyWrite(object, w); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) applyWrite(object string, w Write) error {
	switch w := w.(type) {
	case PutThing:
		return s.applyPut(object, &w)
	case DeleteThing:
		return wrap("delete a thing", s.applyDelete(object, w.ID))
	case PutValue:
		return wrap("put a value", s.exec(s.write.putValue, object, w.Key, notNil(w.Value)))
	case DeleteValue:
		return wrap("delete a value", s.exec(s.write.deleteValue, object, w.Key))
	case DeleteAllValues:
		return wrap("delete all values", s.exec(s.write.deleteAllValues, object))
	case AddDelivery:
		return wrap("add a delivery", s.exec(s.write.addDelivery, deliveryArgs(&w.Delivery)...))
	case DoneDelivery:
		return s.applyDone(w.Seq)
	case RetryDelivery:
		return wrap("note an attempt", s.exec(s.write.retryDelivery, w.Attempts, w.NextAt, w.Seq))
	case BuryDelivery:
		return wrap("bury a delivery", s.applyBury(&w.Letter))
	case ReplayLetter, ReplayAlarm, DropLetter:
		return s.applyLetter(w)
	default:
		return s.applyTime(object, w)
	}
}

func (s *Store) applyPut(object string, w *PutThing) error {
	t := &w.Thing
	for _, name := range t.Indexed {
		if _, err := indexable(name); err != nil {
			return err
		}
	}
	fields := "{}"
	if len(t.Fields) > 0 {
		fields = string(t.Fields)
	}
	stmt := s.write.insertThing
	if !w.Insert {
		stmt = s.write.putThing
		if err := s.dropIndexRows(object, t.ID); err != nil {
			return wrap("put a thing", err)
		}
	}
	err := s.exec(stmt, object, t.ID, t.Type, t.CreatedAt, t.UpdatedAt, t.Version, field{name: sent}.of(t).bind(), fields)
	if err != nil {
		if w.Insert && isDuplicate(err) {
			return fmt.Errorf("%w: %s in %s", ErrConflict, t.ID, object)
		}
		return wrap("put a thing", err)
	}
	for _, idx := range s.indexes.of(t.Type) {
		if err := s.exec(s.write.addIndex, object, t.Type, idx.field.name, idx.field.of(t).bind(), t.ID); err != nil {
			return wrap("index a thing", err)
		}
	}
	return nil
}

func (s *Store) applyDelete(object, id string) error {
	if err := s.dropIndexRows(object, id); err != nil {
		return err
	}
	return s.exec(s.write.deleteThing, object, id)
}

// dropIndexRows removes the index rows of a thing as it is stored now.
func (s *Store) dropIndexRows(object, id string) error {
	if s.indexes.none() {
		return nil
	}
	old := Thing{ID: id}
	err := s.write.oldThing.each(func(row []driver.Value) (err error) {
		if old.Type, err = column[string](row, 0); err != nil {
			return err
		}
		fields, err := column[string](row, 1)
		old.Fields = []byte(fields)
		return err
	}, object, id)
	if err != nil || old.Type == "" {
		return err
	}
	for _, idx := range s.indexes.of(old.Type) {
		if err := s.exec(s.write.deleteIndex, object, old.Type, idx.field.name, idx.field.of(&old).bind(), id); err != nil {
			return err
		}
	}
	return nil
}

// applyDone fails if the row is not there: the batch was made from a delivery that
// an earlier one has taken, and must not take effect twice.
func (s *Store) applyDone(seq int64) error {
	n, err := s.write.doneDelivery.exec(seq)
	if err == nil && n == 0 {
		return fmt.Errorf("%w: %d", ErrNotFound, seq)
	}
	return wrap("end a delivery", err)
}

func (s *Store) applyBury(letter *DeadLetter) error {
	args := append(deliveryArgs(&letter.Delivery), letter.Error, letter.Position, letter.DiedAt)
	if err := s.exec(s.write.addLetter, args...); err != nil {
		return err
	}
	return s.exec(s.write.doneDelivery, letter.Seq)
}

// deliveryArgs are the values of outboxFields.
func deliveryArgs(d *Delivery) []any {
	return []any{d.Seq, int64(d.Kind), d.Target.String(), d.Handler, d.ID, d.Type, d.Source, notNil(d.Data), d.At, d.Hops, d.Attempts, d.NextAt}
}

// notNil keeps nil from becoming NULL.
func notNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("store: %s: %w", doing, err)
}

func isDuplicate(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY || e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE
}
