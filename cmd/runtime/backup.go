package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	fs := newFlags("backup")
	force := fs.Bool("force", false, "replace FILE if it is there")
	file, data, err := fileAndData(fs, args, getenv, stdout, backupHelp)
	if err != nil {
		return err
	}
	if !exists(filepath.Join(data, store.FileName)) {
		return noData(data)
	}
	if folder := filepath.Dir(file); !exists(folder) {
		return fmt.Errorf("backup: there is no folder %s", folder)
	}
	began := time.Now()
	size, err := store.Backup(ctx, store.BackupOptions{Folder: data, File: file, Replace: *force})
	switch {
	case errors.Is(err, os.ErrExist):
		return fmt.Errorf("backup: %s is there already: choose another name, or say --force", file)
	case err != nil:
		return fmt.Errorf("backup of %s: %w", data, err)
	}
	_, err = fmt.Fprintf(stdout, "wrote %s: %s in %v, and checked it\n", file, mebibytes(size), time.Since(began).Round(time.Millisecond))
	return err
}

// runRestore is the command restore.
func runRestore(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	fs := newFlags("restore")
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
		if log := aside + "-wal"; exists(log) {
			aside += " and " + log
		}
		fmt.Fprintf(stdout, "what was there is kept as %s: delete it when you are sure\n", aside)
	}
	return nil
}

// fileAndData reads what both commands take.
func fileAndData(fs *flag.FlagSet, args []string, getenv func(string) string, stdout io.Writer, help string) (file, data string, err error) {
	folder := dataFlag(fs, getenv)
	files, err := parseWords(fs, args, stdout, help)
	if err != nil {
		return "", "", err
	}
	if len(files) != 1 {
		return "", "", fmt.Errorf("%s takes one file: %[1]s FILE", fs.Name())
	}
	if *folder == "" { // a variable of a shell that is not set; the working folder is not meant
		return "", "", fmt.Errorf("%s: --data is empty", fs.Name())
	}
	return files[0], *folder, nil
}

func mebibytes(n int64) string {
	if n < 10<<20 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d MiB", n>>20)
}
