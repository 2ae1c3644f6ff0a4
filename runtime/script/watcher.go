package script

import (
	"errors"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// How changes become one notice. A save is several events, and a checkout of
// another branch hundreds.
const (
	settleAfter = 100 * time.Millisecond // of quiet
	settleMost  = 300 * time.Millisecond // if it never gets quiet
	// pollEvery is how often the folder is looked through where the system does
	// not tell; less often if looking takes so long that pollPause times it is longer.
	pollEvery = 300 * time.Millisecond
	pollPause = 20
)

// Watcher tells when files of a scripts folder may have changed: of the folder
// and those below it, of node_modules as far as a package comes or goes, and of
// the folders that Follow names. It watches folders, not files, as editors
// replace those. Where the system doesn't tell, or not of so many folders, it
// looks for itself.
type Watcher struct {
	folder  string
	log     *slog.Logger
	changed chan struct{}
	follow  chan []string
	stop    chan struct{}
	done    sync.WaitGroup

	// Its goroutine owns what follows.
	notify   *fsnotify.Watcher // nil while it polls
	followed []string
}

// NewWatcher begins to watch. Close ends it.
func NewWatcher(folder string, log *slog.Logger) *Watcher {
	return newWatcher(folder, log, fsnotify.NewWatcher)
}

func newWatcher(folder string, log *slog.Logger, open func() (*fsnotify.Watcher, error)) *Watcher {
	w := &Watcher{folder: folder, log: log, changed: make(chan struct{}, 1), follow: make(chan []string), stop: make(chan struct{})}
	notify, err := open()
	if err == nil {
		w.notify = notify
		err = w.sync()
	}
	if err != nil {
		w.fallBack(err)
	}
	w.done.Go(w.run)
	return w
}

// Changed tells that something may have changed since the last time.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Follow names further folders to watch, without those below, instead of those
// that were named before.
func (w *Watcher) Follow(folders []string) {
	select {
	case w.follow <- folders:
	case <-w.stop:
	}
}

// Close ends watching and waits for its goroutine. It is called once.
func (w *Watcher) Close() {
	close(w.stop)
	w.done.Wait()
}

func (w *Watcher) tell() {
	select {
	case w.changed <- struct{}{}:
	default: // it is told already
	}
}

func (w *Watcher) run() {
	if w.notify != nil && !w.listen() {
		_ = w.notify.Close()
		return
	}
	w.poll()
}

// listen waits for changes that the system tells of. It reports false at the end
// of watching, and true if it turns out that the system can't.
func (w *Watcher) listen() (poll bool) {
	quiet := time.NewTimer(time.Hour)
	quiet.Stop()
	defer quiet.Stop()
	var first time.Time // of the events that were not told yet
	for {
		select {
		case <-w.stop:
			return false
		case folders := <-w.follow:
			if slices.Equal(folders, w.followed) {
				continue
			}
			w.followed = folders
			before := w.notify.WatchList()
			if err := w.sync(); err != nil {
				w.fallBack(err)
				return true
			}
			for _, f := range folders {
				if !slices.Contains(before, f) { // something may have changed in it since it was read
					w.tell()
					break
				}
			}
			continue
		case e := <-w.notify.Events:
			if e.Op == fsnotify.Chmod || w.beside(e.Name) { // indexers and backups do the first
				continue
			}
		case err := <-w.notify.Errors: // events were lost
			w.log.Debug("events of the scripts folder were lost", "error", err)
		case <-quiet.C:
			first = time.Time{}
			err := w.sync() // first, so that nothing is missed of what is read now
			w.tell()
			if err != nil {
				w.fallBack(err)
				return true
			}
			continue
		}
		if first.IsZero() {
			first = time.Now()
		}
		quiet.Reset(min(settleAfter, settleMost-time.Since(first)))
	}
}

// fallBack has the watcher look for itself from now on.
func (w *Watcher) fallBack(cause error) {
	w.log.Warn("the system does not tell of changed scripts: the folder is looked through instead", "every", pollEvery, "error", cause)
	if w.notify != nil {
		_ = w.notify.Close()
		w.notify = nil
	}
}

// sync has exactly those folders watched that are there now.
func (w *Watcher) sync() error {
	folders := w.folders()
	for _, p := range w.places() { // so that it is noticed when the folder itself is another one
		folders = append(folders, filepath.Dir(p))
	}
	for _, watched := range w.notify.WatchList() {
		if !slices.Contains(folders, watched) {
			_ = w.notify.Remove(watched) // it may be gone
		}
	}
	for _, folder := range folders {
		// Again, if it is watched: it may be another one of the same name.
		if err := w.notify.Add(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// places are where the folder is: its path, and what that leads to.
func (w *Watcher) places() []string {
	path, err := filepath.Abs(w.folder)
	if err != nil { // there is no working directory any more
		path = w.folder
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		real = path
	}
	return []string{path, real}
}

// beside reports whether a path is none of the folder's, but of one that is
// watched only for the folder itself.
func (w *Watcher) beside(path string) bool {
	places, in := w.places(), filepath.Dir(path)
	if slices.Contains(places, path) || slices.Contains(w.followed, in) {
		return false
	}
	return in == filepath.Dir(places[0]) || in == filepath.Dir(places[1])
}

// folders are those whose files matter.
func (w *Watcher) folders() (all []string) {
	root := w.places()[1]
	_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || !d.IsDir():
			return nil // what is gone by now was an event, or is a difference
		case p != root && strings.HasPrefix(d.Name(), "."):
			return filepath.SkipDir
		case isPackage(root, p):
			return filepath.SkipDir
		}
		all = append(all, p)
		return nil
	})
	for _, f := range w.followed {
		if !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	return all
}

// isPackage reports whether a folder is a package in a node_modules below root.
// There may be thousands; those that scripts import are followed.
func isPackage(root, p string) bool {
	if p == root {
		return false
	}
	name, parent := filepath.Base(p), filepath.Dir(p)
	if strings.HasPrefix(filepath.Base(parent), "@") {
		parent = filepath.Dir(parent)
	} else if strings.HasPrefix(name, "@") {
		return false // of packages
	}
	return filepath.Base(parent) == "node_modules"
}

// poll looks for changes until the end of watching.
func (w *Watcher) poll() {
	last := w.look()
	w.tell() // something may have changed before
	timer := time.NewTimer(pollEvery)
	defer timer.Stop()
	for {
		select {
		case <-w.stop:
			return
		case w.followed = <-w.follow:
		case <-timer.C:
			began := time.Now()
			if now := w.look(); !maps.Equal(now, last) {
				last = now
				w.tell()
			}
			timer.Reset(max(pollEvery, pollPause*time.Since(began)))
		}
	}
}

// stamp is what tells a changed file from an unchanged one.
type stamp struct {
	size     int64
	modified int64 // in nanoseconds
}

// look returns what is in the folders that matter.
func (w *Watcher) look() map[string]stamp {
	all := make(map[string]stamp)
	for _, folder := range w.folders() {
		entries, _ := os.ReadDir(folder) // what is there: an error is a difference
		for _, e := range entries {
			path := filepath.Join(folder, e.Name())
			if info, err := os.Stat(path); err == nil && !info.IsDir() {
				all[path] = stamp{info.Size(), info.ModTime().UnixNano()}
			}
		}
	}
	return all
}
