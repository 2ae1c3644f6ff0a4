package main

import (
	"context"
	"fmt"
	"io"
	"time"
)

// pace calls do for the numbers from first up to end, each when it is due, or at
// once if that is over; do hears by how much. It ends early when do fails or ctx ends.
func pace(ctx context.Context, start time.Time, first, end int, due func(n int) time.Duration, do func(n int, late time.Duration) error) error {
	for n := first; n < end; n++ {
		if err := sleep(ctx, due(n)-time.Since(start)); err != nil {
			return err
		}
		if err := do(n, max(0, time.Since(start)-due(n))); err != nil {
			return err
		}
	}
	return nil
}

// sleep waits for d, if that is more than 0, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// poll waits until f holds, for as long as ctx allows.
func poll(ctx context.Context, every time.Duration, f func() bool) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for !f() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
	return nil
}

// tell writes a line every second for the first three, then every ten seconds, until the
// function that it returns is called. Nobody else may write meanwhile.
func tell(progress io.Writer, line func() string) (stop func()) {
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		for second := 1; ; second++ {
			select {
			case <-ended:
				return
			case <-ticker.C:
				if second <= 3 || second%10 == 0 {
					fmt.Fprintln(progress, line())
				}
			}
		}
	}()
	return func() { close(ended); <-done }
}
