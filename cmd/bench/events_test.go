package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestEventsAreAllHandled(t *testing.T) {
	var r eventsReport
	runJSON(t, &r, "events", "--sources", "20", "--rate", "2000", "--each", "1,10", "--warm-up", "100ms", "--for", "1s")
	if r.Sources != 20 || len(r.Results) != 2 {
		t.Fatalf("the report is %+v", r)
	}
	for i, one := range r.Results {
		if one.Each != []int{1, 10}[i] || one.Missing != 0 || one.Sent <= 0 || one.Handled <= 0 || one.CPU <= 0 || one.CPUPerEvent <= 0 || one.Turns <= 0 {
			t.Errorf("the result is %+v", one)
		}
	}
	var table bytes.Buffer
	if err := r.print(&table); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"2000 events/s of 20 sources through one handler ", " missing 0 0 ", "CPU per event, µs"} {
		if !strings.Contains(words(table.String()), text) {
			t.Errorf("the table lacks %q:\n%s", text, &table)
		}
	}
}
