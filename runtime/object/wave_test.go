package object

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestMemoryIsGivenBackOnceAfterAWave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var freed atomic.Int64
		w := &wave{free: func() { freed.Add(1) }}
		check := func(after time.Duration, want int64) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			if freed.Load() != want {
				t.Fatalf("freed %d times, want %d", freed.Load(), want)
			}
		}
		for range waveSize - 1 {
			w.rise()
		}
		check(time.Hour, 0) // too few
		for range 30 {      // not over yet
			w.rise()
			check(time.Second, 0)
		}
		check(waveEnd, 1)
		check(time.Hour, 1)
		for range waveSize {
			w.rise()
		}
		check(waveEnd, 2)
		for range waveSize {
			w.rise()
		}
		for range 61 { // a trickle doesn't put it off for ever
			w.rise()
			time.Sleep(time.Second)
		}
		check(waveEnd, 3)
		for range waveSize {
			w.rise()
		}
		w.close()
		check(time.Hour, 3)
	})
}
