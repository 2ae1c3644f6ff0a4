package socket

import (
	"encoding/binary"
	"iter"
)

// What a socket remembers for its object, its tags and its attachment, is in one
// piece of memory. Each tag is preceded by its length.

func remember(tags []string) []byte {
	size := 0
	for _, tag := range tags {
		size += binary.MaxVarintLen16 + len(tag)
	}
	data := make([]byte, 0, size)
	for _, tag := range tags {
		data = append(binary.AppendUvarint(data, uint64(len(tag))), tag...)
	}
	return data
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
	data := s.memory[:s.tags]
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
	if m := s.memory; s.attached {
		return m[s.tags:len(m):len(m)]
	}
	return nil
}

// SetAttachment keeps a copy of data in memory. The limit on its size is the
// caller's to check.
func (s *Socket) SetAttachment(data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	piece := make([]byte, int(s.tags)+len(data))
	copy(piece[copy(piece, s.memory[:s.tags]):], data)
	s.memory, s.attached = piece, true
}
