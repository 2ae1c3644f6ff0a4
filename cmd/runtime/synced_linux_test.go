package main_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// What anybody sees has been synced before. This is looked for where it happens: in
// the system calls of the running program.

// needsStrace skips a test where no process may be traced.
func needsStrace(t *testing.T) {
	t.Helper()
	needsTool(t, "strace")
	if out, err := exec.Command("strace", "-f", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		missing(t, fmt.Sprintf("strace may not trace here: %v: %s", err, out))
	}
}

// Each way out has a marker that the turn stores, and what leaves carries. "mark" and
// "call" are stored by a turn and seen by another one, which stores nothing.
const syncedScripts = `
import { $, DO } from 'dotdo'
$.on.Message.sent((event) => { $.Probe('other').tell('durable-' + event.data.content) })
export default DO.extend({
  $type: 'Probe',
  onRequest() {
    this.app.get('/probe/:probe', (c) => {
      const pair = new WebSocketPair()
      this.ctx.acceptWebSocket(pair[1], ['all'])
      return new Response(null, { status: 101, webSocket: pair[0] })
    })
    this.app.post('/call/:probe', async (c) => {
      const { marker } = await c.req.json()
      this.ctx.storage.put('called', marker)
      $.Probe('other').tell(marker)
      return c.text('')
    })
    this.app.post('/fetch/:probe', async (c) => {
      const { marker, url } = await c.req.json()
      this.ctx.storage.put('fetched', marker)
      fetch(url + '/' + marker)
      return c.text('')
    })
  },
  tell(text) { this.broadcast('all', JSON.stringify({ told: text })) },
})`

// waysOut are what must not leave before the sync, by the beginning of their markers.
var waysOut = []string{"frame", "durable-frame", "response", "call", "fetch"}

func TestNothingLeavesBeforeItIsSynced(t *testing.T) {
	needsStrace(t)
	markers, calls := tracedRun(t, programOptions{})
	for _, complaint := range unsynced(markers, calls) {
		t.Error(complaint)
	}
}

// The test above must object to a database that does not sync its commits.
func TestLeavingBeforeTheSyncIsNoticed(t *testing.T) {
	needsStrace(t)
	binary, err := failpointBinary()
	if err != nil {
		t.Fatal(err)
	}
	markers, calls := tracedRun(t, programOptions{binary: binary, env: map[string]string{"CHAT_SYNCHRONOUS": "NORMAL"}})
	complaints := unsynced(markers, calls)
	for _, way := range waysOut {
		if !slices.ContainsFunc(complaints, func(s string) bool { return strings.HasPrefix(s, way+"-") && strings.Contains(s, "left") }) {
			t.Errorf("with synchronous=NORMAL, no %s left before its sync; the complaints are %q", way, complaints)
		}
	}
}

// tracedRun has a traced program let things out in all ways, and returns their
// markers and the system calls.
func tracedRun(t *testing.T, o programOptions) (markers []string, calls []systemCall) {
	const each = 10
	trace := filepath.Join(t.TempDir(), "trace")
	fetched := make(chan string, each)
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fetched <- r.URL.Path }))
	defer outside.Close()
	// -D: the program is this test's child, and strace its own grandchild
	o.under = []string{"strace", "-D", "-f", "-qq", "-yy", "-s", "65536", "-e", "signal=none",
		"-e", "trace=fsync,fdatasync,pwrite64,write,writev,sendto,sendmsg", "-o", trace}
	o.scripts = shippedWith(t, map[string]string{"probe.js": syncedScripts})
	o.flags = []string{"--allow-private-fetch", "--watch=false"}
	p := start(t, o)
	other := p.connect("/probe/other")
	ann := p.join("general", "ann")
	var all sync.WaitGroup
	for _, way := range waysOut {
		for n := range each {
			marker := fmt.Sprintf("%s-%02d-", way, n)
			markers = append(markers, marker)
			switch way {
			case "frame":
				ann.say(marker)
			case "response":
				all.Go(func() {
					if _, err := p.try("PUT", "/users/"+marker+"/profile", `{"about":"`+marker+`"}`); err != nil {
						t.Error(err)
					}
				})
			case "call", "fetch":
				all.Go(func() {
					if _, err := p.try("POST", "/"+way+"/"+marker, toJSON(object{"marker": marker, "url": outside.URL})); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
	all.Wait()
	for range each { // of calls, and of durable calls
		other.next()
		other.next()
	}
	for range each {
		<-fetched
	}
	for heard := 0; heard < each; {
		if ann.next()["type"] == "message" {
			heard++
		}
	}
	p.stop()
	return markers, readTrace(t, trace)
}

// systemCall is one of the program. Its beginning and its end are places in the
// order of all that the tracer saw; the program goes on only when it has.
type systemCall struct {
	name       string
	file       string // what the descriptor leads to
	text       string
	begin, end int
}

var (
	beginRE  = regexp.MustCompile(`^(\d+) +(\w+)\(\d+<(.*?)>[,) ]`)
	resumeRE = regexp.MustCompile(`^(\d+) +<\.\.\. \w+ resumed>`)
)

func readTrace(t *testing.T, path string) (calls []systemCall) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unfinished := map[string]int{} // by thread
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<24)
	for n := 0; lines.Scan(); n++ {
		line := lines.Text()
		if m := resumeRE.FindStringSubmatch(line); m != nil {
			if at, ok := unfinished[m[1]]; ok {
				calls[at].end = n
				delete(unfinished, m[1])
			}
			continue
		}
		m := beginRE.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		call := systemCall{name: m[2], file: m[3], text: line, begin: n, end: n}
		if strings.HasSuffix(line, "<unfinished ...>") {
			call.end = int(^uint(0) >> 1) // never, unless it is resumed
			unfinished[m[1]] = len(calls)
		}
		calls = append(calls, call)
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return calls
}

func (c *systemCall) toLog() bool    { return strings.HasSuffix(c.file, "chat.db-wal") }
func (c *systemCall) toSocket() bool { return strings.HasPrefix(c.file, "TCP") }
func (c *systemCall) syncs() bool    { return c.name == "fsync" || c.name == "fdatasync" }

// unsynced lists the markers that left although no sync of the log began after they
// were written to it, and ended before.
func unsynced(markers []string, calls []systemCall) (complaints []string) {
	for _, marker := range markers {
		written, left := -1, 0
		for i := range calls {
			c := &calls[i]
			carries := !c.syncs() && strings.Contains(c.text, marker) && !strings.Contains(c.text, "durable-"+marker)
			switch {
			case carries && c.toLog() && written < 0:
				written = c.end
			case carries && c.toSocket():
				left++
				if written < 0 {
					complaints = append(complaints, marker+" left and was not written before: "+c.text)
				} else if !slices.ContainsFunc(calls, func(s systemCall) bool {
					return s.syncs() && s.toLog() && s.begin > written && s.end < c.begin
				}) {
					complaints = append(complaints, marker+" left before its sync")
				}
			}
		}
		if left == 0 {
			complaints = append(complaints, marker+" was never seen")
		}
	}
	return complaints
}
