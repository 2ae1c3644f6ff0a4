package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if built != nil {
			if err := built.remove(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				code = 1
			}
		}
		os.Exit(code)
	}))
}

// built are the servers that most of these tests share; the first one builds them.
var built *programs

func sharedPrograms(t *testing.T) *programs {
	t.Helper()
	if built == nil {
		var err error
		if built, err = buildPrograms(t.Context(), io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	return built
}

// These tests measure for as long as it takes to have something to measure; what
// they check is that it is complete, not how fast it is.

func TestRoomsComparesTheChatWithTheBaseline(t *testing.T) {
	var stdout, progress bytes.Buffer
	args := []string{"rooms", "--rooms", "5", "--members", "3", "--rate", "200", "--warm-up", "100ms", "--for", "1s", "--json"}
	if err := run(t.Context(), args, &stdout, &progress); err != nil {
		t.Fatalf("%v\n%s", err, &progress)
	}
	var r loadReport
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
	for _, text := range []string{"2 rooms of 2, 500 messages/s ", " deliveries missing 0 ", "latency p99, ms", "CPU per delivery"} {
		if !strings.Contains(words(stdout.String()), text) {
			t.Errorf("the table lacks %q:\n%s", text, &stdout)
		}
	}
	if strings.Contains(stdout.String(), " : ") {
		t.Errorf("there is a ratio with nothing:\n%s", &stdout)
	}
}

// words are those of a text: how wide the columns of a table are is up to its figures.
func words(text string) string { return strings.Join(strings.Fields(text), " ") }

func TestFanoutComparesDeliveriesInOneRoom(t *testing.T) {
	var few []string
	for range 3 { // of which one is enough: what is late arrives after the time that is measured
		var r loadReport
		runJSON(t, &r, "fanout", "--sockets", "20", "--rate", "50", "--warm-up", "100ms", "--for", "1s")
		if r.Rooms != 1 || r.Members != 20 || len(r.Results) != 2 {
			t.Fatalf("the report is %+v", r)
		}
		enough := true
		for _, one := range r.Results {
			checkComplete(t, one, 20)
			if one.Deliveries < 15*one.Messages {
				enough = false
				few = append(few, fmt.Sprintf("%s: %v messages became %v deliveries", one.Server, one.Messages, one.Deliveries))
			}
		}
		if enough {
			return
		}
	}
	t.Error(few)
}

// runJSON runs a command with servers that it starts, and reads what it prints.
func runJSON(t *testing.T, into any, command string, flags ...string) (progress string) {
	t.Helper()
	b, err := parseBench(command, flags, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	return measureJSON(t, into, b)
}

func measureJSON(t *testing.T, into any, b bench) (progress string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	r, err := b.measure(t.Context(), sharedPrograms(t), &stderr)
	for range 2 {
		if err == nil || !strings.Contains(err.Error(), "the machine is too slow") {
			break
		}
		stderr.Reset()
		r, err = b.measure(t.Context(), sharedPrograms(t), &stderr)
	}
	if err == nil {
		err = show(&stdout, true, r)
	}
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	if err := json.Unmarshal(stdout.Bytes(), into); err != nil {
		t.Fatalf("%v in\n%s", err, &stdout)
	}
	return stderr.String()
}

func TestMeasureKnowsTheProcessorTimeOfAProcess(t *testing.T) {
	l := load{Rooms: 3, Members: 2, Rate: 2000, For: 300 * time.Millisecond}
	var said []string
	for range 3 { // of which one is enough: who reads may have to wait between
		r, err := measure(t.Context(), target{name: "self", addr: addressOf(startBaseline(t)), pid: os.Getpid()}, l, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		checkComplete(t, r, 6)
		// It is the same process, read twice in a row: a tick may pass between.
		if apart := math.Abs(r.CPU-r.ClientCPU) * r.Seconds; apart <= 2.5*tick.Seconds() {
			return
		}
		said = append(said, fmt.Sprintf("as the server it used %v cores, as the client %v", r.CPU, r.ClientCPU))
	}
	t.Error(said)
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
	server := target{name: "x", addr: addressOf(startBaseline(t))}
	cancelling := writerFunc(func(b []byte) { // the first progress line of a load that goes on for an hour
		if bytes.Contains(b, []byte("measuring")) {
			cancel()
		}
	})
	_, err := measure(ctx, server, load{Rooms: 1, Members: 1, Rate: 100, For: time.Hour}, cancelling)
	if err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("error %v", err)
	}
}

func addressOf(url string) string { return strings.TrimPrefix(url, "ws://") }

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

func TestMeasureSaysWhyItCannotConnect(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := target{name: "nobody", addr: listener.Addr().String()}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = measure(t.Context(), nobody, load{Rooms: 2, Members: 1, Rate: 1, For: time.Second}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "nobody: connecting: socket") || !strings.Contains(err.Error(), "refused") {
		t.Errorf("error %v", err)
	}
}

func TestTheRatioIsOfAllRoundsTogether(t *testing.T) {
	of := func(cpu, deliveries float64) result { return result{CPU: cpu, Deliveries: deliveries, Seconds: 10} }
	r := loadReport{Results: []result{of(0.5, 1000), of(0.1, 1000), of(0.7, 2000), of(0.2, 2000)}}
	if r.relate(); math.Abs(r.Ratio-4) > 1e-9 {
		t.Errorf("1.2 cores to 0.3 for as many deliveries is %v", r.Ratio)
	}
	r = loadReport{Results: []result{of(0.5, 1000)}}
	if r.relate(); r.Ratio != 0 {
		t.Errorf("one server has the ratio %v", r.Ratio)
	}
}

func TestWrongArgumentsAreErrorsThatSayWhichOne(t *testing.T) {
	const nobody = "ws://127.0.0.1:1"
	for _, test := range []struct {
		args []string
		says string
	}{
		{[]string{}, "usage"},
		{[]string{"dance"}, "dance"},
		{[]string{"rooms", "more"}, "more"},
		{[]string{"rooms", "--rooms", "0"}, "--rooms"},
		{[]string{"rooms", "--members", "-1"}, "--members"},
		{[]string{"rooms", "--rooms", "4611686018427387904", "--members", "4"}, "--rooms"},
		{[]string{"rooms", "--rate", "0"}, "--rate"},
		{[]string{"rooms", "--rate", "NaN"}, "--rate"},
		{[]string{"rooms", "--for", "0s"}, "--for"},
		{[]string{"rooms", "--warm-up", "-1s"}, "--warm-up"},
		{[]string{"soak", "--sockets", "10"}, "--sockets"},
		{[]string{"soak", "--rate", "1"}, "--rate"},
		{[]string{"soak", "--for", "0s"}, "--for"},
		{[]string{"soak", "--hibernate-after", "0s"}, "--hibernate-after"},
		{[]string{"soak", "--warm-up", "-1"}, "--warm-up"},
		{[]string{"soak", "--url", nobody}, "--pid"},
		{[]string{"rooms", "--url", "http://localhost:1"}, "--url"},
		{[]string{"rooms", "--url", "ws://"}, "--url"},
		{[]string{"rooms", "--url", nobody + "/ws"}, "--url"},
		{[]string{"rooms", "--pid", "1"}, "--pid"},
		{[]string{"rooms", "--url", nobody, "--pid", "-1"}, "--pid"},
		{[]string{"rooms", "--rounds", "0"}, "--rounds"},
		{[]string{"rooms", "--rounds", "2", "--url", nobody}, "--rounds"},
		{[]string{"fanout", "--sockets", "0"}, "--sockets"},
		{[]string{"fanout", "--rooms", "2"}, "-rooms"},
		{[]string{"idle", "--rooms", "0"}, "--rooms"},
		{[]string{"idle", "--rooms", "5", "--steps", "4,8"}, "--rooms"},
		{[]string{"idle", "--steps", "5000"}, "steps"},
		{[]string{"idle", "--steps", "5000,5000"}, "steps"},
		{[]string{"idle", "--steps", "1,2,3,4,5,6"}, "steps"},
		{[]string{"idle", "--steps", "5000,many"}, "steps"},
		{[]string{"idle", "--steps", "5000,1000001"}, "steps"},
		{[]string{"idle", "--rest", "0s"}, "--rest"},
		{[]string{"idle", "--settle", "-1s"}, "--settle"},
		{[]string{"idle", "--hibernate-after", "0s"}, "--hibernate-after"},
		{[]string{"idle", "--ping-interval", "-1s"}, "--ping-interval"},
		{[]string{"idle", "--url", nobody}, "--pid"},
		{[]string{"wake", "--rooms", "0"}, "--rooms"},
		{[]string{"wake", "--waves", "0"}, "--waves"},
		{[]string{"wake", "--rate", "-1"}, "--rate"},
		{[]string{"wake", "--hibernate-after", "0s"}, "--hibernate-after"},
		{[]string{"events", "--sources", "0"}, "--sources"},
		{[]string{"events", "--rate", "NaN"}, "--rate"},
		{[]string{"events", "--each", "0"}, "each"},
		{[]string{"events", "--each", "1,many"}, "each"},
		{[]string{"events", "--for", "0s"}, "--for"},
		{[]string{"events", "--url", nobody}, "-url"},
		{[]string{"start", "--rooms", "0"}, "--rooms"},
		{[]string{"start", "--starts", "0"}, "--starts"},
		{[]string{"start", "--url", nobody}, "-url"},
		{[]string{"history", "--messages", "0"}, "--messages"},
		{[]string{"history", "--pages", "0"}, "--pages"},
		{[]string{"history", "--url", nobody}, "-url"},
		{[]string{"all", "--url", nobody}, "--pid"},
		{[]string{"all", "--pid", "1"}, "--pid"},
		{[]string{"baseline", "--port", "1"}, "-port"},
		{[]string{"baseline", "--addr", "nowhere"}, "nowhere"},
	} {
		err := run(t.Context(), test.args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%q: the error is %v", test.args, err)
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
