package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
)

// statement is a prepared statement of the writer, used as the driver has it:
// database/sql costs as much again as the shorter statements take themselves.
// It is run within Store.raw only, by one goroutine at a time.
type statement struct {
	prepared
	args []driver.NamedValue // of the run under way
}

type prepared interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

func prepareStatement(ctx context.Context, conn any, text sqlText) (*statement, error) {
	preparer, ok := conn.(driver.ConnPrepareContext)
	if !ok {
		return nil, errors.New("the driver cannot prepare statements")
	}
	stmt, err := preparer.PrepareContext(ctx, string(text))
	if err != nil {
		return nil, err
	}
	p, ok := stmt.(prepared)
	if !ok {
		return nil, errors.Join(errors.New("the driver cannot run prepared statements"), stmt.Close())
	}
	return &statement{prepared: p}, nil
}

// bind gives values their places. Those of Go's types that the driver doesn't
// know are converted.
func (s *statement) bind(values []any) []driver.NamedValue {
	s.args = s.args[:0]
	for i, v := range values {
		if n, ok := v.(int); ok {
			v = int64(n)
		}
		s.args = append(s.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return s.args
}

// exec runs a statement that returns no rows, and reports how many it changed.
func (s *statement) exec(values ...any) (changed int64, err error) {
	result, err := s.ExecContext(context.Background(), s.bind(values))
	clear(s.args) // hold nothing of them
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// each runs a query and calls f with each row. f must not keep the slice.
func (s *statement) each(f func(row []driver.Value) error, values ...any) (err error) {
	rows, err := s.QueryContext(context.Background(), s.bind(values))
	clear(s.args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	row := make([]driver.Value, len(rows.Columns()))
	for {
		if err := rows.Next(row); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := f(row); err != nil {
			return err
		}
	}
}

// column reads a value of a row; the schema says what it is.
func column[T any](row []driver.Value, i int) (T, error) {
	v, ok := row[i].(T)
	if !ok {
		return v, fmt.Errorf("column %d is %T, not %T", i, row[i], v)
	}
	return v, nil
}

// raw runs f with the writer's connection as the driver has it.
func (s *Store) raw(f func(conn any) error) error {
	var err error
	if failed := s.conn.Raw(func(conn any) error {
		err = f(conn)
		return nil // whatever it is, database/sql has nothing to do about it
	}); failed != nil {
		return failed
	}
	return err
}
