// Package scripttest runs the tests of scripts: files *.test.js in the scripts
// folder, which open sockets to objects, call them, make requests and move the
// clock.
//
// Each test has a whole program of its own: an empty store, fresh objects, the HTTP
// edge, and connections that are pipes in memory. All of it lives in a bubble of
// testing/synctest, so the clock is the test's: it stands while anything runs, and
// moves on to what is due next when everything waits. A test of an hour takes
// milliseconds, and what never comes is known at once. Two things differ from the
// real program: a socket on a pipe cannot be parked, so it has a goroutine, and commits
// are not synced.
//
// Package testing is used outside of go test here, for the bubble only: it registers
// no flags and prints nothing unless it is asked to.
package scripttest
