package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"chat.example.com.ai/store"
)

const backupHelp = `Copies the database of a data folder, as it is at one moment, into a file:

  runtime backup FILE [--data folder] [--force]

It works while the program runs on the folder, which does not wait for it, and while
it doesn't. FILE is there once it is whole, checked, and on the disk.

`

const restoreHelp = `Puts a copy of a database in place of the one in a data folder:

  runtime restore FILE [--data folder]

No program may run on the folder. FILE is checked first, and not changed. The database
that was there is kept, under a name that is shown.

`

// runBackup is the command backup.
func runBackup(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	fs := flag.NewFlagSet("backup", flag.ContinueOnError)
	force := fs.Bool("force", false, "replace FILE if it is there")
	file, data, err := fileAndData(fs, args, getenv, stdout, backupHelp)
	if err != nil {
		return err
	}
	began := time.Now()
	size, err := store.Backup(ctx, store.BackupOptions{Folder: data, File: file, Replace: *force})
	switch {
	case errors.Is(err, os.ErrExist):
		return fmt.Errorf("backup: %s is there already: choose another name, or say --force", file)
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("backup: %w", err)
	case err != nil:
		return fmt.Errorf("backup of %s: %w", data, err)
	}
	_, err = fmt.Fprintf(stdout, "wrote %s: %s in %v, and checked it\n", file, mebibytes(size), time.Since(began).Round(time.Millisecond))
	return err
}

// runRestore is the command restore.
func runRestore(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	fs := flag.NewFlagSet("restore", flag.ContinueOnError)
	file, data, err := fileAndData(fs, args, getenv, stdout, restoreHelp)
	if err != nil {
		return err
	}
	began := time.Now()
	aside, err := store.Restore(ctx, file, data)
	if errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("restore: a program runs on the data folder %s: stop it first", data)
	} else if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	fmt.Fprintf(stdout, "checked %s and restored it to %s in %v\n", file, data, time.Since(began).Round(time.Millisecond))
	if aside != "" {
		fmt.Fprintf(stdout, "what was there is kept as %s: delete it when you are sure\n", aside)
	}
	return nil
}

// fileAndData reads what both commands take.
func fileAndData(fs *flag.FlagSet, args []string, getenv func(string) string, stdout io.Writer, help string) (file, data string, err error) {
	fs.SetOutput(io.Discard)
	fs.StringVar(&data, "data", cmp.Or(getenv("CHAT_DATA"), "./data"), "folder of the data")
	var files []string
	for len(args) > 0 { // flags and the file in any order
		if err := fs.Parse(args); errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(stdout, help)
			fs.VisitAll(func(f *flag.Flag) { fmt.Fprintf(stdout, "  --%-7s %s\n", f.Name, f.Usage) })
			return "", "", err
		} else if err != nil {
			return "", "", err
		}
		if args = fs.Args(); len(args) > 0 {
			files, args = append(files, args[0]), args[1:]
		}
	}
	if len(files) != 1 {
		return "", "", fmt.Errorf("%s takes one file: %[1]s FILE", fs.Name())
	}
	return files[0], data, nil
}

func mebibytes(n int64) string {
	if n < 10<<20 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
