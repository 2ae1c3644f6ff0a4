package store

import "chat.example.com.ai/runtime/key"

// Thing is one row of things. Fields is the encoded object of the author's own
// fields: JSON in which a date is {"$date": milliseconds}; the meta fields
// ($id, $type, ...) are not in it; nil is an object without fields. Times are
// milliseconds since 1970, UTC.
type Thing struct {
	ID        string
	Type      string
	CreatedAt int64
	UpdatedAt int64
	Version   int64
	Fields    []byte
	// Indexed are the names of the fields that the noun's parts declare in
	// indexes: [...]. PutThing keeps an index row for each. Reads leave it nil.
	Indexed []string
}

// Kind says what a Delivery carries.
type Kind uint8

const (
	// EventDelivery brings an event to one handler ($.on).
	EventDelivery Kind = 1
	// CallDelivery brings a durable call to an object: a call that an event
	// handler made and did not await.
	CallDelivery Kind = 2
	// ScheduleDelivery brings a time that has come to a handler ($.every).
	ScheduleDelivery Kind = 3
	// AlarmDelivery is the kind of the dead letter of an alarm that was given up. It
	// is never in the outbox.
	AlarmDelivery Kind = 4
)

// Delivery is one row of the outbox: something that was committed with a turn
// and has to reach Target at least once. It stays until a batch of the target
// marks it done (DoneDelivery), or it is buried as a dead letter.
type Delivery struct {
	Seq      int64   // position in the outbox; Store.NextSeq gives it, before the commit
	Kind     Kind    //
	Target   key.Key // the object that takes it
	Handler  string  // EventDelivery: the handler's name; CallDelivery: the handler that made the call
	ID       string  // of the event or call, the same at every attempt
	Type     string  // the event's type, Message.sent
	Source   string  // the object that sent it, Room/general
	Data     []byte  // encoded payload: event data, or the operations of the call
	At       int64   // when it was sent, milliseconds
	Hops     int     // how many calls and events led here
	Attempts int     // how often it was tried and failed
	NextAt   int64   // not before this time, milliseconds; 0 is at once
}

// DeadLetter is a delivery that is given up, with the error that ended it.
type DeadLetter struct {
	Delivery
	Error    string
	Position string // file:line:column in a script, if one is known
	DiedAt   int64
}

// Write is one change that a turn makes. The types below, in alarm.go and in
// letters.go are all there are.
type Write interface{ write() }

type (
	// PutThing inserts (Insert: an existing $id is ErrConflict) or replaces a thing.
	PutThing struct {
		Thing  Thing
		Insert bool
	}
	// DeleteThing removes a thing, if it is there.
	DeleteThing struct{ ID string }
	// PutValue stores one key of the object's key-value storage.
	PutValue struct {
		Key   string
		Value []byte
	}
	// DeleteValue removes one key.
	DeleteValue struct{ Key string }
	// DeleteAllValues removes every key of the object's key-value storage.
	// Things stay.
	DeleteAllValues struct{}
	// AddDelivery puts a row into the outbox.
	AddDelivery struct{ Delivery Delivery }
	// DoneDelivery takes a row out of the outbox: its target's turn is committed
	// by the same transaction, so it takes effect once. If the row is gone already
	// the batch fails with ErrNotFound.
	DoneDelivery struct{ Seq int64 }
	// RetryDelivery notes a failed attempt, if the row is still there.
	RetryDelivery struct {
		Seq      int64
		Attempts int
		NextAt   int64
	}
	// BuryDelivery moves a row from the outbox to the dead letters. What is kept is
	// Letter, whether or not the row is still there.
	BuryDelivery struct{ Letter DeadLetter }
)

func (PutThing) write()        {}
func (DeleteThing) write()     {}
func (PutValue) write()        {}
func (DeleteValue) write()     {}
func (DeleteAllValues) write() {}
func (AddDelivery) write()     {}
func (DoneDelivery) write()    {}
func (RetryDelivery) write()   {}
func (BuryDelivery) write()    {}

// Batch is everything that one turn of one object writes, in order. It commits
// whole or not at all.
type Batch struct {
	Object key.Key
	// Token is the fencing token under which the object is owned. A batch whose
	// token is not the store's current one fails with ErrFenced.
	Token  uint64
	Writes []Write
	// Bytes is about how much memory the batch holds, for the bound on turns
	// that wait for the disk.
	Bytes int

	// line is shared by the batches of one view; nil for a batch without one.
	line *line
}

// line is the succession of a view's batches. Each was computed from what those
// before it wrote, so once one has failed the later ones fail too. It belongs to
// the writer.
type line struct {
	broken bool
	group  uint64 // for which one of its batches was taken first; the store's mutex guards it
}
