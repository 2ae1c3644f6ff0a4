package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

const (
	// maxStatements bounds the statements that readers keep prepared. Scripts have
	// a few dozen shapes of queries; one that makes up more goes without.
	maxStatements = 256
	// probeLimit is how many things with one value of a declared field are fetched
	// by that value and sorted; if there are more, reading in the wanted order and
	// leaving out the others is likely to be less work.
	probeLimit = 256
)

// statementCache keeps the readers' statements by their text.
type statementCache struct {
	db      *sql.DB
	observe func(statement string, args []any) // or nil

	mu     sync.Mutex
	byText map[sqlText]*sql.Stmt
}

// query runs a statement on one of the readers' connections.
func (c *statementCache) query(ctx context.Context, text sqlText, args ...any) (*sql.Rows, error) {
	if c.observe != nil {
		c.observe(string(text), args)
	}
	stmt, err := c.statement(ctx, text)
	if err != nil {
		return nil, err
	}
	if stmt == nil {
		return c.db.QueryContext(ctx, string(text), args...)
	}
	return stmt.QueryContext(ctx, args...)
}

// statement returns the prepared statement, or nil if there are too many.
func (c *statementCache) statement(ctx context.Context, text sqlText) (*sql.Stmt, error) {
	c.mu.Lock()
	stmt, n := c.byText[text], len(c.byText)
	c.mu.Unlock()
	if stmt != nil || n >= maxStatements {
		return stmt, nil
	}
	fresh, err := c.db.PrepareContext(ctx, string(text))
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if stmt = c.byText[text]; stmt != nil { // somebody was faster
		return stmt, fresh.Close()
	}
	if c.byText == nil {
		c.byText = make(map[sqlText]*sql.Stmt)
	}
	c.byText[text] = fresh
	return fresh, nil
}

func (c *statementCache) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var errs []error
	for _, stmt := range c.byText {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(errs...)
}

// one runs a statement of one row, and reports whether there is one.
func (s *Store) one(ctx context.Context, to []any, text sqlText, args ...any) (bool, error) {
	rows, err := s.cache.query(ctx, text, args...)
	if err != nil {
		return false, s.readError(ctx, err)
	}
	defer rows.Close()
	if !rows.Next() {
		return false, s.readError(ctx, rows.Err())
	}
	if err := rows.Scan(to...); err != nil {
		return false, s.readError(ctx, err)
	}
	return true, s.readError(ctx, rows.Close())
}

// readError wraps what went wrong. If it was the deadline or Close, it says so and
// not what became of the statement.
func (s *Store) readError(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	select {
	case <-s.stopped:
		err = ErrClosed
	default:
	}
	return fmt.Errorf("store: read: %w", diagnose(err))
}

// thing reads one committed thing.
func (s *Store) thing(ctx context.Context, object, id string) (Thing, bool, error) {
	t := Thing{ID: id}
	found, err := s.one(ctx, []any{&t.Type, &t.CreatedAt, &t.UpdatedAt, &t.Version, &t.Fields},
		`SELECT type, created, updated, version, fields FROM thing WHERE object = ? AND id = ?`, object, id)
	if !found {
		return Thing{}, false, err
	}
	return t, true, nil
}

// things lists committed things, without those to exclude.
func (s *Store) things(ctx context.Context, object string, p *plan, exclude []string) ([]Thing, error) {
	a, err := s.accessList(ctx, object, p)
	if err != nil {
		return nil, err
	}
	text, args := selectThings(object, p, a, exclude)
	rows, err := s.cache.query(ctx, text, args...)
	if err != nil {
		return nil, s.readError(ctx, err)
	}
	defer rows.Close()
	var out []Thing
	for rows.Next() {
		var t Thing
		if err := rows.Scan(&t.ID, &t.Type, &t.CreatedAt, &t.UpdatedAt, &t.Version, &t.Fields); err != nil {
			return nil, s.readError(ctx, err)
		}
		out = append(out, t)
	}
	return out, s.readError(ctx, rows.Err())
}

// count counts committed things, without those to exclude.
func (s *Store) count(ctx context.Context, object string, p *plan, exclude []string) (int, error) {
	a, _, err := s.accessEqual(ctx, object, p, false)
	if err != nil {
		return 0, err
	}
	text, args := countThings(object, p, a, exclude)
	var n int
	_, err = s.one(ctx, []any{&n}, text, args...)
	return n, err
}

// accessList chooses the way in, or returns a QueryError if the only one is to sort
// too many things.
func (s *Store) accessList(ctx context.Context, object string, p *plan) (access, error) {
	first := p.first().field
	a, found, err := s.accessEqual(ctx, object, p, first.meta != metaID)
	if found || err != nil {
		return a, err
	}
	// without a type only the order of $id has an index
	if first.hasColumn() && (p.typ != "" || first.meta == metaID) {
		return access{}, nil
	}
	var idx *index
	if first.declared(p.indexed) && p.typ != "" {
		if idx = s.index(p.typ, first); idx.isReady() {
			return access{index: first}, nil
		}
	}
	few, err := s.few(ctx, object, p.typ)
	if few || err != nil {
		return access{}, err
	}
	switch {
	case idx != nil: // newly declared, and worth to wait for
		select {
		case <-idx.ready:
			return access{index: first}, nil
		case <-s.stopped:
			return access{}, ErrClosed
		case <-ctx.Done():
			return access{}, queryErrorf("orderBy", "the index of %s is still being built; try again later (%v)", first.name, context.Cause(ctx))
		}
	case p.typ == "":
		return access{}, queryErrorf("orderBy", "%s: more than %d things would have to be sorted; name a $type", first.name, MaxSorted)
	case first.meta != notMeta:
		return access{}, queryErrorf("orderBy", "%s has no index, and more than %d things would have to be sorted; use $id or $createdAt", first.name, MaxSorted)
	}
	return access{}, queryErrorf("orderBy", "%s has no index, and more than %d things would have to be sorted; declare it: indexes: ['%s']", first.name, MaxSorted, first.name)
}

// accessEqual looks for a condition that a declared index answers: any, or, if the
// result has to be sorted then, one that few things meet.
func (s *Store) accessEqual(ctx context.Context, object string, p *plan, sorted bool) (access, bool, error) {
	if p.typ == "" {
		return access{}, false, nil
	}
	for c := range p.equalities {
		if !s.index(p.typ, c.field).isReady() {
			continue
		}
		if sorted {
			var n int
			if _, err := s.one(ctx, []any{&n}, `SELECT count(*) FROM (SELECT 1 FROM thing_index
				WHERE object = ? AND type = ? AND field = ? AND value = ? LIMIT ?)`,
				object, p.typ, c.field.name, c.values[0].bind(), probeLimit+1); err != nil {
				return access{}, false, err
			}
			if n > probeLimit {
				continue
			}
		}
		return access{index: c.field, equal: &c.values[0]}, true, nil
	}
	return access{}, false, nil
}

// index returns the index of a declared field, and has it built if it is new.
func (s *Store) index(typ string, f field) *index {
	idx, isNew := s.indexes.want(typ, f)
	if isNew {
		s.signal()
	}
	return idx
}

// few reports whether an object has so few things of a type that they may be sorted.
func (s *Store) few(ctx context.Context, object, typ string) (bool, error) {
	text, args := sqlText(`SELECT count(*) FROM (SELECT 1 FROM thing WHERE object = ? LIMIT ?)`), []any{object, MaxSorted + 1}
	if typ != "" {
		text, args = `SELECT count(*) FROM (SELECT 1 FROM thing WHERE object = ? AND type = ? LIMIT ?)`, []any{object, typ, MaxSorted + 1}
	}
	var n int
	_, err := s.one(ctx, []any{&n}, text, args...)
	return n <= MaxSorted, err
}
