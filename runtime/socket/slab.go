package socket

// place is where a socket stands in the slab. Places are used again, so each has
// a generation: an event that epoll has still to tell of a socket that is gone
// doesn't meet the next one.
type place struct {
	index      uint32
	generation uint32
}

// slab lists the sockets that have a connection. It is guarded by Server.mu.
type slab struct {
	slots []slot
	free  []uint32
	used  int
}

type slot struct {
	socket     *Socket // nil if free
	generation uint32
}

func (l *slab) add(s *Socket) place {
	l.used++
	if n := len(l.free); n > 0 {
		index := l.free[n-1]
		l.free = l.free[:n-1]
		l.slots[index].socket = s
		return place{index, l.slots[index].generation}
	}
	l.slots = append(l.slots, slot{socket: s})
	return place{uint32(len(l.slots) - 1), 0}
}

func (l *slab) remove(p place) {
	at := &l.slots[p.index]
	at.socket = nil
	at.generation++
	l.free = append(l.free, p.index)
	l.used--
}

// at returns the socket of a place, nil if it is gone.
func (l *slab) at(p place) *Socket {
	if int(p.index) >= len(l.slots) || l.slots[p.index].generation != p.generation {
		return nil
	}
	return l.slots[p.index].socket
}
