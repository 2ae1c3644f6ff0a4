package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestPercentilesAreCloseAndNeverTooLow(t *testing.T) {
	var h histogram
	random := rand.New(rand.NewPCG(1, 2))
	var all []time.Duration
	for range 10_000 {
		d := time.Duration(math.Exp(random.Float64() * 25)) // up to a minute, most of them short
		all = append(all, d)
		h.add(d)
	}
	slices.Sort(all)
	for _, p := range []float64{0.001, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[int(math.Ceil(p*float64(len(all))))-1]
		if got := h.percentile(p); got < want || float64(got) > float64(want)*1.016+1 {
			t.Errorf("percentile %v is %v, not %v", p, got, want)
		}
	}
	if h.max() != all[len(all)-1] {
		t.Errorf("the longest is %v, not %v", h.max(), all[len(all)-1])
	}
}

func TestHistogramTakesEveryDuration(t *testing.T) {
	var h histogram
	if h.percentile(0.5) != 0 || h.max() != 0 {
		t.Error("an empty histogram has a duration")
	}
	for _, d := range []time.Duration{-1, 0, 1, 63, 64, 127, 128, 129, math.MaxInt64} {
		h.add(d)
		if b := bucketOf(max(d, 0)); d > upper(b) || b > 0 && d <= upper(b-1) && d > 0 {
			t.Errorf("%d is in bucket %d, which ends at %d", d, b, upper(b))
		}
	}
	if h.percentile(1) != math.MaxInt64 {
		t.Errorf("the longest is %v", h.percentile(1))
	}
}
