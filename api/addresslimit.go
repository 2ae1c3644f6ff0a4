package api

import (
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"chat.example.com.ai/runtime/key"
)

// Defaults of AddressLimits. Behind one address may be an office or a mobile
// network: they are for those, and far from what one machine can do harm with.
const (
	DefaultHandshakes = 256
	DefaultSockets    = 2000
	DefaultNames      = 120
)

// AddressLimits are what one address may have; of IPv6, one /64. 0 is any number.
type AddressLimits struct {
	// Handshakes are connections that have neither become a socket nor had a
	// response yet. Together with its sockets, and with connections that are kept
	// for further requests, an address has at most Handshakes plus Sockets.
	Handshakes int
	Sockets    int
	// Names are names that no object is known by, a minute: each costs a virtual
	// machine, and perhaps rows. A minute's worth can be used at once. A name counts
	// as it is asked for, whether or not the object keeps anything.
	Names int
	// Loopback has the limits hold for the machine's own addresses too.
	Loopback bool
}

// AddressLimit keeps addresses within their limits. Its methods are safe for
// concurrent use. It must be ended with Close.
//
// It knows the addresses that have connections, which the limit of open files
// bounds, and at most maxDebts that asked for new names.
type AddressLimit struct {
	limits  AddressLimits
	proxies Proxies

	mu    sync.Mutex
	known map[netip.Addr]*address
	byID  []*address // by account, which counts from 1; nil: free
	free  []uint32
	conns map[net.Conn]*address // connections that are no sockets
	kept  map[net.Conn]bool     // of them: those that had a response
	asked debts[netip.Addr]     // for new names

	handshakes, sockets, names episode
}

// address is what is known of one that has connections.
type address struct {
	addr       netip.Addr
	account    uint32
	handshakes int
	kept       int // connections that had a response
	sockets    int
}

// NewAddressLimit makes the limit of all addresses.
func NewAddressLimit(limits AddressLimits, log *slog.Logger) *AddressLimit {
	l := &AddressLimit{limits: limits, known: make(map[netip.Addr]*address),
		conns: make(map[net.Conn]*address), kept: make(map[net.Conn]bool)}
	l.handshakes = episode{log: log, over: "no address has too many connections any more"}
	l.sockets = episode{log: log, over: "no address wants too many sockets any more"}
	l.names = episode{log: log, over: "no address asks for too many new names any more"}
	return l
}

// TrustProxies has their own connections count for nobody, since each is of many
// clients. It is called before anything is served.
func (l *AddressLimit) TrustProxies(p Proxies) { l.proxies = p }

// Close ends what the log is told of.
func (l *AddressLimit) Close() {
	for _, e := range []*episode{&l.handshakes, &l.sockets, &l.names} {
		e.close()
	}
}

// exempt reports whether an address has no limits.
func (l *AddressLimit) exempt(a netip.Addr) bool {
	return !a.IsValid() || a.IsLoopback() && !l.limits.Loopback
}

// admit counts a new connection, if its address may have it.
func (l *AddressLimit) admit(conn net.Conn) bool {
	peer := peerOf(conn)
	a := counted(peer)
	if l.exempt(a) || l.proxies.trusts(peer) {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.address(a)
	most := l.limits.Handshakes
	all := most + l.limits.Sockets
	if most > 0 && (e.handshakes >= most || l.limits.Sockets > 0 && e.handshakes+e.kept+e.sockets >= all) {
		l.rest(e)
		l.handshakes.note(1, "an address has too many connections: it gets 429", "address", a,
			"handshakes", e.handshakes, "requests", e.kept, "sockets", e.sockets)
		return false
	}
	e.handshakes++
	l.conns[conn] = e
	return true
}

// note follows what becomes of a connection.
func (l *AddressLimit) note(conn net.Conn, state http.ConnState) {
	if state == http.StateNew || state == http.StateActive {
		return
	}
	if over, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = over.NetConn()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.conns[conn]
	switch {
	case e == nil:
	case state == http.StateIdle && !l.kept[conn]:
		l.kept[conn] = true
		e.handshakes--
		e.kept++
	case state != http.StateIdle:
		if l.kept[conn] {
			e.kept--
			delete(l.kept, conn)
		} else {
			e.handshakes--
		}
		delete(l.conns, conn)
		l.rest(e)
	}
}

// roomForSocket reports whether an address may have another socket.
func (l *AddressLimit) roomForSocket(a netip.Addr) bool {
	if l.exempt(a) || l.limits.Sockets == 0 {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.known[a]
	if e == nil || e.sockets < l.limits.Sockets {
		return true
	}
	l.sockets.note(1, "an address has too many sockets: it gets 429", "address", a, "sockets", e.sockets)
	return false
}

// addSocket counts a socket and returns whom it counts for: 0, nobody, if the
// address has no limits. It counts until Gone is told.
func (l *AddressLimit) addSocket(a netip.Addr) (account uint32) {
	if l.exempt(a) {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.address(a)
	e.sockets++
	return e.account
}

// Gone takes a socket off the count of whom it counted for.
func (l *AddressLimit) Gone(account uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.byID[account-1]
	e.sockets--
	l.rest(e)
}

// allowName takes a new name off those that an address may ask for. If there is
// none, it says when there is one again.
func (l *AddressLimit) allowName(a netip.Addr, name key.Key) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait, ok = l.asked.take(a, time.Minute/time.Duration(l.limits.Names), l.limits.Names)
	if !ok {
		l.names.note(1, "an address asks for too many new names: it gets 429", "address", a, "object", name.String())
	}
	return wait, ok
}

// limitsNames reports whether new names of an address are counted.
func (l *AddressLimit) limitsNames(a netip.Addr) bool { return l.limits.Names > 0 && !l.exempt(a) }

// Known is how many addresses have connections.
func (l *AddressLimit) Known() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.known)
}

// address returns what is known of an address, made if there is nothing. The mutex
// is held. Whoever leaves it without something open calls rest.
func (l *AddressLimit) address(a netip.Addr) *address {
	e := l.known[a]
	if e == nil {
		e = &address{addr: a}
		if n := len(l.free); n > 0 {
			e.account = l.free[n-1]
			l.free = l.free[:n-1]
			l.byID[e.account-1] = e
		} else {
			l.byID = append(l.byID, e)
			e.account = uint32(len(l.byID))
		}
		l.known[a] = e
	}
	return e
}

// rest forgets an address that has nothing open any more. The mutex is held.
func (l *AddressLimit) rest(e *address) {
	if e.handshakes+e.kept+e.sockets > 0 {
		return
	}
	delete(l.known, e.addr)
	l.byID[e.account-1] = nil
	l.free = append(l.free, e.account)
}
