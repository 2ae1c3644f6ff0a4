package store

import (
	"context"

	"chat.example.com.ai/runtime/key"
)

// Known reports whether anything of an object is stored: a thing, a value or its
// alarm. What waits to be committed is not seen.
func (s *Store) Known(ctx context.Context, object key.Key) (known bool, err error) {
	name := object.String()
	_, err = s.one(ctx, []any{&known}, `SELECT EXISTS (SELECT 1 FROM thing WHERE object = ?)
		OR EXISTS (SELECT 1 FROM key_value WHERE object = ?) OR EXISTS (SELECT 1 FROM alarm WHERE object = ?)`, name, name, name)
	return known, err
}
