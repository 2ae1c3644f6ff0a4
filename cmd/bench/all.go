package main

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// allOptions are the flags of the all command, and those of all others.
type allOptions struct {
	options
	idle          idleOptions
	fanout, rooms loadOptions
	wake          wakeOptions
	events        eventsOptions
	start         startOptions
}

// parseAll reads the flags of the all command. Those of the others are as they are
// by themselves.
func parseAll(args []string, output io.Writer) (o allOptions, err error) {
	fs := newFlags("all", output)
	o.define(fs)
	if err := parse(fs, args); err != nil {
		return o, err
	}
	if o.url != "" && o.pid == 0 {
		return o, errors.New("--url needs --pid here: memory is that of a process")
	}
	if err := o.check(); err != nil {
		return o, err
	}
	var errs [6]error
	o.idle, errs[0] = parseIdle(nil, output)
	o.fanout, errs[1] = parseFanout(nil, output)
	o.rooms, errs[2] = parseRooms(nil, output)
	o.wake, errs[3] = parseWake(nil, output)
	o.events, errs[4] = parseEvents(nil, output)
	o.start, errs[5] = parseStart(nil, output)
	o.idle.options, o.fanout.options, o.rooms.options, o.wake.options = o.options, o.options, o.options, o.options
	return o, errors.Join(errs[:]...)
}

// allReport is what the all command prints. A running server has no scripts of the
// benchmarks: then there are no Events and no Start.
type allReport struct {
	Idle   report `json:"idle"`
	Fanout report `json:"fanout"`
	Rooms  report `json:"rooms"`
	Wake   report `json:"wake"`
	Events report `json:"events,omitempty"`
	Start  report `json:"start,omitempty"`
}

// measure measures everything in turn.
func (o allOptions) measure(ctx context.Context, p *programs, progress io.Writer) (report, error) {
	r := &allReport{}
	for _, part := range []struct {
		name string
		bench
		report *report
	}{
		{"idle", o.idle, &r.Idle},
		{"fanout", o.fanout, &r.Fanout},
		{"rooms", o.rooms, &r.Rooms},
		{"wake", o.wake, &r.Wake},
		{"events", o.events, &r.Events},
		{"start", o.start, &r.Start},
	} {
		if (part.report == &r.Events || part.report == &r.Start) && p == nil {
			continue
		}
		fmt.Fprintf(progress, "== %s\n", part.name)
		var err error
		if *part.report, err = part.measure(ctx, p, progress); err != nil {
			return nil, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return r, nil
}

func (r *allReport) print(w io.Writer) error {
	for i, part := range []report{r.Idle, r.Fanout, r.Rooms, r.Wake, r.Events, r.Start} {
		if part == nil {
			continue
		}
		if i > 0 {
			fmt.Fprintln(w)
		}
		if err := part.print(w); err != nil {
			return err
		}
	}
	return nil
}
