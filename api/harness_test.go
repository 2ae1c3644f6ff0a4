package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lxzan/gws"
	"go.uber.org/goleak"

	"chat.example.com.ai/api"
	"chat.example.com.ai/runtime/cluster"
	"chat.example.com.ai/runtime/event"
	"chat.example.com.ai/runtime/object"
	"chat.example.com.ai/runtime/script"
	"chat.example.com.ai/runtime/socket"
	"chat.example.com.ai/store"
)

func TestMain(m *testing.M) {
	// The first scripts of a process say how long its regular expressions may take,
	// whichever test comes first: these, which aren't there, say nothing else.
	_, _ = script.Load(script.Options{Folder: "no/such"})
	goleak.VerifyTestMain(m,
		// The engine's clock for matches with a time-out: one for the process, which
		// ends by itself when no match has run for a while.
		goleak.IgnoreAnyFunction("github.com/dlclark/regexp2/v2.runClock"))
}

// patience bounds every wait of these tests; it is reached only by a failing one.
const patience = time.Minute

// system is a whole program in the test's process: scripts, store, sockets,
// objects and the edge, on a port of its own.
type system struct {
	t      testing.TB
	node   *object.Node
	store  *store.Store
	events *event.Dispatcher
	addr   string
	log    *logBuffer
	hold   atomic.Pointer[chan struct{}] // not nil: commits wait for it
	errors sync.Map                      // kind -> *atomic.Int64
	stop   func()
}

// files are scripts by name.
type files map[string]string

// setup is what the options of start change.
type setup struct {
	objects object.Config
	store   store.Options
	scripts script.Options
}

type option func(*setup)

func hibernateAfter(d time.Duration) option {
	return func(s *setup) { s.objects.HibernateAfter = d }
}

func turnTimeout(d time.Duration) option {
	return func(s *setup) { s.scripts.TurnTimeout = d }
}

func inFolder(folder string) option {
	return func(s *setup) { s.store.Memory, s.store.Folder = false, folder }
}

func start(t testing.TB, scripts files, opts ...option) *system {
	t.Helper()
	folder := t.TempDir()
	for name, text := range scripts {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := &system{t: t, log: &logBuffer{}}
	log := slog.New(slog.NewTextHandler(s.log, nil))
	with := setup{
		// A turn takes as long as a busy machine makes it; what is about its time says how long.
		scripts: script.Options{Folder: folder, Log: log, TurnTimeout: patience / 2},
		store: store.Options{Memory: true, Log: log, BeforeCommit: func() {
			if held := s.hold.Load(); held != nil {
				<-*held
			}
		}},
		objects: object.Config{Log: log, Observe: object.Observer{ScriptError: func(kind string) {
			n, _ := s.errors.LoadOrStore(kind, new(atomic.Int64))
			n.(*atomic.Int64).Add(1)
		}}},
	}
	for _, o := range opts {
		o(&with)
	}
	set, err := script.Load(with.scripts)
	if err != nil {
		t.Fatalf("load: %v", err)
	}
	if s.store, err = store.Open(t.Context(), with.store); err != nil {
		t.Fatal(err)
	}
	config := with.objects
	sockets := socket.NewServer(socket.Config{Log: log})
	config.Store, config.Sockets, config.Placement = s.store, sockets, cluster.NewLocal(s.store.Epoch())
	config.Outbox = func(n *object.Node) object.Outbox {
		s.events = event.New(s.store, n, s.store.Epoch(), log)
		return s.events
	}
	s.node = object.NewNode(set, config)
	if err := s.events.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.node.Start()
	metrics := api.NewMetrics()
	metrics.Watch(s.node, sockets, s.events)
	server := api.New(s.node, metrics, log).HTTP()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = listener.Addr().String()
	served := make(chan struct{})
	go func() { defer close(served); _ = server.Serve(listener) }()
	s.stop = sync.OnceFunc(func() {
		if held := s.hold.Swap(nil); held != nil {
			close(*held)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = sockets.Shutdown(ctx)
		_ = server.Shutdown(ctx)
		<-served
		s.events.Close()
		if err := s.node.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		if err := s.store.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
		if t.Failed() {
			t.Logf("log:\n%s", s.log)
		}
	})
	t.Cleanup(s.stop)
	return s
}

// holdCommits keeps every commit back until the returned function is called.
func (s *system) holdCommits() (release func()) {
	ch := make(chan struct{})
	s.hold.Store(&ch)
	return sync.OnceFunc(func() {
		if s.hold.CompareAndSwap(&ch, nil) {
			close(ch)
		}
	})
}

func (s *system) errorCount(kind string) int64 {
	n, ok := s.errors.Load(kind)
	if !ok {
		return 0
	}
	return n.(*atomic.Int64).Load()
}

// get makes a GET request and returns status and body.
func (s *system) get(path string) (int, string) { return s.do("GET", path, "") }

func (s *system) do(method, path, body string) (int, string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+s.addr+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(data)
}

// metric reads one value of /metrics.
func (s *system) metric(name string) (value float64) {
	s.t.Helper()
	_, body := s.get("/metrics")
	scanner := bufio.NewScanner(strings.NewReader(body))
	for scanner.Scan() {
		if rest, ok := strings.CutPrefix(scanner.Text(), name+" "); ok {
			if _, err := fmt.Sscan(rest, &value); err != nil {
				s.t.Fatal(err)
			}
			return value
		}
	}
	s.t.Fatalf("no metric %s", name)
	return 0
}

// eventually polls until f holds.
func (s *system) eventually(what string, f func() bool) {
	s.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !f() {
		select {
		case <-deadline:
			s.t.Fatalf("not within %v: %s", patience, what)
		case <-tick.C:
		}
	}
}

// quickly measures how long others wait. Of three times one is enough, as a machine that
// others use too may stand still for a while.
func quickly(t *testing.T, most time.Duration, f func() time.Duration) {
	t.Helper()
	var all []time.Duration
	for range 3 {
		took := f()
		if took <= most {
			return
		}
		all = append(all, took)
	}
	t.Errorf("others waited for %v, want %v at most", all, most)
}

// client is a WebSocket client that queues what it receives.
type client struct {
	gws.BuiltinEventHandler
	t        testing.TB
	conn     *gws.Conn
	messages chan string
	closed   chan error
}

func (c *client) OnMessage(_ *gws.Conn, m *gws.Message) {
	c.messages <- string(bytes.Clone(m.Bytes()))
	_ = m.Close()
}

func (c *client) OnClose(_ *gws.Conn, err error) { c.closed <- err }

func (s *system) connect(path string) *client {
	s.t.Helper()
	c := &client{t: s.t, messages: make(chan string, 10_000), closed: make(chan error, 1)}
	conn, _, err := gws.NewClient(c, &gws.ClientOption{Addr: "ws://" + s.addr + path})
	if err != nil {
		s.t.Fatalf("connect %s: %v", path, err)
	}
	c.conn = conn
	go conn.ReadLoop()
	s.t.Cleanup(func() { _ = conn.NetConn().Close() })
	return c
}

func (c *client) send(message any) {
	c.t.Helper()
	text, ok := message.(string)
	if !ok {
		data, err := json.Marshal(message)
		if err != nil {
			c.t.Fatal(err)
		}
		text = string(data)
	}
	if err := c.conn.WriteString(text); err != nil {
		c.t.Fatalf("send: %v", err)
	}
}

// next waits for the next message.
func (c *client) next() string {
	c.t.Helper()
	select {
	case m := <-c.messages:
		return m
	case err := <-c.closed:
		c.t.Fatalf("closed: %v", err)
	case <-time.After(patience):
		c.t.Fatal("no message")
	}
	return ""
}

// want waits for the next message and compares it.
func (c *client) want(message string) {
	c.t.Helper()
	if got := c.next(); got != message {
		c.t.Fatalf("received %s, want %s", got, message)
	}
}

// silent reports that nothing has come. Whatever could have come must have been
// caused before, and overtaken by something that was received.
func (c *client) silent() {
	c.t.Helper()
	select {
	case m := <-c.messages:
		c.t.Fatalf("received %s, want nothing", m)
	default:
	}
}

// closeCode waits for the close and returns its code.
func (c *client) closeCode() uint16 {
	c.t.Helper()
	select {
	case err := <-c.closed:
		if e, ok := err.(*gws.CloseError); ok {
			return e.Code
		}
		return 1006
	case <-time.After(patience):
		c.t.Fatal("not closed")
		return 0
	}
}

// logBuffer is a log that a test can read.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// upgrade is a part with the routes that most of these tests connect through.
const upgrade = `
import { DO } from 'dotdo'
export default DO.extend({
  onRequest() {
    this.app.get('/ws/:room', (c) => {
      const pair = new WebSocketPair()
      this.ctx.acceptWebSocket(pair[1], ['all'])
      return new Response(null, { status: 101, webSocket: pair[0] })
    })
  },
})
`
