package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Check reads all of a database, with its log, and lists what is damaged: rows that
// cannot be read or are not where they belong, indexes that do not match their table.
// It changes neither the database nor its log, of which more may be saved than SQLite
// would copy of it, and returns ErrLocked if another process has the folder. What it cannot
// see is a value that was changed into another valid one.
func Check(ctx context.Context, folder string) (problems []string, err error) {
	s := &Store{opts: Options{Folder: folder}}
	defer func() { err = errors.Join(err, s.release()) }()
	if folder, err = s.prepareFolder(); err != nil {
		return nil, err
	}
	path := filepath.Join(folder, FileName)
	if err := checkLog(path); errors.Is(err, ErrCorrupt) {
		return []string{err.Error()}, nil
	} else if err != nil {
		return nil, err
	}
	how := "&mode=ro" // else the last to close it applies the log, and deletes it
	if !present(path + "-wal") {
		how = "&immutable=1" // else one is made
	}
	db, err := sql.Open("sqlite", dataSource(path, writerCacheKiB)+how)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return look(ctx, db, thorough)
}

// quick and thorough are how closely a database is looked through: whether its pages
// hold together, or its indexes too. They list up to 20 problems: enough to see what
// kind of damage it is.
const (
	quick    sqlText = "PRAGMA quick_check(20)"
	thorough sqlText = "PRAGMA integrity_check(20)"
)

// look has SQLite look through the whole database, and lists what is wrong.
func look(ctx context.Context, db interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}, closely sqlText) (problems []string, err error) {
	rows, err := db.QueryContext(ctx, string(closely))
	if err == nil {
		defer rows.Close()
		for rows.Next() {
			var problem string
			if err := rows.Scan(&problem); err != nil {
				return nil, fmt.Errorf("store: check: %w", err)
			}
			for line := range strings.Lines(problem) {
				if line = strings.TrimSpace(line); line != "ok" && !strings.HasPrefix(line, "***") { // a headline
					problems = append(problems, line)
				}
			}
		}
		err = rows.Err()
	}
	if e := diagnose(err); errors.Is(e, ErrCorrupt) { // so much that it cannot go on
		return append(problems, err.Error()), nil
	} else if e != nil {
		return nil, fmt.Errorf("store: check: %w", e)
	}
	return problems, nil
}

// checkSmall looks through a database that is about to be opened, unless that takes
// longer than a start may. SQLite notices damage only where it trips over it: without
// this, what has lost its place in an index is just not found.
func (s *Store) checkSmall(ctx context.Context, path string) error {
	file, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // it is made now
	} else if err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if file.Size() > s.opts.CheckUpTo {
		return nil
	}
	problems, err := look(ctx, s.conn, thorough)
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return fmt.Errorf("store: %w: %s: %s", ErrCorrupt, path, problems[0])
	}
	return nil
}
