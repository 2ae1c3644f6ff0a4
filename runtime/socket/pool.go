package socket

import (
	"runtime"
	"sync"
)

// readSize is how much a worker reads at a time: more than a chat's message, and
// little for the number of workers.
const readSize = 16 << 10

// job is a socket to be served, and why.
type job struct {
	socket *Socket
	ready  uint8
}

// pool is the workers that serve parked sockets. Its queue is bounded by the
// sockets: each is in it once for epoll, and once because it was scheduled.
type pool struct {
	mu      sync.Mutex
	wake    sync.Cond
	jobs    []job
	head    int
	idle    int
	workers int
	max     int
	closed  bool
	running sync.WaitGroup
}

// minWorkers is how many there may be on the smallest machine: a worker that the
// kernel holds up for a moment shouldn't hold up all.
const minWorkers = 4

func (p *pool) init() {
	p.wake.L = &p.mu
	p.max = max(minWorkers, 2*runtime.GOMAXPROCS(0))
}

// push gives a job to a worker. It never blocks for long.
func (p *pool) push(j job) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.jobs = append(p.jobs, j)
	switch {
	case p.idle > 0:
		p.idle-- // here, so that the next job wakes another
		p.wake.Signal()
	case p.workers < p.max:
		p.workers++
		p.running.Go(p.work)
	}
}

// work is a worker.
func (p *pool) work() {
	buf := make([]byte, readSize)
	for {
		j, ok := p.next()
		if !ok {
			return
		}
		j.socket.handle(j.ready, buf)
	}
}

// next waits for a job. It reports false when there will be none.
func (p *pool) next() (job, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.head == len(p.jobs) {
		if p.closed {
			return job{}, false
		}
		p.idle++
		p.wake.Wait()
	}
	j := p.jobs[p.head]
	p.jobs[p.head] = job{}
	if p.head++; p.head == len(p.jobs) {
		p.head = 0
		const keep = 1024 // jobs; after a wave the memory goes
		if p.jobs = p.jobs[:0]; cap(p.jobs) > keep {
			p.jobs = nil
		}
	}
	if p.head > 64 && p.head > len(p.jobs)/2 {
		n := copy(p.jobs, p.jobs[p.head:])
		clear(p.jobs[n:])
		p.jobs, p.head = p.jobs[:n], 0
	}
	return j, true
}

// stop ends the workers, when all is done, and waits for them.
func (p *pool) stop() {
	p.mu.Lock()
	p.closed = true
	p.wake.Broadcast()
	p.mu.Unlock()
	p.running.Wait()
}
