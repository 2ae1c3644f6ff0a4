package main

import (
	"strings"
	"testing"
)

func TestStartMeasuresAServerWithRoomsOnDisk(t *testing.T) {
	var r startReport
	progress := runJSON(t, &r, "start", "--rooms", "30", "--starts", "2")
	if len(r.Results) != 2 || r.Results[0].Rooms != 0 || r.Results[1].Rooms != 30 || r.Filled <= 0 {
		t.Fatalf("the report is %+v", r)
	}
	for _, one := range r.Results {
		if one.Ready <= 0 || one.Worst < one.Ready || one.Memory < 1<<20 {
			t.Errorf("%+v", one)
		}
	}
	if r.Results[1].Disk <= r.Results[0].Disk || r.Results[1].First <= 0 {
		t.Errorf("the rooms take nothing: %+v", r.Results)
	}
	if !strings.Contains(progress, "start 2 of 2 with 30 rooms\n") {
		t.Errorf("the progress is\n%s", progress)
	}
}

func TestTheMedianIsTheMiddleOne(t *testing.T) {
	for _, test := range []struct {
		all  []float64
		want float64
	}{{[]float64{3}, 3}, {[]float64{3, 1, 2}, 2}, {[]float64{4, 1}, 4}} {
		if got := median(test.all); got != test.want {
			t.Errorf("of %v it is %v", test.all, got)
		}
	}
}
