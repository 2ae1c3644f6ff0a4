package main

import (
	"context"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// healthzTimeout is how long an answer may take: less than what waits for this one.
const healthzTimeout = 4 * time.Second

const healthzHelp = `Asks the running program whether it serves; the exit status is 1 if it doesn't.

  runtime healthz [flags]

It takes the flags and the environment of the program itself, such as --addr.
`

// runHealthz is the command healthz: it asks the program on this machine whether it
// serves, for supervisors that have no other client at hand. It takes the flags and
// the environment of the program itself.
func runHealthz(ctx context.Context, args []string, getenv func(string) string, stdout io.Writer) error {
	o, err := parseOptions(args, getenv, io.Discard)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, healthzHelp)
	}
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(o.addr)
	if err != nil {
		return fmt.Errorf("--addr: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	scheme := "http"
	if o.tlsCert != "" {
		scheme = "https"
	}
	client := http.Client{Timeout: healthzTimeout, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // it is by another name that clients know it
	}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/healthz", nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		return fmt.Errorf("healthz: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("healthz: %s answers %s", r.URL, answer.Status)
	}
	_, err = fmt.Fprintln(stdout, "ok")
	return err
}
