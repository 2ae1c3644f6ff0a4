package store

import (
	"sync/atomic"
	"time"
)

// idsAhead is how far the mark of ids is ahead of them: it is one row more to write
// each time that they have come so far.
const idsAhead = 10 * time.Second

// idMark has ids grow from one process to the next, though the clock may be set back
// in between: with a transaction, the database notes a time that its ids don't reach.
type idMark struct {
	latest atomic.Int64 // the time of the latest id, milliseconds

	// the writer's
	stored int64 // no stored id reaches this time
	fresh  int64 // the same with the transaction that is open
}

// IDsFrom is the time from which on ids of this process have to be, in milliseconds:
// it is after those of all ids that an earlier process stored.
func (s *Store) IDsFrom() int64 { return s.idsFrom }

// NoteID says that an id of a time, in milliseconds, is about to be stored. It comes
// before the Commit of the batch, and its times never decrease. It never blocks.
func (s *Store) NoteID(at int64) { s.ids.latest.Store(at) }

// markIDs moves the mark, if ids have come up to it, in the transaction that is open.
// That is no part of a batch.
func (s *Store) markIDs() error {
	m := &s.ids
	m.fresh = m.stored
	if latest := m.latest.Load(); latest >= m.stored {
		m.fresh = latest + idsAhead.Milliseconds()
		return s.exec(s.write.markIDs, m.fresh)
	}
	return nil
}

// keep says that the transaction is committed.
func (m *idMark) keep() { m.stored = m.fresh }
