package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// Limits of a measurement.
const (
	connectLimit = 5 * time.Minute  // for all sockets to be connected and greeted
	drainLimit   = 10 * time.Second // for what was sent to arrive, after the last one was due
)

// target is a server that is measured.
type target struct {
	name string // in the progress and in the table
	addr string // host:port
	pid  int    // 0 is unknown
	tls  bool   // with a certificate that nobody has to know
}

// cpuTime is the processor time of a server so far; 0 if its process is unknown.
func (t target) cpuTime() (time.Duration, error) {
	if t.pid == 0 {
		return 0, nil
	}
	return cpuTime(t.pid)
}

// load is what a server is measured with.
type load struct {
	Rooms   int           // each with Members sockets
	Members int           // of each room
	Rate    float64       // messages a second, over all rooms
	WarmUp  time.Duration // of the same load, before the measuring begins
	For     time.Duration // the measuring
}

// result is what was measured.
type result struct {
	Server         string  `json:"server"`
	Sockets        int     `json:"sockets"`
	Connect        float64 `json:"connect_seconds"`
	Seconds        float64 `json:"seconds"`               // that were measured
	Messages       float64 `json:"messages_per_second"`   // taken by the connections
	Deliveries     float64 `json:"deliveries_per_second"` // that arrived
	Missing        int64   `json:"missing"`               // deliveries that never arrived
	SocketsLost    int64   `json:"sockets_lost"`          // that the server closed
	Errors         int64   `json:"errors"`                // that the server answered with
	P50            float64 `json:"latency_p50_ms"`        // from when a message was due to each arrival
	P90            float64 `json:"latency_p90_ms"`        //
	P99            float64 `json:"latency_p99_ms"`        //
	Max            float64 `json:"latency_max_ms"`        //
	CPU            float64 `json:"cpu_cores"`             // of the server; 0 is unknown
	CPUPerDelivery float64 `json:"cpu_us_per_delivery"`   // of the server; 0 is unknown
	ClientCPU      float64 `json:"client_cpu_cores"`      // of this process
	SenderMaxLag   float64 `json:"sender_max_lag_ms"`     // how late the load itself was
}

// trial is one measurement as it runs.
type trial struct {
	load
	fleet     fleet
	start     time.Time
	first     int // number of the first message that is measured
	end       int // number after the last
	sent      atomic.Int64
	arrived   atomic.Int64 // of all messages
	counted   atomic.Int64 // of the measured ones
	latencies histogram    // of the measured ones
}

// mark is how things stood at one moment.
type mark struct {
	at            time.Time
	sent, arrived int64
	server        time.Duration // processor time
	client        time.Duration
}

// measure puts the load on a server, and tells every second how it goes. An
// error means that nothing was measured; what went wrong in the measuring (lost
// sockets, missing deliveries) is in the result.
func measure(ctx context.Context, server target, l load, progress io.Writer) (result, error) {
	t := &trial{load: l}
	t.first = int(l.Rate * l.WarmUp.Seconds())
	t.end = t.first + max(1, int(l.Rate*l.For.Seconds()))
	t.fleet = fleet{name: server.name, addr: server.addr, rooms: l.Rooms, received: t.received}
	defer t.fleet.close()
	r := result{Server: server.name, Sockets: l.Rooms * l.Members}

	begin := time.Now()
	if err := t.fleet.enter(ctx, r.Sockets, progress); err != nil {
		return r, fmt.Errorf("%s: connecting: %w", server.name, err)
	}
	r.Connect = time.Since(begin).Seconds()

	t.start = time.Now()
	if err := t.fleet.setDeadline(t.start.Add(t.due(t.end) + drainLimit)); err != nil {
		return r, err
	}
	stopProgress := t.report(server.name, progress)
	from, to, lag, err := t.send(ctx, server)
	if err == nil {
		err = t.fleet.drain(ctx, func() bool { return t.arrived.Load() >= t.sent.Load()*int64(t.Members) })
	}
	stopProgress()
	if err != nil {
		return r, fmt.Errorf("%s: %w", server.name, err)
	}
	r.SenderMaxLag = milliseconds(lag)
	t.evaluate(&r, from, to)
	return r, nil
}

// due is when message n is to be sent, after the start.
func (t *trial) due(n int) time.Duration {
	return time.Duration(float64(n) / t.Rate * float64(time.Second))
}

// received takes an arrival of message n, in the goroutine of its reader.
func (t *trial) received(_ *peer, n int) {
	t.arrived.Add(1)
	if n >= t.first && n < t.end {
		t.latencies.add(time.Since(t.start) - t.due(n))
		t.counted.Add(1)
	}
}

// send sends every message when it is due, or at once if it is late. It returns
// how things stood when the first measured one was due and after the last, and
// by how much the latest of the measured was late.
func (t *trial) send(ctx context.Context, server target) (from, to mark, lag time.Duration, err error) {
	err = pace(ctx, t.start, 0, t.end, t.due, func(n int, late time.Duration) error {
		if n == t.first {
			var err error
			if from, err = t.mark(server); err != nil {
				return err
			}
		} else if n > t.first {
			lag = max(lag, late)
		}
		if t.fleet.send(n) {
			t.sent.Add(1)
		}
		return nil
	})
	if err == nil {
		err = sleep(ctx, time.Until(t.start.Add(t.due(t.end))))
	}
	if err == nil {
		to, err = t.mark(server)
	}
	return from, to, lag, err
}

func (t *trial) mark(server target) (m mark, err error) {
	m.sent, m.arrived = t.sent.Load(), t.arrived.Load()
	if m.server, err = server.cpuTime(); err != nil {
		return m, err
	}
	m.client, err = cpuTime(os.Getpid())
	m.at = time.Now()
	return m, err
}

func (t *trial) evaluate(r *result, from, to mark) {
	seconds := to.at.Sub(from.at).Seconds()
	arrived := to.arrived - from.arrived
	r.Seconds = seconds
	r.Messages = float64(to.sent-from.sent) / seconds
	r.Deliveries = float64(arrived) / seconds
	r.Missing = max(0, int64(t.end-t.first)*int64(t.Members)-t.counted.Load())
	r.SocketsLost = t.fleet.lost.Load()
	r.Errors = t.fleet.errors.Load()
	r.P50 = milliseconds(t.latencies.percentile(0.50))
	r.P90 = milliseconds(t.latencies.percentile(0.90))
	r.P99 = milliseconds(t.latencies.percentile(0.99))
	r.Max = milliseconds(t.latencies.max())
	r.CPU = (to.server - from.server).Seconds() / seconds
	r.ClientCPU = (to.client - from.client).Seconds() / seconds
	if arrived > 0 {
		r.CPUPerDelivery = (to.server - from.server).Seconds() * 1e6 / float64(arrived)
	}
}

// report tells every second how far it is, until the function that it returns is
// called.
func (t *trial) report(name string, progress io.Writer) (stop func()) {
	var sent, arrived int64
	return tell(progress, func() string {
		phase := "measuring"
		s, a := t.sent.Load(), t.arrived.Load()
		if s < int64(t.first) {
			phase = "warming up"
		}
		line := fmt.Sprintf("%s: %s, %.0f s: %d messages, %d deliveries in the last second",
			name, phase, time.Since(t.start).Seconds(), s-sent, a-arrived)
		sent, arrived = s, a
		return line
	})
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
