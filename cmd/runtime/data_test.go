package main_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // to make databases that the program did not write

	"chat.example.com.ai/runtime/failpoint"
)

// What the program does with the data that it finds.

// withDatabase runs statements on the database of a data folder.
func withDatabase(t *testing.T, data string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(data, "chat.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// refuses starts the program on a data folder, which must end with one line that has
// these words.
func refuses(t *testing.T, o programOptions, words ...string) {
	t.Helper()
	p := launch(t, o)
	if code := p.wait(); code != 1 {
		t.Errorf("exit status %d", code)
	}
	line, rest, _ := strings.Cut(p.stderr.String(), "\n")
	for _, word := range words {
		if !strings.Contains(line, word) {
			t.Errorf("no %q in %q", word, line)
		}
	}
	if rest != "" {
		t.Errorf("more than one line:\n%s", p.stderr)
	}
	if strings.Contains(p.stdout.String(), "listening") {
		t.Error("it listened")
	}
}

func TestADatabaseOfANewerVersionIsRefused(t *testing.T) {
	o := programOptions{data: t.TempDir()}
	p := start(t, o)
	p.join("general", "ann").say("hello")
	p.historyOf("general", 1)
	p.stop()
	withDatabase(t, o.data, "PRAGMA user_version = 1000")
	refuses(t, o, o.data, "newer version", "1000")
}

func TestADataFolderThatIsInUseIsRefused(t *testing.T) {
	p := start(t, programOptions{})
	refuses(t, programOptions{data: p.data}, p.data, "in use by another process")
	if r := p.get("/healthz"); r.status != 200 {
		t.Errorf("the first is disturbed: status %d", r.status)
	}
	if err := p.process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait()
	start(t, programOptions{data: p.data}) // a lock goes with its process
}

func TestADataFolderThatCannotBeMadeIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	refuses(t, programOptions{data: filepath.Join(file, "data")}, filepath.Join(file, "data"), "not a directory")
}

// Killed before, within and after each step of a migration: the next start goes on
// where it stopped, and all that was there still is.
func TestAMigrationThatIsKilled(t *testing.T) {
	binary, err := failpointBinary()
	if err != nil {
		t.Fatal(err)
	}
	first, err := os.ReadFile("../../store/migration/0001_rooms.sql")
	if err != nil {
		t.Fatal(err)
	}
	const messages = 20
	old := []string{string(first), "PRAGMA user_version = 1"}
	for n := range messages {
		old = append(old, fmt.Sprintf(`INSERT INTO thing (object, id, type, created, updated, version, sent, fields) VALUES ('Room/general',
			'01M892YC637KGKDPB7%08d', 'Message', %[1]d, %[1]d, 1, %[1]d, '{"room":"general","author":"ann","content":"%[1]d","sent":{"$date":%[1]d}}')`, n))
	}
	for name, statements := range map[string][]string{"from nothing": nil, "from the first version": old} {
		t.Run(name, func(t *testing.T) {
			n := 0
			for killed := true; killed; {
				n++
				o := programOptions{data: t.TempDir()}
				if statements != nil {
					withDatabase(t, o.data, statements...)
				}
				at := o
				at.binary, at.env = binary, map[string]string{"CHAT_FAILPOINT": fmt.Sprintf("%s:%d", failpoint.Migration, n)}
				p := launch(t, at)
				_, survived := p.stdout.waitFor("listening", p.done)
				killed = !survived
				if survived {
					_ = p.process.Kill()
				}
				if code := p.wait(); code != -1 {
					t.Fatalf("it was not killed, but ended with %d", code)
				}
				p = start(t, o)
				if statements != nil {
					p.historyOf("general", messages)
				}
				p.join("general", "ann").say("and on")
				p.historyOf("general", (len(statements)-1)/messages*messages+1)
				p.stop()
			}
			if n < 4 {
				t.Errorf("there were %d places to be killed at", n-1)
			}
		})
	}
}

const reader = `
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Note',
  onRequest() {
    this.app.get('/note/:note', (c) => {
      const pair = new WebSocketPair()
      this.ctx.acceptWebSocket(pair[1])
      pair[1].send('{"type":"here"}')
      return new Response(null, { status: 101, webSocket: pair[0] })
    })
  },
  async webSocketMessage(ws) {
    let count
    try {
      count = (await this.things.list({ $type: 'Note', limit: 1000 })).length
    } catch (e) {
      ws.send('{"type":"caught"}') // a script that makes light of it
      return
    }
    for (let i = 0; i < 500; i++) this.things.create({ $type: 'Note', text: 'some text that takes some room' })
    ws.send(JSON.stringify({ type: 'count', count }))
  },
})`

// A database that is damaged under the running program: whoever needs what is damaged
// is told, and never gets less. The next start is refused.
func TestDamageIsTold(t *testing.T) {
	o := programOptions{data: t.TempDir(), scripts: shippedWith(t, map[string]string{"note.js": reader}), flags: []string{"--watch=false"}}
	p := start(t, o)
	ann := p.join("general", "ann")
	for n := range 100 {
		ann.say(fmt.Sprint(n))
	}
	p.historyOf("general", 100)
	notes := p.connect("/note/a")
	notes.want(object{"type": "here"})
	notes.send("")
	notes.want(object{"type": "count", "count": 0})
	p.stop()

	p = start(t, o)
	notes = p.connect("/note/a")
	notes.want(object{"type": "here"})
	path := filepath.Join(o.data, "chat.db")
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	size, err := file.Seek(0, 2)
	if err != nil {
		t.Fatal(err)
	}
	for at := int64(4096); at < size; at += 4096 { // all but the first page, which has the schema
		if _, err := file.WriteAt(make([]byte, 4096), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if r := p.get("/rooms/general/messages"); r.status != 500 || strings.Contains(r.body, "malformed") {
		t.Errorf("status %d: %s", r.status, r.body)
	}
	notes.send("")
	if code := notes.closeCode(); code != 1011 {
		t.Errorf("closed with %d, want 1011", code)
	}
	notes.silent()
	if r := p.get("/healthz"); r.status != 200 {
		t.Errorf("status %d", r.status)
	}
	p.eventually("both reads are in the log", func() bool { return p.logged("a read failed") >= 2 })
	log := p.stderr.String()
	// One line for each that was told. The program may look for alarms and the like just
	// now, and says so too; that is of no object.
	if n := strings.Count(log, "a read failed"); n != 2 || strings.Count(log, "object=") != n ||
		!strings.Contains(log, "the database is damaged") || !strings.Contains(log, "object=Room/general") || !strings.Contains(log, "at=note.js:") {
		t.Errorf("the log is\n%s", log)
	}
	if err := p.process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait()
	refuses(t, o, o.data, path, "damaged", "restore a backup")

	check := execute(t, []string{"check", "--data", o.data}, nil)
	if code := check.wait(); code != 1 || check.stdout.String() == "" || !strings.Contains(check.stderr.String(), "restore a backup") {
		t.Errorf("runtime check: exit status %d, %s%s", code, check.stdout, check.stderr)
	}
}

func TestACheckOfWhatIsWhole(t *testing.T) {
	p := start(t, programOptions{})
	p.join("general", "ann").say("hello")
	p.historyOf("general", 1)
	check := func() (int, string) {
		c := execute(t, []string{"check", "--data", p.data}, nil)
		code := c.wait()
		return code, c.stdout.String() + c.stderr.String()
	}
	if code, text := check(); code != 1 || !strings.Contains(text, "in use by another process") {
		t.Errorf("while the program runs: exit status %d, %s", code, text)
	}
	if err := p.process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait()
	if code, text := check(); code != 0 || !strings.Contains(text, "is whole") {
		t.Errorf("exit status %d, %s", code, text)
	}
	again := start(t, programOptions{data: p.data})
	again.historyOf("general", 1)
}

// A log that was damaged or is gone after a crash is no reason to go on with less.
func TestADamagedLogIsRefused(t *testing.T) {
	o := programOptions{data: t.TempDir()}
	p := start(t, o)
	p.join("general", "ann").say("hello")
	p.historyOf("general", 1)
	if err := p.process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait()
	path := filepath.Join(o.data, "chat.db-wal")
	log, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	half := append([]byte(nil), log[:len(log)/2]...)
	changed := append([]byte(nil), log...)
	changed[len(changed)/2] ^= 1
	for name, data := range map[string][]byte{"changed": changed, "cut": half, "empty": {}} {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) { refuses(t, o, o.data, path, "damaged", "restore a backup") })
	}
	if err := os.WriteFile(path, log, 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, o).historyOf("general", 1)
}
