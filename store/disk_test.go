package store

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// However much a disk refuses, and for however long, the log has a few lines of it.
func TestAnOutageIsLoggedInAFewLines(t *testing.T) {
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))
	var o outage
	now := time.Unix(0, 0)
	o.worked(log, now)
	for range 25_000 { // 25 s
		now = now.Add(time.Millisecond)
		o.failed(log, now, 2, errors.New("full"))
	}
	o.worked(log, now)
	o.worked(log, now)
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines:\n%s", len(lines), text.String())
	}
	for i, want := range []string{"level=ERROR", "refused=20002", "refused=40002", "level=INFO"} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d is %s, want %q in it", i, lines[i], want)
		}
	}
	if !strings.Contains(lines[3], "refused=50000 after=24.999s") {
		t.Errorf("the last line is %s", lines[3])
	}
}

// A group of batches that the disk refuses fails whole, and the writer goes on.
func TestWhatTheDiskRefusesFailsAsTheDisk(t *testing.T) {
	s := openStore(t, Options{Folder: t.TempDir()})
	v := s.View(general, s.Epoch())
	save(t, v, PutThing{Thing: message(1, "{}"), Insert: true})
	limit := func(pages string) {
		t.Helper()
		if _, err := s.conn.ExecContext(context.Background(), "PRAGMA max_page_count = "+pages); err != nil {
			t.Fatal(err)
		}
	}
	limit("1") // SQLite takes the size that it has
	failed := make(chan error, 3)
	big := make([]byte, 1<<20)
	for _, name := range []string{"a", "b", "c"} {
		other := s.View(room(name), s.Epoch())
		other.Write(PutValue{Key: "k", Value: big})
		s.Commit(other.Seal(), func(err error) { failed <- err })
	}
	for range cap(failed) {
		if err := <-failed; !errors.Is(err, ErrDisk) {
			t.Errorf("it failed with %v", err)
		}
	}
	limit("1000000")
	save(t, v, PutThing{Thing: message(2, "{}"), Insert: true})
	if got := ids(list(t, v, Query{Type: "Message"})); got != "1 2" {
		t.Errorf("there are %s", got)
	}
}
