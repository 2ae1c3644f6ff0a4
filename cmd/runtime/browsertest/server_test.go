package browsertest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// server is the program on an address that it keeps when it is started again, with a
// data folder and a copy of the chat's scripts.
type server struct {
	t       *testing.T
	addr    string // host:port
	scripts string
	data    string
	flags   []string
	saves   int    // how often scripts were saved and waited for
	log     string // the file of what all its processes printed
	process *os.Process
	ended   chan struct{} // closed when the process has ended
}

// serve starts the program with some flags, until the test ends. Tests that do share
// nothing else, so they run beside each other: they mostly wait.
func serve(t *testing.T, flags ...string) *server {
	t.Helper()
	needsChromium(t)
	t.Parallel()
	dir := t.TempDir()
	s := &server{t: t, addr: freeAddress(t), scripts: filepath.Join(dir, "scripts"), data: filepath.Join(dir, "data"),
		flags: flags, log: filepath.Join(dir, "log")}
	if err := os.CopyFS(s.scripts, os.DirFS("../../../scripts")); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(func() {
		s.end(syscall.SIGTERM)
		if text := s.logged(); strings.Contains(text, "panic") {
			t.Error("the program had a panic")
		}
		if t.Failed() {
			t.Logf("the program's log:\n%s", s.logged())
		}
	})
	return s
}

// freeAddress finds a port that nobody has. It is below those that the system gives to
// clients, so that no connection gets it while the program is down.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))
		if listener, err := net.Listen("tcp", addr); err == nil {
			_ = listener.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}

// start starts the program, for the first time or again, and waits until it serves.
func (s *server) start() {
	s.t.Helper()
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(shared.binary, append([]string{"--addr", s.addr, "--scripts", s.scripts, "--data", s.data}, s.flags...)...)
	cmd.Stdout, cmd.Stderr = log, log
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CHAT_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan struct{})
	s.process, s.ended = cmd.Process, ended
	go func() { defer close(ended); _ = cmd.Wait() }() // the log says why
	eventually(s.t, "the program serves", func() (bool, any) {
		select {
		case <-ended:
			s.t.Fatalf("the program ended:\n%s", s.logged())
		default:
		}
		status, body, err := s.try("GET", "/healthz", nil)
		return err == nil && status == http.StatusOK, fmt.Sprint(err, status, body)
	})
}

// kill ends the program as a power cut does.
func (s *server) kill() { s.end(syscall.SIGKILL) }

func (s *server) end(signal os.Signal) {
	_ = s.process.Signal(signal) // it may have ended
	<-s.ended
}

// logged is what the program printed so far.
func (s *server) logged() string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// save writes a script as an editor does that replaces the file.
func (s *server) save(name, text string) {
	s.t.Helper()
	file := filepath.Join(s.scripts, name)
	temp := filepath.Join(filepath.Dir(file), "."+filepath.Base(file)+"~")
	if err := os.WriteFile(temp, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(temp, file); err != nil {
		s.t.Fatal(err)
	}
}

// script reads one.
func (s *server) script(name string) string {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.scripts, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}

// do makes a request, whose body is JSON unless it is nil, and reads the answer into
// result unless that is nil.
func (s *server) do(method, path string, body, result any) {
	s.t.Helper()
	status, answer, err := s.try(method, path, body)
	if err != nil || status != http.StatusOK {
		s.t.Fatalf("%s %s: %v, %d: %s", method, path, err, status, answer)
	}
	if result != nil {
		if err := json.Unmarshal([]byte(answer), result); err != nil {
			s.t.Fatalf("%s %s: %v: %s", method, path, err, answer)
		}
	}
}

func (s *server) try(method, path string, body any) (status int, answer string, err error) {
	return s.tryAs("", method, path, body)
}

// tryAs makes a request with a token, unless that is empty.
func (s *server) tryAs(token, method, path string, body any) (status int, answer string, err error) {
	var data []byte
	if body != nil {
		if data, err = json.Marshal(body); err != nil {
			return 0, "", err
		}
	}
	request, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+s.addr+path, bytes.NewReader(data))
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	request.Close = true // no connection of this client's is left over
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// storedMessage is a message of a room's history.
type storedMessage struct {
	ID      string `json:"$id"`
	Author  string `json:"author"`
	Content string `json:"content"`
}

// history is what a room has stored, the oldest first: all of it, in the order in which
// everybody saw it.
func (s *server) history(room string) (all []storedMessage) {
	s.t.Helper()
	for after := ""; ; {
		var page []storedMessage
		s.do("GET", "/rooms/"+room+"/messages?limit=100&after="+after, nil, &page)
		all = append(all, page...)
		if len(page) < 100 {
			return all
		}
		after = page[len(page)-1].ID
	}
}
