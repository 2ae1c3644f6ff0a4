package store

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"testing"

	"chat.example.com.ai/runtime/key"
)

// olderDatabase makes a folder with a database as some first migrations leave it.
func olderDatabase(t *testing.T, steps int, statements ...string) (folder string) {
	t.Helper()
	folder = t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(folder, FileName))
	if err != nil {
		t.Fatal(err)
	}
	all, err := migrations.ReadDir("migration")
	if err != nil {
		t.Fatal(err)
	}
	var before []string
	for _, step := range all[:steps] {
		text, err := migrations.ReadFile("migration/" + step.Name())
		if err != nil {
			t.Fatal(err)
		}
		before = append(before, string(text))
	}
	before = append(before, fmt.Sprint("PRAGMA user_version = ", steps))
	for _, text := range append(before, statements...) {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return folder
}

// Before version 3 an event was for the file of its handler.
func TestEventsOfAnOlderDatabaseFindTheirHandlers(t *testing.T) {
	row := `(%d, %d, 'Handler/on.js', '%s', 'x', 'Note.made', 'Room/a', '1', 5, 1, 0, 0%s)`
	s := openStore(t, Options{Folder: olderDatabase(t, 2,
		"INSERT INTO outbox VALUES "+fmt.Sprintf(row, 1, EventDelivery, "on.js#Note.made", ""),
		"INSERT INTO outbox VALUES "+fmt.Sprintf(row, 2, ScheduleDelivery, "midnight", ""),
		"INSERT INTO outbox VALUES (3, 2, 'User/ann', 'midnight', 'x', 'User.notify', 'Handler/on.js', '{}', 5, 1, 0, 0)",
		"INSERT INTO dead_letter VALUES "+fmt.Sprintf(row, 4, EventDelivery, "other", ", 'oh', 'on.js:1:1', 9"))})
	targets, err := s.DeliveryTargets(context.Background(), key.Key{}, 10)
	if got := fmt.Sprint(targets); err != nil || got != "[Handler/midnight Handler/on.js#Note.made User/ann]" {
		t.Errorf("targets %s, %v", got, err)
	}
	letters, err := s.FindLetters(context.Background(), LetterQuery{Limit: 10})
	if err != nil || len(letters) != 1 || letters[0].Target.String() != "Handler/other" {
		t.Errorf("dead letters %+v, %v", letters, err)
	}
}
