package socket

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"
)

const (
	// DefaultMaxMessage is the largest message taken, in bytes: the limit of
	// the platform whose behaviour scripts expect.
	DefaultMaxMessage = 1 << 20
	// DefaultMaxQueued is how many bytes may wait for one slow reader: one
	// message of the largest size, or several seconds of a busy room.
	DefaultMaxQueued = 1 << 20
	// DefaultMaxHeld is how many bytes of unfinished messages are kept for all
	// sockets together: 64 of the largest at a time.
	DefaultMaxHeld = 64 << 20
	// DefaultRate and DefaultBurst are for Config.Rate and Config.Burst: more than a
	// person can type and a client of theirs says of it, and what a client that was
	// away has saved up.
	DefaultRate  = 30
	DefaultBurst = 100
	// DefaultCloseTimeout is how long a peer may take to answer a close: a few
	// round trips over a bad mobile link.
	DefaultCloseTimeout = 5 * time.Second
)

// Owner takes what a socket receives. Both methods are called in order, never
// concurrently for one socket, from a goroutine that serves other sockets too
// (Closed of a socket that never was upgraded: from within Drop). They must not
// block for long, and may call any method of the socket.
type Owner interface {
	// Message is one whole message; data belongs to the owner afterwards. The
	// next message isn't read until Owner calls s.Next.
	Message(s *Socket, text bool, data []byte)
	// Closed is called exactly once for a socket that was upgraded or dropped,
	// and is always the last. clean means that both sides sent a close frame;
	// code and reason are then the peer's (1005 if it gave none).
	Closed(s *Socket, code uint16, reason string, clean bool)
}

// Config has the limits of a Server. Zero values mean the defaults, except
// PingInterval, where zero turns pings off.
type Config struct {
	MaxMessage   int           // bytes of one received message; over it: close 1009
	MaxQueued    int           // bytes that may wait for one slow reader; over it: close 1013
	PingInterval time.Duration // silence after which a ping is sent; after twice that the peer is cut
	MaxHeld      int           // bytes of unfinished messages over all sockets; over it: close 1013
	CloseTimeout time.Duration // how long the peer may take to answer a close before it is cut
	// Rate is how many messages and pings a second a client may send for long, and
	// Burst how many at once. Over it nothing is read until it may send again, so
	// that TCP holds it up and nothing is lost. 0 is no limit. It holds for sockets
	// that count for somebody: see Upgrade.
	Rate  float64
	Burst int
	// Gone is told whom a socket counted for, when it is gone. It must not block.
	Gone func(account uint32)
	Log  *slog.Logger // connections cut for stalling or silence, at debug level; nil: none
}

// Stats are counters since the Server was made, for metrics. Open is a gauge.
type Stats struct {
	Open       int64 // sockets upgraded and not yet gone
	FramesIn   int64 // all frames, control frames included
	FramesOut  int64 // the same; a 101 counts as one
	BytesIn    int64 // on the wire, without TLS
	BytesOut   int64
	SlowClosed int64 // sockets closed with 1013 because they read too slowly
	OverBudget int64 // sockets closed with 1013 because of Config.MaxHeld
	Parked     int64 // of Open: those without a goroutine
	Delayed    int64 // times that a client was held up because of Config.Rate
	Expired    int64 // sockets closed with 1008 because who is at the other end was known for a time only
	Cut        int64 // connections cut: stalled, silent, no answer to a close, or at Shutdown
}

type counters struct {
	framesIn, framesOut, bytesIn, bytesOut, slowClosed, overBudget, parked, delayed, expired, cut atomic.Int64
}

// Server has what sockets share: limits, counters, the list of open sockets,
// the poller of the parked ones, and the ping sweep. It is safe for concurrent use.
type Server struct {
	config   Config
	start    time.Time // zero of clock
	rate     rate
	upgrader *gws.Upgrader
	request  *http.Request // what gws is shown as the handshake
	ping     *Frame
	buffers  sync.Pool // *bytes.Buffer of batchSize, to join small frames
	outputs  sync.Pool // *output, empty
	ids      atomic.Uint64
	stats    counters
	held     atomic.Int64 // bytes of unfinished messages, beyond freeHeld each

	open      sync.WaitGroup // sockets
	timers    sync.WaitGroup // of sockets, that are set or run
	stop      chan struct{}  // closed by Shutdown, ends the sweep
	sweepDone chan struct{}  // closed when the sweep has ended

	mu       sync.Mutex
	sockets  slab
	poller   *poller // nil until a socket is parked
	noPark   bool    // there can't be one
	expiries expiries
	expiring *time.Timer // for the first of expiries; nil: there is none
	closing  bool
}

// NewServer makes a Server. It must be ended with Shutdown.
func NewServer(config Config) *Server {
	if config.MaxMessage <= 0 {
		config.MaxMessage = DefaultMaxMessage
	}
	if config.MaxQueued <= 0 {
		config.MaxQueued = DefaultMaxQueued
	}
	if config.MaxHeld <= 0 {
		config.MaxHeld = DefaultMaxHeld
	}
	if config.CloseTimeout <= 0 {
		config.CloseTimeout = DefaultCloseTimeout
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	srv := &Server{
		config:    config,
		start:     time.Now(),
		rate:      newRate(config.Rate, config.Burst),
		upgrader:  newUpgrader(config.MaxMessage),
		request:   cannedRequest(),
		ping:      encode(opPing, nil),
		stop:      make(chan struct{}),
		sweepDone: make(chan struct{}),
	}
	srv.buffers.New = func() any { return bytes.NewBuffer(make([]byte, 0, batchSize)) }
	srv.outputs.New = func() any { return new(output) }
	if config.PingInterval > 0 {
		go srv.sweepLoop()
	} else {
		close(srv.sweepDone)
	}
	return srv
}

// New makes a socket in state Connecting: sends, and a close, wait in its
// queue for the 101. It must end in Upgrade or Drop. tags must be distinct, and
// at most 60,000 bytes together.
func (srv *Server) New(owner Owner, tags []string) *Socket {
	memory := remember(tags)
	return &Socket{id: srv.ids.Add(1), server: srv, owner: owner, memory: memory, tags: uint16(len(memory)), fd: -1}
}

// Len is the number of sockets upgraded and not yet gone.
func (srv *Server) Len() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.sockets.used
}

// Stats reads the counters. They are read one by one, not at one instant.
func (srv *Server) Stats() Stats {
	c := &srv.stats
	return Stats{
		Open:       int64(srv.Len()),
		FramesIn:   c.framesIn.Load(),
		FramesOut:  c.framesOut.Load(),
		BytesIn:    c.bytesIn.Load(),
		BytesOut:   c.bytesOut.Load(),
		SlowClosed: c.slowClosed.Load(),
		OverBudget: c.overBudget.Load(),
		Parked:     c.parked.Load(),
		Delayed:    c.delayed.Load(),
		Expired:    c.expired.Load(),
		Cut:        c.cut.Load(),
	}
}

// Shutdown closes every socket with 1001 "going away" and waits until all are
// gone. When ctx ends first it cuts the rest and returns ctx's error. After it
// no goroutine of this package is left, and Upgrade returns ErrShutdown. It
// may be called again and by several at once.
func (srv *Server) Shutdown(ctx context.Context) error {
	srv.mu.Lock()
	if !srv.closing {
		srv.closing = true
		close(srv.stop)
		srv.watchExpiries() // ends it
	}
	var open []*Socket
	for n, more := 0, true; more; n++ {
		open, more = srv.sockets.chunk(n, open)
	}
	srv.mu.Unlock()
	<-srv.sweepDone

	for _, s := range open {
		s.Close(CodeGoingAway, ReasonGoingAway)
	}
	gone := make(chan struct{})
	go func() {
		srv.open.Wait()
		srv.timers.Wait()
		close(gone)
	}()
	var err error
	select {
	case <-gone:
	case <-ctx.Done():
		for _, s := range open {
			s.cut("shutdown")
		}
		<-gone
		err = ctx.Err()
	}
	srv.mu.Lock()
	poller := srv.poller // an upgrade may have made it meanwhile
	srv.mu.Unlock()
	if poller != nil {
		poller.close()
	}
	return err
}

// clock is the time since the Server was made: small, monotonic, atomic.
func (srv *Server) clock() int64 { return int64(time.Since(srv.start)) }

// add lists the socket, which is about to be connected. It reports false once
// Shutdown was called.
func (srv *Server) add(s *Socket) bool {
	s.mu.Lock()
	expires := s.expiresAt()
	s.mu.Unlock()
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.closing {
		return false
	}
	s.place = srv.sockets.add(s)
	srv.open.Add(1)
	if expires != never {
		srv.expireAt(expires, s.place)
	}
	return true
}

// count notes whom a listed socket counts for.
func (srv *Server) count(s *Socket, account uint32) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.sockets.slot(s.place.index).account = account
}

// remove takes the socket off the list. Nothing is to be done for it after that.
func (srv *Server) remove(s *Socket) {
	srv.mu.Lock()
	account := srv.sockets.remove(s.place)
	srv.mu.Unlock()
	if account != 0 && srv.config.Gone != nil {
		srv.config.Gone(account)
	}
	srv.open.Done()
}

// park returns the poller of parked sockets, started if it is the first; nil where
// there is none, and sockets are attended.
func (srv *Server) park() *poller {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if srv.poller == nil && !srv.noPark {
		poller, err := newPoller(srv)
		if err != nil {
			srv.noPark = true
			srv.config.Log.Warn("sockets cannot be parked, each has a goroutine", "error", err)
			return nil
		}
		srv.poller = poller
	}
	return srv.poller
}
