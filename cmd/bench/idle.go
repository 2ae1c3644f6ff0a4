package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Limits of the idle command.
const (
	maxIdle     = 1_000_000 // sockets, if the descriptors allow
	maxSteps    = 5         // keep the table readable
	spareFiles  = 100       // descriptors that a process has besides sockets: data, scripts, listeners, handshakes
	maxIdleTime = time.Hour
)

// idleScript is a room that does what the figures say: each socket has a tag and
// an attachment of 40 bytes as it is stored, which is JSON.
const idleScript = `import { DO } from 'dotdo'

export default DO.extend({
  $type: 'Room',

  onRequest() {
    this.app.get('/ws/:room', () => {
      const [client, server] = Object.values(new WebSocketPair())
      this.ctx.acceptWebSocket(server, ['here'])
      server.serializeAttachment('x'.repeat(38))
      return new Response(null, { status: 101, webSocket: client })
    })
  },

  webSocketMessage(ws, data) {
    ws.send(data)
  },
})
`

// idleOptions are the flags of the idle command.
type idleOptions struct {
	options
	rooms          int
	steps          []int // sockets, ever more
	rest           time.Duration
	settle         time.Duration
	hibernateAfter time.Duration
	pingInterval   time.Duration
	tls            bool
	attended       bool
}

func parseIdle(args []string, output io.Writer) (o idleOptions, err error) {
	fs := newFlags("idle", output)
	o.steps = []int{5000, 15000}
	fs.IntVar(&o.rooms, "rooms", 1500, "number of rooms that the sockets are in")
	fs.Func("steps", "numbers of `sockets` to measure at, ever more (default 5000,15000)", func(s string) error {
		o.steps, err = parseSteps(s)
		return err
	})
	fs.DurationVar(&o.rest, "rest", 30*time.Second, "how long to watch the processor at each step")
	fs.DurationVar(&o.settle, "settle", 5*time.Second, "how long a server has to come to rest before")
	fs.DurationVar(&o.hibernateAfter, "hibernate-after", time.Second, "for the chat that is started: how long a room stays awake")
	fs.DurationVar(&o.pingInterval, "ping-interval", 30*time.Second, "for the chat that is started a second time: how often it pings; 0 is not at all")
	fs.BoolVar(&o.tls, "tls", false, "measure the chat over TLS too")
	fs.BoolVar(&o.attended, "attended", false, "measure the chat too as it is where there is no epoll, with a goroutine for each socket")
	o.define(fs)
	if err := parse(fs, args); err != nil {
		return o, err
	}
	switch {
	case o.rooms < 1 || o.rooms > o.steps[0]:
		err = errors.New("--rooms must be at least 1, and at most the sockets of the first step")
	case o.rest <= 0 || o.settle < 0 || o.rest > maxIdleTime || o.settle > maxIdleTime:
		err = errors.New("--rest must be more than 0, --settle not less, and both at most 1h")
	case o.hibernateAfter <= 0 || o.hibernateAfter > time.Minute:
		err = errors.New("--hibernate-after must be more than 0 and at most 1m")
	case o.pingInterval < 0 || o.pingInterval > maxIdleTime:
		err = errors.New("--ping-interval must be from 0 to 1h")
	case o.url != "" && (o.tls || o.attended):
		err = errors.New("--tls and --attended are for servers that are started here")
	case o.url != "" && o.pid == 0:
		err = errors.New("--url needs --pid here: memory is that of a process")
	default:
		err = o.check()
	}
	return o, err
}

func parseSteps(s string) (steps []int, err error) {
	for text := range strings.SplitSeq(s, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxIdle || len(steps) > 0 && n <= steps[len(steps)-1] {
			return nil, fmt.Errorf("must be numbers from 1 to %d, ever more, like 5000,15000", maxIdle)
		}
		steps = append(steps, n)
	}
	if len(steps) < 2 || len(steps) > maxSteps {
		return nil, fmt.Errorf("must be from 2 to %d: what a socket takes is the difference", maxSteps)
	}
	return steps, nil
}

// idleReport is what the idle command prints.
type idleReport struct {
	Rooms   int          `json:"rooms"`
	Results []idleResult `json:"results"`
}

// idleResult is what was measured of one server. Memory is resident, in bytes.
type idleResult struct {
	Server    string     `json:"server"`
	Empty     int64      `json:"memory_empty"`
	WarmedUp  int64      `json:"memory_warmed_up"` // after sockets came, talked and left
	Steps     []idleStep `json:"steps"`
	PerSocket float64    `json:"memory_per_socket"` // from the first step to the last
}

// idleStep is a server with so many sockets.
type idleStep struct {
	Sockets     int     `json:"sockets"`
	Connects    float64 `json:"connects_per_second"`
	Turns       float64 `json:"turns_per_connect,omitempty"` // 0 is unknown
	Memory      int64   `json:"memory"`
	CPU         float64 `json:"cpu_percent"`          // of one core, at rest
	Goroutines  float64 `json:"goroutines,omitempty"` // 0 is unknown
	Descriptors int     `json:"descriptors"`
	SocketsLost int64   `json:"sockets_lost"`
}

// measure measures one server; or the chat without pings and with them, attended and
// over TLS if that is asked for, and the baseline.
func (o idleOptions) measure(ctx context.Context, p *programs, progress io.Writer) (report, error) {
	r := &idleReport{Rooms: o.rooms}
	one := func(rest time.Duration) func(target) error {
		return func(t target) error {
			result, err := o.idle(ctx, t, rest, progress)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			r.Results = append(r.Results, result)
			return nil
		}
	}
	if p == nil {
		return r, one(o.rest)(o.running())
	}
	scripts, err := p.script(idleScript)
	if err != nil {
		return nil, err
	}
	chat := func(name, binary string, pings time.Duration, flags ...string) error {
		data, err := p.newFolder()
		if err != nil {
			return err
		}
		rest := o.rest
		if pings > 0 { // the same number of pings for each socket, whenever it starts
			rest = (rest + pings - 1) / pings * pings
		}
		flags = append(flags, "--hibernate-after", o.hibernateAfter.String(), "--ping-interval", pings.String())
		s := p.chat(name, scripts, data, flags...)
		if binary != "" {
			s.command = binary
		}
		return s.with(ctx, one(rest))
	}
	if err := chat("runtime", "", 0); err != nil {
		return nil, err
	}
	if o.pingInterval > 0 {
		if err := chat(fmt.Sprintf("pings %v", o.pingInterval), "", o.pingInterval); err != nil {
			return nil, err
		}
	}
	if o.attended {
		binary, err := p.attendedBinary(ctx)
		if err != nil {
			return nil, err
		}
		if err := chat("attended", binary, 0); err != nil {
			return nil, err
		}
	}
	if o.tls {
		folder, err := p.newFolder()
		if err != nil {
			return nil, err
		}
		cert, key, err := writeCertificate(folder)
		if err != nil {
			return nil, err
		}
		if err := chat("TLS", "", 0, "--tls-cert", cert, "--tls-key", key); err != nil {
			return nil, err
		}
	}
	return r, p.baseline().with(ctx, one(o.rest))
}

// idle measures one server.
func (o idleOptions) idle(ctx context.Context, t target, rest time.Duration, progress io.Writer) (r idleResult, err error) {
	r.Server = t.name
	most := o.steps[len(o.steps)-1]
	if err := errors.Join(fits(most, "this process", os.Getpid()), fits(most, "the server", t.pid)); err != nil {
		return r, err
	}
	if r.Empty, err = residentMemory(t.pid); err != nil {
		return r, err
	}
	if err := o.warmUp(ctx, t, progress); err != nil {
		return r, fmt.Errorf("warming up: %w", err)
	}
	if r.WarmedUp, err = residentMemory(t.pid); err != nil {
		return r, err
	}
	f := o.fleet(t)
	defer f.close()
	for _, sockets := range o.steps {
		step, err := o.step(ctx, t, f, sockets, rest, progress)
		if err != nil {
			return r, err
		}
		r.Steps = append(r.Steps, step)
	}
	first, last := r.Steps[0], r.Steps[len(r.Steps)-1]
	r.PerSocket = float64(last.Memory-first.Memory) / float64(last.Sockets-first.Sockets)
	return r, nil
}

// fits says if a process cannot have so many sockets.
func fits(sockets int, name string, pid int) error {
	limit, err := maxFiles(pid)
	if err == nil && sockets > limit-spareFiles {
		err = fmt.Errorf("%d sockets don't fit: %s may have %d descriptors (ulimit -n), which is enough for %d",
			sockets, name, limit, max(0, limit-spareFiles))
	}
	return err
}

func (o idleOptions) fleet(t target) *fleet {
	return &fleet{name: t.name, addr: t.addr, tls: t.tls, rooms: o.rooms, received: func(*peer, int) {}}
}

// warmUp lets the sockets of the first step come, say something, hear it, and go:
// then the heap, stacks and buffers of the server have grown once.
func (o idleOptions) warmUp(ctx context.Context, t target, progress io.Writer) error {
	before, err := t.metrics(ctx)
	if err != nil {
		return err
	}
	f := o.fleet(t)
	defer f.close()
	var heard atomic.Int64
	f.received = func(p *peer, n int) {
		if n == p.number { // others of its room are heard too, if the server is a chat
			heard.Add(1)
		}
	}
	sockets := o.steps[0]
	if err := f.connect(ctx, sockets, progress); err != nil {
		return err
	}
	stopProgress := tell(progress, func() string {
		return fmt.Sprintf("%s: warming up: %d of %d sockets have heard themselves", t.name, heard.Load(), sockets)
	})
	err = f.setDeadline(time.Now().Add(connectLimit))
	for n := 0; n < sockets && err == nil && ctx.Err() == nil; n++ {
		f.send(n)
	}
	if err == nil {
		err = f.drain(ctx, func() bool { return heard.Load() >= int64(sockets) })
	}
	stopProgress()
	if err == nil && heard.Load() < int64(sockets) {
		err = fmt.Errorf("of %d messages only %d were heard by their senders", sockets, heard.Load())
	}
	if err != nil {
		return err
	}
	f.close()
	return o.calm(ctx, t, before[metricSockets], progress)
}

// calm waits until a server hibernates, and a little longer.
func (o idleOptions) calm(ctx context.Context, t target, sockets float64, progress io.Writer) error {
	fmt.Fprintf(progress, "%s: waiting until it is at rest\n", t.name)
	if _, err := t.fallAsleep(ctx, sockets); err != nil {
		return err
	}
	return sleep(ctx, o.settle)
}

// step connects until there are so many sockets, and watches the server rest.
func (o idleOptions) step(ctx context.Context, t target, f *fleet, sockets int, rest time.Duration, progress io.Writer) (s idleStep, err error) {
	s.Sockets = sockets
	had := len(f.peers)
	before, err := t.metrics(ctx)
	if err != nil {
		return s, err
	}
	begin := time.Now()
	if err := f.connect(ctx, sockets, progress); err != nil {
		return s, err
	}
	s.Connects = float64(sockets-had) / time.Since(begin).Seconds()
	after, err := t.metrics(ctx)
	if err != nil {
		return s, err
	}
	s.Turns = (after[metricTurns] - before[metricTurns]) / float64(sockets-had)
	if err := o.calm(ctx, t, before[metricSockets]+float64(sockets-had), progress); err != nil {
		return s, err
	}
	if s.CPU, err = watch(ctx, t, rest, progress); err != nil {
		return s, err
	}
	if s.Memory, err = residentMemory(t.pid); err != nil {
		return s, err
	}
	if s.Descriptors, err = openFiles(t.pid); err != nil {
		return s, err
	}
	if after, err = t.metrics(ctx); err != nil {
		return s, err
	}
	s.Goroutines = after[metricGoroutines]
	s.SocketsLost = f.lost.Load()
	return s, nil
}

// watch does nothing, and returns the percentage of one core that the server
// takes meanwhile.
func watch(ctx context.Context, t target, d time.Duration, progress io.Writer) (float64, error) {
	before, err := threadTimes(t.pid)
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	stopProgress := tell(progress, func() string {
		return fmt.Sprintf("%s: at rest for %.0f s of %v", t.name, time.Since(begin).Seconds(), d)
	})
	err = sleep(ctx, d)
	stopProgress()
	if err != nil {
		return 0, err
	}
	after, err := threadTimes(t.pid)
	return 100 * between(before, after).Seconds() / time.Since(begin).Seconds(), err
}

func (r *idleReport) print(w io.Writer) error {
	rows := []row[idleResult]{
		{"", func(r *idleResult) string { return r.Server }},
		figure("resident when empty, MiB", "%.1f", func(r *idleResult) float64 { return mebibytes(r.Empty) }),
		figure("resident after the warm-up, MiB", "%.1f", func(r *idleResult) float64 { return mebibytes(r.WarmedUp) }),
	}
	for i, step := range r.Results[0].Steps {
		at := func(label string) string { return fmt.Sprintf("%d sockets: %s", step.Sockets, label) }
		rows = append(rows,
			figure(at("connects/s"), "%.0f", func(r *idleResult) float64 { return r.Steps[i].Connects }),
			known(at("turns per connect"), "%.2f", func(r *idleResult) float64 { return r.Steps[i].Turns }),
			figure(at("resident, MiB"), "%.1f", func(r *idleResult) float64 { return mebibytes(r.Steps[i].Memory) }),
			figure(at("CPU, % of a core"), "%.3f", func(r *idleResult) float64 { return r.Steps[i].CPU }),
			known(at("goroutines"), "%.0f", func(r *idleResult) float64 { return r.Steps[i].Goroutines }),
			figure(at("descriptors"), "%.0f", func(r *idleResult) float64 { return float64(r.Steps[i].Descriptors) }),
			figure(at("lost"), "%.0f", func(r *idleResult) float64 { return float64(r.Steps[i].SocketsLost) }),
		)
	}
	rows = append(rows, figure("resident per socket, bytes", "%.0f", func(r *idleResult) float64 { return r.PerSocket }))
	return printTable(w, fmt.Sprintf("idle sockets in %d rooms", r.Rooms), r.Results, rows)
}
