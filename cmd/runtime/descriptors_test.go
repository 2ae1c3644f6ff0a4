package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// What the log says of the limit of open files.
const (
	saysFull  = "the limit of open files is reached"
	saysWaits = "connections cannot be accepted"
	saysAgain = "new connections are taken again"
)

func TestTheStartSaysHowManyConnectionsFit(t *testing.T) {
	if _, ok := start(t, programOptions{ulimit: "-n 280"}).stdout.waitFor("room for   72 connections", nil); !ok {
		t.Error("a limit of 280 files")
	}
	// What the soft limit leaves out is the program's too: Go takes all but one of it.
	if _, ok := start(t, programOptions{ulimit: "-S -n 280 && ulimit -H -n 480"}).stdout.waitFor("room for   271 connections", nil); !ok {
		t.Error("a soft limit of 280 files and a hard one of 480")
	}
	p := launch(t, programOptions{data: t.TempDir(), ulimit: "-n 100"})
	if code := p.wait(); code != 1 || !strings.Contains(p.stderr.String(), "the limit of open files is 100") || strings.Count(p.stderr.String(), "\n") != 1 {
		t.Errorf("a limit of 100 files: exit status %d, %s", code, p.stderr)
	}
}

// knock asks for a WebSocket and returns the status of the answer. The connection
// lasts until the test ends.
func (p *program) knock(path string) (net.Conn, *http.Response, error) {
	conn, err := net.DialTimeout("tcp", p.addr, patience)
	if err != nil {
		return nil, nil, err
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return nil, nil, err
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, p.addr)
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	return conn, r, err
}

// scraper reads metrics over one connection that it keeps, as Prometheus does.
func (p *program) scraper() func(name string) float64 {
	client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1}}
	p.t.Cleanup(client.CloseIdleConnections)
	return func(name string) (value float64) {
		p.t.Helper()
		r, err := client.Get("http://" + p.addr + "/metrics")
		if err != nil {
			p.t.Fatal(err)
		}
		defer r.Body.Close()
		body, err := io.ReadAll(r.Body)
		if err != nil || r.StatusCode != http.StatusOK {
			p.t.Fatalf("metrics: status %d, %v", r.StatusCode, err)
		}
		for line := range strings.Lines(string(body)) {
			if rest, ok := strings.CutPrefix(line, name+" "); ok {
				if _, err := fmt.Sscan(rest, &value); err != nil {
					p.t.Fatal(err)
				}
				return value
			}
		}
		p.t.Fatalf("no metric %s", name)
		return 0
	}
}

// wantRefusedInPeace is refused, and sends the rest of its request after that.
func (p *program) wantRefusedInPeace() {
	p.t.Helper()
	conn, err := net.DialTimeout("tcp", p.addr, patience)
	if err != nil {
		p.t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		p.t.Fatal(err)
	}
	const parts = 8
	part := strings.Repeat("x", 64<<10)
	fmt.Fprintf(conn, "PUT /users/ann/profile HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n", p.addr, parts*len(part))
	answer, err := io.ReadAll(conn)
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 503 ") {
		p.t.Errorf("a large request: %q, %v", answer, err)
	}
	for range parts {
		if _, err := io.WriteString(conn, part); err != nil {
			p.t.Fatalf("the rest of a large request: %v", err)
		}
	}
}

// cpu is the time of the processor that the program has taken so far.
func (p *program) cpu() time.Duration {
	p.t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.process.Pid))
	if err != nil {
		p.t.Skip("no /proc")
	}
	_, fields, _ := strings.Cut(string(stat), ") ")
	var user, system int64
	if _, err := fmt.Sscan(strings.Join(strings.Fields(fields)[11:13], " "), &user, &system); err != nil {
		p.t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// wantIdle measures the program for a second in which nobody asks it anything, three
// times at most, as it may still do what it was asked before. The bound is a share of a
// core: a spin takes a whole one.
func (p *program) wantIdle(most float64) {
	p.t.Helper()
	var shares []float64
	for range 3 {
		before, began := p.cpu(), time.Now()
		<-time.After(time.Second)
		share := float64(p.cpu()-before) / float64(time.Since(began))
		if share <= most {
			return
		}
		shares = append(shares, share)
	}
	p.t.Errorf("with nothing to do it takes %.2f of a core, want %.2f at most", shares, most)
}

// Who comes after the last that fits is told so, and nobody else notices.
func TestAFullProgramRefusesNewConnections(t *testing.T) {
	p := start(t, programOptions{ulimit: "-n 280"})
	const room = 72
	metric := p.scraper()
	if got := metric("chat_connections_max"); got != room {
		t.Fatalf("there is room for %v, want %d", got, room)
	}
	for range room + 1 {
		if r := p.get("/healthz"); r.status != http.StatusOK {
			t.Fatalf("requests that come and go: status %d", r.status)
		}
	}
	p.eventually("they are gone", func() bool { return metric("chat_connections") == 1 })
	ann, bob := p.join("general", "ann"), p.join("general", "bob")
	ann.wantPresence(2)
	bob.wantPresence(2)
	talk := func(text string) {
		t.Helper()
		ann.say(text)
		ann.wantMessage("ann", text)
		bob.wantMessage("ann", text)
	}

	// Who is let in gets in, however many come at once.
	var crowd sync.WaitGroup
	for i := range 40 {
		crowd.Go(func() {
			if _, r, err := p.knock(fmt.Sprintf("/ws/crowd%d?user=c", i)); err != nil || r.StatusCode != http.StatusSwitchingProtocols {
				t.Errorf("one of the crowd: %v, %v", r, err)
			}
		})
	}
	crowd.Wait()
	var last []net.Conn
	for i := 3 + 40; i < room; i++ { // 3: ann, bob and the metrics
		conn, r, err := p.knock(fmt.Sprintf("/ws/last%d?user=l", i))
		if err != nil || r.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("the %dth of %d that fit: %v, %v", i+1, room, r, err)
		}
		last = append(last, conn)
	}
	if n := p.logged(saysFull); n != 0 {
		t.Errorf("the log says too early that the program is full")
	}
	talk("it is full here")

	for i := range 30 {
		_, r, err := p.knock("/ws/general?user=eve")
		if err != nil || r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
			t.Fatalf("refusal %d: %v, %v", i, r, err)
		}
	}
	p.wantRefusedInPeace()
	if r := p.get("/rooms"); r.status != http.StatusServiceUnavailable || r.object(t)["error"] != "Service Unavailable" {
		t.Errorf("a request: status %d %s", r.status, r.body)
	}
	p.wantIdle(0.1)
	talk("still nobody new")
	if files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.process.Pid)); err == nil && len(files) > 280-32 {
		t.Errorf("%d files are open", len(files))
	}
	if got := metric("chat_connections"); got != room {
		t.Errorf("%v connections, want %d", got, room)
	}
	if got := metric("chat_connections_refused_total"); got != 32 {
		t.Errorf("%v refused, want 32", got)
	}

	for _, conn := range last[:8] {
		_ = conn.Close()
	}
	p.eventually("those who left are gone", func() bool { return metric("chat_connections") == room-8 })
	talk("some have left")
	p.join("general", "eve")
	ann.wantPresence(3)
	bob.wantPresence(3)
	talk("hello eve")
	p.wantOnce(saysAgain)
	p.wantOnce(saysFull)
	if lines := p.logged("\n"); lines != 2 { // such as: a socket that lacked a descriptor
		t.Errorf("the log has %d lines, want 2", lines)
	}
}

// Where accepting fails although there should be room, connections wait.
func TestNothingSpinsWhenAcceptingFails(t *testing.T) {
	if _, err := exec.LookPath("prlimit"); err != nil {
		t.Skip(err)
	}
	p := start(t, programOptions{})
	limit := func(files string) {
		t.Helper()
		out, err := exec.Command("prlimit", "--pid", fmt.Sprint(p.process.Pid), "--nofile="+files+":").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	metric := p.scraper()
	metric("chat_connections")
	ann := p.join("general", "ann")
	limit("10")
	failed := 0.0
	started := time.Now()
	answer := make(chan response, 1)
	go func() {
		r, err := p.try("GET", "/rooms", "")
		if err != nil {
			r.body = err.Error()
		}
		answer <- r
	}()
	p.eventually("accepting has failed often", func() bool {
		ann.say("hello")
		ann.wantMessage("ann", "hello")
		failed = metric("chat_accept_errors_total")
		return failed >= 8
	})
	// 5 ms, doubled seven times, are 635 ms.
	if took := time.Since(started); took < 635*time.Millisecond {
		t.Errorf("accepting failed %v times in %v", failed, took)
	}
	p.wantIdle(0.1)
	select {
	case r := <-answer:
		t.Errorf("answered without a descriptor: %d %s", r.status, r.body)
	default:
	}
	limit("200")
	if r := <-answer; r.status != http.StatusOK {
		t.Errorf("who waited: status %d %s", r.status, r.body)
	}
	p.wantOnce(saysAgain)
	p.wantOnce(saysWaits)
	if lines := p.logged("\n"); lines != 2 {
		t.Errorf("%d lines of log, want one at the beginning and one at the end", lines)
	}
}
