package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"chat.example.com.ai/runtime/object"
	"chat.example.com.ai/runtime/script"
)

// reloader loads the scripts again when they have changed, or when the process
// gets a SIGHUP, and has the objects run them. Scripts that don't load change
// nothing: those that run, run on.
type reloader struct {
	options script.Options
	node    *object.Node
	failed  func() // is told of each set that doesn't load
	log     *slog.Logger
	frames  io.Writer // where the lines of an error are shown, if the log has one line for all

	watcher *script.Watcher // nil if nothing is watched
	hangup  chan os.Signal
	stop    chan struct{}
	done    chan struct{}
	broken  bool // the last set did not load
}

// run takes changes until close.
func (r *reloader) run() {
	defer close(r.done)
	var changed <-chan struct{}
	if r.watcher != nil {
		changed = r.watcher.Changed()
	}
	r.follow(r.node.Scripts(), nil)
	for {
		select {
		case <-r.stop:
			return
		case <-changed:
			r.reload(false)
		case <-r.hangup:
			r.reload(true)
		}
	}
}

// reload loads the scripts. What changed nothing is worth a word if it was asked
// for, or if the scripts were broken before.
func (r *reloader) reload(asked bool) {
	began := time.Now()
	set, err := script.Load(r.options)
	select {
	case <-r.stop:
		return // the objects are being put away
	default:
	}
	if err != nil {
		r.broken = true
		r.failed()
		r.report(err)
		r.follow(r.node.Scripts(), err)
		return
	}
	r.follow(set, nil)
	changes := set.ChangesSince(r.node.Scripts())
	if !changes.None() {
		r.node.Reload(set)
	} else if !asked && !r.broken {
		return
	}
	var attrs []any
	for _, c := range []struct {
		what  string
		files []string
	}{{"changed", changes.Changed}, {"added", changes.Added}, {"removed", changes.Removed}} {
		if len(c.files) > 0 {
			attrs = append(attrs, c.what, strings.Join(c.files, ", "))
		}
	}
	if changes.None() {
		attrs = append(attrs, "changed", "nothing")
	}
	if r.broken {
		attrs = append(attrs, "repaired", true)
	}
	r.broken = false
	r.log.Info("scripts reloaded", append(attrs, "took", time.Since(began).Round(time.Millisecond))...)
}

// follow has those files watched too that the set imports from elsewhere, and the
// one that is wrong.
func (r *reloader) follow(set *script.Set, err error) {
	if r.watcher == nil {
		return
	}
	folders := set.Folders()
	var e *script.Error
	if errors.As(err, &e) && e.File != "" {
		wrong := filepath.Dir(filepath.Join(r.options.Folder, filepath.FromSlash(e.File)))
		if real, err := filepath.EvalSymlinks(wrong); err == nil {
			wrong = real
		}
		if wrong, err := filepath.Abs(wrong); err == nil && !slices.Contains(folders, wrong) {
			folders = append(slices.Clone(folders), wrong)
		}
	}
	r.watcher.Follow(folders)
}

// report tells where scripts are wrong. A log for people shows the line; one for
// programs has it as a field.
func (r *reloader) report(err error) {
	const message = "scripts not reloaded: the ones that run, run on"
	var e *script.Error
	if !errors.As(err, &e) {
		r.log.Error(message, "error", err)
		return
	}
	attrs := []any{"error", e.Error()}
	if e.File != "" {
		attrs = append(attrs, "file", filepath.Join(r.options.Folder, e.File), "line", e.Line, "column", e.Column)
	}
	var shown []string
	for _, each := range [...]struct{ name, text string }{{"frame", e.Frame()}, {"stack", e.Stack}} {
		if each.text == "" {
			continue
		}
		shown = append(shown, each.text)
		if r.frames == nil {
			attrs = append(attrs, each.name, each.text)
		}
	}
	r.log.Error(message, attrs...)
	if r.frames != nil && len(shown) > 0 {
		fmt.Fprintln(r.frames, strings.Join(shown, "\n"))
	}
}

// startReloader begins to reload scripts; watcher is nil if only a SIGHUP does.
func (s *system) startReloader(o script.Options, watcher *script.Watcher, failed func(), frames io.Writer) {
	s.reloader = &reloader{options: o, node: s.node, failed: failed, log: o.Log, frames: frames, watcher: watcher,
		hangup: make(chan os.Signal, 1), stop: make(chan struct{}), done: make(chan struct{})}
	signal.Notify(s.reloader.hangup, syscall.SIGHUP)
	go s.reloader.run()
}

// close ends reloading, and waits until ctx ends for scripts that are being
// loaded: their top level may loop for as long as a turn may.
func (r *reloader) close(ctx context.Context) {
	signal.Stop(r.hangup)
	close(r.stop)
	if r.watcher != nil {
		r.watcher.Close()
	}
	select {
	case <-r.done:
	case <-ctx.Done():
	}
}
