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
  bench idle      sockets that do nothing: memory and processor time of each, and how fast they connect
  bench fanout    messages to one large room: processor time of a delivery
  bench rooms     messages in many small rooms, each stored: processor time of a delivery
  bench wake      messages to sleeping rooms: time until they are heard
  bench events    events through one handler, each stored: rate, and processor time of an event
  bench start     a start with many rooms on disk: time and memory
  bench all       all of these in turn
  bench history   pages of a room with a long history: time of each
  bench soak      everything at once, for long: whether memory, descriptors and goroutines stay what they are
  bench baseline  the plain WebSocket chat server that is measured beside the chat
each starts the servers that it needs, and all but events, start and history can measure
one that runs, at --url; each shows its flags with --help`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		stop()
		if errors.Is(err, flag.ErrHelp) {
			return
		}
		fmt.Fprintln(os.Stderr, "bench: "+err.Error())
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
	b, err := parseBench(args[0], args[1:], stderr)
	if err != nil {
		return err
	}
	return perform(ctx, b, stdout, stderr)
}

// bench is a command with its flags. measure finds out what it is about; without
// programs it measures the server at --url.
type bench interface {
	common() options
	measure(ctx context.Context, p *programs, progress io.Writer) (report, error)
}

// parseBench reads the flags of a command.
func parseBench(command string, args []string, stderr io.Writer) (bench, error) {
	switch command {
	case "idle":
		return parseIdle(args, stderr)
	case "fanout":
		return parseFanout(args, stderr)
	case "rooms":
		return parseRooms(args, stderr)
	case "wake":
		return parseWake(args, stderr)
	case "events":
		return parseEvents(args, stderr)
	case "start":
		return parseStart(args, stderr)
	case "history":
		return parseHistory(args, stderr)
	case "all":
		return parseAll(args, stderr)
	case "soak":
		return parseSoak(args, stderr)
	}
	return nil, fmt.Errorf("unknown command %q\n%s", command, usage)
}

// perform runs a command and prints what it found.
func perform(ctx context.Context, b bench, stdout, progress io.Writer) (err error) {
	o := b.common()
	var p *programs
	if o.url == "" {
		if p, err = buildPrograms(ctx, progress); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, p.remove()) }()
	}
	r, err := b.measure(ctx, p, progress)
	if err != nil {
		return err
	}
	if err := show(stdout, o.json, r); err != nil {
		return err
	}
	if judged, ok := r.(interface{ failed() error }); ok {
		return judged.failed()
	}
	return nil
}
