package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
)

// maxProblems is how many a check lists: enough to see what kind of damage it is.
const maxProblems = 20

// Check reads all of a database, with its log, and lists what is damaged: rows that
// cannot be read or are not where they belong, indexes that do not match their table.
// It changes nothing, and returns ErrLocked if another process has the folder. What
// it cannot see is a value that was changed into another valid one.
func Check(ctx context.Context, folder string) (problems []string, err error) {
	s := &Store{opts: Options{Folder: folder}}
	defer func() { err = errors.Join(err, s.release()) }()
	if folder, err = s.prepareFolder(); err != nil {
		return nil, err
	}
	path := filepath.Join(folder, "chat.db")
	if err := checkLog(path); errors.Is(err, ErrCorrupt) {
		return []string{err.Error()}, nil
	} else if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dataSource(path, writerCacheKiB))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	rows, err := db.QueryContext(ctx, fmt.Sprintf("PRAGMA integrity_check(%d)", maxProblems))
	if err == nil {
		defer rows.Close()
		for rows.Next() {
			var problem string
			if err := rows.Scan(&problem); err != nil {
				return nil, fmt.Errorf("store: check: %w", err)
			}
			if problem != "ok" {
				problems = append(problems, problem)
			}
		}
		err = rows.Err()
	}
	if err = diagnose(err); errors.Is(err, ErrCorrupt) { // so much that it cannot go on
		return append(problems, err.Error()), nil
	} else if err != nil {
		return nil, fmt.Errorf("store: check: %w", err)
	}
	return problems, nil
}
