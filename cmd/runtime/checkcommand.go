package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"chat.example.com.ai/store"
)

const checkHelp = `Looks through all of the database of a data folder, and its log, for damage:

  runtime check [--data folder]

No program may run on the folder. Nothing is changed. What is damaged is shown, 20 places
at most, and the exit status is 1 then.

`

// runCheck looks through a data folder that no program uses, and fails if anything in
// it is damaged.
func runCheck(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	fs := newFlags("check")
	data := dataFlag(fs, getenv)
	if words, err := parseWords(fs, args, stdout, checkHelp); err != nil {
		return err
	} else if len(words) > 0 {
		return fmt.Errorf("check: unexpected argument %q: name the data folder with --data", words[0])
	}
	file := filepath.Join(*data, store.FileName)
	if !exists(file) {
		return noData(*data)
	}
	problems, err := store.Check(ctx, *data)
	switch {
	case errors.Is(err, store.ErrLocked):
		return inUse(*data)
	case err != nil:
		return err
	case len(problems) == 0:
		fmt.Fprintf(stdout, "%s is whole\n", file)
		return nil
	}
	for _, problem := range problems {
		fmt.Fprintln(stdout, problem)
	}
	// Debian's sqlite3 has no .recover.
	return fmt.Errorf("%s is damaged: restore a backup, or save what can be read with .recover of the sqlite3 that sqlite.org offers", file)
}

func inUse(folder string) error {
	return fmt.Errorf("the data folder %s is in use by another process", folder)
}
