package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"
)

// maxSockets is the most that a load has: each has a goroutine and a descriptor here.
const maxSockets = 20_000

// maxRounds keeps the table readable.
const maxRounds = 5

// loadOptions are the flags of the commands that put a load on a server.
type loadOptions struct {
	options
	load
	rounds int
}

// parseRooms reads the flags of a load on many small rooms.
func parseRooms(args []string, output io.Writer) (o loadOptions, err error) {
	fs := newFlags("rooms", output)
	fs.IntVar(&o.Rooms, "rooms", 1000, "number of rooms")
	fs.IntVar(&o.Members, "members", 2, "sockets in each")
	fs.Float64Var(&o.Rate, "rate", 1000, "messages a second, over all rooms")
	err = o.parse(fs, args)
	return o, err
}

// parseFanout reads the flags of a load on one large room.
func parseFanout(args []string, output io.Writer) (o loadOptions, err error) {
	fs := newFlags("fanout", output)
	o.Rooms = 1
	fs.IntVar(&o.Members, "sockets", 1000, "sockets in the room")
	fs.Float64Var(&o.Rate, "rate", 20, "messages a second, from one after the other of them")
	err = o.parse(fs, args)
	return o, err
}

func (o *loadOptions) parse(fs *flag.FlagSet, args []string) error {
	fs.DurationVar(&o.For, "for", 10*time.Second, "how long to measure")
	fs.DurationVar(&o.WarmUp, "warm-up", 3*time.Second, "how long to put the load on before")
	fs.IntVar(&o.rounds, "rounds", 1, "how often to measure both in turn; the ratio is then of all together")
	o.define(fs)
	if err := parse(fs, args); err != nil {
		return err
	}
	switch {
	case o.Rooms < 1 || o.Members < 1 || o.Rooms > maxSockets/o.Members:
		return fmt.Errorf("--rooms, --members and --sockets must be at least 1, and at most %d sockets together", maxSockets)
	case !(o.Rate > 0 && o.Rate <= 1e6):
		return errors.New("--rate must be more than 0 and at most 1000000")
	case o.For <= 0 || o.WarmUp < 0 || o.For > time.Hour || o.WarmUp > time.Hour:
		return errors.New("--for must be more than 0, --warm-up not less, and both at most 1h")
	case o.rounds < 1 || o.rounds > maxRounds || o.rounds > 1 && o.url != "":
		return fmt.Errorf("--rounds must be from 1 to %d, and 1 with --url", maxRounds)
	}
	return o.check()
}

// measure measures one server, or the chat and the baseline, one after the other,
// as often as asked.
func (o loadOptions) measure(ctx context.Context, p *programs, progress io.Writer) (report, error) {
	r := &loadReport{Rooms: o.Rooms, Members: o.Members, Rate: o.Rate}
	one := func(t target) error {
		result, err := measure(ctx, t, o.load, progress)
		r.Results = append(r.Results, result)
		return err
	}
	if p == nil {
		return r, one(o.running())
	}
	for range o.rounds {
		servers, err := p.pair()
		if err != nil {
			return nil, err
		}
		for _, s := range servers {
			if err := s.with(ctx, one); err != nil {
				return nil, err
			}
		}
	}
	r.relate()
	return r, nil
}

// loadReport is what the rooms and fanout commands print.
type loadReport struct {
	Rooms   int      `json:"rooms"`
	Members int      `json:"members"`
	Rate    float64  `json:"rate"`
	Results []result `json:"results"`
	Ratio   float64  `json:"cpu_ratio,omitempty"` // processor time per delivery: the first server's to the second's
}

// relate compares what took turns: results of two servers, as often each.
func (r *loadReport) relate() {
	var cpu, deliveries [2]float64
	for i, one := range r.Results {
		cpu[i%2] += one.CPU * one.Seconds
		deliveries[i%2] += one.Deliveries * one.Seconds
	}
	if cpu[1] > 0 && deliveries[0] > 0 {
		r.Ratio = cpu[0] / deliveries[0] / (cpu[1] / deliveries[1])
	}
}

func (r *loadReport) print(w io.Writer) error {
	title := fmt.Sprintf("%d rooms of %d, %g messages/s", r.Rooms, r.Members, r.Rate)
	if r.Rooms == 1 {
		title = fmt.Sprintf("one room of %d, %g messages/s", r.Members, r.Rate)
	}
	err := printTable(w, title, r.Results, []row[result]{
		{"", func(r *result) string { return r.Server }},
		figure("connecting, s", "%.2f", func(r *result) float64 { return r.Connect }),
		figure("measured, s", "%.1f", func(r *result) float64 { return r.Seconds }),
		figure("messages/s", "%.0f", func(r *result) float64 { return r.Messages }),
		figure("deliveries/s", "%.0f", func(r *result) float64 { return r.Deliveries }),
		figure("deliveries missing", "%.0f", func(r *result) float64 { return float64(r.Missing) }),
		figure("sockets lost", "%.0f", func(r *result) float64 { return float64(r.SocketsLost) }),
		figure("error messages", "%.0f", func(r *result) float64 { return float64(r.Errors) }),
		figure("latency p50, ms", "%.2f", func(r *result) float64 { return r.P50 }),
		figure("latency p90, ms", "%.2f", func(r *result) float64 { return r.P90 }),
		figure("latency p99, ms", "%.2f", func(r *result) float64 { return r.P99 }),
		figure("latency max, ms", "%.2f", func(r *result) float64 { return r.Max }),
		figure("load late by at most, ms", "%.2f", func(r *result) float64 { return r.SenderMaxLag }),
		figure("CPU of the load, cores", "%.2f", func(r *result) float64 { return r.ClientCPU }),
		known("CPU of the server, cores", "%.2f", func(r *result) float64 { return r.CPU }),
		known("CPU per delivery, µs", "%.1f", func(r *result) float64 { return r.CPUPerDelivery }),
	})
	if err != nil || r.Ratio <= 0 {
		return err
	}
	_, err = fmt.Fprintf(w, "\nCPU per delivery, %s : %s = %.2f\n", r.Results[0].Server, r.Results[1].Server, r.Ratio)
	return err
}
