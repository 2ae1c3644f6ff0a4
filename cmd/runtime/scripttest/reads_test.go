package scripttest_test

import (
	"bytes"
	"database/sql"
	"log/slog"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"chat.example.com.ai/cmd/runtime/scripttest"
	"chat.example.com.ai/store"
)

// ofThings are the statements that read what scripts have stored.
var ofThings = regexp.MustCompile(`\bFROM (thing|thing_index|key_value)\b`)

// scans are the steps of a plan that go through all rows of a table, save the lists
// that a statement makes itself.
var scans = regexp.MustCompile(`^SCAN (listed|json_each|\(subquery-\d+\)|\d+ CONSTANT ROW)`)

// Whatever the chat reads, in any of its tests, SQLite finds by an index, in the order
// that is wanted.
func TestWhatTheChatReadsHasAnIndex(t *testing.T) {
	var mu sync.Mutex
	reads := map[string][]any{}
	var out bytes.Buffer
	counts, err := scripttest.Run(t.Context(), scripttest.Options{
		Folder: filepath.Join("..", "..", "..", "scripts"),
		ObserveRead: func(statement string, args []any) {
			mu.Lock()
			defer mu.Unlock()
			if ofThings.MatchString(statement) {
				reads[statement] = args
			}
		},
	}, &out)
	if err != nil || counts.Failed > 0 {
		t.Fatalf("%+v, %v\n%s", counts, err, &out)
	}
	for _, part := range []string{
		"SELECT type, created, updated, version, fields FROM thing WHERE", // things.get
		"SELECT value FROM key_value WHERE",                               // storage.get
		"t.id > ?3 ORDER BY t.id LIMIT",                                   // ?after= and ?since=
		"t.id < ?3 ORDER BY t.id DESC LIMIT",                              // ?before=
		"t.type = ?2 ORDER BY t.id DESC LIMIT",                            // the newest
	} {
		found := false
		for statement := range reads {
			found = found || strings.Contains(statement, part)
		}
		if !found {
			t.Errorf("no statement has %q in it", part)
		}
	}

	folder := t.TempDir()
	s, err := store.Open(t.Context(), store.Options{Folder: folder, Log: slog.New(slog.DiscardHandler)}) // for its schema
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(folder, "chat.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for statement, args := range reads {
		plan := explain(t, db, statement, args)
		for _, step := range plan {
			if strings.HasPrefix(step, "SCAN") && !scans.MatchString(step) || strings.Contains(step, "TEMP B-TREE") {
				t.Errorf("%s\n%s", statement, strings.Join(plan, "\n"))
				break
			}
		}
	}
	t.Logf("%d statements", len(reads))
}

// explain returns the steps of SQLite's plan for a statement.
func explain(t *testing.T, db *sql.DB, statement string, args []any) (steps []string) {
	t.Helper()
	rows, err := db.Query("EXPLAIN QUERY PLAN "+statement, args...)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}
