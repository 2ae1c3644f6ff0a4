package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"sync/atomic"
	"time"
)

// maxWaves is how often all rooms can be woken.
const maxWaves = 100

// wakeOptions are the flags of the wake command.
type wakeOptions struct {
	options
	rooms          int
	waves          int
	rate           float64
	hibernateAfter time.Duration
}

func parseWake(args []string, output io.Writer) (o wakeOptions, err error) {
	fs := newFlags("wake", output)
	fs.IntVar(&o.rooms, "rooms", 500, "number of rooms, with a socket in each")
	fs.IntVar(&o.waves, "waves", 3, "how often each room is woken and measured, after a first time that is not")
	fs.Float64Var(&o.rate, "rate", 100, "rooms to wake a second")
	fs.DurationVar(&o.hibernateAfter, "hibernate-after", time.Second, "for the chat that is started: how long a room stays awake")
	o.define(fs)
	if err := parse(fs, args); err != nil {
		return o, err
	}
	switch {
	case o.rooms < 1 || o.rooms > maxSockets:
		err = fmt.Errorf("--rooms must be from 1 to %d", maxSockets)
	case o.waves < 1 || o.waves > maxWaves:
		err = fmt.Errorf("--waves must be from 1 to %d", maxWaves)
	case !(o.rate > 0 && o.rate <= 1e6):
		err = errors.New("--rate must be more than 0 and at most 1000000")
	case o.hibernateAfter <= 0 || o.hibernateAfter > time.Minute:
		err = errors.New("--hibernate-after must be more than 0 and at most 1m")
	default:
		err = o.check()
	}
	return o, err
}

// wakeReport is what the wake command prints.
type wakeReport struct {
	Rooms   int          `json:"rooms"`
	Waves   int          `json:"waves"`
	Rate    float64      `json:"rate"`
	Results []wakeResult `json:"results"`
}

// wakeResult is what was measured of one server.
type wakeResult struct {
	Server       string  `json:"server"`
	Asleep       float64 `json:"asleep"` // messages to rooms that were asleep
	Heard        int     `json:"heard"`  // messages that came back to their senders
	Missing      int     `json:"missing"`
	SocketsLost  int64   `json:"sockets_lost"`
	P50          float64 `json:"latency_p50_ms"` // from when a message was sent until its sender heard it
	P90          float64 `json:"latency_p90_ms"`
	P99          float64 `json:"latency_p99_ms"`
	Max          float64 `json:"latency_max_ms"`
	SenderMaxLag float64 `json:"sender_max_lag_ms"`  // how late the load itself was
	CPU          float64 `json:"cpu_us_per_message"` // of the server; 0 is unknown
}

func (o wakeOptions) measure(ctx context.Context, p *programs, progress io.Writer) (report, error) {
	r := &wakeReport{Rooms: o.rooms, Waves: o.waves, Rate: o.rate}
	one := func(t target) error {
		result, err := o.wake(ctx, t, progress)
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		r.Results = append(r.Results, result)
		return nil
	}
	if p == nil {
		return r, one(o.running())
	}
	servers, err := p.pair("--hibernate-after", o.hibernateAfter.String())
	if err != nil {
		return nil, err
	}
	for _, s := range servers {
		if err := s.with(ctx, one); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// waking is one measurement as it runs. Message n is the one to room n%rooms in
// wave n/rooms.
type waking struct {
	wakeOptions
	server    target
	fleet     fleet
	begin     time.Time
	sent      []atomic.Int64 // when each message was, in ns after begin
	heard     atomic.Int64   // in all waves
	latencies histogram      // of the measured waves
}

// wake puts one socket into each room. Then, wave by wave, it waits until all
// rooms are asleep and sends each a message: whatever else wakes up, a message
// finds its room asleep. Times count from the sending: no server can delay that, as
// each message has a socket of its own, and a timer's lateness of up to a
// millisecond would be most of it.
func (o wakeOptions) wake(ctx context.Context, t target, progress io.Writer) (wakeResult, error) {
	w := &waking{wakeOptions: o, server: t, begin: time.Now(), sent: make([]atomic.Int64, (1+o.waves)*o.rooms)}
	w.fleet = fleet{name: t.name, addr: t.addr, rooms: o.rooms, received: w.received}
	defer w.fleet.close()
	r := wakeResult{Server: t.name}
	if err := w.fleet.enter(ctx, o.rooms, progress); err != nil {
		return r, fmt.Errorf("connecting: %w", err)
	}
	var lag, used time.Duration
	for wave := range 1 + o.waves {
		fmt.Fprintf(progress, "%s: wave %d of %d: waiting until all rooms are asleep\n", t.name, wave, o.waves)
		asleep, err := t.fallAsleep(ctx, math.Inf(1))
		if err != nil {
			return r, err
		}
		late, cpu, err := w.wave(ctx, wave, progress)
		if err != nil {
			return r, err
		}
		if wave == 0 {
			continue // memory has grown, caches are full
		}
		lag, used = max(lag, late), used+cpu
		if asleep {
			r.Asleep += float64(o.rooms)
		}
	}
	r.Heard = int(w.latencies.total.Load())
	r.Missing = o.waves*o.rooms - r.Heard
	r.SocketsLost = w.fleet.lost.Load()
	r.P50 = milliseconds(w.latencies.percentile(0.50))
	r.P90 = milliseconds(w.latencies.percentile(0.90))
	r.P99 = milliseconds(w.latencies.percentile(0.99))
	r.Max = milliseconds(w.latencies.max())
	r.SenderMaxLag = milliseconds(lag)
	r.CPU = float64(used.Microseconds()) / float64(o.waves*o.rooms)
	return r, nil
}

// wave sends a message to every room and waits until all were heard. It returns by
// how much the load was late, and the processor time of the server.
func (w *waking) wave(ctx context.Context, wave int, progress io.Writer) (lag, cpu time.Duration, err error) {
	before, err := w.server.cpuTime()
	if err != nil {
		return 0, 0, err
	}
	heard := w.heard.Load()
	stopProgress := tell(progress, func() string {
		return fmt.Sprintf("%s: wave %d: %d of %d rooms have answered", w.server.name, wave, w.heard.Load()-heard, w.rooms)
	})
	start := time.Now()
	err = w.fleet.setDeadline(start.Add(w.due(w.rooms) + drainLimit))
	if err == nil {
		err = pace(ctx, start, 0, w.rooms, w.due, func(n int, late time.Duration) error {
			lag = max(lag, late)
			n += wave * w.rooms
			w.sent[n].Store(int64(time.Since(w.begin)))
			w.fleet.send(n) // one that is not taken is missing
			return nil
		})
	}
	if err == nil {
		err = w.fleet.drain(ctx, func() bool { return w.heard.Load()-heard >= int64(w.rooms) })
	}
	stopProgress()
	if err != nil {
		return 0, 0, err
	}
	after, err := w.server.cpuTime()
	return lag, after - before, err
}

// due is when room n is woken, after the start of its wave.
func (w *waking) due(n int) time.Duration {
	return time.Duration(float64(n) / w.rate * float64(time.Second))
}

// received takes an arrival, in the goroutine of its reader.
func (w *waking) received(_ *peer, n int) {
	if n >= len(w.sent) {
		return // not one of ours
	}
	if n >= w.rooms {
		w.latencies.add(time.Since(w.begin) - time.Duration(w.sent[n].Load()))
	}
	w.heard.Add(1)
}

func (r *wakeReport) print(w io.Writer) error {
	title := fmt.Sprintf("%d sleeping rooms, each woken %d times, %g a second", r.Rooms, r.Waves, r.Rate)
	return printTable(w, title, r.Results, []row[wakeResult]{
		{"", func(r *wakeResult) string { return r.Server }},
		known("messages to sleeping rooms", "%.0f", func(r *wakeResult) float64 { return r.Asleep }),
		figure("heard", "%.0f", func(r *wakeResult) float64 { return float64(r.Heard) }),
		figure("missing", "%.0f", func(r *wakeResult) float64 { return float64(r.Missing) }),
		figure("sockets lost", "%.0f", func(r *wakeResult) float64 { return float64(r.SocketsLost) }),
		figure("latency p50, ms", "%.2f", func(r *wakeResult) float64 { return r.P50 }),
		figure("latency p90, ms", "%.2f", func(r *wakeResult) float64 { return r.P90 }),
		figure("latency p99, ms", "%.2f", func(r *wakeResult) float64 { return r.P99 }),
		figure("latency max, ms", "%.2f", func(r *wakeResult) float64 { return r.Max }),
		figure("load late by at most, ms", "%.2f", func(r *wakeResult) float64 { return r.SenderMaxLag }),
		known("CPU per message, µs", "%.0f", func(r *wakeResult) float64 { return r.CPU }),
	})
}
