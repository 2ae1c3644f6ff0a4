package store

import "time"

// Ends of deliveries that come with no other write need no commit of their own:
// until they are stored, a crash only brings the delivery once more, as it may at
// any time. They go along with the next transaction, or one of their own before
// long.
const (
	endWithin   = 100 * time.Millisecond
	endTogether = 512 // how many are waited for at most
)

// EndDelivery takes a delivery out of the outbox some time soon, with the next
// commit or within 100 ms. Unlike DoneDelivery in a Batch it is not tied to other
// writes, and a delivery that isn't there is no error. It never blocks.
func (s *Store) EndDelivery(seq int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return // it is brought once more at the next start
	}
	s.ended = append(s.ended, seq)
	switch {
	case len(s.ended) >= endTogether:
		s.endNow()
	case len(s.ended) == 1:
		s.endAfter(endWithin)
	}
}

func (s *Store) endNow() {
	s.endDue = true
	s.signal()
}

// endAfter has the ended deliveries stored after a while. The mutex is held.
func (s *Store) endAfter(d time.Duration) {
	if s.endTimer == nil {
		s.endTimer = time.AfterFunc(d, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.endNow()
		})
		return
	}
	s.endTimer.Reset(d)
}

// ending reports whether the ended deliveries can wait no longer.
func (s *Store) ending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.ended) > 0 && (s.endDue || s.closing)
}

// takeEnded takes the ended deliveries into a transaction.
func (s *Store) takeEnded() []int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	seqs := s.ended
	s.ended, s.endsUnderWay, s.endDue = nil, seqs, false
	if s.endTimer != nil {
		s.endTimer.Stop()
	}
	return seqs
}

// keepEnded takes them back from one that failed.
func (s *Store) keepEnded(seqs []int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endsUnderWay = nil
	if len(seqs) == 0 || s.closing {
		return
	}
	s.ended = append(seqs, s.ended...)
	s.endAfter(time.Second) // a disk that fails is not asked all the time
}

// endedSet lists the deliveries that are done and may still have rows.
func (s *Store) endedSet() map[int64]struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.ended)+len(s.endsUnderWay) == 0 {
		return nil
	}
	set := make(map[int64]struct{}, len(s.ended)+len(s.endsUnderWay))
	for _, list := range [][]int64{s.ended, s.endsUnderWay} {
		for _, seq := range list {
			set[seq] = struct{}{}
		}
	}
	return set
}
