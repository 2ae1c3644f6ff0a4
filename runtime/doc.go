// Package runtime has no code: it is the map of the rooms below it.
//
//	cmd/runtime        flags, environment, signals, and the wiring of all that follows
//	       /scripttest the tests of scripts: each a program of its own, on its own clock
//	      /browsertest tests alone: people with the page, in Chromium
//	api                the HTTP edge: routes of the scripts, health, metrics
//	   /admin          commands that ask the running program: dead letters
//	   /web            the chat page
//	   /identity       who somebody is, from the token that they came with
//	runtime/object     durable objects: inbox, turn, commit, release, hibernation, calls, alarms
//	runtime/script     scripts to virtual machines: bundle, load, bind, call
//	runtime/socket     client sockets: upgrade, tags, send queues, close
//	runtime/event      the outbox on its way: delivery, retry, dead letters
//	runtime/fetch      HTTP requests of scripts, and which addresses they may reach
//	runtime/cluster    where an object lives
//	runtime/key        the address of an object
//	runtime/failpoint  places at which tests end the process; nothing in other builds
//	store              things, key-value storage, alarms, outbox: batches in, rows out
//	scripts            the chat itself
//
// Imports point one way: cmd → api → object → (script, socket, event, fetch, cluster)
// → store → key. A package may import anything to its right, those in brackets
// not each other; a test holds this.
//
// # One message
//
// A frame arrives (socket), becomes a whole message, and enters the inbox of its
// object (object). The object's goroutine runs it as one turn of its virtual
// machine (script). What the turn wrote is committed with the turns of all other
// objects that wait at the same time (store). When that is durable, what the
// turn did to the world is released: frames (socket), events (event), responses
// (api), calls (object), fetches (fetch).
//
// # Dependencies
//
// Each third-party library is used by one package. Tests use what they need.
//
//   - github.com/dop251/goja (script) runs JavaScript: pure Go, so that go run is
//     all it takes, and light enough that every awake room has a VM of its own.
//   - github.com/nlnwa/whatwg-url (script) parses URLs as browsers do: net/url
//     refuses some that they take, and goja_nodejs, which is built on it, loses
//     parameters.
//   - github.com/evanw/esbuild (script) bundles scripts: TypeScript and imports,
//     with source maps.
//   - github.com/fsnotify/fsnotify (script) tells of changed scripts on every
//     system, so that a save is live at once and an idle program does nothing.
//   - github.com/dlclark/regexp2 (script) is goja's engine for the regular
//     expressions that Go's own can't do; imported only to bound a match in time.
//   - github.com/adhocore/gronx (script) reads the cron strings of $.every: the five
//     fields as cron itself takes them, no scheduler besides, and kept up, while
//     robfig/cron has had no release since 2020 and panics on some strings.
//   - github.com/google/uuid (script) makes crypto.randomUUID.
//   - github.com/lxzan/gws (socket) speaks WebSocket: whole messages in, close
//     codes and UTF-8 checked. cmd/bench and cmd/runtime/scripttest have its client.
//   - github.com/uptrace/bun with sqlitedialect (store) builds the query of the
//     counts for /metrics, and no more today; with its dialects the store can move to
//     PostgreSQL.
//   - modernc.org/sqlite (store) is SQLite without cgo.
//   - github.com/gofrs/flock (store) keeps a second process off a data folder.
//   - github.com/oklog/ulid (object) makes ids that sort by time.
//   - github.com/prometheus/client_golang (api) writes /metrics.
//   - github.com/rs/cors (api) speaks CORS: what a preflight is told, and what answers say
//     then. The check of who may ask at all is our own: http.CrossOriginProtection leaves
//     out the upgrades of WebSockets, which are GETs, and compares hosts as they are written.
//   - github.com/golang-jwt/jwt/v5 (api/identity) verifies tokens: kept up by many, pins
//     algorithms, and needs nothing but the standard library.
//   - github.com/chromedp/chromedp (tests) drives Chromium over a pipe, with its
//     protocol in Go (cdproto) and nothing else below it; it follows Chromium's releases,
//     while rod has had none since 2024.
//   - go.uber.org/goleak (tests) finds goroutines that nobody waited for.
package runtime
