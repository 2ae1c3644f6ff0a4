package socket

import (
	"encoding/binary"
	"iter"
)

// memory is what a socket remembers for its object: its tags and its attachment,
// in one piece of memory. Each tag is preceded by its length. It is replaced, never
// changed.
type memory struct {
	data []byte
	tags uint16 // bytes of data that are tags: a script may give 10 of 256 bytes
	set  bool   // there is an attachment, perhaps an empty one
}

func remember(tags []string) memory {
	size := 0
	for _, tag := range tags {
		size += binary.MaxVarintLen16 + len(tag)
	}
	data := make([]byte, 0, size)
	for _, tag := range tags {
		data = append(binary.AppendUvarint(data, uint64(len(tag))), tag...)
	}
	return memory{data: data, tags: uint16(len(data))}
}

// Tags are those given to New, in their order.
func (s *Socket) Tags() []string {
	var tags []string
	for tag := range s.eachTag() {
		tags = append(tags, string(tag))
	}
	return tags
}

// eachTag goes through the tags, which are not to be kept.
func (s *Socket) eachTag() iter.Seq[[]byte] {
	s.mu.Lock()
	data := s.memory.data[:s.memory.tags]
	s.mu.Unlock()
	return func(yield func([]byte) bool) {
		for rest := data; len(rest) > 0; {
			length, size := binary.Uvarint(rest)
			end := size + int(length)
			if !yield(rest[size:end]) {
				return
			}
			rest = rest[end:]
		}
	}
}

func (s *Socket) hasTag(tag string) bool {
	for each := range s.eachTag() {
		if string(each) == tag {
			return true
		}
	}
	return false
}

// Attachment is what SetAttachment was last given, nil at first. It is kept
// after the end, for the handler of the close. Not to be changed.
func (s *Socket) Attachment() []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.memory; m.set {
		return m.data[m.tags:len(m.data):len(m.data)]
	}
	return nil
}

// SetAttachment keeps a copy of data in memory. The limit on its size is the
// caller's to check.
func (s *Socket) SetAttachment(data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.memory
	piece := make([]byte, int(m.tags)+len(data))
	copy(piece[copy(piece, m.data[:m.tags]):], data)
	s.memory = memory{data: piece, tags: m.tags, set: true}
}
