package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"chat.example.com.ai/store"
)

// runCheck looks through a data folder that no program uses, and fails if anything in
// it is damaged.
func runCheck(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	fs := flag.NewFlagSet("runtime check", flag.ContinueOnError)
	fs.SetOutput(stdout)
	data := fs.String("data", cmp.Or(getenv("CHAT_DATA"), "./data"), "folder of the data")
	if err := fs.Parse(args); err != nil {
		return err
	}
	file := filepath.Join(*data, "chat.db")
	if _, err := os.Stat(file); err != nil {
		return fmt.Errorf("there is no database to check: %w", err)
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
	return fmt.Errorf("%s is damaged: restore a backup, or save what can be read with sqlite3 %s .recover", file, file)
}

func inUse(folder string) error {
	return fmt.Errorf("the data folder %s is in use by another process", folder)
}
