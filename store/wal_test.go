package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"chat.example.com.ai/runtime/key"
)

// killed is what a process leaves that was killed: copies of its files, by name.
type killed map[string][]byte

// kill takes what a store would leave now, if it was killed.
func kill(t *testing.T, folder string) killed {
	t.Helper()
	files := killed{}
	for _, name := range []string{"chat.db", "chat.db-wal", "chat.db-shm"} {
		data, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = data
	}
	return files
}

// with is the same with one file in another state; nil is a file that is gone.
func (k killed) with(name string, data []byte) killed {
	files := maps.Clone(k)
	if data == nil {
		delete(files, name)
	} else {
		files[name] = data
	}
	return files
}

func (k killed) write(t *testing.T, folder string) {
	t.Helper()
	for _, name := range []string{"chat.db", "chat.db-wal", "chat.db-shm"} {
		path := filepath.Join(folder, name)
		_ = os.Remove(path) // it may not be there
		if data, ok := k[name]; ok {
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// storedMessages is how many messages a killed store has on the next start, or why it
// doesn't start.
func (k killed) storedMessages(t *testing.T) (int, error) {
	t.Helper()
	folder := t.TempDir()
	k.write(t, folder)
	s, err := Open(context.Background(), Options{Folder: folder})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	things := list(t, s.View(general, s.Epoch()), Query{Type: "Message", Limit: 1000})
	for n, thing := range things {
		if want := message(n, ""); thing.ID != want.ID {
			t.Errorf("message %d is %s", n, thing.ID)
		}
	}
	return len(things), nil
}

const inLog = 12 // messages, each a transaction

func killedStore(t *testing.T) killed {
	folder := t.TempDir()
	s := openStore(t, Options{Folder: folder})
	v := s.View(general, s.Epoch())
	for n := range inLog {
		save(t, v, PutThing{Thing: message(n, `{"text":"hello"}`), Insert: true})
	}
	return kill(t, folder)
}

func TestALogThatIsWholeIsRead(t *testing.T) {
	k := killedStore(t)
	for name, files := range map[string]killed{"as it was": k, "without the index": k.with("chat.db-shm", nil)} {
		if n, err := files.storedMessages(t); n != inLog || err != nil {
			t.Errorf("%s: %d messages, %v", name, n, err)
		}
	}
}

// frames returns the offsets of the log's frames.
func frames(t *testing.T, log []byte) (at []int, commits []int) {
	name := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(name, log, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	l, err := openLog(file)
	if err != nil || !l.sound {
		t.Fatalf("the log has no header: %v", err)
	}
	for i := range l.frames {
		at = append(at, walHeader+i*(walFrameHeader+l.page))
		if l.commits(i) {
			commits = append(commits, i)
		}
	}
	return at, commits
}

// Whatever is changed in a log, or cut off, that a killed process has left: it stops
// the start.
func TestADamagedLogStopsTheStart(t *testing.T) {
	k := killedStore(t)
	log := k["chat.db-wal"]
	at, _ := frames(t, log)
	folder := t.TempDir()
	refused := func(what string, files killed) {
		t.Helper()
		files.write(t, folder)
		err := checkLog(filepath.Join(folder, FileName))
		if damage := (*logDamage)(nil); !errors.As(err, &damage) || !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", what, err)
		}
	}
	flip := func(offset int) []byte {
		data := slices.Clone(log)
		data[offset] ^= 0x10
		return data
	}
	for offset := range walHeader {
		refused(fmt.Sprintf("byte %d of the header", offset), k.with("chat.db-wal", flip(offset)))
	}
	for i, offset := range at {
		for _, within := range []int{0, 3, 4, 7, 8, 15, 16, 23, 24, 100, 2000, 4119} {
			refused(fmt.Sprintf("frame %d, byte %d", i, within), k.with("chat.db-wal", flip(offset+within)))
		}
		refused(fmt.Sprintf("cut at frame %d", i), k.with("chat.db-wal", log[:offset]))
		refused(fmt.Sprintf("cut in frame %d", i), k.with("chat.db-wal", log[:offset+1000]))
	}
	refused("gone", k.with("chat.db-wal", nil))
	for _, data := range [][]byte{nil, {}} {
		k.with("chat.db", data).write(t, folder)
		if err := checkLog(filepath.Join(folder, FileName)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("the database is gone, and its log is not: %v", err)
		}
	}

	damaged := k.with("chat.db-wal", flip(at[len(at)-1]+100))
	if _, err := damaged.storedMessages(t); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), "wal_checkpoint") {
		t.Errorf("opening says %v", err)
	}
	// The way out that it names.
	damaged.write(t, folder)
	db, err := sql.Open("sqlite", filepath.Join(folder, FileName))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(folder, FileName))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := (killed{"chat.db": data}).storedMessages(t); n != inLog-1 || err != nil {
		t.Errorf("without what is damaged there are %d messages, %v", n, err)
	}
}

// Without the index, as after a power cut, a log that ends in the last transaction is
// one that a crash has cut: what was in it was told to nobody. Before that it is damage.
func TestALogThatACrashHasCutIsRead(t *testing.T) {
	k := killedStore(t).with("chat.db-shm", nil)
	log := k["chat.db-wal"]
	at, commits := frames(t, log)
	last, before := commits[len(commits)-1], commits[len(commits)-2]
	folder := t.TempDir()
	for i, offset := range at {
		data := slices.Clone(log)
		data[offset+100] ^= 1
		files := k.with("chat.db-wal", data)
		files.write(t, folder)
		err := checkLog(filepath.Join(folder, FileName))
		if i <= before && !errors.Is(err, ErrCorrupt) {
			t.Errorf("damage at frame %d of %d: %v", i, len(at), err)
		}
		if i > before && err != nil {
			t.Errorf("a crash in the last transaction: %v", err)
		}
	}
	for _, cut := range []int{at[last] + 50, at[before+1] + 50} {
		if n, err := k.with("chat.db-wal", log[:cut]).storedMessages(t); n != inLog-1 || err != nil {
			t.Errorf("%d messages, %v", n, err)
		}
	}
}

// A log that was begun anew still has frames of before behind its end.
func TestALogThatWasBegunAnewIsRead(t *testing.T) {
	folder := t.TempDir()
	s := openStore(t, Options{Folder: folder})
	v := s.View(general, s.Epoch())
	for n := range inLog - 1 {
		save(t, v, PutThing{Thing: message(n, `{"text":"hello"}`), Insert: true})
	}
	if _, err := s.conn.ExecContext(context.Background(), "PRAGMA wal_checkpoint(RESTART)"); err != nil {
		t.Fatal(err)
	}
	k := kill(t, folder)
	if n, err := k.storedMessages(t); n != inLog-1 || err != nil {
		t.Errorf("before the first commit: %d messages, %v", n, err)
	}
	save(t, v, PutThing{Thing: message(inLog-1, `{"text":"hello"}`), Insert: true})
	k = kill(t, folder)
	for name, files := range map[string]killed{"as it was": k, "without the index": k.with("chat.db-shm", nil)} {
		if n, err := files.storedMessages(t); n != inLog || err != nil {
			t.Errorf("%s: %d messages, %v", name, n, err)
		}
	}
}

// A log is looked through in parts, however large it has grown: at a frame on the edge of
// one, and with little memory.
func TestALargeLogIsLookedThroughInParts(t *testing.T) {
	folder := t.TempDir()
	s, err := Open(t.Context(), Options{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	reader, err := s.reader.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true}) // keeps the log from beginning anew
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reader.Rollback() }()
	if _, err := reader.ExecContext(t.Context(), "SELECT count(*) FROM thing"); err != nil {
		t.Fatal(err)
	}
	for i := range 3 * walPart / 64 {
		batch := &Batch{Token: s.Epoch(), Object: key.Key{Type: "Room", ID: "large"}}
		batch.Writes = append(batch.Writes, PutValue{Key: fmt.Sprint(i), Value: make([]byte, 64*4096)})
		done := make(chan error, 1)
		s.Commit(batch, func(err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	k := kill(t, folder)
	at, _ := frames(t, k["chat.db-wal"])
	if len(at) < 3*walPart {
		t.Fatalf("the log has %d frames", len(at))
	}
	other := t.TempDir()
	k.write(t, other)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := checkLog(filepath.Join(other, FileName)); err != nil {
		t.Errorf("the whole log: %v", err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > uint64(len(k["chat.db-wal"]))/2 {
		t.Errorf("a log of %d bytes took %d bytes of memory", len(k["chat.db-wal"]), took)
	}
	for _, frame := range []int{0, 1, walPart - 2, walPart - 1, walPart, walPart + 1, 2*walPart - 2, 2*walPart - 1, 2 * walPart, len(at) - 1} {
		for _, offset := range []int{0, 10, 18, 1000} {
			log := slices.Clone(k["chat.db-wal"])
			log[at[frame]+offset] ^= 1
			k.with("chat.db-wal", log).write(t, other)
			if err := checkLog(filepath.Join(other, FileName)); !errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), fmt.Sprintf("at frame %d", frame+1)) {
				t.Errorf("frame %d, byte %d: %v", frame, offset, err)
			}
		}
	}
}
