package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"sync"
)

// indexStep is how many things the writer indexes in one transaction. Batches wait
// for it: at about 10 µs each it is in the order of one sync of the disk.
const indexStep = 500

// index is a field of one type that is, or soon will be, kept in thing_index.
type index struct {
	typ   string
	field field
	ready chan struct{} // closed when things from before it was declared are in
	next  place         // the writer's: the thing up to which they are in
}

func (i *index) isReady() bool {
	select {
	case <-i.ready:
		return true
	default:
		return false
	}
}

type indexName struct{ typ, field string }

// indexes are all that were ever declared. Readers ask for them by want; the rest
// belongs to the writer.
type indexes struct {
	mu     sync.RWMutex
	byName map[indexName]*index
	wanted []*index // not in the database yet

	// the writer's
	declared map[string][]*index // by type: writes keep the rows of these
	fresh    []*index            // declared by the transaction that is open
	building []*index            // declared, not ready
	blocked  bool                // the last attempt failed; wait for a commit that doesn't
}

func newIndexes() *indexes {
	return &indexes{byName: map[indexName]*index{}, declared: map[string][]*index{}}
}

// load reads what earlier processes have declared.
func (x *indexes) load(ctx context.Context, conn *sql.Conn) error {
	rows, err := conn.QueryContext(ctx, "SELECT type, field, ready FROM thing_index_field")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var (
			typ, name string
			ready     bool
		)
		if err := rows.Scan(&typ, &name, &ready); err != nil {
			return err
		}
		f, err := indexable(name)
		if err != nil {
			return err
		}
		idx := &index{typ: typ, field: f, ready: make(chan struct{})}
		if ready {
			close(idx.ready)
		} else {
			x.building = append(x.building, idx)
		}
		x.byName[indexName{typ, name}] = idx
		x.declared[typ] = append(x.declared[typ], idx)
	}
	return rows.Err()
}

// want returns the index of a field, and whether it is new: then the writer has to
// be woken.
func (x *indexes) want(typ string, f field) (idx *index, isNew bool) {
	name := indexName{typ, f.name}
	x.mu.RLock()
	idx = x.byName[name]
	x.mu.RUnlock()
	if idx != nil {
		return idx, false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if idx = x.byName[name]; idx != nil {
		return idx, false
	}
	idx = &index{typ: typ, field: f, ready: make(chan struct{})}
	x.byName[name] = idx
	x.wanted = append(x.wanted, idx)
	return idx, true
}

// indexWork is what the writer has to do for indexes when no batch waits.
type indexWork struct {
	undeclared bool
	unbuilt    *index
}

func (x *indexes) pending() indexWork {
	if x.blocked {
		return indexWork{}
	}
	x.mu.RLock()
	work := indexWork{undeclared: len(x.wanted) > 0}
	x.mu.RUnlock()
	if len(x.building) > 0 {
		work.unbuilt = x.building[0]
	}
	return work
}

// of returns the indexes that writes of a type have to keep.
func (x *indexes) of(typ string) []*index { return x.declared[typ] }

func (x *indexes) none() bool { return len(x.declared) == 0 }

// take declares what is wanted, in the transaction that is open.
func (x *indexes) take() []*index {
	x.mu.Lock()
	x.fresh, x.wanted = x.wanted, nil
	x.mu.Unlock()
	for _, idx := range x.fresh {
		x.declared[idx.typ] = append(x.declared[idx.typ], idx)
	}
	return x.fresh
}

// keep says that the transaction is committed.
func (x *indexes) keep() {
	x.building = append(x.building, x.fresh...)
	x.fresh = nil
	x.blocked = false
}

// undo says that it is not.
func (x *indexes) undo() {
	for _, idx := range x.fresh {
		all := x.declared[idx.typ]
		x.declared[idx.typ] = all[:len(all)-1] // they were added last
	}
	x.mu.Lock()
	x.wanted = append(x.wanted, x.fresh...)
	x.mu.Unlock()
	x.fresh = nil
	x.blocked = true
}

// declareIndexes puts the indexes that the batches or readers ask for into the
// database, before the first write that has to keep them. It is no part of a
// batch, so it stays when a batch fails.
func (s *Store) declareIndexes(jobs []job) error {
	for _, j := range jobs {
		for _, w := range j.batch.Writes {
			put, ok := w.(PutThing)
			if !ok {
				continue
			}
			for _, name := range put.Thing.Indexed {
				if f, err := indexable(name); err == nil && f.name != sent {
					s.indexes.want(put.Thing.Type, f)
				}
			}
		}
	}
	for _, idx := range s.indexes.take() {
		if err := s.exec(s.write.declareIndex, idx.typ, idx.field.name); err != nil {
			return err
		}
	}
	return nil
}

// buildIndex adds the next few things from before an index was declared.
func (s *Store) buildIndex(idx *index) {
	var next place
	complete := false
	err := s.raw(func(any) (err error) {
		if next, complete, err = s.buildStep(idx); err != nil {
			s.rollback()
		}
		return err
	})
	if err != nil {
		s.indexes.blocked = true
		s.opts.Log.Error("cannot build an index; queries do without it", "type", idx.typ, "field", idx.field.name, "error", err)
		return
	}
	idx.next = next
	if complete {
		s.indexes.building = s.indexes.building[1:]
		close(idx.ready)
		s.opts.Log.Info("index is built", "type", idx.typ, "field", idx.field.name)
	}
}

// place is where a thing stands in the table.
type place struct{ object, id string }

func (s *Store) buildStep(idx *index) (next place, complete bool, err error) {
	if err := s.exec(s.write.begin); err != nil {
		return next, false, err
	}
	epoch, err := s.readEpoch()
	if err != nil {
		return next, false, err
	}
	if epoch != s.epoch {
		return next, false, ErrFenced
	}
	type row struct {
		object string
		thing  Thing
	}
	var old []row
	seen := 0
	next = idx.next
	err = s.write.nextThings.each(func(columns []driver.Value) (err error) {
		seen++
		if next.object, err = column[string](columns, 0); err != nil {
			return err
		}
		if next.id, err = column[string](columns, 1); err != nil {
			return err
		}
		if fields, ok := columns[2].(string); ok { // only of the type that is indexed
			old = append(old, row{next.object, Thing{ID: next.id, Type: idx.typ, Fields: []byte(fields)}})
		}
		return nil
	}, idx.typ, idx.next.object, idx.next.id, indexStep)
	if err != nil {
		return next, false, err
	}
	for _, r := range old {
		if err := s.exec(s.write.addIndex, r.object, idx.typ, idx.field.name, idx.field.of(&r.thing).bind(), r.thing.ID); err != nil {
			return next, false, err
		}
	}
	if complete = seen < indexStep; complete {
		if err := s.exec(s.write.indexReady, idx.typ, idx.field.name); err != nil {
			return next, false, err
		}
	}
	if err := s.exec(s.write.commit); err != nil {
		return next, false, fmt.Errorf("commit: %w", err)
	}
	return next, complete, nil
}
