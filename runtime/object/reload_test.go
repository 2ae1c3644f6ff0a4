package object_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/runtime/object"
	"chat.example.com.ai/runtime/script"
	"chat.example.com.ai/store"
)

// reloading is a script in which VERSION stands for the number of the set.
const reloading = `
import { $, DO } from 'dotdo'
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
const never = new Promise(() => {})
export default DO.extend({
  async init() {
    if (this.ctx.id.name === 'slow-VERSION') await sleep(10_000)
    if (this.ctx.id.name.startsWith('ticks')) setInterval(() => { this.ticks = (this.ticks ?? 0) + 1 }, 200)
  },
  onRequest() {
    this.app.get('/version/:room', (c) => c.text('VERSION'))
    this.app.get('/sleep/:room/:ms', async (c) => { await sleep(+c.req.param('ms')); return c.text('VERSION slept') })
    this.app.get('/never/:room', async (c) => { await never })
    this.app.get('/call/:room/:other', async (c) => {
      try { await $.Room(c.req.param('other')).never() } catch (e) { return c.text(e.name) }
    })
    this.app.get('/write/:room', async (c) => { this.things.create({ $type: 'A', v: VERSION }); return c.text(String(await this.things.count({ $type: 'A' }))) })
    this.app.get('/ticks/:room', (c) => c.text('VERSION ' + this.ticks))
  },
  never() { return never },
})
$.on.A.b(() => $.Room('x').never())
`

func version(n int) string { return strings.ReplaceAll(reloading, "VERSION", fmt.Sprint(n)) }

// reload gives the node another set.
func reload(t *testing.T, n *object.Node, text string) {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "a.js"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	set, err := script.Load(script.Options{Folder: folder, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	n.Reload(set)
}

// inReload runs f with a node of version 1.
func inReload(t *testing.T, f func(t *testing.T, n *object.Node)) {
	synctest.Test(t, func(t *testing.T) {
		defer time.Sleep(time.Second) // esbuild sleeps a little after each build
		f(t, newNode(t, version(1)))
	})
}

// asked is what comes of a request that is under way.
type asked struct {
	text string
	err  error
	took time.Duration
}

// begin asks, and returns when the request waits for something.
func begin(n *object.Node, room, path string) <-chan asked {
	c := make(chan asked, 1)
	began := time.Now()
	go func() {
		text, err := ask(n, room, path)
		c <- asked{text, err, time.Since(began)}
	}()
	synctest.Wait()
	return c
}

func TestAnIdleObjectMovesToTheNewScriptsAtOnce(t *testing.T) {
	inReload(t, func(t *testing.T, n *object.Node) {
		wants(t, n, "a", "/version/a", "1")
		wants(t, n, "b", "/version/b", "1")
		reload(t, n, version(2))
		awake(t, n, 0, 0) // the old VMs are gone, and their memory
		wants(t, n, "a", "/version/a", "2")
		wants(t, n, "c", "/version/c", "2") // not of a VM that was ready
	})
}

func TestAPinnedObjectMovesAsSoonAsNothingPinsIt(t *testing.T) {
	inReload(t, func(t *testing.T, n *object.Node) {
		slept := begin(n, "a", "/sleep/a/300")
		reload(t, n, version(2))
		synctest.Wait()
		wants(t, n, "a", "/version/a", "1") // it takes events all the while
		time.Sleep(299 * time.Millisecond)
		wants(t, n, "a", "/version/a", "1")
		if got := <-slept; got.text != "1 slept" || got.took != 300*time.Millisecond {
			t.Errorf("%+v", got)
		}
		wants(t, n, "a", "/version/a", "2")
	})
}

func TestAPinnedObjectMovesAfterHalfASecond(t *testing.T) {
	inReload(t, func(t *testing.T, n *object.Node) {
		never := begin(n, "a", "/never/a")
		slept := begin(n, "a", "/sleep/a/501")
		reload(t, n, version(2))
		time.Sleep(300 * time.Millisecond)
		reload(t, n, version(3)) // gives no more time
		time.Sleep(199 * time.Millisecond)
		wants(t, n, "a", "/version/a", "1")
		time.Sleep(2 * time.Millisecond)
		wants(t, n, "a", "/version/a", "3")
		for _, c := range []<-chan asked{never, slept} {
			got := <-c
			var e *script.Error
			if !errors.As(got.err, &e) || e.Name != script.ReloadedError || !e.IsTransient() || got.took != 500*time.Millisecond {
				t.Errorf("%+v, want Reloaded after half a second", got)
			}
		}
	})
}

func TestWhatAScriptAwaitsRejectsWithReloaded(t *testing.T) {
	inReload(t, func(t *testing.T, n *object.Node) {
		caught := begin(n, "a", "/call/a/b")
		reload(t, n, version(2))
		if got := <-caught; got.text != "Reloaded" || got.took != 500*time.Millisecond {
			t.Errorf("%+v, want Reloaded after half a second", got)
		}
		synctest.Wait() // both move at the same moment
		wants(t, n, "a", "/version/a", "2")
		wants(t, n, "b", "/version/b", "2")
		// Whoever has moved, and calls one who is about to.
		again := begin(n, "b", "/never/b")
		reload(t, n, version(3))
		caught = begin(n, "a", "/call/a/b")
		if got := <-caught; got.text != "Reloaded" {
			t.Errorf("%+v, want Reloaded", got)
		}
		<-again
	})
}

func TestTheIntervalsOfInitGoOnInTheNewScripts(t *testing.T) {
	inReload(t, func(t *testing.T, n *object.Node) {
		wants(t, n, "ticks", "/version/ticks", "1")
		time.Sleep(time.Second + time.Millisecond)
		wants(t, n, "ticks", "/ticks/ticks", "1 5")
		reload(t, n, version(2))
		time.Sleep(490 * time.Millisecond)
		wants(t, n, "ticks", "/ticks/ticks", "1 7")
		time.Sleep(1100 * time.Millisecond) // nobody asks for anything
		wants(t, n, "ticks", "/ticks/ticks", "2 5")
		reload(t, n, strings.ReplaceAll(version(3), "setInterval", "void"))
		awake(t, n, 11*time.Second, 0)
	})
}

func TestTheEventThatWaitsForInitIsHandledByTheNewScripts(t *testing.T) {
	inReload(t, func(t *testing.T, n *object.Node) {
		first := begin(n, "slow-1", "/version/slow-1")
		second := begin(n, "slow-1", "/sleep/slow-1/5")
		reload(t, n, version(2))
		if got := <-first; got.text != "2" || got.took != 500*time.Millisecond {
			t.Errorf("%+v, want version 2 after half a second", got)
		}
		if got := <-second; got.text != "2 slept" {
			t.Errorf("%+v", got)
		}
	})
}

func TestAnInitThatThrowsFailsItsEventUntilItIsRepaired(t *testing.T) {
	inReload(t, func(t *testing.T, n *object.Node) {
		wants(t, n, "a", "/version/a", "1")
		reload(t, n, strings.Replace(version(2), "async init() {", "async init() { throw new Error('no')", 1))
		for range 2 {
			if got, err := ask(n, "a", "/version/a"); err == nil || !strings.Contains(err.Error(), "no") {
				t.Errorf("%q, %v", got, err)
			}
		}
		reload(t, n, version(3))
		wants(t, n, "a", "/version/a", "3")
	})
}

func TestTheNewScriptsSeeWhatTheOldOnesWrote(t *testing.T) {
	inReload(t, func(t *testing.T, n *object.Node) {
		const rounds, each = 10, 20
		counts := make(chan string, rounds*each)
		for i := range rounds {
			for range each {
				go func() {
					count, err := ask(n, "a", "/write/a")
					if err != nil {
						t.Error(err)
					}
					counts <- count
				}()
			}
			reload(t, n, version(i+2)) // while turns wait for the disk, and others for them
		}
		seen := map[string]bool{}
		for range rounds * each {
			seen[<-counts] = true
		}
		if len(seen) != rounds*each { // a VM that missed a write would count the same twice
			t.Errorf("%d counts are different of %d", len(seen), rounds*each)
		}
	})
}

func TestAHandlerThatIsCutIsTriedAgain(t *testing.T) {
	inReload(t, func(t *testing.T, n *object.Node) {
		deliver := func(handler string) <-chan error {
			done := make(chan error, 1)
			n.Deliver(store.Delivery{Seq: 1, Kind: store.EventDelivery, Target: key.Key{Type: script.HandlerNoun, ID: handler},
				Handler: handler, Type: "A.b", Data: []byte("1")}, func(err error) { done <- err })
			synctest.Wait()
			return done
		}
		running := deliver("a.js#A.b")
		reload(t, n, strings.Replace(version(2), "$.Room('x').never()", "0", 1)+"\n$.on.A.b(() => {}, { name: 'new' })")
		late := deliver("a.js#A.b") // waits for the new scripts
		if err := <-deliver("new"); err != nil {
			t.Errorf("the new handler: %v", err)
		}
		time.Sleep(499 * time.Millisecond)
		select {
		case err := <-running:
			t.Fatal("ended early:", err)
		case err := <-late:
			t.Fatal("ended early:", err)
		default:
		}
		time.Sleep(2 * time.Millisecond)
		var e *script.Error
		if err := <-running; !errors.As(err, &e) || e.Name != script.ReloadedError || !e.IsTransient() {
			t.Errorf("the handler that was cut: %v", err)
		}
		if err := <-late; err != nil {
			t.Errorf("what came meanwhile: %v", err)
		}
		reload(t, n, version(3))
		if err := <-deliver("new"); !errors.As(err, &e) || !e.IsPermanent() {
			t.Errorf("the handler that is gone: %v", err)
		}
	})
}
