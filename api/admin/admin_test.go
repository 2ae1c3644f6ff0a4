package admin

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// program is what a running program has of this package.
type program struct {
	folder   string
	store    *store.Store
	server   *Server
	replayed atomic.Int64
}

func serve(t *testing.T, letters int) *program {
	t.Helper()
	p := &program{folder: t.TempDir()}
	var err error
	p.store, err = store.Open(t.Context(), store.Options{Folder: p.folder})
	if err != nil {
		t.Fatal(err)
	}
	p.bury(t, 1, letters)
	p.server, err = Serve(p.folder, &Letters{Store: p.store, Replayed: func(store.Delivery) { p.replayed.Add(1) }}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.server.Close(t.Context())
		if err := p.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func (p *program) bury(t *testing.T, from, count int) {
	t.Helper()
	b := &store.Batch{Token: p.store.Epoch()}
	for i := range count {
		b.Writes = append(b.Writes, store.BuryDelivery{Letter: store.DeadLetter{Delivery: store.Delivery{Seq: int64(from + i), Kind: store.EventDelivery,
			Target: key.Key{Type: "Handler", ID: "notify"}, Handler: "notify", Type: "Note.made", Data: []byte(`{"n":1}`)}, Error: "no"}})
	}
	if err := p.store.CommitWait(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func (p *program) dial(t *testing.T) *Client {
	t.Helper()
	c, err := Dial(t.Context(), p.folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// all does what a command does: page after page.
func all(t *testing.T, act func(context.Context, Selection) (Outcome, error), s Selection) (done int) {
	t.Helper()
	for range 100 { // pages; a test has three
		out, err := act(t.Context(), s)
		if err != nil {
			t.Error(err)
			return done
		}
		if done += out.Done; !out.More {
			return done
		}
		s.After, s.Until = out.After, out.Until
	}
	t.Error("it does not end")
	return done
}

func TestTheClientIsAsTheLettersThemselves(t *testing.T) {
	p := serve(t, 250)
	c, l := p.dial(t), p.server.letters
	for _, q := range []Query{{}, {After: 100, Data: true}, {After: 250}, {Filter: Filter{Handler: "notify", Kind: "event", Type: "Note.made"}, After: 240}, {Filter: Filter{Source: "x&y=z"}}} {
		want, err := l.List(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.List(t.Context(), q)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v: %d letters, %v; want %d", q, len(got), err, len(want))
		}
	}
	for _, act := range []func(context.Context, Selection) (Outcome, error){l.Replay, c.Replay, l.Drop, c.Drop} {
		for _, s := range []Selection{{Numbers: []int64{1, 999}}, {Numbers: make([]int64, MaxNumbers+1)}, {Numbers: []int64{}, Filter: Filter{Kind: "letter"}}} {
			var wrong *RequestError
			if out, err := act(t.Context(), s); !errors.As(err, &wrong) || out.Done > 0 {
				t.Errorf("%d numbers: %+v, %v", len(s.Numbers), out, err)
			}
		}
	}
	if n := all(t, c.Drop, Selection{Numbers: []int64{7, 8, 7}}); n != 2 {
		t.Errorf("dropped %d", n)
	}
	if n := all(t, c.Replay, Selection{}); n != 248 || p.replayed.Load() != 248 {
		t.Errorf("replayed %d, told of %d", n, p.replayed.Load())
	}
}

// What dies again while all are replayed is left for another time.
func TestReplayingAllEnds(t *testing.T) {
	p := serve(t, 150)
	next := 10_000
	p.server.letters.Replayed = func(store.Delivery) {
		p.replayed.Add(1)
		next++
		p.bury(t, next, 1)
	}
	if n := all(t, p.dial(t).Replay, Selection{}); n != 150 {
		t.Errorf("replayed %d", n)
	}
}

// However many replay all at a time, each letter is replayed once.
func TestManyReplayAll(t *testing.T) {
	p := serve(t, 300)
	var done atomic.Int64
	var commands sync.WaitGroup
	for range 2 * maxConnections {
		c := p.dial(t)
		commands.Go(func() {
			done.Add(int64(all(t, c.Replay, Selection{})))
			_ = c.Close() // its place is for those that wait
		})
	}
	commands.Wait()
	if done.Load() != 300 || p.replayed.Load() != 300 {
		t.Errorf("replayed %d, told of %d", done.Load(), p.replayed.Load())
	}
	stats, err := p.store.Stats(t.Context())
	if err != nil || stats.Outbox != 300 || stats.DeadLetters != 0 {
		t.Errorf("%+v, %v", stats, err)
	}
}

func TestWrongRequests(t *testing.T) {
	p := serve(t, 1)
	c := p.dial(t)
	for _, r := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/deadletters?handle=x", "", 400},
		{"GET", "/deadletters?after=x", "", 400},
		{"GET", "/deadletters?kind=letter", "", 400},
		{"POST", "/deadletters/drop", "", 400},
		{"POST", "/deadletters/drop", "[1]", 400},
		{"POST", "/deadletters/drop", `{"number":[1]}`, 400},
		{"POST", "/deadletters/drop", `{"numbers":[1` + strings.Repeat(",1", maxBody) + `]}`, 400},
		{"GET", "/deadletters/drop", "", 405},
		{"POST", "/deadletters/burn", "{}", 404},
	} {
		request, err := http.NewRequestWithContext(t.Context(), r.method, "http://program"+r.path, strings.NewReader(r.body))
		if err != nil {
			t.Fatal(err)
		}
		answer, err := c.http.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Error(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != r.status {
			t.Errorf("%s %s: status %d, want %d", r.method, r.path, answer.StatusCode, r.status)
		}
	}
	if letters, err := c.List(t.Context(), Query{}); err != nil || len(letters) != 1 {
		t.Errorf("%d letters, %v", len(letters), err)
	}
}

// The socket is its user's alone, replaces one that was left, and goes with the server;
// who is connected and says nothing does not keep it.
func TestTheSocket(t *testing.T) {
	for name, folder := range map[string]string{"short": t.TempDir(), "long": filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))} {
		t.Run(name, func(t *testing.T) {
			if err := os.MkdirAll(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(folder, SocketName)
			if _, err := Dial(t.Context(), folder); !errors.Is(err, ErrNotRunning) {
				t.Errorf("without a socket: %v", err)
			}
			for range 2 {
				s, err := Serve(folder, &Letters{}, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				if info, err := os.Lstat(path); err != nil || info.Mode() != os.ModeSocket|0o600 {
					t.Fatalf("%v, %v", info.Mode(), err)
				}
				bound, release, err := socketPath(folder)
				if err != nil {
					t.Fatal(err)
				}
				var silent []net.Conn
				for range maxConnections + 2 {
					conn, err := net.Dial("unix", bound)
					if err != nil {
						t.Fatal(err)
					}
					silent = append(silent, conn)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				began := time.Now()
				s.Close(ctx)
				cancel()
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("it took %v to close", took)
				}
				for _, conn := range silent {
					_ = conn.Close()
				}
				release()
				if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("the socket is left: %v", err)
				}
				// what a process leaves that is killed
				bound, release, err = socketPath(folder)
				if err != nil {
					t.Fatal(err)
				}
				l, err := net.ListenUnix("unix", &net.UnixAddr{Name: bound, Net: "unix"})
				if err != nil {
					t.Fatal(err)
				}
				l.SetUnlinkOnClose(false)
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				release()
				if _, err := Dial(t.Context(), folder); !errors.Is(err, ErrNotRunning) {
					t.Errorf("with a stale socket: %v", err)
				}
			}
		})
	}
}
