// Package store is what lasts: the things, the key-value storage, the alarm and the
// outbox of every object, in one SQLite database. It is the only package that knows
// SQL.
//
// Writes go in as batches, one for each turn of an object:
//
//	s, err := store.Open(ctx, store.Options{Folder: "data"})
//	v := s.View(key.Key{Type: "Room", ID: "general"}, s.Epoch())
//	v.Write(store.PutThing{Thing: t, Insert: true})
//	b := v.Seal()                    // nil if the turn wrote nothing
//	s.Commit(b, func(err error) {    // returns at once
//		...                          // after the fsync: hand b back to the object,
//	})                               // which calls v.Settled(b)
//
// Reads come from a View, which sees the committed rows of one object and, over
// them, what the object itself wrote and is not committed yet.
//
// # Goroutines
//
// A Store owns one goroutine, the writer: Open starts it and Close waits for it.
// It takes whatever batches wait (at most Options.MaxGroup), commits them in one
// transaction that is on the disk before it says so, calls their done functions,
// and repeats. There is no timer and no least number of batches. Reads run on the
// caller's goroutine, over a few connections of their own; they wait neither for
// the writer nor does it wait for them.
//
// # Order
//
// Batches of a view are applied in the order of the Commit calls, and their done
// functions are called in that order. Those of different objects may overtake each
// other when more wait than one transaction takes: each object then gets one batch
// in before any gets a second. Each batch is applied whole or not at all: one that
// cannot be applied fails alone. If the disk refuses the transaction, all batches
// of the group fail.
//
// # Bounds
//
// The queue of the writer has no bound of its own: Commit never blocks and never
// refuses. Its callers bound it, an object by the turns and bytes that it lets
// wait for the disk (Batch.Bytes is there for that), the dispatcher by the
// deliveries that it has under way.
//
// # Damage
//
// Open refuses a log from which synced commits are missing (wal.go), and looks through
// databases up to Options.CheckUpTo (check.go). Errors of SQLite that tell of the disk or
// of the file wrap ErrDisk or ErrCorrupt. An outage of the disk is logged here, once for
// all that it costs.
//
// # Copies
//
// Backup copies the database of a data folder, whether a process has it or not, and
// Restore puts a copy in place of it, while none has. They need no Store, and one
// that is open in the same process is not disturbed by a Backup.
//
// # Indexes of fields
//
// A field that a part declares in indexes gets rows of its own when it is first
// seen, on a write or in a query: the writer adds those of older things in small
// steps between its groups. Until that is done, queries do without. A field keeps
// its index when it is no longer declared.
package store
