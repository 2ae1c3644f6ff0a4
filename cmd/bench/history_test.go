package main

import "testing"

func TestHistoryMeasuresAllPagesOfARoom(t *testing.T) {
	var r historyReport
	runJSON(t, &r, "history", "--messages", "1234", "--pages", "20")
	if r.Messages != 1234 || r.Disk < 100_000 || len(r.Results) != 4 {
		t.Fatalf("the report is %+v", r)
	}
	for i, kind := range []string{"all, in turn", "after", "before", "newest"} {
		one := r.Results[i]
		pages := 20
		if i == 0 {
			pages = 13
		}
		if one.Kind != kind || one.Pages != pages || one.P50 <= 0 || one.P99 < one.P50 || one.Max < one.P99 {
			t.Errorf("%+v", one)
		}
	}
}
