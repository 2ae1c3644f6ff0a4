package socket

// place is where a socket stands in the slab. Places are used again, so each has
// a generation: an event that epoll has still to tell of a socket that is gone
// doesn't meet the next one.
type place struct {
	index      uint32
	generation uint32
}

// slabChunk is how many places are made at a time.
const slabChunk = 256

// slab lists the sockets that have a connection. It is guarded by Server.mu. It
// doesn't shrink: a place without a socket has 20 bytes.
type slab struct {
	chunks []*[slabChunk]slot
	free   []uint32
	used   int
}

type slot struct {
	socket     *Socket // nil if free
	generation uint32
	account    uint32 // whom it counts for
}

func (l *slab) slot(index uint32) *slot { return &l.chunks[index/slabChunk][index%slabChunk] }

func (l *slab) add(s *Socket) place {
	if len(l.free) == 0 {
		first := uint32(len(l.chunks) * slabChunk)
		l.chunks = append(l.chunks, new([slabChunk]slot))
		for i := uint32(slabChunk); i > 0; i-- {
			l.free = append(l.free, first+i-1)
		}
	}
	l.used++
	index := l.free[len(l.free)-1]
	l.free = l.free[:len(l.free)-1]
	at := l.slot(index)
	at.socket = s
	return place{index, at.generation}
}

// remove takes a socket out, and returns whom it counted for.
func (l *slab) remove(p place) (account uint32) {
	at := l.slot(p.index)
	at.socket = nil
	at.generation++
	l.free = append(l.free, p.index)
	l.used--
	account, at.account = at.account, 0
	return account
}

// at returns the socket of a place, nil if it is gone.
func (l *slab) at(p place) *Socket {
	if at := l.slot(p.index); at.generation == p.generation {
		return at.socket
	}
	return nil
}

// chunk appends the sockets of one chunk to list. It reports false behind the last.
func (l *slab) chunk(n int, list []*Socket) ([]*Socket, bool) {
	if n >= len(l.chunks) {
		return list, false
	}
	for i := range l.chunks[n] {
		if s := l.chunks[n][i].socket; s != nil {
			list = append(list, s)
		}
	}
	return list, true
}
