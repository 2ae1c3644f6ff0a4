package script

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
	"go.uber.org/goleak"
)

// watched is a folder, and what is told of it.
type watched struct {
	t      *testing.T
	folder string
	*Watcher
}

func (w *watched) put(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.folder, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		w.t.Fatal(err)
	}
}

// told waits until a change is told.
func (w *watched) told(what string) {
	w.t.Helper()
	select {
	case <-w.Changed():
	case <-time.After(20 * time.Second):
		w.t.Fatalf("%s is not told", what)
	}
}

// untold checks that nothing has been told of what was done before.
func (w *watched) untold(what string) {
	w.t.Helper()
	if w.tells() {
		w.t.Errorf("%s is told", what)
	}
}

// tells reports whether something is told in the next time.
func (w *watched) tells() bool {
	select {
	case <-w.Changed():
		return true
	case <-time.After(3 * settleMost): // nothing marks the end of silence
		return false
	}
}

func watchFolder(t *testing.T, open func() (*fsnotify.Watcher, error)) *watched {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	folder := filepath.Join(t.TempDir(), "scripts")
	w := &watched{t: t, folder: folder}
	w.put("a.js", "1")
	w.put("deep/b.js", "1")
	w.put("node_modules/pack/index.js", "1")
	w.Watcher = newWatcher(folder, slog.New(slog.DiscardHandler), open)
	t.Cleanup(w.Close)
	return w
}

// ways are how a watcher learns of changes.
var ways = map[string]func() (*fsnotify.Watcher, error){
	"told by the system": fsnotify.NewWatcher,
	"not told":           func() (*fsnotify.Watcher, error) { return nil, errors.New("too many") },
	"told no more": func() (*fsnotify.Watcher, error) {
		w, err := fsnotify.NewWatcher()
		if err == nil {
			err = w.Close() // every Add fails
		}
		return w, err
	},
}

func TestChangesAreTold(t *testing.T) {
	for name, open := range ways {
		t.Run(name, func(t *testing.T) {
			w := watchFolder(t, open)
			if w.notify == nil {
				w.told("the beginning of looking")
			}
			w.put("a.js", "22")
			w.told("a changed file")
			w.put("new/er/c.js", "1")
			w.told("a new folder")
			w.put("new/er/c.js", "22")
			w.told("a changed file in a new folder")
			if err := os.Rename(filepath.Join(w.folder, "new"), filepath.Join(w.folder, "newer")); err != nil {
				t.Fatal(err)
			}
			w.told("a renamed folder")
			w.put("newer/er/c.js", "333")
			w.told("a changed file in a renamed folder")
			if err := os.RemoveAll(filepath.Join(w.folder, "deep")); err != nil {
				t.Fatal(err)
			}
			w.told("a folder that is gone")
			w.put("node_modules/other/index.js", "1")
			w.put("node_modules/.lock", "1") // as npm does when it is through
			w.told("a new package")
		})
	}
}

func TestWhatIsImportedFromElsewhereIsFollowed(t *testing.T) {
	for name, open := range ways {
		t.Run(name, func(t *testing.T) {
			w := watchFolder(t, open)
			if w.notify == nil {
				w.told("the beginning of looking")
			}
			w.put("../beside.js", "1")
			w.put("../other/x.js", "1")
			w.put("node_modules/pack/index.js", "22")
			w.untold("what nobody imports")
			folders := []string{filepath.Join(filepath.Dir(w.folder), "other"), filepath.Join(w.folder, "node_modules", "pack")}
			w.Follow(folders)
			w.told("what may have changed since it was read")
			w.Follow(folders)
			w.put("../other/x.js", "22")
			w.told("a changed file elsewhere")
			w.put("node_modules/pack/index.js", "333")
			w.told("a changed package")
			w.Follow(nil)
			if w.notify == nil {
				w.told("that there is less to look at")
			}
			for w.tells() { // a machine that stands still makes two changes of one
			}
			w.put("../other/x.js", "333")
			w.untold("what is imported no more")
		})
	}
}

func TestAWatcherThatIsToldNoMoreLooksForItself(t *testing.T) {
	var system *fsnotify.Watcher
	w := watchFolder(t, func() (_ *fsnotify.Watcher, err error) {
		system, err = fsnotify.NewWatcher()
		return system, err
	})
	if err := system.Close(); err != nil {
		t.Fatal(err)
	}
	text := "1"
	for range 4 { // that it has begun to look may be told too, twice
		text += text
		w.put("a.js", text)
		w.told("a changed file")
	}
}

func TestASaveIsToldOnce(t *testing.T) {
	w := watchFolder(t, fsnotify.NewWatcher)
	for range 3 { // of which one is enough: who stands still in the midst of it saves twice
		for i := range 10 {
			w.put("a.js", string(rune('a'+i%26)))
			w.put("temporary", "1")
			if err := os.Remove(filepath.Join(w.folder, "temporary")); err != nil {
				t.Fatal(err)
			}
		}
		w.told("a save")
		if !w.tells() {
			return
		}
	}
	t.Error("a save is told twice")
}
