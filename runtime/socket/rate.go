package socket

import "time"

// rate is how fast a client may send. A socket keeps one number for it: the time at
// which its bucket will be full again, which for an idle socket is in the past and
// means nothing. It is counted in ticks, which are so small a part of what a message
// costs that 32 bits of them last for weeks; should they come round just then, a
// message of a socket that was idle for as long waits for one interval.
type rate struct {
	tick time.Duration // 0: no limit
	full uint32        // ticks that an idle socket has saved
}

// messageTicks is what a message costs.
const messageTicks = 16

// newRate returns the rate of so many messages a second, and at most burst at once.
func newRate(perSecond float64, burst int) rate {
	if perSecond <= 0 {
		return rate{}
	}
	tick := time.Duration(float64(time.Second) / perSecond / messageTicks)
	const most = 1 << 20 // messages: the ticks of a burst are to stay a small part of 32 bits
	return rate{tick: max(tick, 1), full: uint32(min(max(burst, 1), most)) * messageTicks}
}

// spend takes a message's share of the client's rate, and has the socket not read
// on before there is another. s.mu is held.
func (s *Socket) spend() {
	r := s.server.rate
	if !s.limited || r.tick == 0 {
		return
	}
	clock := s.server.clock()
	now := uint32(clock / int64(r.tick))
	used := s.fullAt - now
	if used > r.full { // the time has passed
		used = 0
	}
	used += messageTicks
	s.fullAt = now + used
	if used+messageTicks > r.full && s.state == Open {
		missing := int64(used+messageTicks-r.full) * int64(r.tick)
		s.server.stats.delayed.Add(1)
		s.deadlines().read = clock + missing
		s.watch()
	}
}
