package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// numbered is a room that says which version of its script answers.
func numbered(version int) string {
	return fmt.Sprintf(`import { $, DO } from 'dotdo'
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
	var took []time.Duration
	for version := 2; version < 5; version++ {
		began := time.Now()
		save(t, filepath.Join(dir, "room.js"), numbered(version))
		p.becomes("/version/a", fmt.Sprint("v", version))
		took = append(took, time.Since(began).Round(time.Millisecond))
		c.send(object{"id": version})
		c.want(object{"id": version, "version": version})
	}
	t.Logf("live after %v", took)
	if raceOptions == "" && slices.Min(took) > time.Second {
		t.Errorf("live after %v, want a second at most", took)
	}
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

// answers is a script with one route.
func answers(path, text string) string {
	return fmt.Sprintf("import { DO } from 'dotdo'\nexport default DO.extend({ onRequest() { this.app.get('%s/:room', (c) => c.text('%s')) } })\n", path, text)
}

func TestFilesAndFoldersComeAndGo(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "scripts")
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	write(t, at("room.js"), numbered(1))
	p := start(t, programOptions{scripts: dir})
	c := p.connect("/ws/a")
	const missing = `{"error":"Not Found"}` + "\n"
	step := func(path, want string, change func()) {
		t.Helper()
		change()
		p.becomes(path, want)
	}
	step("/one/a", "1", func() { write(t, at("one.js"), answers("/one", "1")) })
	step("/two/a", "2", func() { write(t, at("one.js"), answers("/two", "2")) })
	p.becomes("/one/a", missing) // a route that disappears
	step("/two/a", "2", func() { move(t, at("one.js"), at("two.ts")) })
	step("/two/a", missing, func() { remove(t, at("two.ts")) })

	step("/deep/a", "3", func() { write(t, at("a/b/c/deep.js"), answers("/deep", "3")) })
	step("/deep/a", "4", func() { save(t, at("a/b/c/deep.js"), answers("/deep", "4")) })
	step("/deep/a", missing, func() { move(t, at("a"), at("_a")) }) // a folder that is none of the scripts'
	step("/deep/a", "4", func() { move(t, at("_a"), at("z")) })
	step("/deep/a", "5", func() { save(t, at("z/b/c/deep.js"), answers("/deep", "5")) })
	step("/deep/a", missing, func() { remove(t, at("z")) })

	step("/far/a", "6", func() { // a whole folder at once
		write(t, filepath.Join(top, "new", "far.js"), answers("/far", "6"))
		move(t, filepath.Join(top, "new"), at("new"))
	})
	step("/far/a", "7", func() { write(t, at("new/far.js"), answers("/far", "7")) })

	const importing = "import { text } from '%s'\nimport { DO } from 'dotdo'\nexport default DO.extend({ onRequest() { this.app.get('/i/:room', (c) => c.text(text)) } })\n"
	for _, from := range []struct{ name, path, file string }{
		{"lib", "./lib/x.js", "lib/x.js"},
		{"a package", "pack", "node_modules/pack/src/x.js"},
		{"elsewhere", "../other/x.js", "../other/x.js"},
	} {
		if from.path == "pack" {
			write(t, at("node_modules/pack/package.json"), `{"main": "src/x.js"}`)
		}
		write(t, at(from.file), "export const text = 'old'")
		step("/i/a", "old", func() { save(t, at("i.js"), fmt.Sprintf(importing, from.path)) })
		step("/i/a", "new", func() { save(t, at(from.file), "export const text = 'new'") })
		step("/i/a", "newer", func() { write(t, at(from.file), "export const text = 'newer'") })
		remove(t, at(from.file))
		p.eventually("an import that is gone from "+from.name+" is told", func() bool {
			return strings.HasSuffix(strings.TrimSpace(p.stderr.String()), "^")
		})
		step("/i/a", "back", func() { write(t, at(from.file), "export const text = 'back'") })
	}

	// An import from elsewhere that never loaded.
	write(t, filepath.Join(top, "fresh", "x.js"), "export const text = ")
	step("/i/a", "fresh", func() {
		before := p.logged("scripts not reloaded")
		save(t, at("i.js"), fmt.Sprintf(importing, "../fresh/x.js"))
		p.becomesBroken(before + 1)
		write(t, filepath.Join(top, "fresh", "x.js"), "export const text = 'fresh'")
	})

	step("/far/a", "8", func() { // another folder in its place
		write(t, filepath.Join(top, "scripts2", "far.js"), answers("/far", "8"))
		write(t, filepath.Join(top, "scripts2", "room.js"), numbered(2))
		move(t, dir, filepath.Join(top, "scripts1"))
		move(t, filepath.Join(top, "scripts2"), dir)
	})
	step("/far/a", "9", func() { write(t, at("far.js"), answers("/far", "9")) })
	c.send(object{"id": 1})
	c.want(object{"id": 1, "version": 2})
}

func TestAFolderBehindALinkIsWatched(t *testing.T) {
	top := t.TempDir()
	at := func(name string) string { return filepath.Join(top, filepath.FromSlash(name)) }
	write(t, at("first/room.js"), numbered(1))
	write(t, at("second/room.js"), numbered(2))
	link := func(to string) { // as deployments do
		if err := os.Symlink(to, at("next")); err != nil {
			t.Fatal(err)
		}
		move(t, at("next"), at("current"))
	}
	link("first")
	p := start(t, programOptions{scripts: at("current")})
	p.becomes("/version/a", "v1")
	link("second")
	p.becomes("/version/a", "v2")
	save(t, at("second/room.js"), numbered(3))
	p.becomes("/version/a", "v3")
}

func TestHandlersThatDisappearDisappear(t *testing.T) {
	const counting = "import { $ } from 'dotdo'\n$.on.Said.it((e) => { $.Tally('%s').add(e.data) }, { name: 'count' })\n"
	dir := folder(t, map[string]string{"room.js": saying(1), "tally.js": tally, "a.js": fmt.Sprintf(counting, "a")})
	p := start(t, programOptions{scripts: dir})
	c := p.connect("/ws/r")
	say := func(id int) { c.send(object{"id": id}); c.want(object{"id": id}) }
	comes := func(name, want string) { t.Helper(); p.becomes("/tally/"+name, want) }
	say(1)
	comes("a", "[1,0]")
	move(t, filepath.Join(dir, "a.js"), filepath.Join(dir, "b.js"))
	save(t, filepath.Join(dir, "room.js"), saying(2))
	p.becomes("/version/r", "v2")
	say(2)
	comes("a", "[2,0]")
	remove(t, filepath.Join(dir, "b.js"))
	save(t, filepath.Join(dir, "c.js"), fmt.Sprintf(counting, "c"))
	save(t, filepath.Join(dir, "room.js"), saying(3))
	p.becomes("/version/r", "v3")
	say(3)
	comes("c", "[1,0]")
	comes("all", "[3,0]")
	comes("a", "[2,0]")
}

func TestAnIntervalGoesOnInTheNewScripts(t *testing.T) {
	ticking := func(version int) string {
		return strings.Replace(numbered(version), "onRequest", fmt.Sprintf(
			"init() { setInterval(() => this.broadcast('all', { tick: %d }), 50) },\n  onRequest", version), 1)
	}
	dir := folder(t, map[string]string{"room.js": ticking(1)})
	p := start(t, programOptions{scripts: dir})
	c := p.connect("/ws/a")
	c.want(object{"tick": 1})
	for version := 2; version < 5; version++ { // nobody sends anything
		began := time.Now()
		save(t, filepath.Join(dir, "room.js"), ticking(version))
		for {
			tick := c.next()["tick"]
			if tick == float64(version) {
				break
			}
			if tick != float64(version-1) {
				t.Fatalf("version %v ticks while %d is to come", tick, version)
			}
		}
		t.Logf("ticks after %v", time.Since(began).Round(time.Millisecond))
	}
	c.want(object{"tick": 4})
}

func TestAnInitThatThrowsClosesNoSocket(t *testing.T) {
	dir := folder(t, map[string]string{"room.js": numbered(1)})
	file := filepath.Join(dir, "room.js")
	p := start(t, programOptions{scripts: dir})
	c := p.connect("/ws/a")
	c.send(object{"id": 1})
	c.want(object{"id": 1, "version": 1})
	save(t, file, strings.Replace(numbered(2), "onRequest", "init() { throw new Error('not today') },\n  onRequest", 1))
	p.eventually("init throws", func() bool { return p.get("/version/a").status == 500 })
	c.send(object{"id": 2}) // fails, as at any boot
	p.eventually("the message failed", func() bool { return p.logged("not today") >= 2 })
	if line, _ := p.stderr.waitFor("not today", p.done); !strings.Contains(line, "room.js:3:") {
		t.Error(line)
	}
	save(t, file, numbered(3))
	p.becomes("/version/a", "v3")
	c.send(object{"id": 3})
	c.want(object{"id": 3, "version": 3})
}

func TestAHandlerThatIsCutClosesNoSocket(t *testing.T) {
	waiting := func(version int) string {
		return strings.Replace(numbered(version), "webSocketMessage(ws, text) {",
			"async webSocketMessage(ws, text) {\n    if (JSON.parse(text).wait) { ws.send('{\"waits\":true}'); await new Promise(() => {}) }", 1)
	}
	dir := folder(t, map[string]string{"room.js": waiting(1)})
	p := start(t, programOptions{scripts: dir})
	c, d := p.connect("/ws/a"), p.connect("/ws/a")
	c.send(object{"wait": true})
	c.want(object{"waits": true})
	save(t, filepath.Join(dir, "room.js"), waiting(2))
	p.becomes("/version/b", "v2")
	d.send(object{"id": 1}) // the room takes it with the old scripts, or the new ones
	d.want(object{"id": 1})
	p.becomes("/version/a", "v2")
	c.send(object{"id": 2})
	c.want(object{"id": 2, "version": 2})
	d.send(object{"id": 3})
	d.want(object{"id": 3, "version": 2})
}

func TestAJSONLogHasFields(t *testing.T) {
	dir := folder(t, map[string]string{"room.js": numbered(1)})
	p := launch(t, programOptions{scripts: dir, data: t.TempDir(), flags: []string{"--log=json"}})
	line, _ := p.stderr.waitFor(`"msg":"ready"`, p.done)
	var fields object
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		t.Fatal(line, err)
	}
	p.addr = fields["addr"].(string)
	file := filepath.Join(dir, "room.js")
	write(t, file, "const a = {\n")
	line, _ = p.stderr.waitFor("scripts not reloaded", p.done)
	if err := json.Unmarshal([]byte(line), &fields); err != nil {
		t.Fatal(line, err)
	}
	if !contains(fields, object{"file": file, "line": 2, "column": 1}) || !strings.Contains(fmt.Sprint(fields["frame"]), "^") {
		t.Error(line)
	}
	if n := p.metric(`chat_script_errors_total{event="load"}`); n < 1 {
		t.Errorf("%v errors are counted", n)
	}
}
