package socket

import (
	"iter"
	"sync/atomic"
)

// indexAbove is the number of sockets over which a hub keeps an index of tags.
// Most have fewer, and to look at them all takes no memory.
const indexAbove = 32

// Hub is the sockets of one object, with its tags and its auto-response. The
// zero Hub is ready. It belongs to the object's goroutine and is not safe for
// concurrent use, except that sockets read the auto-response. It must not be
// copied. Add, Remove and a step of an iteration take constant time (they grow
// with the tags of the one socket, not with the number of sockets).
type Hub struct {
	newest, oldest *Socket
	length         int
	index          map[string]*tagList // nil while there are few sockets
	auto           atomic.Pointer[autoPair]
}

// tagList is the sockets with one tag, in accept order.
type tagList struct {
	tag         string
	first, last *tagNode
}

// tagNode is the place of a socket in one tagList.
type tagNode struct {
	socket     *Socket
	list       *tagList
	prev, next *tagNode // in list
	other      *tagNode // of the same socket
}

// autoPair is an auto-response, its response encoded once for all sockets.
type autoPair struct {
	request, response string
	frame             *Frame
}

// Add puts a socket into the hub. A socket is in one hub at most.
func (h *Hub) Add(s *Socket) {
	s.hub.Store(h)
	s.older, s.newer = h.newest, nil
	if h.newest != nil {
		h.newest.newer = s
	} else {
		h.oldest = s
	}
	h.newest = s
	h.length++
	switch {
	case h.index != nil:
		h.addTags(s)
	case h.length > indexAbove:
		h.index = make(map[string]*tagList)
		for each := h.oldest; each != nil; each = each.newer {
			h.addTags(each)
		}
	}
}

// Remove takes a socket out; one that isn't in the hub is ignored. Removing
// the current socket of an iteration is allowed.
func (h *Hub) Remove(s *Socket) {
	if s.hub.Load() != h {
		return
	}
	s.hub.Store(nil)
	if s.newer != nil {
		s.newer.older = s.older
	} else {
		h.newest = s.older
	}
	if s.older != nil {
		s.older.newer = s.newer
	} else {
		h.oldest = s.newer
	}
	s.newer, s.older = nil, nil
	h.length--
	if h.index == nil {
		return
	}
	h.removeTags(s)
	if h.length == 0 {
		h.index = nil
	}
}

// Has reports whether the socket is in the hub.
func (h *Hub) Has(s *Socket) bool { return s.hub.Load() == h }

// Len is the number of sockets, closing ones included until they are removed.
func (h *Hub) Len() int { return h.length }

// All goes through the sockets, the newest first. Those added meanwhile are
// not seen. Of removals only that of the current socket is allowed meanwhile.
func (h *Hub) All() iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		for s := h.newest; s != nil; {
			older := s.older
			if !yield(s) {
				return
			}
			s = older
		}
	}
}

// Tagged goes through the sockets with the tag in the order in which they were
// added. Those added meanwhile may or may not be seen. Of removals only that
// of the current socket is allowed meanwhile.
func (h *Hub) Tagged(tag string) iter.Seq[*Socket] {
	return func(yield func(*Socket) bool) {
		if h.index == nil {
			h.scan(tag, yield)
			return
		}
		list := h.index[tag]
		if list == nil {
			return
		}
		for node := list.first; node != nil; {
			next := node.next
			if !yield(node.socket) {
				return
			}
			node = next
		}
	}
}

// scan is Tagged without the index.
func (h *Hub) scan(tag string, yield func(*Socket) bool) {
	for s := h.oldest; s != nil; {
		newer := s.newer
		if s.hasTag(tag) && !yield(s) {
			return
		}
		s = newer
	}
}

// SetAutoResponse sets what every socket of the hub answers to a text message
// equal to request, without its owner. The sizes are the caller's to check.
func (h *Hub) SetAutoResponse(request, response string) {
	h.auto.Store(&autoPair{request, response, NewFrame(true, []byte(response))})
}

// ClearAutoResponse ends it.
func (h *Hub) ClearAutoResponse() { h.auto.Store(nil) }

// AutoResponse is the pair that is set.
func (h *Hub) AutoResponse() (request, response string, ok bool) {
	pair := h.auto.Load()
	if pair == nil {
		return "", "", false
	}
	return pair.request, pair.response, true
}

func (h *Hub) addTags(s *Socket) {
	for tag := range s.eachTag() {
		list := h.index[string(tag)]
		if list == nil {
			list = &tagList{tag: string(tag)}
			h.index[list.tag] = list
		}
		node := &tagNode{socket: s, list: list, prev: list.last, other: s.nodes}
		if list.last != nil {
			list.last.next = node
		} else {
			list.first = node
		}
		list.last, s.nodes = node, node
	}
}

func (h *Hub) removeTags(s *Socket) {
	for node := s.nodes; node != nil; node = node.other {
		list := node.list
		if node.prev != nil {
			node.prev.next = node.next
		} else {
			list.first = node.next
		}
		if node.next != nil {
			node.next.prev = node.prev
		} else {
			list.last = node.prev
		}
		if list.first == nil {
			delete(h.index, list.tag)
		}
	}
	s.nodes = nil
}
