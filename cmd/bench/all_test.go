package main

import (
	"bytes"
	"context"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fewOf makes the measurements of the all command so small that a test can wait
// for them.
func fewOf(o allOptions) allOptions {
	o.idle.rooms, o.idle.steps = 2, []int{4, 8}
	o.idle.rest, o.idle.settle, o.idle.pingInterval = 100*time.Millisecond, 0, 0
	for _, l := range []*load{&o.fanout.load, &o.rooms.load} {
		l.Rate, l.WarmUp, l.For = 100, 0, 300*time.Millisecond
	}
	o.fanout.Members, o.rooms.Rooms = 5, 3
	o.wake.rooms, o.wake.waves = 3, 1
	o.idle.hibernateAfter, o.wake.hibernateAfter = 50*time.Millisecond, 50*time.Millisecond
	o.events.sources, o.events.rate, o.events.warmUp, o.events.during = 5, 1000, 0, 300*time.Millisecond
	o.start.rooms, o.start.starts = 5, 1
	return o
}

func TestAllMeasuresEverythingInTurn(t *testing.T) {
	o, err := parseAll(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Idle          idleReport
		Fanout, Rooms loadReport
		Wake          wakeReport
		Events        eventsReport
		Start         startReport
	}
	measureJSON(t, &r, fewOf(o))
	if len(r.Idle.Results) != 2 || len(r.Fanout.Results) != 2 || len(r.Rooms.Results) != 2 || len(r.Wake.Results) != 2 || len(r.Events.Results) != 2 || len(r.Start.Results) != 2 {
		t.Errorf("the report is %+v", r)
	}
}

func TestAllMeasuresARunningServer(t *testing.T) {
	servers, err := sharedPrograms(t).pair("--hibernate-after", "50ms")
	if err != nil {
		t.Fatal(err)
	}
	err = servers[0].with(t.Context(), func(s target) error {
		o, err := parseAll([]string{"--url", "ws://" + s.addr, "--pid", strconv.Itoa(s.pid)}, io.Discard)
		if err != nil {
			return err
		}
		var stdout bytes.Buffer
		if err := perform(t.Context(), fewOf(o), &stdout, io.Discard); err != nil {
			return err
		}
		for _, title := range []string{"idle sockets in 2 rooms\n", "one room of 5, 100 messages/s\n", "3 rooms of 2, 100 messages/s\n", "3 sleeping rooms, each woken 1 times"} {
			if !strings.Contains(stdout.String(), title) {
				t.Errorf("the table lacks %q:\n%s", title, &stdout)
			}
		}
		if strings.Contains(stdout.String(), "on disk") {
			t.Errorf("a running server was started:\n%s", &stdout)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAnInterruptEndsAll(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var interrupted time.Time
	interrupting := writerFunc(func(b []byte) { // it would be at rest for half a minute
		if bytes.Contains(b, []byte("at rest for ")) {
			interrupted = time.Now()
			cancel()
		}
	})
	err := run(ctx, []string{"idle", "--rooms", "1", "--steps", "1,2", "--settle", "0s", "--hibernate-after", "10ms"}, io.Discard, interrupting)
	if err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("error %v", err)
	}
	if took := time.Since(interrupted); took > 20*time.Second {
		t.Errorf("it took %v", took)
	}
}
