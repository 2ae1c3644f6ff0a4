package object

import (
	"runtime/debug"
	"sync"
	"time"
)

const (
	// waveSize is from how many accepted sockets and hibernated objects on their
	// garbage is worth a collection of its own: some 30 MB of virtual machines.
	waveSize = 500
	// waveEnd is how long none of them may come for the wave to be over.
	waveEnd = 2 * time.Second
	// waveMax is how long one may last before it counts as over all the same.
	waveMax = time.Minute
)

// wave gives memory back to the system after many sockets were accepted or many
// objects have hibernated, once it is quiet. Go itself would do so after minutes,
// or, where nothing is allocated any more, never.
type wave struct {
	free func() // debug.FreeOSMemory

	mu      sync.Mutex
	size    int
	begun   time.Time
	last    time.Time
	timer   *time.Timer // nil while there is no wave
	closed  bool
	running sync.WaitGroup // of the timer's function
}

// rise notes one more.
func (w *wave) rise() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.size++; w.size < waveSize || w.closed {
		return
	}
	w.last = time.Now()
	if w.timer == nil {
		w.begun = w.last
		w.running.Add(1)
		w.timer = time.AfterFunc(waveEnd, w.look)
	}
}

// look sees whether the wave is over.
func (w *wave) look() {
	defer w.running.Done()
	w.mu.Lock()
	quiet := time.Since(w.last)
	if w.closed || quiet < waveEnd && time.Since(w.begun) < waveMax {
		if !w.closed {
			w.running.Add(1)
			w.timer = time.AfterFunc(waveEnd-quiet, w.look)
		}
		w.mu.Unlock()
		return
	}
	w.size, w.timer = 0, nil
	w.mu.Unlock()
	w.free()
}

func newWave() *wave { return &wave{free: debug.FreeOSMemory} }

// close ends it, and waits for what runs.
func (w *wave) close() {
	w.mu.Lock()
	w.closed = true
	if w.timer != nil && w.timer.Stop() {
		w.running.Done()
	}
	w.mu.Unlock()
	w.running.Wait()
}
