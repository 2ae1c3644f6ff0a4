package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"time"

	"chat.example.com.ai/cmd/runtime/scripttest"
	"chat.example.com.ai/runtime/script"
)

// runTests is the command test: it runs the tests of the scripts. The error says
// why they could not run, or how many failed.
func runTests(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	o := scripttest.Options{}
	fs := newFlags("test")
	fs.StringVar(&o.Folder, "scripts", cmp.Or(getenv("CHAT_SCRIPTS"), "./scripts"), "folder of the scripts and their tests")
	pattern := fs.String("run", "", "runs the tests whose name this regular expression matches")
	fs.DurationVar(&o.TurnTimeout, "turn-timeout", script.DefaultTurnTimeout, "how long a script, or a test between two awaits, may run at a time")
	fs.DurationVar(&o.Timeout, "timeout", scripttest.DefaultTimeout, "how long a test may take on the wall's clock")
	fs.BoolVar(&o.Verbose, "v", false, "shows the log of all tests, not only of those that fail or log something themselves")
	var err error
	if o.Files, err = parseWords(fs, args, stdout, "Runs the tests of the scripts, *.test.js and *.test.ts:\n\n  runtime test [flags] [files]\n\n"); err != nil {
		return err
	}
	if o.TurnTimeout <= 0 || o.Timeout <= 0 {
		return errors.New("durations must be greater than 0")
	}
	if *pattern != "" {
		matches, err := regexp.Compile(*pattern)
		if err != nil {
			return fmt.Errorf("--run: %w", err)
		}
		o.Run = matches
	}
	started := time.Now()
	counts, err := scripttest.Run(ctx, o, stdout)
	if e := (*script.Error)(nil); errors.As(err, &e) {
		return scriptsError(o.Folder, err)
	}
	if n := counts.Passed + counts.Failed + counts.Skipped; n > 0 {
		fmt.Fprintf(stdout, "\n%d passed, %d failed, %d skipped (%v)\n", counts.Passed, counts.Failed, counts.Skipped, time.Since(started).Round(time.Millisecond))
	}
	if err == nil && counts.Failed > 0 {
		err = errors.New("tests failed")
	}
	return err
}
