package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	// restoringName is the file that is in a data folder while a restore puts its files
	// in place. It holds the name that the database from before gets.
	restoringName = "chat.restoring"
	// partialPrefix is what the name of a database begins with that is not whole yet.
	partialPrefix = FileName + ".partial-"
	// asideFormat is what the name of a database from before ends with.
	asideFormat = "20060102T150405Z"
)

// ErrRestoring says that a restore of the data folder has not come to its end.
var ErrRestoring = errors.New("a restore was broken off: run it again")

// Restore puts a copy of a database in place of the one in a data folder, which is made
// if it is missing, and returns the name that the one from before has now; none if
// there was none. No process may have the folder: then ErrLocked is returned. The file
// may be any database of ours, also one in use, and is not changed. It must be sound
// (ErrCorrupt), ours (ErrNotOurs) and of no later version (ErrNewer); else nothing
// has been done. The fencing token goes on from the higher of the two.
//
// A crash leaves the old database or the new one, whole; or one that a start refuses
// with ErrRestoring, until a further Restore has come to its end.
func Restore(ctx context.Context, file, folder string) (aside string, err error) {
	folder, err = filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(file); err != nil {
		return "", err
	}
	lock, err := lockFolder(folder)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	for _, stale := range globAll(folder, partialPrefix+"*") { // of a restore that was broken off
		_ = os.Remove(stale)
	}
	fresh, err := os.CreateTemp(folder, partialPrefix+"*")
	if err != nil {
		return "", err
	}
	defer func() {
		err = errors.Join(err, fresh.Close())
		if err != nil {
			_ = os.Remove(fresh.Name())
		}
	}()
	err = damage(snapshot(ctx, file, fresh, true))
	if err == nil {
		err = examine(ctx, fresh.Name(), thorough)
	}
	if err == nil {
		err = sameSize(file, fresh)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	if err := raiseEpoch(ctx, fresh.Name(), epochOf(ctx, filepath.Join(folder, FileName))); err != nil {
		return "", err
	}
	if err := errors.Join(ownLike(folder, fresh.Name(), filepath.Join(folder, lockName)), fresh.Sync(), ctx.Err()); err != nil {
		return "", err
	}
	return putInPlace(folder, fresh.Name()) // and is not broken off any more
}

// sameSize checks that a file is not cut off within a page, which SQLite takes for
// one that ends with zeros. A log may have more pages than its database.
func sameSize(file string, copied *os.File) error {
	from, err := os.Stat(file)
	if err != nil {
		return err
	}
	to, err := copied.Stat()
	if err != nil {
		return err
	}
	if from.Size() != to.Size() && !present(file+"-wal") {
		return fmt.Errorf("%w: it has %d bytes and should have %d", ErrCorrupt, from.Size(), to.Size())
	}
	return nil
}

// putInPlace moves the present database and its log away, and the fresh one to where
// it was. While neither is whole, the marker keeps everybody out.
func putInPlace(folder, fresh string) (aside string, err error) {
	database, marker := filepath.Join(folder, FileName), filepath.Join(folder, restoringName)
	aside, err = readMarker(marker)
	if err != nil {
		return "", err
	}
	if aside == "" {
		aside = database + ".before-" + time.Now().UTC().Format(asideFormat)
		for i := 2; present(aside) || present(aside+"-wal"); i++ {
			aside = fmt.Sprintf("%s.before-%s-%d", database, time.Now().UTC().Format(asideFormat), i)
		}
		if err := writeMarker(marker, aside); err != nil {
			return "", err
		}
	}
	if log, err := os.Stat(database + "-wal"); err == nil && log.Size() == 0 { // who only looks leaves one
		if err := os.Remove(database + "-wal"); err != nil {
			return "", err
		}
	}
	// The log goes first, and once. So if there is one beside the old name and one beside
	// the new, somebody has only looked since; and if the database has been moved, what
	// is here now is from the restore that was broken off.
	if !present(aside) {
		for _, suffix := range []string{"-wal", ""} {
			if present(aside + suffix) {
				continue
			}
			if err := os.Rename(database+suffix, aside+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
				return "", err
			}
			if err := syncFolder(folder); err != nil {
				return "", err
			}
		}
	}
	for _, suffix := range []string{"-wal", "-shm"} { // -shm is but an index of the log
		if err := os.Remove(database + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	if err := os.Rename(fresh, database); err != nil {
		return "", err
	}
	if err := syncFolder(folder); err != nil {
		return "", err
	}
	if err := os.Remove(marker); err != nil {
		return "", err
	}
	if !present(aside) {
		aside = ""
	}
	return aside, syncFolder(folder)
}

// readMarker returns the name that a restore which was broken off has moved the
// database to, or was about to; empty if there was none.
func readMarker(marker string) (aside string, err error) {
	text, err := os.ReadFile(marker)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	name, whole := strings.CutSuffix(string(text), "\n")
	if !whole || name != filepath.Base(name) {
		return "", nil // it was broken off before anything was moved
	}
	return filepath.Join(filepath.Dir(marker), name), nil
}

func writeMarker(marker, aside string) error {
	f, err := os.Create(marker)
	if err != nil {
		return err
	}
	_, err = f.WriteString(filepath.Base(aside) + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(marker))
	}
	return syncFolder(filepath.Dir(marker))
}

func present(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

func globAll(folder, pattern string) []string {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil
	}
	var found []string
	for _, e := range entries {
		if ok, _ := filepath.Match(pattern, e.Name()); ok {
			found = append(found, filepath.Join(folder, e.Name()))
		}
	}
	return found
}

// epochOf reads the fencing token of a database; 0 if it has none that can be read.
func epochOf(ctx context.Context, file string) (epoch uint64) {
	db, conn, err := openSnapshot(ctx, file, true)
	if err != nil {
		return 0
	}
	defer db.Close()
	defer conn.Close()
	_ = conn.QueryRowContext(ctx, "SELECT epoch FROM owner").Scan(&epoch) // what is damaged has none
	return epoch
}

// raiseEpoch makes the fencing token of a database no lower than another: whoever was
// fenced off stays so.
func raiseEpoch(ctx context.Context, file string, to uint64) (err error) {
	db, err := sql.Open("sqlite", dataSource(file, readerCacheKiB, "synchronous(OFF)"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	_, err = db.ExecContext(ctx, "UPDATE owner SET epoch = max(epoch, ?)", int64(to))
	return err
}
