package main_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience bounds every wait of these tests; only a failing one reaches it.
const patience = 40 * time.Second

// shipped is the folder of the chat.
const shipped = "../../scripts"

// These tests drive the program as a user does: as a process, over HTTP and
// WebSockets. TestMain builds it once.
func TestMain(m *testing.M) {
	if os.Getenv(floodVariable) != "" { // a flood in a process of its own needs no program
		os.Exit(m.Run())
	}
	os.Exit(buildAndRun(m))
}

// binary is where the built program is: its path never changes after TestMain.
var binary string

// failpointBinary builds the program as package failpoint needs it, once.
var failpointBinary = sync.OnceValues(func() (string, error) {
	path := binary + "-failpoint"
	build := exec.Command("go", slices.Concat([]string{"build", "-tags", "failpoint", "-o", path}, buildFlags, []string{"."})...)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("the program with failpoints does not build: %v\n%s", err, out)
	}
	return path, nil
})

func buildAndRun(m *testing.M) int {
	folder, err := os.MkdirTemp("", "runtime-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	binary = filepath.Join(folder, "runtime")
	build := exec.Command("go", slices.Concat([]string{"build", "-o", binary}, buildFlags, []string{"."})...)
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "the program does not build:", err)
		return 1
	}
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// needsTool finds a command of the system's, or skips the test. In CI that is a failure.
func needsTool(t *testing.T, name string) (path string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		missing(t, err.Error())
	}
	return path
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CHAT_REQUIRE_TOOLS") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// programOptions of a program under test. The flags come after its own.
type programOptions struct {
	scripts string // folder; the shipped chat if empty
	data    string // folder; a new one if empty
	flags   []string
	env     map[string]string
	ulimit  string   // arguments of sh's ulimit, to start under; none if empty
	binary  string   // the program as users build it if empty
	under   []string // a command and its arguments, which gets the program's behind them; none if empty
}

// program is a running program.
type program struct {
	t       *testing.T
	addr    string // host:port
	data    string
	stdout  *output
	stderr  *output
	process *os.Process
	done    chan struct{} // closed when it has ended
	code    int           // its exit status, once done
}

// start runs the program until the test ends and waits until it listens.
func start(t *testing.T, o programOptions) *program {
	t.Helper()
	if o.data == "" {
		o.data = t.TempDir()
	}
	p := launch(t, o)
	const mark = "listening  http://"
	line, ok := p.stdout.waitFor(mark, p.done)
	if !ok {
		t.Fatalf("the program does not listen; stdout:\n%s\nstderr:\n%s", p.stdout, p.stderr)
	}
	_, p.addr, _ = strings.Cut(line, mark)
	p.data = o.data
	return p
}

// launch starts the process. It is killed if it still runs when the test ends,
// after a chance to stop in order.
func launch(t *testing.T, o programOptions) *program {
	t.Helper()
	if o.scripts == "" {
		o.scripts = shipped
	}
	args := append([]string{"--addr", "127.0.0.1:0", "--scripts", o.scripts, "--data", o.data}, o.flags...)
	if o.binary != "" || o.under != nil {
		command := slices.Concat(o.under, []string{cmp.Or(o.binary, binary)}, args)
		return executeCommand(t, exec.Command(command[0], command[1:]...), o.env)
	}
	if o.ulimit != "" {
		limited := append([]string{"-c", "ulimit " + o.ulimit + ` && exec "$0" "$@"`, binary}, args...)
		return executeCommand(t, exec.Command("sh", limited...), o.env)
	}
	return execute(t, args, o.env)
}

func execute(t *testing.T, args []string, env map[string]string) *program {
	t.Helper()
	return executeCommand(t, exec.Command(binary, args...), env)
}

func executeCommand(t *testing.T, cmd *exec.Cmd, env map[string]string) *program {
	t.Helper()
	p := &program{t: t, stdout: newOutput(t), stderr: newOutput(t), done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.stdout.file, p.stderr.file
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CHAT_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	if raceOptions != "" {
		cmd.Env = append(cmd.Env, raceOptions)
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		cmd.Env = append(cmd.Env, name+"="+env[name])
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.process = cmd.Process
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // the exit status says it
		p.code = cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(func() {
		p.stop()
		if strings.Contains(p.stderr.String(), "DATA RACE") {
			t.Error("the program has a data race")
		}
		if t.Failed() {
			t.Logf("stderr of the program:\n%s", tail(p.stderr.String()))
		}
	})
	return p
}

// tail is the end of a long text: what led to a failure is there.
func tail(s string) string {
	const enough = 16 << 10
	if len(s) > enough {
		return "…" + s[len(s)-enough:]
	}
	return s
}

// stop ends the program as a supervisor does, and returns its exit status.
func (p *program) stop() int {
	p.t.Helper()
	_ = p.process.Signal(syscall.SIGTERM) // it may have ended
	return p.wait()
}

// wait waits for the end of the program and returns its exit status.
func (p *program) wait() int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		_ = p.process.Kill()
		<-p.done
		p.t.Errorf("the program did not end within %v", patience)
	}
	return p.code
}

// alive reports whether the process still runs.
func (p *program) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// output is what a process printed so far. It is a file, so that all that the process
// has written is there, however late this one gets the processor.
type output struct{ file *os.File }

// newOutput makes an output that lasts until the test ends.
func newOutput(t *testing.T) *output {
	t.Helper()
	file, err := os.OpenFile(filepath.Join(t.TempDir(), "output"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = file.Close() })
	return &output{file}
}

func (o *output) String() string {
	text, err := os.ReadFile(o.file.Name())
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// waitFor waits for a whole line that contains the mark, until the process ends.
func (o *output) waitFor(mark string, ended <-chan struct{}) (line string, ok bool) {
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for over := false; ; {
		for line := range strings.Lines(o.String()) {
			if strings.Contains(line, mark) && strings.HasSuffix(line, "\n") {
				return strings.TrimSpace(line), true
			}
		}
		if over {
			return "", false
		}
		select {
		case <-tick.C:
		case <-ended: // what it said last counts too
			over = true
		case <-deadline:
			over = true
		}
	}
}

// wantOnce waits until the log has a text, and wants it there once.
func (p *program) wantOnce(text string) {
	p.t.Helper()
	_, ok := p.stderr.waitFor(text, p.done)
	if n := p.logged(text); !ok || n != 1 {
		p.t.Errorf("the log has %d times %q:\n%s", n, text, tail(p.stderr.String()))
	}
}

// logged counts how often the log has a text by now.
func (p *program) logged(text string) int { return strings.Count(p.stderr.String(), text) }

// eventually polls until f holds: for what the program tells nobody by itself.
func (p *program) eventually(what string, f func() bool) {
	p.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-deadline:
			p.t.Fatalf("not within %v: %s", patience, what)
		case <-p.done:
			p.t.Fatalf("the program ended before: %s", what)
		case <-tick.C:
		}
	}
}

// response is an answer whose body was read.
type response struct {
	status int
	header http.Header
	body   string
}

// get asks for a path.
func (p *program) get(path string) response { p.t.Helper(); return p.do("GET", path, "") }

func (p *program) do(method, path, body string) response {
	p.t.Helper()
	r, err := p.try(method, path, body)
	if err != nil {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

func (p *program) try(method, path, body string) (r response, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, "http://"+p.addr+path, strings.NewReader(body))
	if err != nil {
		return r, err
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return r, err
	}
	data, err := io.ReadAll(answer.Body)
	return response{answer.StatusCode, answer.Header, string(data)}, errors.Join(err, answer.Body.Close())
}

// metric reads one value of /metrics.
func (p *program) metric(name string) (value float64) {
	p.t.Helper()
	scanner := bufio.NewScanner(strings.NewReader(p.get("/metrics").body))
	for scanner.Scan() {
		if rest, ok := strings.CutPrefix(scanner.Text(), name+" "); ok {
			if _, err := fmt.Sscan(rest, &value); err != nil {
				p.t.Fatal(err)
			}
			return value
		}
	}
	p.t.Fatalf("no metric %s", name)
	return 0
}

// folder makes a folder of scripts by name.
func folder(t *testing.T, scripts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// shippedWith is the shipped chat and further scripts.
func shippedWith(t *testing.T, scripts map[string]string) string {
	t.Helper()
	dir := folder(t, scripts)
	if err := os.CopyFS(dir, os.DirFS(shipped)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// hastyWith is shippedWith for tests that flood the chat as a few people: each of them may
// send as fast as they like.
func hastyWith(t *testing.T, scripts map[string]string) string {
	t.Helper()
	dir := shippedWith(t, scripts)
	path := filepath.Join(dir, "lib", "rate.js")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const limit = "const perSecond = 20 "
	if !bytes.Contains(text, []byte(limit)) {
		t.Fatalf("%s has no %q: how fast people may be is somewhere else now", path, limit)
	}
	if err := os.WriteFile(path, bytes.Replace(text, []byte(limit), []byte("const perSecond = 1e9 "), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}
