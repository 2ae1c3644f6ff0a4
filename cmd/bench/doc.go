// Command bench measures a running chat server under load, and beside it a
// baseline: a plain WebSocket server that does what a chat does without scripts
// and without storage.
//
//	go run ./cmd/bench rooms                     builds, starts and measures both, one after the other
//	go run ./cmd/bench rooms --url ws://localhost:8787 --pid 4711
//	go run ./cmd/bench baseline --addr 127.0.0.1:8788
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
// # Goroutines
//
// A fleet has one goroutine a socket, which reads; fleet.close ends them and
// waits. Messages are sent by the goroutine that called measure, in order; another
// tells of the progress, and measure waits for it. A server process has one
// goroutine that waits for its end; its stop waits for that. The baseline has one
// goroutine a socket, and serveBaseline waits for them.
//
// Nothing here waits without an end: connecting, draining and stopping have
// their limits, sends have the deadline of the run, and an interrupt ends all.
package main
