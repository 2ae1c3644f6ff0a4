package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stopsWithin is what the program promises a supervisor.
const stopsWithin = 5 * time.Second

func TestTheStartSaysWhatRuns(t *testing.T) {
	p := start(t, programOptions{})
	if _, ok := p.stdout.waitFor("PUT /users/:user/profile", p.done); !ok {
		t.Error("the routes are not shown")
	}
	for _, want := range []string{"listening  http://127.0.0.1:", p.data, shipped, "room.js", "part of Room", "webSocketMessage",
		"GET /ws/:room", "user.js", "part of User", "notify", "mentions.js", "$.on.Message.sent", "rooms.js", "GET /rooms"} {
		if !strings.Contains(p.stdout.String(), want) {
			t.Errorf("no %q in\n%s", want, p.stdout)
		}
	}
	if _, ok := p.stdout.waitFor("Open http://"+p.addr+"/ in a browser.", p.done); !ok {
		t.Error("what to open is not shown")
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if s := p.stderr.String(); s != "" {
		t.Errorf("an ordinary run prints on stderr: %s", s)
	}
}

// A browser can open no address that stands for all, and no page without a token where
// one is needed.
func TestTheStartSaysWhatABrowserCanOpen(t *testing.T) {
	p := execute(t, []string{"--addr", ":0", "--scripts", shipped, "--data", t.TempDir(), "--jwt-secret", secret}, nil)
	line, ok := p.stdout.waitFor("Open ", p.done)
	if !ok || !regexp.MustCompile(`^Open http://localhost:[1-9]\d*/#token=TOKEN in a browser\.$`).MatchString(line) {
		t.Errorf("%q; stderr:\n%s", line, p.stderr)
	}
}

func TestHelp(t *testing.T) {
	p := execute(t, []string{"--help"}, nil)
	if code := p.wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	for _, want := range []string{"--addr", "CHAT_ADDR", "localhost:8787", "--scripts", "CHAT_SCRIPTS", "./scripts", "--data", "CHAT_DATA", "./data",
		"--hibernate-after", "CHAT_HIBERNATE_AFTER", "10s", "--turn-timeout", "CHAT_TURN_TIMEOUT", "1s",
		"--allow-private-fetch", "CHAT_ALLOW_PRIVATE_FETCH", "false", "--log", "CHAT_LOG", "json"} {
		if !strings.Contains(p.stdout.String(), want) {
			t.Errorf("no %q in\n%s%s", want, p.stdout, p.stderr)
		}
	}
}

// The table of the README has every flag, with its variable and its default, and no other.
func TestTheREADMEHasEveryFlag(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	help := execute(t, []string{"--help"}, nil)
	if code := help.wait(); code != 0 {
		t.Fatalf("exit status %d", code)
	}
	var want, got []string
	for _, flag := range regexp.MustCompile(`(?m)^  (--[a-z-]+) .*\n +(CHAT_\w+), default (.*)$`).FindAllStringSubmatch(help.stdout.String(), -1) {
		want = append(want, strings.Join(flag[1:], " "))
	}
	quoted := regexp.MustCompile("`([^`]+)`")
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "| `--") {
			continue
		}
		cells := strings.Split(line, "|")
		names, variables, defaults := quoted.FindAllStringSubmatch(cells[1], -1), quoted.FindAllStringSubmatch(cells[2], -1), quoted.FindAllStringSubmatch(cells[3], -1)
		if len(variables) != len(names) {
			t.Errorf("a variable for each flag: %s", line)
			continue
		}
		for i, name := range names {
			value := strings.TrimSpace(cells[3]) // none
			if len(defaults) > i {
				value = defaults[i][1]
			}
			got = append(got, name[1]+" "+variables[i][1]+" "+value)
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if len(want) < 20 || !slices.Equal(want, got) {
		t.Errorf("the program has\n%s\nthe README\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}

// Each command explains itself, and says so where it is called wrongly.
func TestHelpOfCommands(t *testing.T) {
	for _, command := range []string{"new", "test", "check", "deadletters", "backup", "restore", "healthz"} {
		help := execute(t, []string{command, "--help"}, nil)
		if code := help.wait(); code != 0 || !strings.Contains(help.stdout.String(), "  runtime "+command) || help.stderr.String() != "" {
			t.Errorf("%s --help: exit status %d\n%s%s", command, code, help.stdout, help.stderr)
		}
		wrong := execute(t, []string{command, "--bogus"}, nil)
		if code := wrong.wait(); code != 1 || !strings.Contains(wrong.stderr.String(), "-bogus: see ") || wrong.stdout.String() != "" {
			t.Errorf("%s --bogus: exit status %d\n%s%s", command, code, wrong.stdout, wrong.stderr)
		}
	}
	for _, command := range [][]string{{"check"}, {"deadletters", "list"}, {"backup", "chat.backup"}} {
		p := execute(t, append(command, "--data", "no/such"), nil)
		if code := p.wait(); code != 1 || !strings.Contains(p.stderr.String(), "there is no data in no/such: name another folder with --data") {
			t.Errorf("%v without data: exit status %d\n%s%s", command, code, p.stdout, p.stderr)
		}
	}
}

// What stops the start is one clear line, and exit status 1.
func TestStartsThatFail(t *testing.T) {
	running := start(t, programOptions{})
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	syntax := folder(t, map[string]string{"ok.js": "export {}", "bad.ts": "const a = 1\nexport const b: number = = 2\n"})
	throws := folder(t, map[string]string{"top.js": "const a = 1\n\nmissing.thing()\n"})
	twice := folder(t, map[string]string{
		"one.js": "import { DO } from 'dotdo'\nexport default DO.extend({ $type: 'Room', say() {} })",
		"two.js": "import { DO } from 'dotdo'\nexport default DO.extend({ $type: 'Room', say() {} })"})
	reserved := folder(t, map[string]string{
		"r.js": "import { DO } from 'dotdo'\nexport default DO.extend({ onRequest() { this.app.get('/metrics', (c) => c.text('')) } })"})
	for _, test := range []struct {
		name  string
		flags []string
		env   map[string]string
		want  []string // in the first line on stderr
		lines int      // on stderr; 0: any
	}{
		{"unknown flag", []string{"--bogus"}, nil, []string{"-bogus", "--help"}, 1},
		{"argument", []string{"extra"}, nil, []string{"extra", "--help"}, 1},
		{"log format", []string{"--log", "xml"}, nil, []string{"--log", "xml", "json"}, 1},
		{"duration", []string{"--turn-timeout", "soon"}, nil, []string{"turn-timeout", "soon"}, 1},
		{"negative duration", []string{"--hibernate-after", "-1s"}, nil, []string{"durations"}, 1},
		{"environment", nil, map[string]string{"CHAT_TURN_TIMEOUT": "soon"}, []string{"CHAT_TURN_TIMEOUT", "soon"}, 1},
		{"port taken", []string{"--addr", running.addr}, nil, []string{running.addr, "in use", "--addr"}, 1},
		{"no such address", []string{"--addr", "127.0.0.1:99999"}, nil, []string{"99999"}, 1},
		{"no scripts", []string{"--scripts", t.TempDir()}, nil, []string{"no scripts"}, 1},
		{"no scripts folder", []string{"--scripts", "no/such"}, nil, []string{"no scripts", "no/such"}, 1},
		{"syntax error", []string{"--scripts", syntax}, nil, []string{filepath.Join(syntax, "bad.ts") + ":2:26", "SyntaxError"}, 0},
		{"throws", []string{"--scripts", throws}, nil, []string{filepath.Join(throws, "top.js") + ":3:1", "missing is not defined"}, 0},
		{"defined twice", []string{"--scripts", twice}, nil, []string{"Room.say", "one.js", "two.js"}, 0},
		{"reserved route", []string{"--scripts", reserved}, nil, []string{"r.js", "/metrics"}, 0},
		{"data in use", []string{"--data", running.data}, nil, []string{running.data, "in use by another process"}, 1},
		{"data is a file", []string{"--data", file}, nil, []string{file}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			args := append([]string{"--addr", "127.0.0.1:0", "--scripts", shipped, "--data", t.TempDir()}, test.flags...)
			p := execute(t, args, test.env)
			if code := p.wait(); code != 1 {
				t.Errorf("exit status %d", code)
			}
			first, rest, _ := strings.Cut(p.stderr.String(), "\n")
			for _, want := range test.want {
				if !strings.Contains(first, want) {
					t.Errorf("no %q in %q", want, first)
				}
			}
			if test.lines == 1 && rest != "" {
				t.Errorf("more than one line:\n%s", p.stderr)
			}
			if strings.Contains(p.stdout.String(), "listening") {
				t.Errorf("it listened:\n%s", p.stdout)
			}
		})
	}
	if r := running.get("/healthz"); r.status != 200 {
		t.Errorf("who had the port and the data is disturbed: status %d", r.status)
	}
}

func TestTheEnvironmentGivesFlags(t *testing.T) {
	data := t.TempDir()
	p := execute(t, nil, map[string]string{"CHAT_ADDR": "127.0.0.1:0", "CHAT_SCRIPTS": shipped, "CHAT_DATA": data,
		"CHAT_HIBERNATE_AFTER": "50ms", "CHAT_TURN_TIMEOUT": "2s", "CHAT_LOG": "text"})
	line, ok := p.stdout.waitFor("listening  http://", p.done)
	if !ok {
		t.Fatalf("stderr: %s", p.stderr)
	}
	_, p.addr, _ = strings.Cut(line, "http://")
	p.join("general", "ann")
	p.eventually("the room sleeps", func() bool { return p.metric("chat_objects_awake") == 0 })
	if files, err := os.ReadDir(data); err != nil || len(files) == 0 {
		t.Errorf("%d files in the data folder, %v", len(files), err)
	}

	// A flag counts more than the environment.
	p = execute(t, []string{"--addr", "127.0.0.1:0", "--data", t.TempDir(), "--scripts", shipped},
		map[string]string{"CHAT_ADDR": "127.0.0.1:99999", "CHAT_SCRIPTS": "no/such"})
	if _, ok := p.stdout.waitFor("listening  http://", p.done); !ok {
		t.Errorf("stderr: %s", p.stderr)
	}
}

func TestLogsAsJSON(t *testing.T) {
	p := execute(t, []string{"--addr", "127.0.0.1:0", "--scripts", folder(t, map[string]string{"a.js": `
import { DO } from 'dotdo'
export default DO.extend({
  onRequest() { this.app.get('/fail/:room', () => { throw new Error('inside') }) },
})`}), "--data", t.TempDir(), "--log", "json"}, nil)
	line, ok := p.stderr.waitFor(`"msg":"ready"`, p.done)
	if !ok {
		t.Fatalf("stdout: %s, stderr: %s", p.stdout, p.stderr)
	}
	var ready struct{ Addr string }
	if err := json.Unmarshal([]byte(line), &ready); err != nil {
		t.Fatal(err)
	}
	p.addr = ready.Addr
	if r := p.get("/fail/x"); r.status != 500 || strings.Contains(r.body, "inside") {
		t.Errorf("status %d: %s", r.status, r.body)
	}
	if line, ok := p.stderr.waitFor("inside", p.done); !ok || !json.Valid([]byte(line)) || !strings.Contains(line, "a.js:4:") {
		t.Errorf("the log says %s", line)
	}
}

func TestStoppingKeepsWhatWasSaid(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			data := t.TempDir()
			p := start(t, programOptions{data: data})
			both := p.joinAll("general", "ann", "bob")
			ann, bob := both[0], both[1]
			for range 20 {
				ann.say("hello")
			}
			for range 20 {
				bob.next()
			}
			before := time.Now()
			if err := p.process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			for _, c := range both {
				if code := c.closeCode(); code != 1001 {
					t.Errorf("close code %d, want 1001", code)
				}
			}
			if code := p.wait(); code != 0 {
				t.Errorf("exit status %d", code)
			}
			if took := time.Since(before); took > stopsWithin {
				t.Errorf("it took %v to stop", took)
			}
			again := start(t, programOptions{data: data})
			if history := again.get("/rooms/general/messages").list(t); len(history) != 20 {
				t.Errorf("%d messages are left", len(history))
			}
			if present := again.get("/rooms/general/presence").object(t); toJSON(present["users"]) != "[]" {
				t.Errorf("present after the restart: %v", present)
			}
		})
	}
}

// What anybody has seen is on disk, whatever happens to the program next.
func TestWhatWasSeenSurvivesAKill(t *testing.T) {
	data := t.TempDir()
	p := start(t, programOptions{data: data})
	both := p.joinAll("general", "ann", "bob")
	ann, bob := both[0], both[1]
	inbox := p.connect("/users/zoe/inbox")
	ann.say("@zoe hello")
	seen := bob.wantMessage("ann", "@zoe hello")
	inbox.want(object{"type": "notification"})
	for range 50 {
		ann.say("more")
	}
	bob.wantMessage("ann", "more")
	if err := p.process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait()
	count := 2 // messages that bob has seen
	for over := false; !over; {
		select {
		case <-bob.messages:
			count++
		default:
			over = bob.closeCode() != 0 && len(bob.messages) == 0
		}
	}
	again := start(t, programOptions{data: data})
	history := again.get("/rooms/general/messages?limit=100").list(t)
	if len(history) < count || toJSON(history[len(history)-1]) != toJSON(seen) {
		t.Errorf("%d messages are left of %d that were seen; the oldest is %v", len(history), count, history[len(history)-1])
	}
	again.join("general", "ann").say("and on")
	again.historyOf("general", len(history)+1)
}

// A client that doesn't answer the close, and a request that hangs, do not keep
// the program.
func TestStoppingDoesNotWaitForOthers(t *testing.T) {
	p := start(t, programOptions{scripts: folder(t, map[string]string{"a.js": `
import { DO } from 'dotdo'
export default DO.extend({
  onRequest() {
    this.app.get('/hang/:room', () => new Promise(() => {}))
    this.app.get('/ws/:room', (c) => {
      const [client, server] = Object.values(new WebSocketPair())
      this.ctx.acceptWebSocket(server)
      server.send('"here"')
      setInterval(() => {}, 10)
      return new Response(null, { status: 101, webSocket: client })
    })
  },
})`})})
	deaf := p.dialDeaf("/ws/x")
	defer deaf.Close()
	hanging := make(chan struct{})
	go func() { defer close(hanging); _, _ = p.try("GET", "/hang/x", "") }()
	p.eventually("the request is there", func() bool { return p.metric("chat_turns_total") >= 3 })
	before := time.Now()
	if code := p.stop(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if took := time.Since(before); took > stopsWithin {
		t.Errorf("it took %v to stop", took)
	}
	<-hanging
}
