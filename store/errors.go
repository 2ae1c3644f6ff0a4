package store

import (
	"errors"
	"fmt"
)

var (
	// ErrLocked says that another process has the data folder open.
	ErrLocked = errors.New("store: another process uses the data folder")
	// ErrFenced says that a batch carries a fencing token that is not the current
	// one: somebody else owns the object now. Nothing of the batch is stored.
	ErrFenced = errors.New("store: the object has another owner now")
	// ErrConflict says that a thing with this $id exists already (PutThing with
	// Insert). Nothing of the batch is stored.
	ErrConflict = errors.New("store: a thing with this $id exists")
	// ErrNotFound says that a delivery to be done is no longer in the outbox: an
	// earlier batch did it or buried it. Nothing of the batch is stored.
	ErrNotFound = errors.New("store: the delivery is not in the outbox")
	// ErrBroken says that an earlier batch of the same view failed. Nothing of the
	// batch is stored.
	ErrBroken = errors.New("store: an earlier turn of the object could not be stored")
	// ErrCorrupt says that SQLite has found the database damaged where it was to read
	// or to write.
	ErrCorrupt = errors.New("the database is damaged")
	// ErrClosed says that the store is closed.
	ErrClosed = errors.New("store: closed")
	// ErrNewer says that a later version of the program wrote the database.
	ErrNewer = errors.New("store: the database is of a newer version")
)

// QueryError is a mistake in a query that its author can mend. The message is
// meant for them.
type QueryError struct {
	Name   string // the key, field or operator that is wrong, such as orderBy or $gt
	Reason string // what is wrong with it
}

func (e *QueryError) Error() string { return e.Name + ": " + e.Reason }

func queryErrorf(name, format string, args ...any) error {
	return &QueryError{Name: name, Reason: fmt.Sprintf(format, args...)}
}
