// Package api is the HTTP edge: it finds the object that a request is for,
// brings the request to it, and upgrades sockets.
//
// A connection comes in if there is a descriptor for it (ConnLimit) and its address has
// not too many (AddressLimit). A request goes on if its address and its user keep to
// their rates (RequestLimit), its host is known, and no page asks that may not (Origins).
// Whom it is from, and what was asked, is what the connection says, or a proxy that is
// trusted to know (Proxies).
//
// Then it takes the token out of a request, wherever that is,
// so that no script and no log sees one, and, if there is an Identity, has it
// verified: the object gets the user with the request.
//
// Routes are the scripts' own; /healthz and /metrics are the program's, and paths
// below /_/ are those of the page's files (package web). The page is at / unless a
// script is. A Server's goroutines are those of net/http;
// Shutdown of the http.Server waits for them. Those of a ConnLimit answer connections
// that it refuses; its Close waits for them. What is refused is told to the log when
// it begins and when it is over; the timers of that end with Close, which each of them has.
package api
