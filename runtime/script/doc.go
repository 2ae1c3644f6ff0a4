// Package script turns a folder of scripts into virtual machines.
//
// Load bundles every script with esbuild, runs each once to see what it defines
// (parts, routes, event handlers), and returns a Set. A Set makes VMs: one for an
// object, of the parts of its noun, or one for the event handlers of a script.
//
// # Turns
//
// Every method of VM that runs JavaScript (Boot, Message, Closed, Request, Call,
// Event, Alarm, Timer, Settle) is one turn: it returns when the job queue is empty, with
// an Outcome. What the turn did to the world is in Outcome.Effects, in order; what
// it wrote is in the Host's View. Nothing has left by then. If the turn failed
// there are no effects, and the host discards the writes. After an interrupt, a
// limit or a panic the VM is no longer usable (Outcome.Dropped).
//
// A handler that awaits something from outside goes on in a later turn. The VM
// follows it as a task until everything that it returned is settled; who waits for
// it hears by the effect Finished, or by Outcome.Failed.
//
// # Tests
//
// A TestFile makes a TestVM for each run of one of its tests. It is a VM with the
// module dotdo/test, of which testing.js is the author's side; what a test asks of
// the world, its TestHost does. An Overseer times turns when their own clock stands.
//
// # Concurrency
//
// A Set is immutable and safe for concurrent use. A VM belongs to one goroutine at
// a time. The only other goroutine is that of its watch, a timer (or the Overseer)
// which interrupts a turn that runs too long; it is stopped at the end of every turn. A
// Watcher has a goroutine of its own until Close.
//
// # What scripts see
//
// Native functions are dear in goja, so the classes that scripts use are tables
// shared by all VMs (bind.go), and globals, methods and prototypes come into
// being in a VM when a script first names them.
package script
