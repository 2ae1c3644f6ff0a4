package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"chat.example.com.ai/api/admin"
	"chat.example.com.ai/store"
)

const (
	// adminPatience is how long a command waits for a program that has the data folder
	// and is just starting or stopping.
	adminPatience = 5 * time.Second
	adminRetry    = 50 * time.Millisecond
	// maxShown is how much of an error a line shows, in characters; --json has it all.
	maxShown = 200
)

const deadLettersHelp = `Lists, replays or drops dead letters: events, calls, runs and alarms that were given up.
It works while the program runs on the data folder, and while it doesn't.

  runtime deadletters list [filters] [--json]
  runtime deadletters replay NUMBER... | [filters] | --all
  runtime deadletters drop NUMBER... | [filters] | --all

What is replayed has fresh attempts and goes to the end of the outbox; the alarm of
an object is set again, unless it has another one by now. What fails again, or has no
handler any more, is a dead letter again, with another number. Numbers are replayed or
dropped together or not at all.

`

// deadLetters is what admin.Letters and admin.Client have in common.
type deadLetters interface {
	List(context.Context, admin.Query) ([]admin.Letter, error)
	Replay(context.Context, admin.Selection) (admin.Outcome, error)
	Drop(context.Context, admin.Selection) (admin.Outcome, error)
}

// runDeadLetters is the command deadletters.
func runDeadLetters(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	fs := newFlags("deadletters")
	data := dataFlag(fs, getenv)
	var f admin.Filter
	fs.StringVar(&f.Handler, "handler", "", "filter: the name of the event handler; of a call, the one that made it")
	fs.StringVar(&f.Type, "type", "", "filter: the type of the event, such as Message.sent; of a call, its method")
	fs.StringVar(&f.Kind, "kind", "", "filter: event, call, schedule or alarm")
	fs.StringVar(&f.Source, "source", "", "filter: the object that it came from, such as Room/general")
	fs.StringVar(&f.Target, "target", "", "filter: the object that it is for")
	all := fs.Bool("all", false, "replay, drop: all there are")
	asJSON := fs.Bool("json", false, "list: everything, what they carry too, one JSON object a line")
	words, err := parseWords(fs, args, stdout, deadLettersHelp)
	if err != nil {
		return err
	}
	verb := ""
	if len(words) > 0 {
		verb, words = words[0], words[1:]
	}
	selection, err := selectLetters(verb, words, f, *all, *asJSON)
	if err != nil {
		return err
	}
	letters, release, err := openLetters(ctx, *data)
	if err != nil {
		return err
	}
	switch verb {
	case "list":
		err = listLetters(ctx, letters, admin.Query{Filter: f, Data: *asJSON}, *asJSON, stdout)
	case "replay":
		err = actOnLetters(ctx, letters.Replay, selection, "replayed", stdout)
	case "drop":
		err = actOnLetters(ctx, letters.Drop, selection, "dropped", stdout)
	}
	return errors.Join(err, release())
}

// selectLetters checks what is asked for: nothing is replayed or dropped that was not
// named in some way.
func selectLetters(verb string, words []string, f admin.Filter, all, asJSON bool) (s admin.Selection, err error) {
	s.Filter = f
	for _, word := range words {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil || n <= 0 {
			return s, fmt.Errorf("%q is not the number of a dead letter", word)
		}
		s.Numbers = append(s.Numbers, n)
	}
	ways := 0
	for _, given := range []bool{len(s.Numbers) > 0, f != admin.Filter{}, all} {
		if given {
			ways++
		}
	}
	switch verb {
	case "list":
		if len(s.Numbers) > 0 || all {
			return s, errors.New("deadletters list takes filters only")
		}
	case "replay", "drop":
		switch {
		case asJSON:
			return s, errors.New("--json is for deadletters list")
		case ways != 1:
			return s, fmt.Errorf("deadletters %s takes either numbers, or filters, or --all", verb)
		case len(s.Numbers) > admin.MaxNumbers:
			return s, fmt.Errorf("deadletters %s takes at most %d numbers at a time", verb, admin.MaxNumbers)
		}
	default:
		return s, errors.New("deadletters list, replay or drop: see deadletters --help")
	}
	if f.Kind != "" {
		_, err = store.ParseKind(f.Kind)
	}
	return s, err
}

// openLetters reaches the dead letters of a data folder: through the program that has
// it, or by opening it, if none has.
func openLetters(ctx context.Context, folder string) (letters deadLetters, release func() error, err error) {
	if !exists(filepath.Join(folder, store.FileName)) {
		return nil, nil, noData(folder)
	}
	patience := time.After(adminPatience)
	for {
		client, err := admin.Dial(ctx, folder)
		if err == nil {
			return client, client.Close, nil
		}
		if !errors.Is(err, admin.ErrNotRunning) {
			return nil, nil, fmt.Errorf("the program that runs on %s cannot be reached: %w", folder, err)
		}
		s, err := store.Open(ctx, store.Options{Folder: folder, Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			return &admin.Letters{Store: s}, s.Close, nil
		}
		if !errors.Is(err, store.ErrLocked) {
			return nil, nil, fmt.Errorf("the data folder %s cannot be opened: %w", folder, err)
		}
		select { // it may be starting or stopping
		case <-time.After(adminRetry):
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-patience:
			return nil, nil, fmt.Errorf("the data folder %s is in use by a process that does not answer on %s", folder, filepath.Join(folder, admin.SocketName))
		}
	}
}

// listLetters prints dead letters, a page at a time.
func listLetters(ctx context.Context, letters deadLetters, q admin.Query, asJSON bool, w io.Writer) error {
	const row = "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n"
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	for first := true; ; first = false {
		page, err := letters.List(ctx, q)
		if err != nil {
			return err
		}
		if len(page) == 0 && first && !asJSON {
			_, err := fmt.Fprintln(w, "no dead letters")
			return err
		}
		if len(page) == 0 {
			return nil
		}
		q.After = page[len(page)-1].Number
		if first && !asJSON {
			fmt.Fprintf(table, row, "NUMBER", "DIED", "KIND", "TYPE", "HANDLER", "TARGET", "ATTEMPTS", "ERROR")
		}
		for i := range page {
			l := &page[i]
			if asJSON {
				if err := lines.Encode(l); err != nil {
					return err
				}
				continue
			}
			what := l.Error
			if !strings.Contains(what, l.Position) { // a script's own error begins with it
				what += " (" + l.Position + ")"
			}
			fmt.Fprintf(table, row, strconv.FormatInt(l.Number, 10), l.DiedAt.Format(time.RFC3339), l.Kind, oneLine(l.Type),
				oneLine(cmp.Or(l.Handler, "-")), oneLine(l.Target), strconv.Itoa(l.Attempts), oneLine(what))
		}
		if err := table.Flush(); err != nil {
			return err
		}
	}
}

// oneLine makes a text that somebody else wrote fit for a line on a terminal.
func oneLine(text string) string {
	n := 0
	for i := range text {
		if n++; n > maxShown {
			text = text[:i] + "…"
			break
		}
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}

// actOnLetters replays or drops a selection, a page at a time.
func actOnLetters(ctx context.Context, act func(context.Context, admin.Selection) (admin.Outcome, error), s admin.Selection, done string, w io.Writer) error {
	total, kept := 0, 0
	for {
		out, err := act(ctx, s)
		total += out.Done
		kept += len(out.Kept)
		for _, k := range out.Kept {
			fmt.Fprintf(w, "%d is kept: %s\n", k.Number, k.Reason)
		}
		if err != nil && total > 0 {
			return fmt.Errorf("%s %d, then: %w", done, total, err)
		}
		if err != nil {
			return err
		}
		if !out.More {
			break
		}
		s.After, s.Until = out.After, out.Until
	}
	_, err := fmt.Fprintf(w, "%s %d\n", done, total)
	if kept > 0 {
		err = errors.Join(err, fmt.Errorf("%d of the dead letters could not be %s", kept, done))
	}
	return err
}
