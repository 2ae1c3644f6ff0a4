package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
)

// newFlags are the flags of a command such as backup.
func newFlags(command string) *flag.FlagSet {
	fs := flag.NewFlagSet(command, flag.ContinueOnError)
	fs.SetOutput(io.Discard) // an error is told once, by whoever it is returned to
	return fs
}

// dataFlag is the flag of commands that are about a data folder.
func dataFlag(fs *flag.FlagSet, getenv func(string) string) *string {
	return fs.String("data", cmp.Or(getenv("CHAT_DATA"), "./data"), "folder of the data")
}

// noData is the error where a command finds no database in a data folder.
func noData(folder string) error {
	return fmt.Errorf("there is no data in %s: name another folder with --data", folder)
}

// parseWords reads the arguments of a command, flags and words in any order, and
// returns the words. It prints the help that is asked for, and returns flag.ErrHelp then.
func parseWords(fs *flag.FlagSet, args []string, stdout io.Writer, help string) (words []string, err error) {
	for len(args) > 0 {
		err := fs.Parse(args)
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stdout, help)
			width := 0
			fs.VisitAll(func(f *flag.Flag) { width = max(width, len(f.Name)) })
			fs.VisitAll(func(f *flag.Flag) { fmt.Fprintf(stdout, "  --%-*s  %s\n", width, f.Name, f.Usage) })
			return nil, err
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w: see %[1]s --help", fs.Name(), err)
		}
		if args = fs.Args(); len(args) > 0 {
			words, args = append(words, args[0]), args[1:]
		}
	}
	return words, nil
}
