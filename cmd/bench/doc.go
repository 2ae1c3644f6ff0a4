// Command bench measures a running chat server from outside, and beside it a
// baseline: a plain WebSocket server that does what a chat does without scripts
// and without storage.
//
//	go run ./cmd/bench all                       builds and starts both, and measures everything in turn
//	go run ./cmd/bench rooms --rounds 3          one command alone: idle, fanout, rooms, wake, events or start
//	go run ./cmd/bench rooms --url ws://localhost:8787 --pid 4711
//	go run ./cmd/bench soak                      ten minutes of everything at once: does anything grow?
//	go run ./cmd/bench baseline --addr 127.0.0.1:8788
//
// Figures come as a table, or with --json as one object; what happens meanwhile is
// told on stderr.
//
// # The load
//
// It is open: message number n is due at start + n/rate whatever the server
// does, and its latency counts from then. So a server that stalls is seen with
// all that came due while it stalled. Messages go around the rooms in order, and
// around the members of each. What is measured begins after all sockets are
// connected and a warm-up; the server's processor time is that of its process,
// as the kernel counts it, over the same stretch as the deliveries.
//
// Both servers, the load and whatever else runs share the machine: compare the
// processor time per delivery, which is per process, rather than latencies. It
// too varies from run to run, the baseline's by a fifth: --rounds evens it out.
//
// # Rest
//
// idle takes the resident memory of the process at two or more numbers of sockets,
// each after everything hibernates; a socket takes the slope. Sockets have come,
// talked and gone once before, so that what a server keeps for the next wave is not
// in it. The memory that the kernel keeps for a socket is in no process and not in
// the figure. The processor time at rest is exact to the nanosecond, and nothing
// asks the server anything meanwhile.
//
// wake sends each room one message after the server has said that all are asleep,
// and nothing else wakes them: so each message finds its room asleep. Its times
// count from the sending, which no server can hold up.
//
// events has no load from outside: objects of a script send by timers of their own. An
// event counts as sent when it is committed, and as handled when its handler's turn is
// over; what the timers and turns of the sources take is in the processor time.
//
// start makes its rooms through the server, by requests to a script: that way they
// are what rooms are. It is the slow part: two cores make one to two and a half thousand
// a second. The files are then in the page cache.
//
// history makes its messages in the same way, in one room, and then reads every page
// of them once and others at random places, one after the other over one connection.
//
// # Soak
//
// soak is a steady load of all that people do, at a modest rate, on a server that is
// started for it: sockets that stay and talk, with mentions; rooms that sleep and
// wake in between; guests who come and go; history, presence, profiles and inboxes;
// alarms; clients that break the rules; and scripts that are loaded again while all
// that goes on. Before, as many messages are said as fill the page caches of the
// database (about 25 MiB, and then no more): that would look like growth. Sixty times
// it takes what the server has of memory, heap, goroutines, descriptors and write-ahead
// log. The first third of the time is for all else to settle. Each measure is flat if
// its median over the last third is not above that over the second third by more than
// its bound (soakMeasures), and the command fails if one is not, or if anything was not
// answered as it should. The database grows with its history: that is told in bytes a
// message.
//
// # Goroutines
//
// A fleet has one goroutine a socket, which reads; fleet.close ends them and
// waits. Messages are sent by the goroutine that called measure, in order; another
// tells of the progress, and measure waits for it. A soak has one goroutine for each
// kind of work, and waits for them all. A server process has one
// goroutine that waits for its end; its stop waits for that. The baseline has one
// goroutine a socket, and serveBaseline waits for them.
//
// Nothing here waits without an end: connecting, draining and stopping have
// their limits, sends have the deadline of the run, and an interrupt ends all.
package main
