package main_test

import (
	"strings"
	"syscall"
	"testing"
)

const counterRoom = `import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  count() { this.n = (this.n ?? 0) + 1; return this.n },
  stuck() { return Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1) },
})`

// testRun runs the command test on scripts, and returns what it printed and its
// exit status.
func testRun(t *testing.T, files map[string]string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	p := execute(t, append([]string{"test"}, args...), map[string]string{"CHAT_SCRIPTS": folder(t, files)})
	code = p.wait()
	return p.stdout.String(), p.stderr.String(), code
}

func TestTheTestsOfScripts(t *testing.T) {
	good := map[string]string{"room.js": counterRoom, "room.test.js": `import { test, expect, call, clock } from 'dotdo/test'
test('it counts', async () => {
  expect(await call.Room('a').count()).toBe(1)
  await clock.advance('365d')
})
test('it logs', () => { console.log('I am here') })`}
	stdout, stderr, code := testRun(t, good)
	if code != 0 || stderr != "" {
		t.Errorf("status %d, stderr %q", code, stderr)
	}
	for _, want := range []string{"ok    room.test.js  it counts (", "2 passed, 0 failed, 0 skipped", "I am here", "at=room.test.js:6:"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if strings.Count(stdout, "\n") > 12 || strings.Contains(stdout, "PASS") {
		t.Errorf("it says more than it should:\n%s", stdout)
	}

	good["bad.test.js"] = `import { test, expect, call } from 'dotdo/test'
test('it is wrong', async () => {
  expect(await call.Room('a').count()).toBe(2)
})`
	stdout, stderr, code = testRun(t, good)
	if code != 1 || stderr != "runtime: tests failed\n" {
		t.Errorf("status %d, stderr %q", code, stderr)
	}
	for _, want := range []string{"FAIL  bad.test.js  it is wrong (", "bad.test.js:3:", "expected: 2", "2 passed, 1 failed"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if stdout, _, code = testRun(t, good, "--run", "counts"); code != 0 || !strings.Contains(stdout, "1 passed, 0 failed") {
		t.Errorf("status %d:\n%s", code, stdout)
	}
}

// What keeps the tests from running is one line, and exit status 1.
func TestTestsThatCannotRun(t *testing.T) {
	some := map[string]string{"room.js": counterRoom, "a.test.js": "import { test } from 'dotdo/test'\ntest('x', () => {})"}
	for _, c := range []struct {
		files map[string]string
		args  []string
		want  string
	}{
		{map[string]string{"room.js": counterRoom}, nil, "no tests in"},
		{map[string]string{"a.test.js": ""}, nil, "no scripts in"},
		{some, []string{"missing.test.js"}, "missing.test.js: no tests there"},
		{some, []string{"--run", "nothing"}, "no test has a name"},
		{some, []string{"--run", "("}, "--run"},
		{some, []string{"--test.v"}, "test.v"}, // none of Go's own flags
		{map[string]string{"room.js": "export const = 1", "a.test.js": ""}, nil, "room.js:1:14"},
	} {
		stdout, stderr, code := testRun(t, c.files, c.args...)
		if code != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: status %d, says %q, want %q\n%s", c.args, code, stderr, c.want, stdout)
		}
	}
	if stdout, _, code := testRun(t, some, "--help"); code != 0 || !strings.Contains(stdout, "--run") || strings.Contains(stdout, "test.") && !strings.Contains(stdout, "*.test.js") {
		t.Errorf("status %d:\n%s", code, stdout)
	}
}

// What nothing can interrupt ends the tests, and the command.
func TestATestThatNothingCanEnd(t *testing.T) {
	stdout, stderr, code := testRun(t, map[string]string{"room.js": counterRoom, "a.test.js": `import { test, call } from 'dotdo/test'
test('stuck', () => call.Room('a').stuck())
test('next', () => {})`}, "--turn-timeout", "100ms")
	if code != 1 || !strings.Contains(stdout, "FAIL  a.test.js  stuck") || !strings.Contains(stdout, "cannot be made to") || !strings.Contains(stderr, "cannot be interrupted") {
		t.Errorf("status %d, says %q\n%s", code, stderr, stdout)
	}
}

func TestTestsEndWithASignal(t *testing.T) {
	p := execute(t, []string{"test", "--scripts", folder(t, map[string]string{"room.js": counterRoom, "a.test.js": `import { test, clock } from 'dotdo/test'
test('first', () => {})
test('ever', async () => { for (;;) await clock.advance('1d') })`})}, nil)
	p.stdout.waitFor("first", p.done)
	if err := p.process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(); code != 1 || !strings.Contains(p.stderr.String(), "stopped") {
		t.Errorf("status %d, says %q", code, p.stderr)
	}
}
