package main

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"
)

// Every power of two is divided into 64 buckets: a percentile is at most 1.6 %
// above the true one, whatever it is, in 30 KB.
const (
	bucketBits = 6
	perDouble  = 1 << bucketBits
	buckets    = (64 - bucketBits) * perDouble
)

// histogram counts durations. Add may be called from any goroutine; the zero
// value is ready.
type histogram struct {
	counts [buckets]atomic.Int64
	total  atomic.Int64
	most   atomic.Int64
}

func bucketOf(d time.Duration) int {
	shift := max(0, bits.Len64(uint64(d))-bucketBits-1)
	return shift*perDouble + int(d>>shift)
}

// upper is the longest duration of a bucket.
func upper(bucket int) time.Duration {
	shift := max(0, bucket/perDouble-1)
	return time.Duration((uint64(bucket-shift*perDouble)+1)<<shift - 1)
}

// add counts one duration; a negative one counts as 0.
func (h *histogram) add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(d)].Add(1)
	h.total.Add(1)
	for {
		most := h.most.Load()
		if int64(d) <= most || h.most.CompareAndSwap(most, int64(d)) {
			return
		}
	}
}

// max is the longest duration, exactly; 0 if there is none.
func (h *histogram) max() time.Duration { return time.Duration(h.most.Load()) }

// percentile is the duration that p of 1 are not longer than; 0 if there is none.
func (h *histogram) percentile(p float64) time.Duration {
	left := int64(math.Ceil(p * float64(h.total.Load())))
	for i := range h.counts {
		if left -= h.counts[i].Load(); left <= 0 {
			return min(upper(i), h.max())
		}
	}
	return h.max()
}
