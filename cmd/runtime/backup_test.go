package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

// diary is a room that tells its whole history.
var diary = map[string]string{"room.js": `import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  onRequest() {
    this.app.get('/ws/:room', () => {
      const [client, server] = Object.values(new WebSocketPair())
      this.ctx.acceptWebSocket(server, ['here'])
      return new Response(null, { status: 101, webSocket: client })
    })
    this.app.get('/all/:room', async (c) => {
      const all = []
      for (let page, after; page = await this.things.list({ $type: 'Message', orderBy: '$id', limit: 100, after }), page.length; after = page.at(-1).$id)
        all.push(...page.map((m) => m.n))
      return c.json(all)
    })
  },
  webSocketMessage(ws, n) {
    this.things.create({ $type: 'Message', n: Number(n) })
    this.broadcast('here', n)
  },
})`}

// all is the history of a room of diary.
func (p *program) all(room string) (numbers []int) {
	p.t.Helper()
	r := p.get("/all/" + room)
	if err := json.Unmarshal([]byte(r.body), &numbers); err != nil {
		p.t.Fatalf("status %d, %s: %v", r.status, r.body, err)
	}
	return numbers
}

// say sends the next number to a room of diary, and waits for it.
func (c *client) sayNumber(n int) {
	c.t.Helper()
	c.send(n)
	if got := <-c.messages; got != toJSON(n) {
		c.t.Errorf("received %s, want %d", got, n)
	}
}

// fill makes a data folder with some MiB in a room, so that a copy takes a while.
func fill(t *testing.T, mebibytes int) (folder string) {
	t.Helper()
	folder = t.TempDir()
	s, err := store.Open(t.Context(), store.Options{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	text := []byte(`{"text":"` + strings.Repeat("x", 1<<20) + `"}`)
	for i := range mebibytes {
		b := &store.Batch{Object: key.Key{Type: "Room", ID: "full"}, Token: s.Epoch(), Writes: []store.Write{
			store.PutThing{Thing: store.Thing{ID: toJSON(i), Type: "Ballast", Fields: text}, Insert: true}}}
		if err := s.CommitWait(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return folder
}

// What anybody has received before a backup begins is in it, and what is in it of a
// room is the beginning of that room, whatever is written meanwhile.
func TestABackupWhileEverybodyWrites(t *testing.T) {
	scripts := folder(t, diary)
	p := start(t, programOptions{scripts: scripts, data: fill(t, 32)})
	rooms := []string{"a", "b", "c", "d"}
	var received [4]atomic.Int64
	var writers sync.WaitGroup
	stop := make(chan struct{})
	for i, room := range rooms {
		c := p.connect("/ws/" + room)
		writers.Go(func() {
			for n := 1; ; n++ {
				c.sayNumber(n)
				received[i].Store(int64(n))
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	p.eventually("everybody writes", func() bool { return received[0].Load() > 20 && received[3].Load() > 20 })
	var before, after [4]int64
	for i := range rooms {
		before[i] = received[i].Load()
	}
	file := filepath.Join(t.TempDir(), "chat.backup")
	if out := succeed(t, p.data, "backup", file); !strings.HasPrefix(out, "wrote "+file+": 3") {
		t.Errorf("it says %q", out)
	}
	for i := range rooms {
		after[i] = received[i].Load()
		if after[i] == before[i] {
			t.Errorf("nothing was written to room %s meanwhile", rooms[i])
		}
	}
	close(stop)
	writers.Wait()
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}

	again := t.TempDir()
	succeed(t, again, "restore", file)
	q := start(t, programOptions{scripts: scripts, data: again})
	for i, room := range rooms {
		numbers := q.all(room)
		if n := int64(len(numbers)); n < before[i] || n > after[i]+1 {
			t.Errorf("%d messages of room %s, received %d before and %d after", n, room, before[i], after[i])
		}
		for j, n := range numbers {
			if n != j+1 {
				t.Fatalf("room %s: message %d is %d", room, j+1, n)
			}
		}
		q.connect("/ws/" + room).sayNumber(len(numbers) + 1)
	}
	if p.stop() != 0 || q.stop() != 0 {
		t.Error("one did not stop in order")
	}
}

// A restore keeps what it replaces, log and all, so that it can be taken back.
func TestARestoreCanBeTakenBack(t *testing.T) {
	scripts, data := folder(t, diary), t.TempDir()
	p := start(t, programOptions{scripts: scripts, data: data})
	c := p.connect("/ws/a")
	c.sayNumber(1)
	file := filepath.Join(t.TempDir(), "chat.backup")
	succeed(t, data, "backup", file)
	c.sayNumber(2)

	if _, stderr, code := command(t, data, "restore", file); code != 1 || !strings.Contains(stderr, "a program runs on the data folder") {
		t.Errorf("status %d: %s", code, stderr)
	}
	if _, stderr, code := command(t, data, "backup", file); code != 1 || !strings.Contains(stderr, "is there already") {
		t.Errorf("status %d: %s", code, stderr)
	}
	c.sayNumber(3)
	if err := p.process.Kill(); err != nil { // so that what it wrote is in the log still
		t.Fatal(err)
	}
	p.wait()

	succeed(t, data, "backup", "--force", file+".3")
	succeed(t, data, "backup", "--force", file+".3")
	succeed(t, data, "restore", file)
	kept, err := filepath.Glob(filepath.Join(data, "chat.db.before-*Z"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept: %v, %v", kept, err)
	}
	for _, step := range []struct {
		restore string
		want    []int
	}{{"", []int{1}}, {kept[0], []int{1, 2, 3}}, {file, []int{1}}, {file + ".3", []int{1, 2, 3}}} {
		if step.restore != "" {
			succeed(t, data, "restore", step.restore)
		}
		p = start(t, programOptions{scripts: scripts, data: data})
		if got := p.all("a"); !slices.Equal(got, step.want) {
			t.Errorf("after the restore of %q: %v, want %v", step.restore, got, step.want)
		}
		if p.stop() != 0 {
			t.Error("it did not stop in order")
		}
	}
	for _, name := range []string{"chat.restoring", "chat.db.partial-"} {
		if left, _ := filepath.Glob(filepath.Join(data, name+"*")); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
	}
}

// What cannot be done is one clear line and exit status 1, and does nothing.
func TestBackupsAndRestoresThatFail(t *testing.T) {
	data := bury(t, nil, letter(1, `1`))
	good := filepath.Join(t.TempDir(), "good")
	succeed(t, data, "backup", good)
	whole, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	file := func(name string, text []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	damaged, newer := slices.Clone(whole), slices.Clone(whole)
	for i := 4096; i < len(damaged); i += 4096 {
		copy(damaged[i:], strings.Repeat("damage", 100))
	}
	newer[63] = 200 // the last byte of user_version
	nobodys := slices.Clone(whole[:4096])
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"backup"}, "backup takes one file"},
		{[]string{"backup", "a", "b"}, "backup takes one file"},
		{[]string{"restore"}, "restore takes one file"},
		{[]string{"backup", good}, "is there already"},
		{[]string{"backup", filepath.Join(data, "no", "such", "folder")}, "there is no folder"},
		{[]string{"backup", "--force", filepath.Join(data, "chat.db")}, "a file of the program's own"},
		{[]string{"backup", filepath.Join(data, "chat.db-wal")}, "a file of the program's own"},
		{[]string{"backup", filepath.Join(data, "chat.restoring")}, "a file of the program's own"},
		{[]string{"backup", filepath.Join(data, "chat.sock")}, "a file of the program's own"},
		{[]string{"backup", filepath.Join(data, "chat.db.partial-1")}, "a file of the program's own"},
		{[]string{"backup", "--force", t.TempDir()}, "is there already"},
		{[]string{"backup", "--data", t.TempDir(), filepath.Join(t.TempDir(), "x")}, "there is no data in"},
		{[]string{"backup", "--data", "", filepath.Join(t.TempDir(), "x")}, "--data is empty"},
		{[]string{"restore", "--data", "", good}, "--data is empty"},
		{[]string{"check", data}, "name the data folder with --data"},
		{[]string{"restore", "no/such/file"}, "no such file or directory"},
		{[]string{"restore", file("text", []byte("hello, this is no database at all"))}, "not a database of this program"},
		{[]string{"restore", file("empty", nil)}, "not a database of this program"},
		{[]string{"restore", file("cut", whole[:len(whole)/2/4096*4096])}, "damaged"},
		{[]string{"restore", file("odd", whole[:len(whole)-1000])}, "damaged"},
		{[]string{"restore", file("head", nobodys)}, "damaged"},
		{[]string{"restore", file("damaged", damaged)}, "damaged"},
		{[]string{"restore", file("newer", newer)}, "of a newer version"},
	} {
		stdout, stderr, code := command(t, data, c.args...)
		if code != 1 || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("%v: status %d, %q, %q; want %q", c.args, code, stdout, stderr, c.want)
		}
	}
	if out := succeed(t, data, "deadletters", "list", "--json"); strings.Count(out, "\n") != 1 {
		t.Errorf("left: %q", out)
	}
	entries, err := os.ReadDir(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.Contains(e.Name(), "partial") || strings.Contains(e.Name(), "before") {
			t.Errorf("%s is left", e.Name())
		}
	}

	// A damaged database is not backed up.
	if err := os.WriteFile(filepath.Join(data, "chat.db"), damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	bad := t.TempDir()
	if _, stderr, code := command(t, data, "backup", filepath.Join(bad, "x")); code != 1 || !strings.Contains(stderr, "damaged") {
		t.Errorf("status %d: %s", code, stderr)
	}
	if entries, err := os.ReadDir(bad); err != nil || len(entries) > 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}
