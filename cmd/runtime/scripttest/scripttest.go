package scripttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"chat.example.com.ai/runtime/script"
	"chat.example.com.ai/store"
)

const (
	// DefaultTimeout is what one test may take on the wall's clock.
	DefaultTimeout = 30 * time.Second
	// grace is what a test has to come to its end after that.
	grace = 5 * time.Second
)

// Options say which tests run.
type Options struct {
	Folder      string         // of the scripts
	Files       []string       // tests, or folders of them, in Folder; all of them if empty
	Run         *regexp.Regexp // runs tests whose name it matches; nil: all
	TurnTimeout time.Duration  // of the objects and of the tests; script.DefaultTurnTimeout if 0
	Timeout     time.Duration  // of one test on the wall's clock; DefaultTimeout if 0
	Verbose     bool           // shows the log of all tests, not only of those that fail or log something themselves

	// ObserveRead, if not nil, is the store's option of this name, in each test.
	ObserveRead func(statement string, args []any)
}

// Counts are how many tests did what.
type Counts struct{ Passed, Failed, Skipped int }

// session is one run of many tests.
type session struct {
	options Options
	set     *script.Set
	out     io.Writer
	hung    chan struct{} // closed when a turn cannot be interrupted
	counts  Counts
}

// Run runs tests one after the other and writes what came of them to out. The
// error says why they could not run, or not all of them, not that some failed.
func Run(ctx context.Context, o Options, out io.Writer) (Counts, error) {
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	files, err := chosen(o)
	if err != nil {
		return Counts{}, err
	}
	s := &session{options: o, out: out, hung: make(chan struct{})}
	overseer := script.NewOverseer(func() { close(s.hung) })
	defer overseer.Close()
	s.set, err = script.Load(script.Options{
		Folder: o.Folder, TurnTimeout: o.TurnTimeout, Overseer: overseer, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return Counts{}, err
	}
	err = s.runAll(ctx, files)
	return s.counts, err
}

// chosen are the files to run, relative to the folder.
func chosen(o Options) ([]string, error) {
	all, err := script.TestFiles(o.Folder)
	if err != nil {
		return nil, err
	}
	if len(o.Files) == 0 {
		if len(all) == 0 {
			return nil, fmt.Errorf("no tests in %s: a test is a file *.test.js or *.test.ts", o.Folder)
		}
		return all, nil
	}
	root, err := filepath.Abs(o.Folder)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, name := range o.Files {
		path, err := filepath.Abs(name)
		if err != nil {
			return nil, err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return nil, err
		}
		rel = filepath.ToSlash(rel)
		named := filepath.ToSlash(filepath.Clean(name)) // as scripts are named in logs
		n := len(files)
		for _, f := range all {
			if f == rel || f == named || rel == "." || strings.HasPrefix(f, rel+"/") {
				files = append(files, f)
			}
		}
		if len(files) == n {
			return nil, fmt.Errorf("%s: no tests there: a test is a file *.test.js or *.test.ts in the scripts folder, %s", name, o.Folder)
		}
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// one is a test to run.
type one struct {
	file  *script.TestFile
	index int
	test  script.Test
}

func (s *session) runAll(ctx context.Context, names []string) error {
	var tests []one
	only := false
	for _, name := range names {
		file, err := s.set.LoadTest(name)
		if err != nil {
			s.counts.Failed++
			fmt.Fprintf(s.out, "FAIL  %s\n", name)
			var e *script.Error
			if errors.As(err, &e) {
				s.explain(e)
			} else {
				s.indented(err.Error())
			}
			fmt.Fprintln(s.out)
			continue
		}
		if len(file.Tests) == 0 {
			s.counts.Failed++
			fmt.Fprintf(s.out, "FAIL  %s  has no tests\n", name)
		}
		for i, t := range file.Tests {
			if s.options.Run == nil || s.options.Run.MatchString(t.Name) {
				tests = append(tests, one{file, i, t})
				only = only || t.Only
			}
		}
	}
	if len(tests) == 0 && s.counts.Failed == 0 {
		return errors.New("no test has a name that --run matches")
	}
	for _, t := range tests {
		if t.test.Skip || only && !t.test.Only {
			s.counts.Skipped++
			fmt.Fprintf(s.out, "skip  %s  %s\n", t.file.File, t.test.Name)
			continue
		}
		if err := s.runOne(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// errLost ends the session: a test left something running that nothing can end.
var errLost = errors.New("the tests after it did not run: something in it cannot be interrupted")

// runOne runs a test and reports it.
func (s *session) runOne(ctx context.Context, t one) error {
	var log logBuffer
	var failures []*script.Error
	r := &run{}
	started := time.Now()
	ended := make(chan error, 1)
	go func() {
		ended <- inBubble(func() {
			r.log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{ReplaceAttr: withoutTime}))
			var err error
			if r.world, err = newWorld(s.set, store.Options{Memory: true, Log: r.log, ObserveRead: s.options.ObserveRead}); err != nil {
				failures = []*script.Error{{Name: "Error", Message: err.Error()}}
				return
			}
			failures = r.play(t.file, t.index)
		})
	}()
	limit := time.AfterFunc(s.options.Timeout, func() { r.overdue.Store(true) })
	defer limit.Stop()
	last := time.NewTimer(s.options.Timeout + grace)
	defer last.Stop()
	var err error
	select {
	case err = <-ended:
		if err != nil {
			failures = append(failures, &script.Error{Name: "Error", Message: err.Error()})
			err = nil
		}
	case <-ctx.Done():
		r.overdue.Store(true)
		select { // what it has on disk goes with it
		case <-ended:
		case <-s.hung:
		case <-last.C:
		case <-time.After(grace):
		}
		return errors.New("the tests were stopped")
	case <-s.hung:
		err = errLost
	case <-last.C:
		err = errLost
	}
	took := time.Since(started).Round(time.Millisecond)
	if err != nil { // what the test has is still in use
		s.counts.Failed++
		fmt.Fprintf(s.out, "FAIL  %s  %s (%v)\n", t.file.File, t.test.Name, took)
		s.indented("it did not end, and cannot be made to: a loop inside of a built-in, or objects that keep each other busy\n")
		return err
	}
	if len(failures) == 0 {
		s.counts.Passed++
		fmt.Fprintf(s.out, "ok    %s  %s (%v)\n", t.file.File, t.test.Name, took)
	} else {
		s.counts.Failed++
		fmt.Fprintf(s.out, "FAIL  %s  %s (%v)\n", t.file.File, t.test.Name, took)
		for _, e := range failures {
			if e.File == "" {
				e.File, e.Line, e.Column = t.file.File, t.test.Line, t.test.Column
			}
			s.explain(e)
		}
	}
	shown := log.Len() > 0 && (len(failures) > 0 || r.spoke || s.options.Verbose)
	if shown {
		s.indented("log:\n" + indent(log.String(), "  "))
	}
	if shown || len(failures) > 0 {
		fmt.Fprintln(s.out)
	}
	return nil
}

// maxLog bounds what is kept of the log of one test: more than anybody reads.
const maxLog = 64 << 10 // bytes

// logBuffer keeps the beginning of a log.
type logBuffer struct {
	bytes.Buffer
	cut bool
}

func (b *logBuffer) Write(p []byte) (int, error) {
	switch {
	case b.Len()+len(p) <= maxLog:
		return b.Buffer.Write(p)
	case !b.cut:
		b.cut = true
		b.WriteString("… and more\n")
	}
	return len(p), nil
}

func withoutTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return a
}

// explain shows an error: what it says, where, and the line.
func (s *session) explain(e *script.Error) {
	text := e.Message
	if e.Name != "" && e.Name != "Error" && e.Name != "AssertionError" {
		text = e.Name + ": " + text
	}
	if p := e.Position(); p != "" {
		text += "\n\n" + filepath.Join(s.options.Folder, p)
	}
	if frame := s.set.Frame(e); frame != "" {
		text += "\n" + frame
	}
	if frames := strings.Split(e.Stack, "\n"); len(frames) > 1 { // the first one is the position
		text += "\n" + strings.Join(frames[1:], "\n")
	}
	s.indented(text)
}

func (s *session) indented(text string) {
	fmt.Fprintf(s.out, "\n%s\n", indent(text, "      "))
}

func indent(text, by string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, line := range lines {
		if line != "" {
			lines[i] = by + line
		}
	}
	return strings.Join(lines, "\n")
}
