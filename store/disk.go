package store

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// diagnose wraps an error of SQLite that says something of the disk or of the file:
// ErrDisk, ErrCorrupt. Others stay as they are.
func diagnose(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) || errors.Is(err, ErrDisk) || errors.Is(err, ErrCorrupt) {
		return err
	}
	switch e.Code() & 0xff { // the rest says more exactly what
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_BUSY:
		return fmt.Errorf("%w: %w", ErrDisk, err)
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}

// reminder is how often the log says that the disk still takes nothing.
const reminder = 10 * time.Second

// outage is what the log has of a disk that takes nothing: a line when that begins, a
// few while it lasts, and one when it is over, however many batches it costs. It
// belongs to the writer.
type outage struct {
	since  time.Time // zero while all is well
	logged time.Time
	lost   int // batches since then
}

// failed notes that a group of batches was refused.
func (o *outage) failed(log *slog.Logger, now time.Time, batches int, err error) {
	begins := o.since.IsZero()
	if begins {
		o.since = now
	}
	o.lost += batches
	if begins || now.Sub(o.logged) >= reminder {
		o.logged = now
		log.Error("nothing can be stored: what comes is refused until the disk takes it again", "refused", o.lost, "error", err)
	}
}

// worked notes that a transaction is on the disk.
func (o *outage) worked(log *slog.Logger, now time.Time) {
	if !o.since.IsZero() {
		log.Info("the disk takes what is to be stored again", "refused", o.lost, "after", now.Sub(o.since).Round(time.Millisecond))
		*o = outage{}
	}
}
