// Package object runs durable objects. An object has one owner, one inbox, its
// own rows in the store, and, while it is awake, its own virtual machine.
//
// # A message's way
//
// An event enters an object's inbox, and puts the object in line for a goroutine, if it
// is not there and has none. The goroutine takes one event at a time and runs it as a
// turn of the VM (package script). What the turn wrote goes to the store as one batch;
// what it did to the world waits. When the batch is durable the store's writer says so,
// as a completion in the same inbox, and the turn is released: frames to
// sockets, responses, calls, events.
//
// # Order
//
// Events of one object are handled one at a time, in the order they came. What
// turns release leaves in the order of the turns, and within a turn in the order
// it was made. An object goes on with its next event while its turns wait for
// the disk, up to a bound; then it takes nothing new until a commit returns. Requests for
// which the inbox has no room wait in line for it, in the order they came.
//
// # Many at once
//
// A few objects run at a time, twice as many as there are processors. The others wait in
// line, each once, and a turn's time counts from when it runs: of a thousand that ran at
// once, each would take as long as all of them together. An object hands on after a few
// turns, or one that is long. What is awake goes before what has to wake or has a request,
// but for one of these now and then. No turn waits for another object, so the line cannot
// lock; and where all that run loop, another one runs beside them.
//
// # Time
//
// An object has one alarm at most: a row in the store, written in the batch of the
// turn that sets it and removed in that of the turn in which alarm() ends. One
// goroutine, the alarms of the Node, knows when the first of all is due and reads
// due rows in pages, the longest overdue first; so a pending alarm takes no memory,
// and its object hibernates or is forgotten. An alarm arrives at least once, over a
// crash at any point. One that fails, or takes longer than 30 s, comes again after
// 2 s, doubling; after six retries it is a dead letter. What fails through no fault
// of its own is not counted. If an earlier turn of the handler has set another alarm, that
// one stands, in place of a retry.
//
// A second goroutine looks once a minute at what the scripts have of $.every, and
// puts the runs that are due into the outbox, with up to when each schedule has run.
// From there on they are events. What was missed while the program was down is one
// run, for the last of the missed times. Times are UTC.
//
// # Events
//
// Each handler of $.on and $.every has an object of its own, Handler and its name: so
// none waits for another, whatever file they are in. What the outbox delivers (package
// event) enters it as events, any number of which may be unsettled at a time; each is a
// turn whose commit takes the row out of the outbox. A turn that cannot be interrupted
// counts as a failed attempt of the delivery that is handled, as nothing else would ever
// end it.
//
// # Goroutines
//
// An object has a goroutine only while the inbox has something that may enter: a worker
// of the Node (workers.go), which waits for all of them in Close; a few stay while they
// have no object. Timers call back into the inbox and belong to the activation, which
// stops them when it ends. One more makes VMs ahead of the next wakes, and two watch the
// clock. A fetch has one that belongs to the Node.
//
// # Reloading
//
// An activation runs the set of scripts that it began with. Node.Reload gives the
// node another one: each object that is awake looks between two turns whether it
// can drop its activation, as in hibernation, and has to after a while. The set
// that a node has decides what is done with events: who wants them, and who
// handles what is sent.
//
// # Hibernation
//
// An activation that nothing pins is dropped after Config.HibernateAfter without
// a turn, and earlier if more than Config.MaxAwake objects want to be awake. The sockets stay, with their tags, users and attachments. An object without
// sockets is then forgotten entirely.
package object
