package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// These tests measure for as long as it takes to have something to measure; what
// they check is that it is complete, not how fast it is.

func TestRoomsComparesTheChatWithTheBaseline(t *testing.T) {
	var stdout, progress bytes.Buffer
	args := []string{"rooms", "--rooms", "5", "--members", "3", "--rate", "200", "--warm-up", "100ms", "--for", "1s", "--json"}
	if err := run(t.Context(), args, &stdout, &progress); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	var r report
	if err := json.Unmarshal(stdout.Bytes(), &r); err != nil {
		t.Fatalf("%v in\n%s", err, &stdout)
	}
	if len(r.Results) != 2 || r.Results[0].Server != "runtime" || r.Results[1].Server != "baseline" {
		t.Fatalf("the results are %+v", r.Results)
	}
	for _, one := range r.Results {
		checkComplete(t, one, 15)
	}
	if r.Results[0].CPU <= 0 {
		t.Error("the chat has used no processor time")
	}
	for _, line := range []string{"building\n", "runtime: connecting 15 sockets\n", "baseline: connecting 15 sockets\n"} {
		if !strings.Contains(progress.String(), line) {
			t.Errorf("the progress lacks %q:\n%s", line, &progress)
		}
	}
}

func TestRoomsPrintsATableOfOneServer(t *testing.T) {
	url := startBaseline(t)
	var stdout bytes.Buffer
	args := []string{"rooms", "--url", url + "/", "--rooms", "2", "--rate", "500", "--warm-up", "0s", "--for", "200ms"}
	if err := run(t.Context(), args, &stdout, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"2 rooms of 2, 500 messages/s\n", "deliveries missing       0\n", "latency p99, ms", "CPU per delivery"} {
		if !strings.Contains(stdout.String(), text) {
			t.Errorf("the table lacks %q:\n%s", text, &stdout)
		}
	}
	if strings.Contains(stdout.String(), " : ") {
		t.Errorf("there is a ratio with nothing:\n%s", &stdout)
	}
}

func TestMeasureKnowsTheProcessorTimeOfAProcess(t *testing.T) {
	l := load{Rooms: 3, Members: 2, Rate: 2000, For: 300 * time.Millisecond}
	r, err := measure(t.Context(), "self", startBaseline(t), os.Getpid(), l, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	checkComplete(t, r, 6)
	// It is the same process, read twice in a row: a tick may pass between.
	if apart := math.Abs(r.CPU-r.ClientCPU) * r.Seconds; apart > 2.5*tick.Seconds() {
		t.Errorf("as the server it used %v cores, as the client %v", r.CPU, r.ClientCPU)
	}
}

// checkComplete checks that all was sent, arrived and was timed.
func checkComplete(t *testing.T, r result, sockets int) {
	t.Helper()
	if r.Sockets != sockets || r.Missing != 0 || r.SocketsLost != 0 || r.Errors != 0 {
		t.Errorf("not all went well: %+v", r)
	}
	if r.Messages <= 0 || r.Deliveries <= 0 || r.Seconds <= 0 {
		t.Errorf("nothing was measured: %+v", r)
	}
	if !(0 < r.P50 && r.P50 <= r.P99 && r.P99 <= r.Max) {
		t.Errorf("these latencies cannot be: %+v", r)
	}
}

func TestMeasureEndsWhenItIsInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := startBaseline(t)
	cancelling := writerFunc(func(b []byte) { // the first progress line of a load that goes on for an hour
		if bytes.Contains(b, []byte("measuring")) {
			cancel()
		}
	})
	_, err := measure(ctx, "x", url, 0, load{Rooms: 1, Members: 1, Rate: 100, For: time.Hour}, cancelling)
	if err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("error %v", err)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

func TestMeasureSaysWhyItCannotConnect(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "ws://" + listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = measure(t.Context(), "nobody", url, 0, load{Rooms: 2, Members: 1, Rate: 1, For: time.Second}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "nobody: connecting: socket") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error %v", err)
	}
}

func TestTheRatioIsOfAllRoundsTogether(t *testing.T) {
	of := func(cpu, deliveries float64) result { return result{CPU: cpu, Deliveries: deliveries, Seconds: 10} }
	r := report{Results: []result{of(0.5, 1000), of(0.1, 1000), of(0.7, 2000), of(0.2, 2000)}}
	if r.relate(); math.Abs(r.Ratio-4) > 1e-9 {
		t.Errorf("1.2 cores to 0.3 for as many deliveries is %v", r.Ratio)
	}
	r = report{Results: []result{of(0.5, 1000)}}
	if r.relate(); r.Ratio != 0 {
		t.Errorf("one server has the ratio %v", r.Ratio)
	}
}

func TestWrongArgumentsAreErrors(t *testing.T) {
	for _, args := range [][]string{
		{},
		{"dance"},
		{"rooms", "more"},
		{"rooms", "--rooms", "0"},
		{"rooms", "--members", "-1"},
		{"rooms", "--rooms", "4611686018427387904", "--members", "4"},
		{"rooms", "--rate", "0"},
		{"rooms", "--rate", "NaN"},
		{"rooms", "--for", "0s"},
		{"rooms", "--warm-up", "-1s"},
		{"rooms", "--url", "http://localhost:1"},
		{"rooms", "--pid", "1"},
		{"rooms", "--url", "ws://127.0.0.1:1", "--pid", "-1"},
		{"rooms", "--rounds", "0"},
		{"rooms", "--rounds", "2", "--url", "ws://127.0.0.1:1"},
		{"baseline", "--port", "1"},
		{"baseline", "--addr", "nowhere"},
	} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q is not refused", args)
		}
	}
}

func TestAMessageIsFoundInWhatAServerMakesOfIt(t *testing.T) {
	b := &baseline{}
	data, err := b.compose(&member{&room{name: "r"}, "ann"}, []byte(content(1234)))
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := number(data); !ok || n != 1234 {
		t.Errorf("found %d, %v in %s", n, ok, data)
	}
	for _, other := range []string{``, `{"type":"welcome"}`, `{"content":"no. "}`, `{"content":"no. x"}`} {
		if n, ok := number([]byte(other)); ok {
			t.Errorf("found %d in %s", n, other)
		}
	}
}
