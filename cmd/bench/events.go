package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Limits of the events command.
const (
	maxSources    = 100_000
	maxEach       = 1000
	sourcesAtOnce = 32 // requests that have them begin
	// sourcesPerSecond is how many are sure to begin within a second.
	sourcesPerSecond = 500
	// afterwards is how long sources go on when the measuring has ended, however late it did.
	afterwards = time.Second
	// eventsDrain is how long the last events have to reach their handler.
	eventsDrain = time.Minute
)

// eventsScript has sources that send events by a timer of their own, so no load
// from outside is in the figures, and a handler that counts. A source begins at a
// moment of its own, makes up for a timer that came late as far as it can, and ends by
// itself.
const eventsScript = `import { $, DO } from 'dotdo'

export default DO.extend({
  $type: 'Source',

  onRequest() {
    this.app.post('/begin/:source', (c) => {
      const { each, every, from, until } = c.req.query()
      let due = +from
      const wait = () => {
        if (due < +until) setTimeout(send, Math.max(due - Date.now(), +every / 2))
      }
      const send = () => {
        for (let i = 0; i < +each; i++) $.send('Tick.sent', { i })
        due += +every
        wait()
      }
      wait()
      return c.text('ok')
    })
  },
})

let counted = 0
$.on.Tick.sent(() => {
  counted++
})
`

// eventsOptions are the flags of the events command.
type eventsOptions struct {
	options
	sources int
	rate    float64
	each    []int
	warmUp  time.Duration
	during  time.Duration
}

func parseEvents(args []string, output io.Writer) (o eventsOptions, err error) {
	fs := newFlags("events", output)
	o.each = []int{1, 20}
	fs.IntVar(&o.sources, "sources", 1000, "objects that send events")
	fs.Float64Var(&o.rate, "rate", 20_000, "events a second, of all sources together")
	fs.Func("each", "events of a turn; `numbers` to measure one after the other (default 1,20)", func(s string) error {
		o.each = nil
		for text := range strings.SplitSeq(s, ",") {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || n > maxEach || len(o.each) == maxRounds {
				return fmt.Errorf("must be %d numbers at most, from 1 to %d, like 1,20", maxRounds, maxEach)
			}
			o.each = append(o.each, n)
		}
		return nil
	})
	fs.DurationVar(&o.warmUp, "warm-up", 3*time.Second, "how long events are sent before")
	fs.DurationVar(&o.during, "for", 10*time.Second, "how long to measure")
	o.defineJSON(fs)
	if err := parse(fs, args); err != nil {
		return o, err
	}
	switch {
	case o.sources < 1 || o.sources > maxSources:
		err = fmt.Errorf("--sources must be from 1 to %d", maxSources)
	case !(o.rate > 0 && o.rate <= 1e6):
		err = errors.New("--rate must be more than 0 and at most 1000000")
	case o.during <= 0 || o.warmUp < 0 || o.during > time.Hour || o.warmUp > time.Hour:
		err = errors.New("--for must be more than 0, --warm-up not less, and both at most 1h")
	}
	return o, err
}

// eventsReport is what the events command prints.
type eventsReport struct {
	Sources int            `json:"sources"`
	Rate    float64        `json:"rate"`
	Results []eventsResult `json:"results"`
}

// eventsResult is what was measured with so many events of a turn.
type eventsResult struct {
	Each        int     `json:"each"`
	Seconds     float64 `json:"seconds"`
	Sent        float64 `json:"sent_per_second"`    // rows that were committed
	Handled     float64 `json:"handled_per_second"` // by the handler
	Waiting     float64 `json:"waiting"`            // between the two when the measuring ended
	Missing     float64 `json:"missing"`            // not handled after that either
	CPU         float64 `json:"cpu_cores"`
	CPUPerEvent float64 `json:"cpu_us_per_event"`
	Turns       float64 `json:"turns_per_event"`
}

func (o eventsOptions) measure(ctx context.Context, p *programs, progress io.Writer) (report, error) {
	r := &eventsReport{Sources: o.sources, Rate: o.rate}
	scripts, err := p.script(eventsScript)
	if err != nil {
		return nil, err
	}
	for _, each := range o.each {
		data, err := p.newFolder()
		if err != nil {
			return nil, err
		}
		err = p.chat("runtime", scripts, data).with(ctx, func(t target) error {
			one, err := o.events(ctx, t, each, progress)
			r.Results = append(r.Results, one)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return r, nil
}

// events has the sources send, so many events of each turn, and measures.
func (o eventsOptions) events(ctx context.Context, t target, each int, progress io.Writer) (r eventsResult, err error) {
	r.Each = each
	every := float64(o.sources) * float64(each) / o.rate * 1000 // milliseconds between the turns of a source
	fmt.Fprintf(progress, "%d sources begin, each with %d events in %g ms\n", o.sources, each, every)
	begin := time.Now().Add(time.Second + time.Duration(o.sources)*time.Second/sourcesPerSecond)
	from, until := float64(begin.UnixMilli()), begin.Add(o.warmUp+o.during+afterwards).UnixMilli()
	err = o.post(ctx, t, func(i int) string {
		return fmt.Sprintf("begin/source-%d?each=%d&every=%g&from=%.0f&until=%d", i, each, every, from+every*float64(i)/float64(o.sources), until)
	})
	if err == nil && time.Now().After(begin) {
		err = errors.New("the machine is too slow: the first sources began before the last ones were told to")
	}
	if err == nil {
		err = sleep(ctx, time.Until(begin)+o.warmUp)
	}
	if err != nil {
		return r, err
	}
	before, err := o.figures(ctx, t)
	if err != nil {
		return r, err
	}
	if err := sleep(ctx, o.during); err != nil {
		return r, err
	}
	after, err := o.figures(ctx, t)
	if err != nil {
		return r, err
	}
	r.Seconds = after.at.Sub(before.at).Seconds()
	r.Sent = (after.sent - before.sent) / r.Seconds
	r.Handled = (after.handled - before.handled) / r.Seconds
	r.Waiting = max(0, after.sent-after.handled) // the two are not of the same moment
	cpu := (after.cpu - before.cpu).Seconds()
	r.CPU = cpu / r.Seconds
	if handled := after.handled - before.handled; handled > 0 {
		r.CPUPerEvent = cpu / handled * 1e6
		r.Turns = (after.turns - before.turns) / handled
	}
	fmt.Fprintf(progress, "the sources end, and what is on its way arrives\n")
	if err := sleep(ctx, afterwards); err != nil {
		return r, err
	}
	limited, cancel := context.WithTimeout(ctx, eventsDrain)
	defer cancel()
	_ = poll(limited, asleepEvery, func() bool { // what is missing then is told
		after, err = o.figures(ctx, t)
		return err != nil || after.handled >= after.sent
	})
	r.Missing = after.sent - after.handled
	return r, errors.Join(err, ctx.Err())
}

// eventFigures are what a server has counted up to a moment.
type eventFigures struct {
	at                   time.Time
	cpu                  time.Duration
	sent, handled, turns float64
}

func (o eventsOptions) figures(ctx context.Context, t target) (f eventFigures, err error) {
	m, err := t.metrics(ctx)
	if err != nil {
		return f, err
	}
	f.at = time.Now()
	f.sent, f.handled, f.turns = m["chat_events_total"], m["chat_deliveries_total"], m[metricTurns]
	f.cpu, err = t.cpuTime()
	return f, err
}

// post makes a request of each source.
func (o eventsOptions) post(ctx context.Context, t target, path func(source int) string) error {
	var made atomic.Int64
	return postEach(ctx, o.sources, &made, sourcesAtOnce, func(ctx context.Context, client *http.Client, i int) error {
		return post(ctx, client, fmt.Sprintf("http://%s/%s", t.addr, path(i)))
	})
}

func (r *eventsReport) print(w io.Writer) error {
	title := fmt.Sprintf("%g events/s of %d sources through one handler", r.Rate, r.Sources)
	return printTable(w, title, r.Results, []row[eventsResult]{
		figure("events of a turn", "%.0f", func(r *eventsResult) float64 { return float64(r.Each) }),
		figure("measured, s", "%.1f", func(r *eventsResult) float64 { return r.Seconds }),
		figure("sent and stored, 1/s", "%.0f", func(r *eventsResult) float64 { return r.Sent }),
		figure("handled, 1/s", "%.0f", func(r *eventsResult) float64 { return r.Handled }),
		figure("waiting at the end", "%.0f", func(r *eventsResult) float64 { return r.Waiting }),
		figure("missing", "%.0f", func(r *eventsResult) float64 { return r.Missing }),
		figure("turns per event", "%.2f", func(r *eventsResult) float64 { return r.Turns }),
		figure("CPU of the server, cores", "%.2f", func(r *eventsResult) float64 { return r.CPU }),
		figure("CPU per event, µs", "%.1f", func(r *eventsResult) float64 { return r.CPUPerEvent }),
	})
}
