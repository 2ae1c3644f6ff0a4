package main_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"
)

// floodedBound is what a round trip of others may take while one room is flooded,
// 99 of 100 times, on a machine that does nothing else. Where others have the
// processors too, an idle program has slow round trips already, and each of the steps
// of one may be as slow.
const floodedBound = 50 * time.Millisecond

// A room is flooded by many, who mention somebody each time, so that the handler and
// the one who is told are flooded too. In other rooms nobody notices.
func TestOneRoomIsFlooded(t *testing.T) {
	const tries = 3
	var said []string
	for try := range tries {
		before, during := floodOneRoom(t, fmt.Sprint("try ", try))
		if during <= floodedBound+4*before {
			return
		}
		said = append(said, fmt.Sprintf("%v after %v", during, before))
	}
	if raceOptions == "" {
		t.Errorf("p99 of the others: %v; want %v", said, floodedBound)
	}
}

// floodVariable has the address of the program that TestFloodFromOutside floods, and
// the path that it asks for if that is with requests.
const floodVariable = "CHAT_TEST_FLOOD"

// floodFromOutside floods a room, or a path with requests, from a process of its own:
// those who measure are not to wait for those who flood in a process that they share.
func (p *program) floodFromOutside(t *testing.T, path string) (stop func()) {
	t.Helper()
	flood := exec.Command(os.Args[0], "-test.run=^TestFloodFromOutside$", "-test.v")
	flood.Env = append(os.Environ(), floodVariable+"="+p.addr+path)
	out := newOutput(t)
	flood.Stdout, flood.Stderr = out.file, os.Stderr
	end, err := flood.StdinPipe()
	if err == nil {
		err = flood.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := out.waitFor("flooding", p.done); !ok {
		t.Fatalf("no flood: %s", out)
	}
	return func() {
		_ = end.Close()
		if err := flood.Wait(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}

// TestFloodFromOutside is the other process of floodFromOutside.
func TestFloodFromOutside(t *testing.T) {
	addr := os.Getenv(floodVariable)
	if addr == "" {
		return
	}
	addr, path, requests := strings.Cut(addr, "/")
	p := &program{t: t, addr: addr}
	if requests {
		stop := p.floodWithRequests("/"+path, eager)
		fmt.Println("flooding")
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is closed
		stop()
		return
	}
	f := p.flood(1, 100, "@victim and what one says in a chat, which is no book")
	fmt.Println("flooding")
	_, _ = io.Copy(io.Discard, os.Stdin) // until it is closed
	f.stop()
	f.hangUp()
}

// floodOneRoom returns p99 of the round trips in other rooms, before and during a flood.
func floodOneRoom(t *testing.T, name string) (p99Before, p99 time.Duration) {
	t.Run(name, func(t *testing.T) {
		p := start(t, programOptions{scripts: hastyWith(t, nil)})
		metric := p.scraper()
		p.connect("/users/victim/inbox")
		const others = 10
		var probes []*probe
		for i := range others {
			probes = append(probes, p.probe(t, fmt.Sprint("quiet", i), 50*time.Millisecond))
		}
		began := time.Now()
		<-time.After(2 * time.Second)
		stop := p.floodFromOutside(t, "")
		flooded := time.Now()
		turns, frames := metric("chat_turns_total"), metric("chat_frames_out_total")
		<-time.After(4 * time.Second)
		ended := time.Now()
		turns, frames = metric("chat_turns_total")-turns, metric("chat_frames_out_total")-frames
		stop()
		var before, during []time.Duration
		for _, each := range probes {
			each.end() // with the round trip that it may wait for, however long that takes
			before = append(before, each.between(began, flooded)...)
			during = append(during, each.between(flooded.Add(500*time.Millisecond), ended)...)
		}
		slices.Sort(before)
		slices.Sort(during)
		if len(during) < others {
			t.Errorf("%d round trips of %d others", len(during), others)
		}
		p99Before, p99 = quantile(before, 0.99), quantile(during, 0.99)
		took := ended.Sub(flooded).Seconds()
		t.Logf("%.0f turns and %.0f frames a second", turns/took, frames/took)
		t.Logf("others: %d round trips before, median %v, p99 %v; %d during, median %v, p99 %v, worst %v", len(before), quantile(before, 0.5), p99Before,
			len(during), quantile(during, 0.5), p99, quantile(during, 1))
	})
	return p99Before, p99
}
