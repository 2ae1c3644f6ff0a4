// Package api is the HTTP edge: it finds the object that a request is for,
// brings the request to it, and upgrades sockets. It lets in no more connections
// than there are descriptors for.
//
// Routes are the scripts' own; /healthz and /metrics are the program's, and
// paths below /_/ are kept for it. A Server's goroutines are those of net/http;
// Shutdown of the http.Server waits for them. Those of a ConnLimit answer connections
// that it refuses; its Close waits for them.
package api
