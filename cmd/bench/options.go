package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/url"
)

// options are the flags of the commands. One that cannot measure a running server
// has only json.
type options struct {
	url  string
	addr string // of url, host:port; empty: servers are started
	pid  int
	json bool
}

func newFlags(command string, output io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet("bench "+command, flag.ContinueOnError)
	fs.SetOutput(output)
	return fs
}

// parse takes flags only.
func parse(fs *flag.FlagSet, args []string) error {
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: see --help", fs.Arg(0))
	}
	return nil
}

func (o *options) define(fs *flag.FlagSet) {
	fs.StringVar(&o.url, "url", "", "server to measure, like ws://localhost:8787; empty: the chat and the baseline, started for it")
	fs.IntVar(&o.pid, "pid", 0, "with --url: process of the server, to measure what it takes of the machine")
	o.defineJSON(fs)
}

func (o *options) defineJSON(fs *flag.FlagSet) {
	fs.BoolVar(&o.json, "json", false, "print JSON instead of a table")
}

func (o options) common() options { return o }

// check says what is wrong with the flags, and finds the address.
func (o *options) check() error {
	switch {
	case o.pid < 0 || o.pid > 0 && o.url == "":
		return errors.New("--pid is a process, and goes with --url")
	case o.url == "":
		return nil
	}
	u, err := url.Parse(o.url)
	if err != nil || u.Scheme != "ws" || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return fmt.Errorf("--url %q: must be like ws://localhost:8787", o.url)
	}
	if o.addr = u.Host; u.Port() == "" {
		o.addr = net.JoinHostPort(u.Hostname(), "80")
	}
	return nil
}

// running is the server at --url.
func (o *options) running() target { return target{name: "server", addr: o.addr, pid: o.pid} }

// report is what a command found.
type report interface{ print(w io.Writer) error }

// show prints a report.
func show(w io.Writer, asJSON bool, r report) error {
	if !asJSON {
		return r.print(w)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}
