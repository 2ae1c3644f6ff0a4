package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// maxSockets is what one process can have: Linux gives 28,000 ports towards one
// address, and the descriptor limit is often 20,000.
const maxSockets = 20_000

// maxRounds keeps the table readable.
const maxRounds = 5

// roomsOptions are the flags of the rooms command.
type roomsOptions struct {
	load
	rounds int
	url    string
	pid    int
	json   bool
}

func parseRooms(args []string, output io.Writer) (o roomsOptions, err error) {
	fs := newFlags("rooms", output)
	fs.IntVar(&o.Rooms, "rooms", 1000, "number of rooms")
	fs.IntVar(&o.Members, "members", 2, "sockets in each")
	fs.Float64Var(&o.Rate, "rate", 1000, "messages a second, over all rooms")
	fs.DurationVar(&o.For, "for", 10*time.Second, "how long to measure")
	fs.DurationVar(&o.WarmUp, "warm-up", 3*time.Second, "how long to put the load on before")
	fs.IntVar(&o.rounds, "rounds", 1, "how often to measure both in turn; the ratio is then of all together")
	fs.StringVar(&o.url, "url", "", "server to measure, like ws://localhost:8787; empty: the chat and the baseline, started for it")
	fs.IntVar(&o.pid, "pid", 0, "with --url: process of the server, to measure its processor time")
	fs.BoolVar(&o.json, "json", false, "print JSON instead of a table")
	if err := parse(fs, args); err != nil {
		return o, err
	}
	switch {
	case o.Rooms < 1 || o.Members < 1 || o.Rooms > maxSockets/o.Members:
		err = fmt.Errorf("--rooms and --members must be at least 1, and at most %d sockets together", maxSockets)
	case !(o.Rate > 0 && o.Rate <= 1e6):
		err = errors.New("--rate must be more than 0 and at most 1000000")
	case o.For <= 0 || o.WarmUp < 0 || o.For > time.Hour || o.WarmUp > time.Hour:
		err = errors.New("--for must be more than 0, --warm-up not less, and both at most 1h")
	case o.rounds < 1 || o.rounds > maxRounds || o.rounds > 1 && o.url != "":
		err = fmt.Errorf("--rounds must be from 1 to %d, and 1 with --url", maxRounds)
	case o.url != "" && !strings.HasPrefix(o.url, "ws://"):
		err = fmt.Errorf("--url %q: must be like ws://localhost:8787", o.url)
	case o.pid < 0 || o.pid > 0 && o.url == "":
		err = errors.New("--pid is a process, and goes with --url")
	}
	o.url = strings.TrimRight(o.url, "/")
	return o, err
}

// runRooms measures one server, or the chat and the baseline, and prints what it
// found.
func runRooms(ctx context.Context, o roomsOptions, stdout, progress io.Writer) error {
	r := report{Rooms: o.Rooms, Members: o.Members, Rate: o.Rate}
	var err error
	if o.url != "" {
		var one result
		one, err = measure(ctx, "server", o.url, o.pid, o.load, progress)
		r.Results = []result{one}
	} else {
		r.Results, err = compare(ctx, o, progress)
	}
	if err != nil {
		return err
	}
	r.relate()
	if o.json {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	return r.print(stdout)
}

// compare builds the chat and the baseline, and measures one after the other, as
// often as asked.
func compare(ctx context.Context, o roomsOptions, progress io.Writer) (results []result, err error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "chat-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	fmt.Fprintln(progress, "building")
	if err := build(ctx, root, folder, "./cmd/runtime", "./cmd/bench"); err != nil {
		return nil, err
	}
	const anyPort = "127.0.0.1:0"
	for round := range o.rounds {
		data := filepath.Join(folder, fmt.Sprintf("data-%d", round))
		for _, server := range []struct {
			name, command string
			args          []string
		}{
			{"runtime", "runtime", []string{"--addr", anyPort, "--scripts", filepath.Join(root, "scripts"), "--data", data}},
			{"baseline", "bench", []string{"baseline", "--addr", anyPort}},
		} {
			r, err := measureProcess(ctx, server.name, o.load, progress, filepath.Join(folder, server.command), server.args...)
			if err != nil {
				return nil, err
			}
			results = append(results, r)
		}
	}
	return results, nil
}

// measureProcess starts a server, measures it and stops it.
func measureProcess(ctx context.Context, name string, l load, progress io.Writer, command string, args ...string) (result, error) {
	p, err := startProcess(ctx, command, args...)
	if err != nil {
		return result{}, err
	}
	r, err := measure(ctx, name, "ws://"+p.addr, p.pid, l, progress)
	stopped := p.stop()
	if ctx.Err() == nil { // an interrupt from a terminal reaches both: then it may have ended first
		err = errors.Join(err, stopped)
	}
	return r, err
}

// report is what the rooms command prints.
type report struct {
	Rooms   int      `json:"rooms"`
	Members int      `json:"members"`
	Rate    float64  `json:"rate"`
	Results []result `json:"results"`
	Ratio   float64  `json:"cpu_ratio,omitempty"` // processor time per delivery: the first server's to the second's
}

// relate compares what took turns: results of two servers, as often each.
func (r *report) relate() {
	var cpu, deliveries [2]float64
	for i, one := range r.Results {
		cpu[i%2] += one.CPU * one.Seconds
		deliveries[i%2] += one.Deliveries * one.Seconds
	}
	if cpu[1] > 0 && deliveries[0] > 0 {
		r.Ratio = cpu[0] / deliveries[0] / (cpu[1] / deliveries[1])
	}
}

// print writes a table: a line for each measure, a column for each server.
func (r *report) print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(label, format string, value func(*result) float64) {
		fmt.Fprintf(t, "%s\t", label)
		for i := range r.Results {
			fmt.Fprintf(t, format+"\t", value(&r.Results[i]))
		}
		fmt.Fprintln(t)
	}
	fmt.Fprintf(w, "%d rooms of %d, %g messages/s\n\n", r.Rooms, r.Members, r.Rate)
	fmt.Fprint(t, "\t")
	for i := range r.Results {
		fmt.Fprintf(t, "%s\t", r.Results[i].Server)
	}
	fmt.Fprintln(t)
	row("connecting, s", "%.2f", func(r *result) float64 { return r.Connect })
	row("measured, s", "%.1f", func(r *result) float64 { return r.Seconds })
	row("messages/s", "%.0f", func(r *result) float64 { return r.Messages })
	row("deliveries/s", "%.0f", func(r *result) float64 { return r.Deliveries })
	row("deliveries missing", "%.0f", func(r *result) float64 { return float64(r.Missing) })
	row("sockets lost", "%.0f", func(r *result) float64 { return float64(r.SocketsLost) })
	row("error messages", "%.0f", func(r *result) float64 { return float64(r.Errors) })
	row("latency p50, ms", "%.2f", func(r *result) float64 { return r.P50 })
	row("latency p99, ms", "%.2f", func(r *result) float64 { return r.P99 })
	row("latency max, ms", "%.2f", func(r *result) float64 { return r.Max })
	row("load late by at most, ms", "%.2f", func(r *result) float64 { return r.SenderMaxLag })
	row("CPU of the load, cores", "%.2f", func(r *result) float64 { return r.ClientCPU })
	row("CPU of the server, cores", "%.2f", func(r *result) float64 { return r.CPU })
	row("CPU per delivery, µs", "%.1f", func(r *result) float64 { return r.CPUPerDelivery })
	if err := t.Flush(); err != nil {
		return err
	}
	if r.Ratio > 0 {
		_, err := fmt.Fprintf(w, "\nCPU per delivery, %s : %s = %.2f\n", r.Results[0].Server, r.Results[1].Server, r.Ratio)
		return err
	}
	return nil
}
