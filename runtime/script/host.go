package script

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

// Socket is what a script can learn of a client socket. What it does to one is
// collected as an Effect.
type Socket interface {
	ID() uint64
	Tags() []string
	Attachment() []byte
	User() *User // who is at its other end; nil if nobody was verified
	AutoResponseAt() time.Time
	ReadyState() int // as in the WebSocket API: 0 connecting, 1 open, 2 closing, 3 closed
}

// Host is the object that a VM runs for. The VM calls it from its own turns
// only, and holds it no longer than it lives.
type Host interface {
	Key() key.Key
	Now() time.Time
	// NewID returns an id that is greater than every one that the host returned before.
	NewID() string
	// View reads and writes the object's rows.
	View() *store.View
	// Reads is the context of the running turn's reads: it ends with the turn's deadline.
	Reads() context.Context
	// Accept makes a socket for the object that waits for its 101, with the user of
	// the request that it answers, nil if that has none. It is listed at
	// once; an Outcome names it among its Orphans if nothing becomes of it.
	Accept(tags []string, user *User) Socket
	// Sockets lists the object's sockets: all, newest first, or those with a tag
	// in the order they were accepted.
	Sockets() iter.Seq[Socket]
	TaggedSockets(tag string) iter.Seq[Socket]
	SocketCount() int
	// Listed reports whether Sockets has it.
	Listed(s Socket) bool
	AutoResponse() (request, response string, ok bool)
	// HandlersOf names the event handlers that take an event type, with the object that runs each.
	HandlersOf(eventType string) []Handler
	// NextSeq is the next position in the outbox.
	NextSeq() int64
	// StartTimer has Timer(id) called once after d, until StopTimer.
	StartTimer(id int64, d time.Duration)
	StopTimer(id int64)
	// Hung is called from another goroutine when a turn is still running at
	// twice its time-out: something that cannot be interrupted.
	Hung()
	Log() *slog.Logger
	// ScriptError reports an error that a script caused, once.
	ScriptError(kind string, err *Error)
}
