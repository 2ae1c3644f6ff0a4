package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestIdleMeasuresSocketsThatDoNothing(t *testing.T) {
	var r idleReport
	progress := runJSON(t, &r, "idle", "--rooms", "7", "--steps", "20,60", "--rest", "200ms", "--settle", "50ms",
		"--hibernate-after", "50ms", "--ping-interval", "100ms", "--attended", "--tls")
	var names []string
	for _, one := range r.Results {
		names = append(names, one.Server)
	}
	if !slices.Equal(names, []string{"runtime", "pings 100ms", "attended", "TLS", "baseline"}) {
		t.Fatalf("the results are of %v", names)
	}
	for _, one := range r.Results {
		if one.Empty < 1<<20 || one.WarmedUp < one.Empty || len(one.Steps) != 2 {
			t.Fatalf("%+v", one)
		}
		for i, sockets := range []int{20, 60} {
			s := one.Steps[i]
			if s.Sockets != sockets || s.Connects <= 0 || s.Memory < 1<<20 || s.SocketsLost != 0 {
				t.Errorf("%s: %+v", one.Server, s)
			}
			if s.Descriptors < sockets || s.Descriptors > sockets+spareFiles {
				t.Errorf("%s: %d sockets are %d descriptors", one.Server, sockets, s.Descriptors)
			}
			if attended := one.Server == "attended" || one.Server == "TLS"; attended && s.Goroutines < float64(sockets) {
				t.Errorf("%s: %v goroutines for %d sockets", one.Server, s.Goroutines, sockets)
			}
			if chat := one.Server != "baseline"; chat && (s.Turns < 1 || s.Goroutines <= 0) || !chat && s.Turns+s.Goroutines != 0 {
				t.Errorf("%s: %v turns per connect, %v goroutines", one.Server, s.Turns, s.Goroutines)
			}
		}
		if want := float64(one.Steps[1].Memory-one.Steps[0].Memory) / 40; one.PerSocket != want {
			t.Errorf("%s: %v bytes per socket, not %v", one.Server, one.PerSocket, want)
		}
	}
	for _, line := range []string{"runtime: connecting 60 sockets\n", "runtime: waiting until it is at rest\n"} {
		if !strings.Contains(progress, line) {
			t.Errorf("the progress lacks %q:\n%s", line, progress)
		}
	}
}

func TestIdlePrintsATable(t *testing.T) {
	r := idleReport{Rooms: 3, Results: []idleResult{
		{Server: "runtime", Empty: 1 << 20, WarmedUp: 2 << 20, PerSocket: 456.7, Steps: []idleStep{{Sockets: 10, CPU: 0.0123, Turns: 1.5}}},
		{Server: "baseline", PerSocket: 9876.5, Steps: []idleStep{{Sockets: 10}}},
	}}
	var text bytes.Buffer
	if err := r.print(&text); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"idle sockets in 3 rooms\n",
		"runtime  baseline\n",
		"resident when empty, MiB      1.0       0.0\n",
		"10 sockets: turns per connect     1.50         -\n",
		"10 sockets: CPU, % of a core    0.012     0.000\n",
		"resident per socket, bytes      457      9876\n",
	} {
		if !strings.Contains(text.String(), line) {
			t.Errorf("the table lacks %q:\n%s", line, &text)
		}
	}
}

// The server is another process, whose limit is lowered; its own is read from the
// same file.
func TestIdleSaysWhenSocketsDontFit(t *testing.T) {
	low := exec.Command("/bin/sh", "-c", "ulimit -n 300; echo; exec sleep 60")
	out, err := low.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := low.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = low.Process.Kill()
		_ = low.Wait()
	}()
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	o := idleOptions{rooms: 1, steps: []int{10, 201}}
	_, err = o.idle(t.Context(), target{name: "x", addr: "127.0.0.1:1", pid: low.Process.Pid}, 0, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "201 sockets don't fit: the server may have 300 descriptors (ulimit -n), which is enough for 200") {
		t.Errorf("error %v", err)
	}
	if err := fits(200, "the server", low.Process.Pid); err != nil {
		t.Error(err)
	}
	if err := fits(10, "this process", os.Getpid()); err != nil {
		t.Error(err)
	}
}
