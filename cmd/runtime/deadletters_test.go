package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

// letterScripts hear what is replayed: each room keeps what came to it.
var letterScripts = map[string]string{"room.js": `import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  onRequest() {
    this.app.get('/heard/:room', async (c) => c.json((await this.things.list({ $type: 'Heard' })).map((t) => t.text)))
  },
  hear(text) { this.things.create({ $type: 'Heard', text }) },
  alarm(info) { this.hear('alarm ' + info.scheduledTime + ' ' + info.retryCount) },
})
$.on.Note.made(function note(e) {
  if (e.data === 'bad') $.Room('one').missing()
  else $.Room('one').hear(e.data + ' ' + e.attempt)
}, { name: 'note' })`}

// letter is a dead letter of the handler note.
func letter(seq int64, data string) store.DeadLetter {
	return store.DeadLetter{Delivery: store.Delivery{Seq: seq, Kind: store.EventDelivery, Target: key.Key{Type: "Handler", ID: "note"},
		Handler: "note", ID: fmt.Sprint("e", seq), Type: "Note.made", Source: "Room/one", Data: []byte(data), At: 1_700_000_000_000, Hops: 33, Attempts: 5},
		Error: "TypeError: it\nfailed\x1b[31m", Position: "room.js:12:3", DiedAt: 1_700_000_001_000}
}

func alarmLetter(seq int64, room string) store.DeadLetter {
	l := letter(seq, "1700000000000")
	l.Kind, l.Type, l.Handler, l.Target = store.AlarmDelivery, "alarm", "", key.Key{Type: "Room", ID: room}
	l.Source = l.Target.String()
	return l
}

// bury makes a data folder with dead letters, and alarms far ahead for some rooms.
func bury(t *testing.T, rooms []string, letters ...store.DeadLetter) (folder string) {
	t.Helper()
	folder = t.TempDir()
	s, err := store.Open(t.Context(), store.Options{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range letters {
		if err := s.CommitWait(t.Context(), &store.Batch{Token: s.Epoch(), Writes: []store.Write{store.BuryDelivery{Letter: l}}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, room := range rooms {
		if err := s.CommitWait(t.Context(), &store.Batch{Object: key.Key{Type: "Room", ID: room}, Token: s.Epoch(),
			Writes: []store.Write{store.SetAlarm{ID: 1, At: time.Now().Add(time.Hour).UnixMilli()}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return folder
}

// command runs a command on a data folder, and returns what it printed.
func command(t *testing.T, data string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	p := execute(t, args, map[string]string{"CHAT_DATA": data})
	code = p.wait()
	return p.stdout.String(), p.stderr.String(), code
}

// succeed runs a command that must.
func succeed(t *testing.T, data string, args ...string) string {
	t.Helper()
	stdout, stderr, code := command(t, data, args...)
	if code != 0 || stderr != "" {
		t.Fatalf("%v: status %d, stderr %q", args, code, stderr)
	}
	return stdout
}

func (p *program) heard(room string) string { p.t.Helper(); return p.get("/heard/" + room).body }

func TestDeadLettersOfARunningProgram(t *testing.T) {
	scripts := folder(t, letterScripts)
	data := bury(t, []string{"busy"}, letter(3, `"three"`), letter(4, `"four"`), alarmLetter(5, "free"), alarmLetter(6, "busy"), letter(7, `"seven"`))
	p := start(t, programOptions{scripts: scripts, data: data})

	listed := succeed(t, data, "deadletters", "list")
	lines := strings.Split(strings.TrimSpace(listed), "\n")
	if len(lines) != 6 {
		t.Fatalf("%d lines:\n%s", len(lines), listed)
	}
	for _, want := range []string{"3 ", "2023-11-14T22:13:21Z", "event", "Note.made", "note", "Handler/note", "5 ", "TypeError: it failed [31m (room.js:12:3)"} {
		if !strings.Contains(lines[1], want) {
			t.Errorf("no %q in %q", want, lines[1])
		}
	}
	var full object
	lines = strings.Split(strings.TrimSpace(succeed(t, data, "deadletters", "list", "--json", "--handler", "note")), "\n")
	if err := json.Unmarshal([]byte(lines[0]), &full); err != nil || len(lines) != 3 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	if want := (object{"number": 3, "kind": "event", "data": "three", "source": "Room/one", "id": "e3", "hops": 33,
		"error": "TypeError: it\nfailed\x1b[31m", "position": "room.js:12:3", "sentAt": "2023-11-14T22:13:20Z"}); !contains(full, want) {
		t.Errorf("as JSON: %s", lines[0])
	}

	// Numbers go together or not at all.
	if _, stderr, code := command(t, data, "deadletters", "replay", "3", "99"); code != 1 || !strings.Contains(stderr, "dead letter 99: there is no such") {
		t.Errorf("status %d: %s", code, stderr)
	}
	if _, stderr, code := command(t, data, "deadletters", "drop", "3", "99"); code != 1 || !strings.Contains(stderr, "nothing was done") {
		t.Errorf("status %d: %s", code, stderr)
	}
	if got := p.heard("one"); got != "[]" {
		t.Errorf("heard %s", got)
	}

	// However many replay a letter, its event takes effect once, and at once.
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() { command(t, data, "deadletters", "replay", "3") })
	}
	all.Wait()
	p.eventually("the event is delivered", func() bool { return p.heard("one") == `["three 1"]` })
	if out := succeed(t, data, "deadletters", "drop", "--type", "Note.made", "--target", "Handler/note", "--kind", "event"); out != "dropped 2\n" {
		t.Errorf("dropped: %q", out)
	}

	// An alarm is set again, and due, unless its object has another.
	stdout, stderr, code := command(t, data, "deadletters", "replay", "--all")
	if code != 1 || stdout != "6 is kept: its object has another alarm by now\nreplayed 1\n" || !strings.Contains(stderr, "1 of the dead letters could not be replayed") {
		t.Errorf("status %d: %s%s", code, stdout, stderr)
	}
	p.eventually("the alarm fires", func() bool { return p.heard("free") == `["alarm 1700000000000 0"]` })
	if got := p.heard("one"); got != `["three 1"]` {
		t.Errorf("heard %s", got)
	}
	if out := succeed(t, data, "deadletters", "drop", "6"); out != "dropped 1\n" {
		t.Errorf("dropped: %q", out)
	}
	if out := succeed(t, data, "deadletters", "list"); out != "no dead letters\n" {
		t.Errorf("left: %q", out)
	}
}

// A letter whose handler or method is not there is one again; when it is, it is heard.
func TestDeadLettersThatDieAgain(t *testing.T) {
	scripts := folder(t, letterScripts)
	gone := letter(2, `"x"`)
	gone.Handler, gone.Target.ID = "gone", "gone"
	data := bury(t, nil, gone, letter(3, `"bad"`))
	p := start(t, programOptions{scripts: scripts, data: data})
	if out := succeed(t, data, "deadletters", "replay", "--all"); out != "replayed 2\n" {
		t.Errorf("replayed: %q", out)
	}
	var listed string
	p.eventually("both are dead again", func() bool {
		listed = succeed(t, data, "deadletters", "list")
		return strings.Count(listed, "\n") == 3
	})
	for _, want := range []string{"the event handler gone is gone", "missing"} {
		if !strings.Contains(listed, want) {
			t.Errorf("no %q in\n%s", want, listed)
		}
	}
	if strings.Contains(listed, "\n2 ") || strings.Contains(listed, "\n3 ") {
		t.Errorf("they have their old numbers:\n%s", listed)
	}
	mended := strings.Replace(letterScripts["room.js"], "hear(text)", "missing() { this.hear('mended') },\n  hear(text)", 1)
	mended += "\n$.on.Note.made(() => { $.Room('two').hear('gone') }, { name: 'gone' })"
	if err := os.WriteFile(filepath.Join(scripts, "room.js"), []byte(mended), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, ok := p.stderr.waitFor("scripts reloaded", p.done); !ok {
		t.Fatal("no reload")
	}
	succeed(t, data, "deadletters", "replay", "--all")
	p.eventually("both are heard", func() bool { return p.heard("one") == `["mended"]` && p.heard("two") == `["gone"]` })
}

func TestDeadLettersOfAProgramThatDoesNotRun(t *testing.T) {
	scripts := folder(t, letterScripts)
	var letters []store.DeadLetter
	for i := range 250 { // more than a page
		letters = append(letters, letter(int64(i+1), fmt.Sprint(i)))
	}
	data := bury(t, nil, append(letters, alarmLetter(300, "free"))...)
	// what a program leaves that is killed
	p := start(t, programOptions{scripts: scripts, data: data})
	if err := p.process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait()
	if info, err := os.Lstat(filepath.Join(data, "chat.sock")); err != nil || info.Mode().Type() != os.ModeSocket || info.Mode().Perm() != 0o600 {
		t.Fatalf("the socket: %v, %v", info, err)
	}
	if n := strings.Count(succeed(t, data, "deadletters", "list", "--json"), "\n"); n != 251 {
		t.Errorf("%d lines", n)
	}
	if out := succeed(t, data, "deadletters", "drop", "250", "249"); out != "dropped 2\n" {
		t.Errorf("dropped: %q", out)
	}
	if out := succeed(t, data, "deadletters", "replay", "--all"); out != "replayed 249\n" {
		t.Errorf("replayed: %q", out)
	}
	p = start(t, programOptions{scripts: scripts, data: data})
	p.eventually("all are heard", func() bool {
		return strings.Count(p.get("/heard/one?").body, " 1") == 100 && p.metric("chat_deliveries_total") == 2*248
	})
	p.eventually("the alarm fires", func() bool { return p.heard("free") == `["alarm 1700000000000 0"]` })
	if p.stop() != 0 {
		t.Error("it did not stop in order")
	}
	if exists(filepath.Join(data, "chat.sock")) {
		t.Error("the socket is left")
	}
}

// A data folder may be deeper than a socket's path may be long.
func TestTheSocketOfADeepFolder(t *testing.T) {
	data := filepath.Join(t.TempDir(), strings.Repeat("deep/", 40))
	p := start(t, programOptions{data: data})
	if out := succeed(t, data, "deadletters", "list"); out != "no dead letters\n" {
		t.Errorf("listed: %q", out)
	}
	p.stop()
	if s := p.stderr.String(); s != "" {
		t.Errorf("stderr: %s", s)
	}
	if exists(filepath.Join(data, "chat.sock")) {
		t.Error("the socket is left")
	}
}

func exists(file string) bool { _, err := os.Lstat(file); return err == nil }

// Commands that cannot be done are one clear line, and exit status 1.
func TestDeadLettersThatFail(t *testing.T) {
	data := bury(t, nil, letter(1, `1`))
	held := t.TempDir()
	if err := os.WriteFile(filepath.Join(held, store.FileName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(filepath.Join(held, "chat.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "list, replay or drop"},
		{[]string{"bogus"}, "list, replay or drop"},
		{[]string{"replay"}, "either numbers, or filters, or --all"},
		{[]string{"drop"}, "either numbers, or filters, or --all"},
		{[]string{"drop", "--all", "1"}, "either numbers, or filters, or --all"},
		{[]string{"drop", "--handler", "x", "1"}, "either numbers, or filters, or --all"},
		{[]string{"replay", "one"}, `"one" is not the number`},
		{[]string{"replay", "-1"}, "-1"},
		{[]string{"list", "1"}, "filters only"},
		{[]string{"list", "--kind", "letter"}, `"letter"`},
		{[]string{"list", "--data", t.TempDir()}, "there is no data in"},
		{[]string{"list", "--data", held}, "does not answer"},
	} {
		stdout, stderr, code := command(t, data, append([]string{"deadletters"}, c.args...)...)
		if code != 1 || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 || stdout != "" {
			t.Errorf("%v: status %d, %q, %q", c.args, code, stdout, stderr)
		}
	}
	if n := strings.Count(succeed(t, data, "deadletters", "list", "--json"), "\n"); n != 1 {
		t.Errorf("%d are left", n)
	}
}
