package script

import (
	"encoding/json"
	"net/http"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

// Effect is something a turn does to the world. Effects are collected while it
// runs and leave in the order they were made, after its writes are durable; a
// turn that fails has none. The types below and
// AlarmSet are all there are.
type Effect interface{ effect() }

type (
	// Send queues one frame on one socket. Sends of the same string to several
	// sockets share the *Message.
	Send struct {
		Socket  Socket
		Message *Message
	}
	// Close starts the closing handshake.
	Close struct {
		Socket Socket
		Code   uint16
		Reason string
	}
	// Attach replaces a socket's attachment.
	Attach struct {
		Socket Socket
		Data   []byte
	}
	// SetAutoResponse sets or, if not Set, clears the object's auto-response.
	SetAutoResponse struct {
		Request, Response string
		Set               bool
	}
	// Calls is one round trip: what a turn asks of one other object, in order. The
	// effect is a *Calls.
	Calls struct {
		Target key.Key
		Hops   int
		Ops    []Op

		task    *task // of an event handler that made the call; the call is durable unless it's awaited
		awaited bool
		sent    bool
	}
	// Committed tells the dispatcher of a delivery that this turn put into the outbox.
	Committed struct{ Delivery store.Delivery }
	// Buried tells of a dead letter that this turn has stored: what goes round in a circle.
	Buried struct{ Letter store.DeadLetter }
	// Finished ends a task with its result.
	Finished struct {
		Task     TaskID
		Response *Response // of a request
		Value    []byte    // of a call, encoded; nil if the task has no value
	}
)

func (Send) effect()            {}
func (Close) effect()           {}
func (Attach) effect()          {}
func (SetAutoResponse) effect() {}
func (*Calls) effect()          {}
func (Committed) effect()       {}
func (Buried) effect()          {}
func (Finished) effect()        {}

// Message is the payload of a frame. Frame is for whoever releases it: the
// encoded frame, made once and shared.
type Message struct {
	Text  bool
	Data  []byte
	Frame any
}

// Op is one call or property read of a round trip.
type Op struct {
	ID   int64    `json:"-"`              // the caller's; results come back under it
	Path []string `json:"path"`           // what is called or read, from the object down
	Call bool     `json:"call"`           // false: a property read
	Args []Arg    `json:"args,omitempty"` //
	At   string   `json:"at,omitempty"`   // where the script made the call
}

// Arg is one argument: a value, or the result of an earlier op of the same
// round trip.
type Arg struct {
	Value json.RawMessage `json:"value,omitempty"` // encoded
	Ref   int             `json:"-"`               // 1 + index into Calls.Ops; 0: Value counts
	Path  []string        `json:"-"`               // what of that result
}

// Response is what a script answers a request with. A Socket means the 101 of
// an upgrade.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
	Socket Socket
}

// Request is an HTTP request to an object, its body already read.
type Request struct {
	Method string
	URL    string
	Header http.Header
	Body   []byte
	User   *User // whom it is from; nil if nobody was verified
}

// Event is what a handler gets.
type Event struct {
	ID      string
	Type    string
	Source  string
	Data    []byte // encoded
	At      int64  // milliseconds
	Attempt int    // from 1
	// Scheduled: it is the time of a $.every, whose handler gets Data alone.
	Scheduled bool
}

// TaskID names a running handler, request or call within one activation.
type TaskID int64

// Outcome is how a turn ended.
type Outcome struct {
	// Err is the error that failed the turn; nothing of it remains then.
	Err *Error
	// Kind is what failed, if not the event that entered: a handler that began in
	// an earlier turn.
	Kind string
	// Dropped means that the VM is unusable: an interrupt, a limit or a panic.
	Dropped bool
	Took    time.Duration
	// Effects, in order. Empty if the turn failed.
	Effects []Effect
	// Failed are the tasks that ended with this turn's error.
	Failed []TaskFailure
	// Rejected are the calls that a failed turn had made: they were never sent.
	Rejected []int64
	// Orphans are sockets that a failed turn had accepted, and those whose
	// request ended without a 101: nobody will ever own them.
	Orphans []Socket
}

// TaskFailure is a task that ended with an error.
type TaskFailure struct {
	Task TaskID
	Err  *Error
}
