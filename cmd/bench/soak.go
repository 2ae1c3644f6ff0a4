package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// soakSamples is how often a soak looks at the server: a third of them, by which it
// judges, is enough for a median that a collection of garbage doesn't move.
const soakSamples = 60

// soakOptions are the flags of the soak command.
type soakOptions struct {
	options
	rooms          int
	sockets        int
	rate           float64
	runs           time.Duration
	hibernateAfter time.Duration
	warmUp         int // messages
}

func parseSoak(args []string, output io.Writer) (o soakOptions, err error) {
	fs := newFlags("soak", output)
	fs.IntVar(&o.rooms, "rooms", 300, "number of rooms")
	fs.IntVar(&o.sockets, "sockets", 600, "sockets that stay, in all rooms together; others come and go")
	fs.Float64Var(&o.rate, "rate", 60, "messages a second; a tenth of it is the rate of visits, of requests, and of all else")
	fs.DurationVar(&o.runs, "for", 10*time.Minute, "how long; what the first third shows does not count")
	fs.DurationVar(&o.hibernateAfter, "hibernate-after", time.Second, "for the chat that is started: how long a room stays awake")
	fs.IntVar(&o.warmUp, "warm-up", 45_000, "messages to say before, at ten times the rate: as many as fill the page caches of the database")
	o.define(fs)
	if err := parse(fs, args); err != nil {
		return o, err
	}
	switch {
	case o.rooms < 1 || o.sockets < o.rooms || o.sockets > maxSockets:
		err = fmt.Errorf("--rooms must be at least 1, and --sockets as many or more, %d at most", maxSockets)
	case !(o.rate >= 10 && o.rate <= 1e4):
		err = errors.New("--rate must be from 10 to 10000")
	case o.runs < time.Second || o.runs > 24*time.Hour:
		err = errors.New("--for must be from 1s to 24h")
	case o.hibernateAfter <= 0 || o.hibernateAfter > time.Minute:
		err = errors.New("--hibernate-after must be more than 0 and at most 1m")
	case o.warmUp < 0 || o.warmUp > 1e7:
		err = errors.New("--warm-up must be from 0 to 10000000")
	case o.url != "" && o.pid == 0:
		err = errors.New("--url needs --pid here: memory is that of a process")
	default:
		err = o.check()
	}
	return o, err
}

// soakScript is what the chat is given besides its own: objects whose alarms come
// back as long as somebody asks for them.
const soakScript = `import { DO } from 'dotdo'

export default DO.extend({
  $type: 'Soak',
  onRequest() {
    this.app.get('/soak/:id', async (c) => {
      await this.ctx.storage.setAlarm(Date.now() + 1500)
      return c.json({ rang: (await this.ctx.storage.get('rang')) ?? 0 })
    })
  },
  async alarm() {
    await this.ctx.storage.put('rang', ((await this.ctx.storage.get('rang')) ?? 0) + 1)
  },
})
`

// soak is one run.
type soak struct {
	soakOptions
	server  target
	scripts string // folder of them; empty if the server was not started here
	data    string // likewise
	start   time.Time
	fleet   fleet        // the sockets that stay
	sent    atomic.Int64 // messages
	heard   atomic.Int64 // deliveries of them
	trouble trouble
	report  *soakReport
}

func (o soakOptions) measure(ctx context.Context, p *programs, progress io.Writer) (report, error) {
	s := &soak{soakOptions: o, report: &soakReport{Rooms: o.rooms, Sockets: o.sockets, Rate: o.rate}}
	if p == nil {
		s.server = o.running()
		return s.report, s.run(ctx, progress)
	}
	var err error
	if s.scripts, err = p.newFolder(); err == nil {
		err = os.CopyFS(s.scripts, os.DirFS(p.shipped()))
	}
	if err == nil {
		err = s.writeScript("")
	}
	if err == nil {
		s.data, err = p.newFolder()
	}
	if err != nil {
		return nil, err
	}
	chat := p.chat("runtime", s.scripts, s.data, "--hibernate-after", o.hibernateAfter.String())
	return s.report, chat.with(ctx, func(t target) error {
		s.server = t
		return s.run(ctx, progress)
	})
}

// writeScript makes the script of the alarms another one by a comment: the server
// takes it up at once.
func (s *soak) writeScript(comment string) error {
	return os.WriteFile(filepath.Join(s.scripts, "soak.js"), []byte(soakScript+"// "+comment+"\n"), 0o644)
}

// run puts the load on the server, all of its parts at the same time, and looks at
// what the server takes meanwhile.
func (s *soak) run(ctx context.Context, progress io.Writer) error {
	s.fleet = fleet{name: s.server.name, addr: s.server.addr, tls: s.server.tls, rooms: s.rooms, received: func(*peer, int) { s.heard.Add(1) }}
	defer s.fleet.close()
	if err := s.fleet.enter(ctx, s.sockets, progress); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	if err := s.sayMuch(ctx, progress); err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	s.start = time.Now()
	if err := s.fleet.setDeadline(s.start.Add(s.runs + drainLimit)); err != nil {
		return err
	}
	stopProgress := s.tell(progress)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var parts sync.WaitGroup
	for _, part := range s.parts() {
		parts.Go(func() {
			if err := s.repeat(ctx, part); err != nil {
				cancel(err)
			}
		})
	}
	parts.Wait()
	stopProgress()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	s.report.Troubles = s.trouble.told()
	if lost := s.fleet.lost.Load(); lost > 0 {
		s.report.Troubles = append(s.report.Troubles, fmt.Sprintf("%d sockets that were to stay are lost", lost))
	}
	s.report.judge()
	return nil
}

// sayMuch says as many messages as the caches of a server take to be full: they would
// look like growth for as long as they are not. Each page of the database that a
// message touches stays in a cache, up to a bound.
func (s *soak) sayMuch(ctx context.Context, progress io.Writer) error {
	start, fast := time.Now(), 10*s.rate
	fmt.Fprintf(progress, "%s: warming up with %d messages, %.0f a second\n", s.server.name, s.warmUp, fast)
	due := func(n int) time.Duration { return time.Duration(float64(n) / fast * float64(time.Second)) }
	if err := s.fleet.setDeadline(start.Add(due(s.warmUp) + drainLimit)); err != nil {
		return err
	}
	return pace(ctx, start, 0, s.warmUp, due, func(n int, _ time.Duration) error { return s.say(ctx, n) })
}

// part is one kind of work, done again and again.
type part struct {
	name  string
	every time.Duration
	do    func(ctx context.Context, n int) error // of the n-th time; what goes wrong is a trouble
	fatal bool                                   // then it ends the soak
}

// repeat does a part until the time is over. What comes late is made up for, as long
// as there is time.
func (s *soak) repeat(ctx context.Context, p part) error {
	due := func(n int) time.Duration { return time.Duration(n+1) * p.every }
	return pace(ctx, s.start, 0, int(s.runs/p.every), due, func(n int, late time.Duration) error {
		if due(n)+late > s.runs+drainLimit/2 {
			return nil
		}
		err := p.do(ctx, n)
		if err == nil || p.fatal || ctx.Err() != nil {
			return err
		}
		s.trouble.add(p.name, err)
		return nil
	})
}

// look takes a sample.
func (s *soak) look(ctx context.Context, _ int) error {
	m, err := s.server.metrics(ctx)
	if err != nil {
		return err
	}
	one := soakSample{
		At: time.Since(s.start).Seconds(), Messages: s.sent.Load(), Heap: int64(m["go_memstats_heap_inuse_bytes"]),
		Goroutines: int(m[metricGoroutines]), Awake: int(m[metricAwake]), Wakes: int64(m["chat_wakes_total"]), ServerSockets: int(m[metricSockets]),
	}
	if one.Memory, err = residentMemory(s.server.pid); err != nil {
		return err
	}
	if one.Descriptors, err = openFiles(s.server.pid); err != nil {
		return err
	}
	if s.data != "" {
		files, err := os.ReadDir(s.data)
		if err != nil {
			return err
		}
		for _, f := range files {
			info, err := f.Info()
			if err != nil {
				continue // it is gone meanwhile
			}
			if strings.HasSuffix(f.Name(), "-wal") {
				one.WAL += info.Size()
			} else {
				one.Database += info.Size()
			}
		}
	}
	s.report.Samples = append(s.report.Samples, one)
	return nil
}

func (s *soak) tell(progress io.Writer) (stop func()) {
	return tell(progress, func() string {
		return fmt.Sprintf("%s: %.0f of %.0f s: %d messages, %d deliveries, %d troubles", s.server.name,
			time.Since(s.start).Seconds(), s.runs.Seconds(), s.sent.Load(), s.heard.Load(), s.trouble.count.Load())
	})
}

// trouble keeps what went wrong: how often, and the first few words of it.
type trouble struct {
	mu    sync.Mutex
	first []string
	count atomic.Int64
}

const maxTroubles = 10

func (t *trouble) add(what string, err error) {
	t.count.Add(1)
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.first) < maxTroubles {
		t.first = append(t.first, what+": "+err.Error())
	}
}

func (t *trouble) told() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if more := t.count.Load() - int64(len(t.first)); more > 0 {
		return append(t.first, fmt.Sprintf("and %d more", more))
	}
	return t.first
}
