package main_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What new writes works as it stands, beside the chat: its route, and its sockets.
func TestANewScriptWorks(t *testing.T) {
	scripts := shippedWith(t, nil)
	made := execute(t, []string{"new", "my-poll", "--scripts", scripts}, nil)
	if code := made.wait(); code != 0 {
		t.Fatalf("exit status %d: %s", code, made.stderr)
	}
	for _, next := range []string{"my-poll.js", "my-poll.test.js", "ws://localhost:8787/my-poll/one"} {
		if !strings.Contains(made.stdout.String(), next) {
			t.Errorf("it doesn't name %s:\n%s", next, made.stdout)
		}
	}
	test, err := os.ReadFile(filepath.Join(scripts, "my-poll.test.js"))
	if err != nil || !strings.Contains(string(test), "'MyPoll/one'") {
		t.Errorf("the test is %q, %v", test, err)
	}

	p := start(t, programOptions{scripts: scripts})
	if r := p.get("/my-poll/one"); r.status != 200 || r.body != "[]" {
		t.Errorf("before anything was said: %d %s", r.status, r.body)
	}
	ann, bob := p.connect("/my-poll/one"), p.connect("/my-poll/one")
	ann.send("hello")
	for _, c := range []*client{ann, bob} {
		if note := c.next(); note["$type"] != "Note" || note["text"] != "hello" {
			t.Errorf("received %v", note)
		}
	}
	if r := p.get("/my-poll/one"); !strings.Contains(r.body, `hello`) {
		t.Errorf("afterwards: %d %s", r.status, r.body)
	}
	if r := p.get("/my-poll/two"); r.body != "[]" {
		t.Errorf("another object: %d %s", r.status, r.body)
	}
}

func TestNewOverwritesNothing(t *testing.T) {
	const own = "import { DO } from 'dotdo'\nexport default DO.extend({ $type: 'Quiz', onRequest() { this.app.get('/game/:id', (c) => c.text('')) } })\n"
	scripts := folder(t, map[string]string{"poll.js": own, "vote.test.js": own, "count.ts": own})
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"poll"}, "poll.js is there already"},
		{[]string{"vote"}, "vote.test.js is there already"},
		{[]string{"count"}, "count.ts is there already"},
		{[]string{"Poll"}, "small letters"},
		{[]string{"a--b"}, "small letters"},
		{[]string{"../poll"}, "small letters"},
		{[]string{strings.Repeat("a", 41)}, "40 characters"},
		{[]string{"handler"}, "the runtime's own"},
		{[]string{"app"}, "the runtime's own"},
		{[]string{"metrics"}, "the runtime's own"},
		{nil, "one name"},
		{[]string{"a", "b"}, "one name"},
		{[]string{"--nothing", "a"}, "nothing"},
	} {
		p := execute(t, append([]string{"new", "--scripts", scripts}, c.args...), nil)
		if code := p.wait(); code != 1 || !strings.Contains(p.stderr.String(), c.says) {
			t.Errorf("new %q: exit status %d, want 1 and %q: %s", c.args, code, c.says, p.stderr)
		}
	}

	// Now the folder loads, so that what it has is known.
	for _, name := range []string{"vote.test.js", "count.ts", "poll.js"} {
		if text, err := os.ReadFile(filepath.Join(scripts, name)); err != nil || string(text) != own {
			t.Errorf("%s is %q, %v", name, text, err)
		}
	}
	for _, name := range []string{"vote.test.js", "count.ts"} {
		if err := os.Remove(filepath.Join(scripts, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name, says := range map[string]string{"quiz": "poll.js has a part of Quiz already", "game": "poll.js has the route /game/:id already"} {
		p := execute(t, []string{"new", name}, map[string]string{"CHAT_SCRIPTS": scripts})
		if code := p.wait(); code != 1 || !strings.Contains(p.stderr.String(), says) {
			t.Errorf("new %s: exit status %d, want 1 and %q: %s", name, code, says, p.stderr)
		}
	}
	if entries, err := os.ReadDir(scripts); err != nil || len(entries) != 1 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
}
