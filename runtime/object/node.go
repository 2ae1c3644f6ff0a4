package object

import (
	"context"
	"crypto/rand"
	"errors"
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oklog/ulid/v2"

	"chat.example.com.ai/runtime/cluster"
	"chat.example.com.ai/runtime/fetch"
	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/runtime/script"
	"chat.example.com.ai/runtime/socket"
	"chat.example.com.ai/store"
)

func errBroken() *script.Error {
	return script.NewError(script.OutOfServiceError, "the object is out of service: a turn of it cannot be interrupted")
}

// Outbox is told of what a turn has put into the store's outbox, or among its dead
// letters, once that is durable. It must not block.
type Outbox interface {
	Committed(store.Delivery)
	Buried(store.DeadLetter)
}

// Config of a Node.
type Config struct {
	Store          *store.Store
	Sockets        *socket.Server
	Placement      *cluster.Local
	Outbox         func(*Node) Outbox // made for the node, which delivers
	HibernateAfter time.Duration      // DefaultHibernateAfter if 0
	MaxAwake       int                // how many objects are awake at a time, as a target; 0: any number
	// AllowPrivateFetch lets scripts fetch from loopback and private addresses.
	AllowPrivateFetch bool
	Log               *slog.Logger
	Observe           Observer
}

// DefaultHibernateAfter is how long an object stays awake with nothing to do, as
// on Cloudflare.
const DefaultHibernateAfter = 10 * time.Second

// Observer is told what happens, for metrics. Functions may be nil; they are
// called from many goroutines.
type Observer struct {
	Turn        func(took time.Duration)
	ScriptError func(kind string)
}

func (o Observer) turn(took time.Duration) {
	if o.Turn != nil {
		o.Turn(took)
	}
}

func (o Observer) scriptError(kind string) {
	if o.ScriptError != nil {
		o.ScriptError(kind)
	}
}

// Stats counts what the objects of a node do.
type Stats struct {
	Awake        atomic.Int64 // objects with a VM, now
	Waiting      atomic.Int64 // objects that wait until others are asleep, now
	Wakes        atomic.Int64
	Ready        atomic.Int64 // wakes that found a VM ready
	Turns        atomic.Int64
	Events       atomic.Int64 // put into the outbox
	Calls        atomic.Int64
	RoundTrips   atomic.Int64
	Fetches      atomic.Int64 // that left, or were refused
	FetchErrors  atomic.Int64 // of them that got no response
	CommitErrors atomic.Int64
	Hung         atomic.Int64 // turns that could not be interrupted
	Alarms       atomic.Int64 // attempts
	AlarmsFailed atomic.Int64 // attempts that failed
	Scheduled    atomic.Int64 // times of $.every that came
}

const shards = 64 // of the table of objects: enough that its locks are rarely contended

// Node holds the objects of this machine: those that are awake, have sockets, or
// have something to do. It is safe for concurrent use.
type Node struct {
	config  Config
	store   *store.Store
	sockets *socket.Server
	outbox  Outbox
	log     *slog.Logger
	scripts atomic.Pointer[generation]
	stats   Stats
	workers workers
	wave    *wave
	ready   readyVMs
	places  places
	alarms  alarms
	times   schedules
	clocks  sync.WaitGroup // the goroutines of alarms and times
	fetches *fetches
	busy    atomic.Int64
	quiet   chan struct{} // told when busy is 0 while closing
	closing atomic.Bool

	seed  maphash.Seed
	table [shards]struct {
		sync.Mutex
		objects map[key.Key]*Object
	}

	idMu    sync.Mutex
	idTime  uint64
	entropy *ulid.MonotonicEntropy
}

// NewNode makes the objects' home. Close ends it.
func NewNode(set *script.Set, c Config) *Node {
	if c.HibernateAfter == 0 {
		c.HibernateAfter = DefaultHibernateAfter
	}
	n := &Node{quiet: make(chan struct{}, 1), wave: newWave(), config: c, store: c.Store, sockets: c.Sockets, log: c.Log, seed: maphash.MakeSeed(),
		idTime: uint64(c.Store.IDsFrom()), entropy: ulid.Monotonic(rand.Reader, 0)}
	n.ready.init()
	n.workers.init((*Object).run, &n.ready)
	n.fetches = newFetches(fetch.New(fetch.Options{AllowPrivate: c.AllowPrivateFetch}))
	n.places = places{limit: c.MaxAwake, after: c.HibernateAfter, waits: &n.stats.Waiting, timer: time.AfterFunc(time.Hour, n.rebalance)}
	n.places.timer.Stop()
	for i := range n.table {
		n.table[i].objects = make(map[key.Key]*Object)
	}
	n.scripts.Store(&generation{set: set, since: time.Now()})
	n.outbox = c.Outbox(n)
	go n.ready.run(n.Scripts)
	n.alarms.init(n)
	n.times.init(n)
	return n
}

// Start has alarms and $.every run, those that are overdue at once. It is called
// once at most, when the outbox has been taken up.
func (n *Node) Start() {
	n.clocks.Go(n.alarms.run)
	n.clocks.Go(n.times.run)
}

// Scripts is the set that new activations run.
func (n *Node) Scripts() *script.Set { return n.scripts.Load().set }

// Stats are the node's counters.
func (n *Node) Stats() *Stats { return &n.stats }

// Known counts the objects in memory.
func (n *Node) Known() (count int) {
	for i := range n.table {
		s := &n.table[i]
		s.Lock()
		count += len(s.objects)
		s.Unlock()
	}
	return count
}

// Exists reports whether an object is in memory, or something of it is stored.
func (n *Node) Exists(ctx context.Context, k key.Key) (bool, error) {
	s := &n.table[maphash.Comparable(n.seed, k)%shards]
	s.Lock()
	_, here := s.objects[k]
	s.Unlock()
	if here {
		return true, nil
	}
	return n.store.Known(ctx, k)
}

// Object returns the object of a key, made if it is not in memory.
func (n *Node) Object(k key.Key) *Object {
	s := &n.table[maphash.Comparable(n.seed, k)%shards]
	s.Lock()
	defer s.Unlock()
	o := s.objects[k]
	if o == nil {
		o = &Object{node: n, key: k}
		s.objects[k] = o
	}
	return o
}

// forget drops an object that has nothing left in memory. It reports false if
// something came in meanwhile.
func (n *Node) forget(o *Object) bool {
	s := &n.table[maphash.Comparable(n.seed, o.key)%shards]
	s.Lock()
	defer s.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.inbox.empty() {
		return false
	}
	o.gone, o.running = true, false
	delete(s.objects, o.key)
	return true
}

// newID returns an id that sorts after all that the node gave out before, and after
// those that the store has of nodes before it.
func (n *Node) newID() string {
	n.idMu.Lock()
	defer n.idMu.Unlock()
	n.idTime = max(n.idTime, ulid.Now())
	id, err := ulid.New(n.idTime, n.entropy)
	if errors.Is(err, ulid.ErrMonotonicOverflow) {
		n.idTime++
		id = ulid.MustNew(n.idTime, n.entropy)
	} else if err != nil {
		panic(err) // the system's source of randomness never fails on a running system
	}
	n.store.NoteID(int64(n.idTime))
	return id.String()
}

// begin and finish count what keeps the node from closing: goroutines of objects,
// and commits and fetches that they wait for.
func (n *Node) begin() { n.busy.Add(1) }

func (n *Node) finish() {
	if n.busy.Add(-1) == 0 && n.closing.Load() {
		select {
		case n.quiet <- struct{}{}:
		default:
		}
	}
}

// Close refuses what is new from other objects, timers and the outbox, ends the
// fetches that are under way, and waits
// until the objects have handled what is in their inboxes and it is durable, or
// ctx ends. Sockets and requests must have ended before.
func (n *Node) Close(ctx context.Context) error {
	n.closing.Store(true)
	n.times.cancel()
	n.alarms.cancel()
	n.clocks.Wait()
	n.fetches.close()
	n.balance()
	for {
		for n.busy.Load() != 0 {
			select {
			case <-n.quiet:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if n.forgetAll() {
			n.places.timer.Stop()
			n.workers.close()
			n.fetches.client.Close()
			n.wave.close()
			return n.ready.close(ctx)
		}
	}
}

// forgetAll ends what rests. It reports false if an object is running.
func (n *Node) forgetAll() bool {
	all := true
	for i := range n.table {
		s := &n.table[i]
		s.Lock()
		for k, o := range s.objects {
			o.mu.Lock()
			if o.running {
				all = false
			} else {
				o.gone = true
				delete(s.objects, k)
				if o.act != nil {
					o.act.end()
					o.act = nil
				}
			}
			o.mu.Unlock()
		}
		s.Unlock()
	}
	return all
}
