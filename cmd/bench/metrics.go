package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What the chat says of itself at /metrics.
const (
	metricAwake      = "chat_objects_awake"
	metricSockets    = "chat_sockets"
	metricTurns      = "chat_turns_total"
	metricGoroutines = "go_goroutines"
)

const (
	requestTimeout = 30 * time.Second // for a page
	asleepLimit    = 2 * time.Minute  // until all objects hibernate
	asleepEvery    = 100 * time.Millisecond
)

// page gets a page of a server, over a connection of its own; f reads it if its
// status is 200.
func (t target) page(ctx context.Context, path string, f func(*http.Response) error) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	scheme := "http://"
	if t.tls {
		scheme = "https://"
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+t.addr+path, nil)
	if err != nil {
		return 0, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: anyCertificate()}}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK {
		err = f(response)
	}
	return response.StatusCode, err
}

// metrics reads what a server says of itself: the figures without labels. They are
// none if it has no such page, as the baseline.
func (t target) metrics(ctx context.Context) (map[string]float64, error) {
	var figures map[string]float64
	status, err := t.page(ctx, "/metrics", func(r *http.Response) error {
		figures = map[string]float64{}
		lines := bufio.NewScanner(r.Body)
		for lines.Scan() {
			name, text, _ := strings.Cut(lines.Text(), " ")
			if value, err := strconv.ParseFloat(text, 64); err == nil && name != "#" {
				figures[name] = value
			}
		}
		return lines.Err()
	})
	if err == nil && status != http.StatusOK && status != http.StatusNotFound {
		err = fmt.Errorf("the server answers %d", status)
	}
	if err != nil {
		return nil, fmt.Errorf("/metrics: %w", err)
	}
	return figures, nil
}

// fallAsleep waits until all objects of a server hibernate and it has no more
// sockets than given. It reports whether the server says so: one without metrics
// has nothing to wait for.
func (t target) fallAsleep(ctx context.Context, sockets float64) (asleep bool, err error) {
	limited, cancel := context.WithTimeout(ctx, asleepLimit)
	defer cancel()
	var m map[string]float64
	waited := poll(limited, asleepEvery, func() bool {
		m, err = t.metrics(ctx)
		return err != nil || m == nil || m[metricAwake] == 0 && m[metricSockets] <= sockets
	})
	switch {
	case err != nil:
		return false, err
	case errors.Is(waited, context.DeadlineExceeded) && ctx.Err() == nil:
		return false, fmt.Errorf("after %v there are still %g objects awake and %g sockets: is somebody else using it?",
			asleepLimit, m[metricAwake], m[metricSockets])
	}
	return m != nil, waited
}
