package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const usage = `usage:
  bench rooms     load on many small rooms: of the server at --url, or of the chat and the baseline in turn
  bench baseline  a plain WebSocket chat server to compare with
Each shows its flags with --help.`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "bench: "+err.Error())
		}
		stop()
		os.Exit(1)
	}
}

// run is the program: its first argument is a command, the others are its flags.
// It returns when the command is done, or soon after ctx ended; no process that
// it started runs on.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) == 0 {
		return errors.New(usage)
	}
	switch args[0] {
	case "rooms":
		o, err := parseRooms(args[1:], stderr)
		if err != nil {
			return err
		}
		return runRooms(ctx, o, stdout, stderr)
	case "baseline":
		fs := newFlags("baseline", stderr)
		addr := fs.String("addr", "127.0.0.1:8788", "address to listen on")
		if err := parse(fs, args[1:]); err != nil {
			return err
		}
		return runBaseline(ctx, *addr, stdout)
	case "help", "-h", "-help", "--help":
		fmt.Fprintln(stderr, usage)
		return flag.ErrHelp
	}
	return fmt.Errorf("unknown command %q\n%s", args[0], usage)
}

func newFlags(command string, output io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet("bench "+command, flag.ContinueOnError)
	fs.SetOutput(output)
	return fs
}

// parse takes flags only.
func parse(fs *flag.FlagSet, args []string) error {
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: see --help", fs.Arg(0))
	}
	return nil
}
