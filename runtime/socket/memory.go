package socket

import (
	"encoding/binary"
	"iter"
	"slices"
	"time"
)

// What a socket remembers for its object, its tags, who is at its other end, and its
// attachment, is in one piece of memory. Each tag is preceded by its length; who it
// is, by when that ends and by its length.

// What there is of it besides tags.
const (
	holdsIdentity uint8 = 1 << iota
	holdsAttachment
)

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
	if m := s.memory; s.holds&holdsAttachment != 0 {
		return m[s.attachmentAt():len(m):len(m)]
	}
	return nil
}

// SetAttachment keeps a copy of data in memory. The limit on its size is the
// caller's to check.
func (s *Socket) SetAttachment(data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.attachmentAt()
	piece := make([]byte, at+len(data))
	copy(piece[copy(piece, s.memory[:at]):], data)
	s.memory, s.holds = piece, s.holds|holdsAttachment
}

// Identify says who is at the other end: once, before Upgrade and before an attachment
// is set. The socket keeps a copy of who, which is the caller's to understand. At
// expires, to the second, it closes with 1008; zero is never.
func (s *Socket) Identify(who []byte, expires time.Time) {
	at := uint64(never)
	if !expires.IsZero() {
		at = uint64(max(expires.Add(time.Second-1).Unix(), 1))
	}
	head := binary.AppendUvarint(binary.AppendUvarint(nil, at), uint64(len(who)))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.memory, s.holds = slices.Concat(s.memory, head, who), s.holds|holdsIdentity
}

// Identity is who Identify said is at the other end, and until when; nil if it wasn't
// called. It is kept after the end. Not to be changed.
func (s *Socket) Identity() (who []byte, expires time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holds&holdsIdentity == 0 {
		return nil, time.Time{}
	}
	at, from, to := s.identity()
	if at != never {
		expires = time.Unix(at, 0)
	}
	return s.memory[from:to:to], expires
}

// never is when an identity expires that doesn't.
const never = 0

// identity is when the identity expires, in seconds since 1970, and where it is in
// memory. There must be one. s.mu is held.
func (s *Socket) identity() (expires int64, from, to int) {
	from = int(s.tags)
	at, size := binary.Uvarint(s.memory[from:])
	from += size
	length, size := binary.Uvarint(s.memory[from:])
	from += size
	return int64(at), from, from + int(length)
}

// attachmentAt is where the attachment begins in memory. s.mu is held.
func (s *Socket) attachmentAt() int {
	if s.holds&holdsIdentity == 0 {
		return int(s.tags)
	}
	_, _, end := s.identity()
	return end
}
