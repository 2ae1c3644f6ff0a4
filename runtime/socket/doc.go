// Package socket keeps the WebSockets of clients: the handshake, reading whole
// messages, send queues, closing, pings, and the tags by which an object finds
// its sockets. It is the only package that imports gws, which parses what
// comes in; all that goes out is encoded and queued here.
//
// # Use
//
// A process has one [Server]. An object makes a [Socket] with Server.New,
// puts it into its [Hub], and may send at once: what is sent before the 101
// waits for it. Whoever holds the HTTP request then calls Socket.Upgrade, or,
// if there is no 101 to be sent, Socket.Drop. From then on the [Owner] is told
// of each message and, once and last, of the end.
//
// # Goroutines
//
// An upgraded socket has a reader. The Server owns it: Shutdown waits for it.
// A send is one non-blocking write by whoever sends; only when the kernel
// doesn't take everything (or for TLS and other connections that can't be
// asked without waiting) does a writer start, which ends when the queue is
// empty; the reader waits for it before it ends itself. With pings on, the
// Server has one goroutine more, for all sockets. Nothing in the API depends
// on this: a socket may as well be served by a pool.
//
// # Order
//
// Frames leave in the order of Send, auto-responses, pongs and pings among
// them where they were queued; a begun frame is finished first; a close goes
// behind all that was sent before it, and nothing goes behind a close. Messages
// come in their order, one at a time: the next is not read until Owner calls
// Next, so that a busy object pushes back through TCP.
//
// # Bounds
//
// A message received: Config.MaxMessage, then close 1009. Bytes waiting for a
// slow reader: Config.MaxQueued, then close 1013. A peer that takes nothing
// for stallLimit, or doesn't answer a close within Config.CloseTimeout, is cut.
package socket
