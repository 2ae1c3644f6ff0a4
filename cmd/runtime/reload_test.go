package main_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// numbered is a room that says which version of its script answers.
func numbered(version int) string {
	return fmt.Sprintf(`import { DO } from 'dotdo'
export default DO.extend({
  onRequest() {
    this.app.get('/ws/:room', (c) => {
      const [client, server] = Object.values(new WebSocketPair())
      this.ctx.acceptWebSocket(server, ['all'])
      return new Response(null, { status: 101, webSocket: client })
    })
    this.app.get('/version/:room', (c) => c.text('v%[1]d'))
  },
  webSocketMessage(ws, text) {
    const id = JSON.parse(text).id
    this.things.create({ $type: 'Said', said: id })
    ws.send(JSON.stringify({ id, version: %[1]d }))
  },
})
`, version)
}

// save writes a file as an editor does that replaces it.
func save(t *testing.T, path, text string) {
	t.Helper()
	temp := filepath.Join(filepath.Dir(path), ".save-"+filepath.Base(path)+"~")
	if err := os.WriteFile(temp, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(temp, path); err != nil {
		t.Fatal(err)
	}
}

// becomes waits until a request is answered with this text.
func (p *program) becomes(path, want string) {
	p.t.Helper()
	p.eventually(path+" is "+want, func() bool { return p.get(path).body == want })
}

func TestASavedScriptIsLiveAndNoSocketCloses(t *testing.T) {
	dir := folder(t, map[string]string{"room.js": numbered(1)})
	p := start(t, programOptions{scripts: dir})
	c := p.connect("/ws/a")
	c.send(object{"id": 1})
	c.want(object{"id": 1, "version": 1})
	began := time.Now()
	save(t, filepath.Join(dir, "room.js"), numbered(2))
	p.becomes("/version/a", "v2")
	took := time.Since(began)
	t.Logf("live after %v", took.Round(time.Millisecond))
	if raceOptions == "" && took > time.Second {
		t.Errorf("live after %v, want a second at most", took)
	}
	c.send(object{"id": 2})
	c.want(object{"id": 2, "version": 2})
	if line, _ := p.stderr.waitFor("scripts reloaded", p.done); !strings.Contains(line, "changed=room.js") {
		t.Error(line)
	}
}

func TestBrokenScriptsLeaveTheOldOnesServing(t *testing.T) {
	dir := folder(t, map[string]string{"room.js": numbered(1)})
	p := start(t, programOptions{scripts: dir})
	c := p.connect("/ws/a")
	file := filepath.Join(dir, "room.js")
	save(t, file, numbered(2)+"\nconst half = (1 +")
	line, _ := p.stderr.waitFor("scripts not reloaded", p.done)
	for _, want := range []string{"line=18", "column=18", "file=" + file} {
		if !strings.Contains(line, want) {
			t.Errorf("%s\nis not in %s", want, line)
		}
	}
	frame, _ := p.stderr.waitFor("const half", p.done)
	caret, _ := p.stderr.waitFor("^", p.done)
	if !strings.Contains(frame, "18 | const half = (1 +") || !strings.HasSuffix(caret, "| "+strings.Repeat(" ", 17)+"^") {
		t.Errorf("the frame is\n%s\n%s", frame, caret)
	}
	c.send(object{"id": 1})
	c.want(object{"id": 1, "version": 1})
	save(t, file, numbered(1)) // back to what runs
	if line, _ := p.stderr.waitFor("scripts reloaded", p.done); !strings.Contains(line, "repaired=true") {
		t.Error(line)
	}
	c.send(object{"id": 2})
	c.want(object{"id": 2, "version": 1})
}

func TestWithoutWatchingASIGHUPReloads(t *testing.T) {
	dir := folder(t, map[string]string{"room.js": numbered(1)})
	p := start(t, programOptions{scripts: dir, flags: []string{"--watch=false"}})
	save(t, filepath.Join(dir, "room.js"), numbered(2))
	if err := p.process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.becomes("/version/a", "v2")
}
