package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Limits of the processes that are started here.
const (
	buildLimit  = 5 * time.Minute  // a first build compiles SQLite, which takes a minute or two
	listenLimit = 30 * time.Second // from the start of a server until it listens
	stopLimit   = 10 * time.Second // from the signal to stop until it is killed; the chat takes 5 s at most
	keepErrors  = 8 << 10          // bytes of what a server last wrote to stderr, to be shown if it fails
)

// listening is what stands before the URL in the line that a server prints
// once it can be connected to.
const listening = "listening  "

// moduleRoot is the folder of the module that the working directory is in.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := command(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}")
	if err != nil {
		return "", fmt.Errorf("the servers are built from their source; run this in a checkout, or give --url: %w", err)
	}
	return strings.TrimSpace(out), nil
}

// build builds the commands of the module, by their folders, into a folder.
func build(ctx context.Context, root, into string, packages ...string) error {
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	args := append([]string{"build", "-o", into + string(filepath.Separator)}, packages...)
	_, err := command(ctx, root, "go", args...)
	return err
}

// command runs a program to its end and returns what it printed.
func command(ctx context.Context, folder, name string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = folder, &stdout, &stderr
	cmd.WaitDelay = stopLimit
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, args[0], err, stderr.Bytes())
	}
	return stdout.String(), nil
}

// process is a server that was started here.
type process struct {
	addr  string // host:port
	tls   bool
	pid   int
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has
	err   error         // how, once it has
	tail  tail
}

// startProcess starts a server and waits until it says that it listens. stop
// must be called; it is stopped too when ctx ends.
func startProcess(ctx context.Context, name string, args ...string) (*process, error) {
	p := &process{ended: make(chan struct{})}
	announced := announcement{url: make(chan string, 1)}
	p.cmd = exec.Command(name, args...)
	p.cmd.Env = withoutSettings(os.Environ())
	p.cmd.Stdout, p.cmd.Stderr = &announced, &p.tail
	p.cmd.WaitDelay = stopLimit
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.pid = p.cmd.Process.Pid
	go func() {
		defer close(p.ended)
		p.err = p.cmd.Wait()
	}()
	ctx, cancel := context.WithTimeout(ctx, listenLimit)
	defer cancel()
	select {
	case url := <-announced.url:
		var scheme string
		scheme, p.addr, _ = strings.Cut(url, "://")
		p.tls = scheme == "https"
		return p, nil
	case <-p.ended:
		return nil, fmt.Errorf("%s ended at its start: %w\n%s", filepath.Base(name), p.err, p.tail.String())
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("%s does not listen: %w\n%s", filepath.Base(name), ctx.Err(), p.tail.String()), p.stop())
	}
}

// withoutSettings leaves the servers' settings out of an environment: what is
// measured is how they are by themselves.
func withoutSettings(env []string) (rest []string) {
	for _, v := range env {
		if !strings.HasPrefix(v, "CHAT_") {
			rest = append(rest, v)
		}
	}
	return rest
}

// stop ends the process as a supervisor does: first it asks. The error says that
// it ended badly, or before it was asked.
func (p *process) stop() error {
	select {
	case <-p.ended:
		return fmt.Errorf("the server ended by itself: %v\n%s", p.err, p.tail.String())
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended meanwhile
	limit := time.NewTimer(stopLimit)
	defer limit.Stop()
	select {
	case <-p.ended:
	case <-limit.C:
		_ = p.cmd.Process.Kill()
		<-p.ended
		return fmt.Errorf("the server did not stop within %v", stopLimit)
	}
	if p.err != nil {
		return fmt.Errorf("the server ended with %w\n%s", p.err, p.tail.String())
	}
	return nil
}

// announcement is a server's stdout: it finds the line that has the URL, and
// forgets everything else.
type announcement struct {
	url  chan string // gets it once; has room for one
	line []byte      // what there is so far of a line; nil after the one
	done bool
}

const maxLine = 4 << 10 // bytes; no line that is looked for is longer

func (a *announcement) Write(b []byte) (int, error) {
	n := len(b)
	for !a.done && len(b) > 0 {
		line, rest, whole := bytes.Cut(b, []byte("\n"))
		if len(a.line) < maxLine {
			a.line = append(a.line, line...)
		}
		b = rest
		if !whole {
			break
		}
		if _, url, ok := strings.Cut(string(a.line), listening); ok {
			a.url <- strings.TrimSpace(url)
			a.done = true
		}
		a.line = nil
	}
	return n, nil
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	if over := len(t.text) - keepErrors; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
