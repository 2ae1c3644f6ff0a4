package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
)

// A short soak does all that a long one does; whether two seconds are flat is left
// to chance.
func TestSoakPutsEverythingOnTheServerAtOnce(t *testing.T) {
	var r soakReport
	progress := runJSON(t, &r, "soak", "--rooms", "5", "--sockets", "10", "--rate", "120", "--for", "3s", "--hibernate-after", "50ms", "--warm-up", "300")
	if len(r.Samples) != soakSamples || len(r.Verdicts) != len(soakMeasures) || len(r.Troubles) > 0 {
		t.Fatalf("the report is %+v\n%s", r, progress)
	}
	if !strings.Contains(progress, "runtime: warming up with 300 messages, 1200 a second\n") {
		t.Errorf("the progress is\n%s", progress)
	}
	first, last := r.Samples[0], r.Samples[soakSamples-1]
	if last.Messages < 600 || last.Wakes-first.Wakes < 100 || last.ServerSockets < 10 || last.Database+last.WAL <= first.Database+first.WAL {
		t.Errorf("at first %+v, at last %+v", first, last)
	}
	for _, s := range r.Samples {
		if s.Memory < 1<<20 || s.Heap <= 0 || s.Goroutines <= 0 || s.Descriptors <= 10 {
			t.Errorf("a sample is %+v", s)
		}
	}
}

func TestSoakTellsWhatGrows(t *testing.T) {
	grow := func(f func(i int, s *soakSample)) *soakReport {
		r := &soakReport{}
		for i := range soakSamples {
			s := soakSample{Messages: int64(i * 100), Memory: 50 << 20, Heap: 15 << 20, Goroutines: 40, Descriptors: 200, WAL: 8 << 20, Database: int64(i * 100_000)}
			s.Memory += int64(i%7) << 20 // until the next collection
			f(i, &s)
			r.Samples = append(r.Samples, s)
		}
		r.judge()
		return r
	}
	for _, c := range []struct {
		what string
		f    func(i int, s *soakSample)
	}{
		{"", func(int, *soakSample) {}},
		{"", func(i int, s *soakSample) { s.Memory += int64(min(i, 20)) << 20 }}, // the warm-up
		{"", func(i int, s *soakSample) { s.Goroutines += 300 * (i % 10 / 9) }},  // a crowd now and then
		{"resident memory", func(i int, s *soakSample) { s.Memory += int64(i) << 19 }},
		{"heap in use", func(i int, s *soakSample) { s.Heap += int64(i) << 19 }},
		{"goroutines", func(i int, s *soakSample) { s.Goroutines += i }},
		{"descriptors", func(i int, s *soakSample) { s.Descriptors += i }},
		{"write-ahead log", func(i int, s *soakSample) { s.WAL += int64(i) << 20 }},
	} {
		r := grow(c.f)
		err := r.failed()
		if c.what == "" {
			if err != nil || r.BytesPerMessage != 1000 {
				t.Errorf("flat, and yet: %v; %v bytes a message", err, r.BytesPerMessage)
			}
			continue
		}
		if err == nil || strings.Count(err.Error(), "not flat") != 1 || !strings.Contains(err.Error(), "not flat: "+c.what) {
			t.Errorf("%s grows, and the error is %v", c.what, err)
		}
	}
	r := grow(func(int, *soakSample) {})
	r.Troubles = []string{"a visit: not greeted"}
	if err := r.failed(); err == nil || !strings.Contains(err.Error(), "a visit: not greeted") {
		t.Errorf("trouble is no error: %v", err)
	}
	if err := (&soakReport{}).failed(); err == nil {
		t.Error("nothing is flat")
	}
}

// failing is a command whose server leaks.
type failing struct{ options }

func (failing) measure(context.Context, *programs, io.Writer) (report, error) {
	r := &soakReport{}
	for i := range 9 {
		r.Samples = append(r.Samples, soakSample{At: float64(i), Goroutines: 100 * i})
	}
	r.judge()
	return r, nil
}

func TestWhatIsNotFlatIsPrintedAndAnError(t *testing.T) {
	var stdout bytes.Buffer
	err := perform(t.Context(), failing{options{url: "ws://x"}}, &stdout, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "not flat: goroutines: 400.0, then 700.0 (+300.0, at most +30.0)") {
		t.Errorf("error %v", err)
	}
	for _, text := range []string{"resident, MiB", "goroutines: 400.0, then 700.0 (+300.0, at most +30.0): NOT FLAT", "descriptors: 0.0, then 0.0 (+0.0, at most +10.0): flat"} {
		if !strings.Contains(stdout.String(), text) {
			t.Errorf("the table lacks %q:\n%s", text, &stdout)
		}
	}
}
