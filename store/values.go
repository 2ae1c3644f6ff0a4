package store

import (
	"bytes"
	"context"
	"slices"
	"strings"
)

// KeyValue is one row of an object's key-value storage.
type KeyValue struct {
	Key   string
	Value []byte
}

// ListOptions say which keys ListValues returns. Empty strings bound nothing.
type ListOptions struct {
	Start      string // first key
	StartAfter string // only keys after this one
	End        string // only keys before this one
	Prefix     string // only keys that begin so
	Reverse    bool   // from the last to the first
	Limit      int    // at most so many; 0 is all
}

// Values returns the values of those keys that have one.
func (v *View) Values(ctx context.Context, keys []string) (map[string][]byte, error) {
	found := make(map[string][]byte, len(keys))
	for _, k := range keys {
		value, touched := v.overlayValue(k)
		if !touched {
			ok, err := v.store.one(ctx, []any{&value}, `SELECT value FROM key_value WHERE object = ? AND key = ?`, v.name, k)
			if err != nil {
				return nil, err
			}
			if ok {
				value = notNil(value) // an empty one is there too
			}
		}
		if value != nil {
			found[k] = value
		}
	}
	return found, nil
}

// overlayValue returns what uncommitted writes make of a key: nil if it is deleted.
func (v *View) overlayValue(k string) (value []byte, touched bool) {
	for w := range v.newestFirst {
		switch w := w.(type) {
		case PutValue:
			if w.Key == k {
				return notNil(w.Value), true
			}
		case DeleteValue:
			if w.Key == k {
				return nil, true
			}
		case DeleteAllValues:
			return nil, true
		}
	}
	return nil, false
}

// ListValues lists keys and values in the order of the keys' UTF-8 bytes.
func (v *View) ListValues(ctx context.Context, opts ListOptions) ([]KeyValue, error) {
	ids, overlay, all := v.overlayValues(opts)
	var stored []KeyValue
	if !all {
		var err error
		if stored, err = v.store.listValues(ctx, v.name, opts, ids); err != nil || len(overlay) == 0 {
			return stored, err
		}
	}
	stored = append(stored, overlay...)
	slices.SortFunc(stored, func(a, b KeyValue) int {
		if opts.Reverse {
			a, b = b, a
		}
		return strings.Compare(a.Key, b.Key)
	})
	if opts.Limit > 0 && len(stored) > opts.Limit {
		stored = stored[:opts.Limit]
	}
	return stored, nil
}

// overlayValues returns the keys in range that uncommitted writes touch, what they
// put there, and whether they deleted all that is committed.
func (v *View) overlayValues(opts ListOptions) (keys []string, put []KeyValue, all bool) {
	if v.clean() {
		return nil, nil, false
	}
	seen := map[string]struct{}{}
	for w := range v.newestFirst {
		var row KeyValue
		switch w := w.(type) {
		case PutValue:
			row = KeyValue{w.Key, notNil(w.Value)}
		case DeleteValue:
			row.Key = w.Key
		case DeleteAllValues:
			return keys, put, true
		default:
			continue
		}
		if _, ok := seen[row.Key]; ok || !opts.contains(row.Key) {
			continue
		}
		seen[row.Key] = struct{}{}
		keys = append(keys, row.Key)
		if row.Value != nil {
			put = append(put, row)
		}
	}
	return keys, put, false
}

func (o *ListOptions) contains(k string) bool {
	return k >= o.Start &&
		(o.StartAfter == "" || k > o.StartAfter) &&
		(o.End == "" || k < o.End) &&
		strings.HasPrefix(k, o.Prefix)
}

func (s *Store) listValues(ctx context.Context, object string, opts ListOptions, exclude []string) ([]KeyValue, error) {
	b := &builder{}
	// materialized for the sake of the deadline, as in selectThings
	b.add("WITH listed AS MATERIALIZED (SELECT key, value FROM key_value WHERE object = ", b.arg(object),
		" AND key >= ", b.arg(max(opts.Start, opts.Prefix)))
	if opts.StartAfter != "" {
		b.add(" AND key > ", b.arg(opts.StartAfter))
	}
	if opts.End != "" {
		b.add(" AND key < ", b.arg(opts.End))
	}
	if end, ok := prefixEnd(opts.Prefix); ok {
		b.add(" AND key < ", b.arg(end))
	}
	if len(exclude) > 0 {
		b.add(" AND key NOT IN (SELECT value FROM json_each(", b.arg(jsonList(exclude)), "))")
	}
	b.add(" ORDER BY key")
	if opts.Reverse {
		b.add(" DESC")
	}
	limit := -1 // to SQLite: none
	if opts.Limit > 0 {
		limit = opts.Limit
	}
	b.add(" LIMIT ", b.arg(limit), ") SELECT * FROM listed")

	text, args := b.statement()
	rows, err := s.cache.query(ctx, text, args...)
	if err != nil {
		return nil, s.readError(ctx, err)
	}
	defer rows.Close()
	var out []KeyValue
	for rows.Next() {
		var row KeyValue
		if err := rows.Scan(&row.Key, &row.Value); err != nil {
			return nil, s.readError(ctx, err)
		}
		row.Value = notNil(row.Value)
		out = append(out, row)
	}
	return out, s.readError(ctx, rows.Err())
}

// prefixEnd returns the least string that is greater than all with this prefix.
func prefixEnd(prefix string) (string, bool) {
	end := bytes.TrimRight([]byte(prefix), "\xff")
	if len(end) == 0 {
		return "", false
	}
	end[len(end)-1]++
	return string(end), true
}
