package store

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// killedFolder makes a data folder as a killed process leaves it: a message is in the log only.
func killedFolder(t *testing.T) (folder string) {
	t.Helper()
	source := t.TempDir()
	s := openStore(t, Options{Folder: source})
	save(t, s.View(general, s.Epoch()), PutThing{Thing: message(1, `{}`), Insert: true})
	folder = t.TempDir()
	for _, name := range []string{FileName, FileName + "-wal", FileName + "-shm"} {
		copyFile(t, filepath.Join(source, name), filepath.Join(folder, name))
	}
	return folder
}

// has checks which message is in a data folder.
func has(t *testing.T, folder string, n int) (epoch uint64) {
	t.Helper()
	s, err := Open(t.Context(), Options{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	v := s.View(general, s.Epoch())
	mustHave(t, v, message(1, "").ID, n == 1)
	mustHave(t, v, message(2, "").ID, n == 2)
	return s.Epoch()
}

// Wherever a restore is broken off, the program starts with the old database, or not
// at all; and a further restore gives both the new one and the old.
func TestARestoreThatIsBrokenOff(t *testing.T) {
	source := t.TempDir()
	s := openStore(t, Options{Folder: source})
	save(t, s.View(general, s.Epoch()), PutThing{Thing: message(2, `{}`), Insert: true})
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := Backup(t.Context(), BackupOptions{Folder: source, File: backup}); err != nil {
		t.Fatal(err)
	}
	const aside = "chat.db.before-1"
	steps := []func(folder string) error{
		func(f string) error {
			return os.WriteFile(filepath.Join(f, restoringName), []byte("chat.db.bef"), 0o600)
		},
		func(f string) error { return writeMarker(filepath.Join(f, restoringName), aside) },
		func(f string) error {
			return os.Rename(filepath.Join(f, FileName+"-wal"), filepath.Join(f, aside+"-wal"))
		},
		func(f string) error { return os.WriteFile(filepath.Join(f, FileName+"-wal"), nil, 0o600) }, // somebody looked
		func(f string) error { return os.Rename(filepath.Join(f, FileName), filepath.Join(f, aside)) },
		func(f string) error { return os.Remove(filepath.Join(f, FileName+"-shm")) },
		func(f string) error { copyFile(t, backup, filepath.Join(f, FileName)); return nil },
	}
	for done := range len(steps) + 1 {
		folder := killedFolder(t)
		for _, step := range steps[:done] {
			if err := step(folder); err != nil {
				t.Fatal(err)
			}
		}
		if s, err := Open(t.Context(), Options{Folder: folder}); done > 0 && !errors.Is(err, ErrRestoring) {
			t.Fatalf("after %d steps it opens: %v", done, err)
		} else if done == 0 {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Backup(t.Context(), BackupOptions{Folder: folder, File: backup + ".x"}); done > 0 && !errors.Is(err, ErrRestoring) {
			t.Errorf("after %d steps it is copied: %v", done, err)
		}
		old, err := Restore(t.Context(), backup, folder)
		if err != nil {
			t.Fatalf("after %d steps: %v", done, err)
		}
		if old == "" {
			t.Fatalf("after %d steps the old database is lost", done)
		}
		has(t, folder, 2)
		if _, err := Restore(t.Context(), old, folder); err != nil {
			t.Fatal(err)
		}
		has(t, folder, 1)
		_ = os.Remove(backup + ".x")
	}
}

// Whoever was fenced off before a restore stays so.
// Whoever made the data folder, only the user of the program reads what is in it; and a
// restore leaves no more of the database from before than there was.
func TestOnlyItsUserReadsADatabase(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "data")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	private := func(want int) {
		t.Helper()
		entries, err := os.ReadDir(folder)
		if err != nil || len(entries) != want {
			t.Errorf("%d files, %v: %v", len(entries), err, entries)
		}
		for _, e := range entries {
			if info, err := e.Info(); err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%v %s, %v", info.Mode(), e.Name(), err)
			}
		}
	}
	s, err := Open(t.Context(), Options{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	private(4) // database, log, index, lock
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := Backup(t.Context(), BackupOptions{Folder: folder, File: backup}); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), backup, folder); err != nil {
		t.Fatal(err)
	}
	private(3) // database, the one from before, lock
}

func TestTheEpochGoesOnAfterARestore(t *testing.T) {
	folder := t.TempDir()
	first := has(t, folder, 0)
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := Backup(t.Context(), BackupOptions{Folder: folder, File: backup}); err != nil {
		t.Fatal(err)
	}
	var last uint64
	for range 5 {
		last = has(t, folder, 0)
	}
	if _, err := Restore(t.Context(), backup, folder); err != nil {
		t.Fatal(err)
	}
	if epoch := has(t, folder, 0); epoch <= last || last <= first {
		t.Errorf("epoch %d after %d and %d", epoch, last, first)
	}
}

// A database that is in use is copied as it is, with what is in its log only.
func TestRestoringFromADatabaseInUse(t *testing.T) {
	source := t.TempDir()
	s := openStore(t, Options{Folder: source})
	save(t, s.View(general, s.Epoch()), PutThing{Thing: message(2, `{}`), Insert: true}) // in the log
	folder := t.TempDir()
	if _, err := Restore(t.Context(), filepath.Join(source, FileName), folder); err != nil {
		t.Fatal(err)
	}
	has(t, folder, 2)
	save(t, s.View(general, s.Epoch()), PutThing{Thing: message(3, `{}`), Insert: true})
	if _, err := Restore(t.Context(), backupOf(t, source), source); !errors.Is(err, ErrLocked) {
		t.Errorf("error %v", err)
	}
}

func backupOf(t *testing.T, folder string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "backup")
	if _, err := Backup(t.Context(), BackupOptions{Folder: folder, File: file}); err != nil {
		t.Fatal(err)
	}
	return file
}

// A backup is of one moment, though every page of it is written again while it is made.
func TestABackupIsOfOneMoment(t *testing.T) {
	folder := t.TempDir()
	s := openStore(t, Options{Folder: folder})
	v := s.View(general, s.Epoch())
	text := make([]byte, 64<<10)
	for i := range text {
		text[i] = 'x'
	}
	write := func(round string) {
		for i := range 64 {
			v.Write(PutValue{Key: "all" + string(rune('A'+i)), Value: append([]byte(round), text...)})
		}
		save(t, v)
	}
	write("0")
	db, conn, err := openSnapshot(t.Context(), filepath.Join(folder, FileName), false)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	defer conn.Close()
	copied, err := os.CreateTemp(t.TempDir(), "copy")
	if err != nil {
		t.Fatal(err)
	}
	defer copied.Close()
	write("1") // after the snapshot began, before a page of it was copied
	if err := conn.Raw(func(conn any) error {
		return copyPages(t.Context(), conn, dataSource(copied.Name(), readerCacheKiB, "journal_mode(OFF)", "synchronous(OFF)"), copied)
	}); err != nil {
		t.Fatal(err)
	}
	into := t.TempDir()
	if _, err := Restore(t.Context(), copied.Name(), into); err != nil {
		t.Fatal(err)
	}
	again := openStore(t, Options{Folder: into})
	values, err := again.View(general, again.Epoch()).Values(t.Context(), []string{"allA", "all`"})
	if err != nil || len(values) != 2 || values["allA"][0] != '0' || values["all`"][0] != '0' {
		t.Errorf("%d values, %v", len(values), err)
	}
}

// A backup that is broken off leaves nothing.
func TestABackupThatIsBrokenOff(t *testing.T) {
	folder := killedFolder(t)
	into := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Backup(ctx, BackupOptions{Folder: folder, File: filepath.Join(into, "x")}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if f, err := os.Open(into); err != nil {
		t.Fatal(err)
	} else if names, err := f.Readdirnames(1); err != io.EOF {
		t.Errorf("left: %v, %v", names, err)
	} else if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	has(t, folder, 1)
}

// A log that has lost what was synced is not copied as a shorter history.
func TestADamagedLogIsNotCopied(t *testing.T) {
	folder := killedFolder(t)
	log := filepath.Join(folder, FileName+"-wal")
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(log, data[:len(data)-1000], 0o600); err != nil {
		t.Fatal(err)
	}
	backup := filepath.Join(t.TempDir(), "backup")
	if _, err := Backup(t.Context(), BackupOptions{Folder: folder, File: backup}); !errors.Is(err, ErrCorrupt) {
		t.Errorf("backup: %v", err)
	}
	if _, err := Restore(t.Context(), filepath.Join(folder, FileName), t.TempDir()); !errors.Is(err, ErrCorrupt) {
		t.Errorf("restore: %v", err)
	}
}

// What a backup leaves that is killed doesn't stay for ever, and what somebody may be
// writing, or is somebody's own, does.
func TestABackupRemovesWhatKilledOnesHaveLeft(t *testing.T) {
	source, target := t.TempDir(), t.TempDir()
	openStore(t, Options{Folder: source})
	file := filepath.Join(target, "backup[1]")
	old := map[string]bool{ // whether it goes
		"backup[1].partial-123": true, "backup[1].partial-4567-journal": true,
		"backup[1].partial-mine": false, "backup[1].partial-": false, "backup[2].partial-123": false, "backup1.partial-123": false,
		"backup[1].partial-1.gz": false, "backup[1]-123": false,
	}
	for name := range old {
		path := filepath.Join(target, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		long := time.Now().Add(-abandonedAfter - time.Minute)
		if err := os.Chtimes(path, long, long); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(target, "backup[1].partial-89"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	old["backup[1].partial-89"] = false // somebody writes it
	if _, err := Backup(t.Context(), BackupOptions{Folder: source, File: file}); err != nil {
		t.Fatal(err)
	}
	for name, goes := range old {
		if present(filepath.Join(target, name)) == goes {
			t.Errorf("%s: goes: %t, want %t", name, !goes, goes)
		}
	}
}
