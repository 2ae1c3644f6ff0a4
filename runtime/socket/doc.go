// Package socket keeps the WebSockets of clients: the handshake, reading whole
// messages, send queues, closing, pings, and the tags by which an object finds
// its sockets. It is the only package that imports gws, which parses what
// comes in; all that goes out is encoded and queued here.
//
// # Use
//
// A process has one [Server]. An object makes a [Socket] with Server.New,
// says with Socket.Identify who is at the other end if it knows,
// puts it into its [Hub], and may send at once: what is sent before the 101
// waits for it. Whoever holds the HTTP request then calls Socket.Upgrade, or,
// if there is no 101 to be sent, Socket.Drop. From then on the [Owner] is told
// of each message and, once and last, of the end.
//
// # Parked and attended
//
// After the 101 the descriptor of a TCP connection is taken out of the
// net.Conn and out of the poller of Go's runtime: the socket is parked. It has
// no goroutine, no buffer and no timer, only a [Socket], which is all that
// stays of it while nothing happens. One epoll instance reports which sockets
// are ready; a worker of a small pool reads what is there. What is whole goes
// through gws to the owner, and what is not is held, bounded in bytes and time.
//
// TLS and whatever else hides its descriptor, and systems without epoll, are
// attended: a goroutine each reads them, and a writer comes when the kernel
// doesn't take all. Everything else is the same code. The build tag noepoll
// has all sockets attended.
//
//	bytes -> input (held until whole) -> gws -> Owner -> Next -> more bytes
//	Send, Queue, pongs, pings, closes -> output (queue) -> as much as the kernel takes
//
// # Goroutines
//
// The Server owns them all, and Shutdown waits for them: with the first parked
// socket one that waits for epoll, and up to twice as many workers as there are
// processors; a reader, and at times a writer, for each attended socket; with
// pings on, one that sweeps over all sockets. A busy socket may have a timer. One timer
// is for all sockets whose identity expires.
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
// A message received: Config.MaxMessage, then close 1009; messageTimeout from
// its first byte to its last, then close 1008; Config.MaxHeld for what is
// unfinished of all sockets, then close 1013 for who adds to it. Bytes waiting
// for a slow reader: Config.MaxQueued, then close 1013. A peer that takes nothing
// for stallLimit, or doesn't answer a close within Config.CloseTimeout, is cut.
//
// A socket whose identity has expired closes with 1008, and a message that comes after
// that goes to nobody.
//
// A client that sends faster than Config.Rate is not read until it may send again:
// TCP holds it up, nothing is lost, and a timer is set for as long. A socket's
// bucket is one number, so one that is idle has nothing more for it.
package socket
