// Package admin lets a command ask the program that has a data folder: the folder
// has one owner at a time, and what changes the outbox must be known to it.
//
// Letters lists, replays and drops dead letters on an open store. The program serves
// it with Serve, as HTTP on a Unix domain socket in the data folder that only its
// user may open; Dial connects to it. A command that finds no program opens the
// store, and uses Letters itself.
//
// All methods are safe for concurrent use. A Server's goroutines are those of
// net/http; Close waits for them. Each request is one page of work, so none is long,
// and none holds more than a page.
package admin
