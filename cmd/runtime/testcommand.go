package main

import (
	"context"
	"errors"
	"flag"
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
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	folder := "./scripts"
	if given := getenv("CHAT_SCRIPTS"); given != "" {
		folder = given
	}
	fs.StringVar(&o.Folder, "scripts", folder, "folder of the scripts and their tests")
	pattern := fs.String("run", "", "runs the tests whose name this regular expression matches")
	fs.DurationVar(&o.TurnTimeout, "turn-timeout", script.DefaultTurnTimeout, "how long a script, or a test between two awaits, may run at a time")
	fs.DurationVar(&o.Timeout, "timeout", scripttest.DefaultTimeout, "how long a test may take on the wall's clock")
	fs.BoolVar(&o.Verbose, "v", false, "shows the log of all tests, not only of those that fail or log something themselves")
	for len(args) > 0 { // flags and files in any order
		if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stdout, "Runs the tests of the scripts, *.test.js and *.test.ts: runtime test [flags] [files]\n\n")
			fs.VisitAll(func(f *flag.Flag) {
				fmt.Fprintf(stdout, "  --%-14s %s\n", f.Name, f.Usage)
			})
			return err
		} else if err != nil {
			return err
		}
		if args = fs.Args(); len(args) > 0 {
			o.Files = append(o.Files, args[0])
			args = args[1:]
		}
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
