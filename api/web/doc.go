// Package web is the chat page: an example of what the scripts can do, for people.
//
// The page is in page/: index.html, the modules of page/main.ts and the styles of
// page/page.css. All is embedded, and bundled once, by the first request. It uses the public
// WebSocket and REST routes of the scripts, and nothing else of the program.
//
// # What it may do
//
// The Content-Security-Policy lets it load what is its own and connect to where it
// came from, and no more: no inline script or style, no frame around it, no text that
// becomes markup (trusted types, of which there are none). What people write becomes
// parts (page/format.ts), and parts become nodes (page/content.ts).
//
// # How it is served
//
// The files below /_/ have a hash of their contents in the name, and are kept for
// good; the page itself is asked for each time, and answered with 304 if it is the
// same. A Page is safe for concurrent use; it has no goroutines.
package web
