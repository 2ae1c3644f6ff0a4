package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	// copyStep is how many pages are copied between two looks at the context.
	copyStep = 256
	// syncSteps is after how many steps, 16 MiB, the copy is synced: one sync of
	// everything at the end would keep the commits of the program waiting.
	syncSteps = 16
	// abandonedAfter is for how long nothing has been written to the part of a copy that
	// nobody will finish: a check, which only reads, takes some three seconds a gigabyte.
	// One that takes longer still fails if it meets another backup to the same file.
	abandonedAfter = time.Hour
)

// ErrNotOurs says that a file is no database of this program.
var ErrNotOurs = errors.New("it is not a database of this program")

// partialSuffix and a number is what a copy has behind its name until it is whole.
const partialSuffix = ".partial-"

// BackupOptions say what to copy, and where to.
type BackupOptions struct {
	Folder string // the data folder; a process may have it open
	File   string // of the copy
	// Replace allows a file of that name, which is replaced once the copy is good.
	Replace bool
}

// Backup copies the database of a data folder, as it is at one moment, into a file,
// and returns the size of it in bytes. All that was committed before the call is in
// it. Neither who reads nor who writes meanwhile waits for it; but until the copy is
// made, the log (chat.db-wal) keeps all that is written, and grows. The file appears
// under its name when it is whole, has been checked, and is on the disk. It has one
// part, no log. An error wraps os.ErrExist if there is a file already. What backups to
// the same file have left that were killed is removed.
func Backup(ctx context.Context, o BackupOptions) (size int64, err error) {
	if o.File, err = filepath.Abs(o.File); err != nil {
		return 0, err
	}
	source := filepath.Join(o.Folder, FileName)
	if err := o.check(source); err != nil {
		return 0, err
	}
	removeAbandoned(o.File)
	file, err := os.CreateTemp(filepath.Dir(o.File), filepath.Base(o.File)+partialSuffix+"*") // mode 0600
	if err != nil {
		return 0, err
	}
	defer func() {
		// Only now: closing a file gives up SQLite's locks on it.
		err = errors.Join(err, file.Close())
		if err != nil {
			_ = os.Remove(file.Name()) // it has been renamed, or is of no use
		}
	}()
	if err := snapshot(ctx, source, file, false); err != nil {
		return 0, damage(err)
	}
	if err := examine(ctx, file.Name(), quick); err != nil {
		return 0, err
	}
	if err := file.Sync(); err != nil {
		return 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if err := o.check(source); err != nil { // it may have taken a while
		return 0, err
	}
	if err := os.Rename(file.Name(), o.File); err != nil {
		return 0, err
	}
	return info.Size(), syncFolder(filepath.Dir(o.File))
}

// removeAbandoned removes what backups to a file have left that were killed. A failure
// is none of the next one.
func removeAbandoned(file string) {
	folder := filepath.Dir(file)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, e := range entries {
		number, ok := strings.CutPrefix(e.Name(), filepath.Base(file)+partialSuffix)
		number = strings.TrimSuffix(number, "-journal") // of the check
		if _, err := strconv.ParseUint(number, 10, 64); !ok || err != nil || !e.Type().IsRegular() {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > abandonedAfter {
			_ = os.Remove(filepath.Join(folder, e.Name()))
		}
	}
}

// check reports what is in the way of the copy.
func (o *BackupOptions) check(source string) error {
	if present(filepath.Join(o.Folder, restoringName)) {
		return ErrRestoring
	}
	if _, err := os.Stat(source); err != nil {
		return err
	}
	if o.isOwn() {
		return fmt.Errorf("%s is a file of the program's own", o.File)
	}
	target, err := os.Stat(o.File)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if !o.Replace || !target.Mode().IsRegular() {
		return &os.PathError{Op: "write", Path: o.File, Err: os.ErrExist}
	}
	return nil
}

// isOwn reports whether the copy would have the name of a file of the data folder that
// means something, there or not: the next start would take it for that, or remove it.
func (o *BackupOptions) isOwn() bool {
	target, err := os.Stat(o.File)
	there := err == nil
	folder, err := os.Stat(o.Folder)
	if err != nil {
		return false
	}
	to, err := os.Stat(filepath.Dir(o.File))
	inside := err == nil && os.SameFile(folder, to)
	for _, name := range []string{FileName, FileName + "-wal", FileName + "-shm", FileName + "-journal", lockName, restoringName, SocketName} {
		own, err := os.Stat(filepath.Join(o.Folder, name))
		if there && err == nil && os.SameFile(own, target) || inside && filepath.Base(o.File) == name {
			return true
		}
	}
	return inside && strings.HasPrefix(filepath.Base(o.File), partialPrefix)
}

// checkLogAtRest is checkLog for a database that somebody may have open: then its log
// is in order as far as they know, and says nothing to anybody else.
func checkLogAtRest(database string) (err error) {
	if !present(database+"-wal") && !present(database+"-shm") {
		return nil // it has none
	}
	name := filepath.Join(filepath.Dir(database), lockName)
	if !present(name) { // nobody of ours has been here
		return checkLog(database)
	}
	lock := flock.New(name)
	got, err := lock.TryLock()
	if err != nil || !got {
		return errors.Join(err, lock.Close())
	}
	return errors.Join(checkLog(database), lock.Close())
}

// snapshot copies a database, which others may read and write, into an empty file.
// The pages are copied as they are, by SQLite's own backup within one read
// transaction: so it sees one state from end to end, and never begins anew. still says
// that the database may be one that cannot be written to.
func snapshot(ctx context.Context, source string, to *os.File, still bool) (err error) {
	if err := checkLogAtRest(source); err != nil {
		return err
	}
	db, conn, err := openSnapshot(ctx, source, still)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(), db.Close()) }()
	// Nothing of the copy is worth a journal.
	target := dataSource(to.Name(), readerCacheKiB, "journal_mode(OFF)", "synchronous(OFF)")
	var copied error
	err = conn.Raw(func(conn any) error {
		copied = copyPages(ctx, conn, target, to)
		return nil
	})
	return errors.Join(err, copied)
}

// openSnapshot opens a database to read, and begins a read transaction in which it
// stays as it is. Nothing of it is changed, not even to apply its log.
func openSnapshot(ctx context.Context, file string, still bool) (*sql.DB, *sql.Conn, error) {
	if _, err := os.Stat(file); err != nil {
		return nil, nil, err
	}
	file, err := filepath.Abs(file)
	if err != nil {
		return nil, nil, err
	}
	open := func(how string) (*sql.DB, *sql.Conn, error) {
		db, err := sql.Open("sqlite", dataSource(file, readerCacheKiB)+how)
		if err != nil {
			return nil, nil, err
		}
		conn, err := db.Conn(ctx)
		if err == nil {
			_, err = conn.ExecContext(ctx, "BEGIN; SELECT count(*) FROM sqlite_schema") // the first read begins it
		}
		if err == nil {
			return db, conn, nil
		}
		if conn != nil {
			_ = conn.Close()
		}
		return nil, nil, errors.Join(err, db.Close())
	}
	db, conn, err := open("&mode=ro")
	if err != nil && still && ctx.Err() == nil && !present(file+"-wal") {
		db, conn, err = open("&immutable=1") // there, not even the index of a log can be made
	}
	return db, conn, err
}

func copyPages(ctx context.Context, conn any, target string, to *os.File) error {
	source, ok := conn.(interface {
		NewBackup(string) (*sqlite.Backup, error)
	})
	if !ok {
		return errors.New("the driver cannot copy databases")
	}
	b, err := source.NewBackup(target)
	if err != nil {
		return err
	}
	for step, more := 1, true; more && err == nil; step++ {
		if more, err = b.Step(copyStep); err == nil {
			err = ctx.Err()
		}
		if err == nil && step%syncSteps == 0 {
			err = to.Sync()
		}
	}
	if end := b.Finish(); err == nil { // else it says the same once more
		err = end
	}
	return err
}

// examine checks that a file, which nobody else has open, is a sound database of ours
// that this program can read, and leaves it in one part.
func examine(ctx context.Context, file string, closely sqlText) (err error) {
	db, err := sql.Open("sqlite", dataSource(file, writerCacheKiB))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, "PRAGMA journal_mode=DELETE"); err != nil {
		return damage(err)
	}
	known, err := migrations.ReadDir("migration")
	if err != nil {
		return err
	}
	var version, tables int
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return damage(err)
	}
	if err := db.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema
		WHERE type = 'table' AND name IN ('thing', 'key_value', 'outbox', 'dead_letter', 'owner')`).Scan(&tables); err != nil {
		return damage(err)
	}
	switch {
	case tables != 5 || version == 0:
		return ErrNotOurs
	case version > len(known):
		return fmt.Errorf("%w: it has version %d, this program knows up to %d", ErrNewer, version, len(known))
	}
	problems, err := look(ctx, db, closely)
	if len(problems) > 0 {
		err = fmt.Errorf("%w: %s", ErrCorrupt, problems[0])
	}
	return err
}

// damage is what an error means that comes while a database is copied or examined.
func damage(err error) error {
	var e *sqlite.Error
	if errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_NOTADB {
		return fmt.Errorf("%w: %v", ErrNotOurs, err)
	}
	return diagnose(err)
}

// syncFolder makes the names in a folder last.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
