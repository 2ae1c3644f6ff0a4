package api

import (
	"log/slog"
	"net/netip"
	"sync"
	"time"
)

// Defaults of RequestLimits. A page asks for a socket in each of its rooms, and after
// a restart all pages of an office do so at once: that is as many as an address may have
// sockets. For long, it is a fiftieth of what one core answers.
const (
	DefaultRequestRate  = 100
	DefaultRequestBurst = DefaultSockets
)

// RequestLimits are how many requests one address may make, upgrades among them, and
// likewise one verified user. Addresses are counted as by AddressLimits, and the same
// ones are exempt.
type RequestLimits struct {
	Rate  float64 // a second; 0 is any number
	Burst int     // at once
}

// RequestLimit keeps addresses and users within their limits. Its methods are safe for
// concurrent use. It must be ended with Close.
type RequestLimit struct {
	limits RequestLimits
	each   time.Duration // what one request owes

	mu                 sync.Mutex
	addresses          debts[netip.Addr]
	users              debts[string]
	ofAddress, ofUsers episode
}

// NewRequestLimit makes the limit of all addresses and users.
func NewRequestLimit(limits RequestLimits, log *slog.Logger) *RequestLimit {
	l := &RequestLimit{limits: limits}
	if limits.Rate > 0 {
		l.each = time.Duration(float64(time.Second) / limits.Rate)
	}
	l.ofAddress = episode{log: log, over: "no address sends too many requests any more"}
	l.ofUsers = episode{log: log, over: "no user sends too many requests any more"}
	return l
}

// Close ends what the log is told of.
func (l *RequestLimit) Close() {
	l.ofAddress.close()
	l.ofUsers.close()
}

// allowAddress takes a request off those that an address may make. If there is none, it
// says when there is one again.
func (l *RequestLimit) allowAddress(a netip.Addr) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait, ok = l.addresses.take(a, l.each, l.limits.Burst); !ok {
		l.ofAddress.note(1, "an address sends too many requests: it gets 429", "address", a)
	}
	return wait, ok
}

// allowUser does the same for a verified user.
func (l *RequestLimit) allowUser(id string) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if wait, ok = l.users.take(id, l.each, l.limits.Burst); !ok {
		l.ofUsers.note(1, "a user sends too many requests: it gets 429", "user", id)
	}
	return wait, ok
}
