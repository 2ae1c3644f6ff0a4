package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"

	"chat.example.com.ai/runtime/failpoint"
)

// job is a batch that waits for the writer.
type job struct {
	batch *Batch
	done  func(error)
}

// Commit queues a batch, which must not be nil, and returns at once. done is called by the writer after
// the batch is on the disk, or with the error for which nothing of it is stored:
// ErrFenced, ErrConflict, ErrNotFound, a *QueryError for a field that cannot be
// indexed, or what the database or the disk says. It must not block. After Close
// it is called with ErrClosed, by Commit itself. The batch must not be changed
// until then. The queue has no bound here: callers bound what they let wait.
func (s *Store) Commit(b *Batch, done func(error)) {
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		done(ErrClosed)
		return
	}
	s.queue = append(s.queue, job{b, done})
	s.mu.Unlock()
	s.signal()
}

// CommitWait commits a batch and waits for it. If ctx ends first it returns the
// context's error, and whether the batch is stored is not known.
func (s *Store) CommitWait(ctx context.Context, b *Batch) error {
	result := make(chan error, 1)
	s.Commit(b, func(err error) { result <- err })
	select {
	case err := <-result:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) signal() {
	select {
	case s.wake <- struct{}{}:
	default: // a token lies there already
	}
}

// run is the writer.
func (s *Store) run() {
	defer close(s.stopped)
	var (
		jobs []job
		errs []error
	)
	for {
		var closing bool
		jobs, closing = s.take(jobs[:0])
		work := s.indexes.pending()
		switch {
		case len(jobs) > 0 || work.undeclared || s.ending():
			errs = s.group(jobs, errs[:0])
			failpoint.Hit(failpoint.AfterCommit)
			for i, j := range jobs {
				j.done(errs[i])
			}
			clear(jobs) // hold nothing of them while idle
		case closing:
			return
		case work.unbuilt != nil:
			s.buildIndex(work.unbuilt)
		default:
			<-s.wake
		}
	}
}

// take moves the batches of the next group out of the queue. If not all fit, the
// first of each object's come first, then the others in their order: objects that run
// far ahead of the disk, and be they many, hold up themselves, and nobody who has one
// turn to commit. Batches of no view overtake nothing.
func (s *Store) take(into []job) (jobs []job, closing bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := s.opts.MaxGroup
	if len(s.queue) <= most {
		into = append(into, s.queue...)
		clear(s.queue)
		s.queue = s.queue[:0]
		return into, s.closing
	}
	s.groups++
	for _, first := range []bool{true, false} {
		kept := s.queue[:0]
		for _, j := range s.queue {
			line := j.batch.line
			if len(into) == most || first && (line == nil || line.group == s.groups) {
				kept = append(kept, j)
				continue
			}
			if first {
				line.group = s.groups
			}
			into = append(into, j)
		}
		clear(s.queue[len(kept):])
		s.queue = kept
	}
	return into, s.closing
}

// group commits batches in one transaction and appends one result each to errs.
func (s *Store) group(jobs []job, errs []error) []error {
	start := s.opts.Now()
	ended := s.takeEnded()
	err := s.raw(func(any) (err error) {
		if errs, err = s.transact(jobs, ended, errs); err != nil {
			s.rollback()
		}
		return err
	})
	if err != nil {
		err = diagnose(err)
		s.keepEnded(ended)
		s.indexes.undo()
		if errors.Is(err, ErrDisk) {
			s.outage.failed(s.opts.Log, s.opts.Now(), len(jobs), err)
		} else if len(jobs) == 0 && len(ended) > 0 {
			s.opts.Log.Error("cannot store that deliveries are done; trying again", "error", err)
		} else if len(jobs) == 0 {
			s.opts.Log.Error("cannot declare an index; queries do without it", "error", err)
		}
		errs = errs[:0]
		for _, j := range jobs {
			errs = append(errs, err)
			j.batch.line.breakOff()
		}
		return errs
	}
	s.indexes.keep()
	s.outage.worked(s.opts.Log, s.opts.Now())
	s.ids.keep()
	if s.opts.ObserveCommit != nil {
		s.opts.ObserveCommit(len(jobs), s.opts.Now().Sub(start))
	}
	return errs
}

// transact runs the transaction. An error means that nothing of it is stored.
func (s *Store) transact(jobs []job, ended []int64, errs []error) ([]error, error) {
	if err := s.exec(s.write.begin); err != nil {
		return errs, fmt.Errorf("store: begin: %w", err)
	}
	epoch, err := s.readEpoch()
	if err != nil {
		return errs, fmt.Errorf("store: read the fencing token: %w", err)
	}
	if err := s.declareIndexes(jobs); err != nil {
		return errs, fmt.Errorf("store: declare an index: %w", err)
	}
	if epoch == s.epoch {
		if err := s.markIDs(); err != nil {
			return errs, fmt.Errorf("store: note the time of ids: %w", err)
		}
		for _, seq := range ended {
			if err := s.exec(s.write.doneDelivery, seq); err != nil {
				return errs, fmt.Errorf("store: end deliveries: %w", err)
			}
		}
	}
	for _, j := range jobs {
		err := ErrFenced
		switch {
		case j.batch.line != nil && j.batch.line.broken:
			err = ErrBroken
		case j.batch.Token == epoch && len(jobs) == 1: // it needs no savepoint
			if err := s.applyWrites(j.batch); err != nil {
				return errs, err // the transaction is this batch, and ends that can wait
			}
			err = nil
		case j.batch.Token == epoch:
			err = s.apply(j.batch)
		}
		if err != nil {
			j.batch.line.breakOff()
		}
		var lost *lostError
		if errors.As(err, &lost) {
			return errs, lost.cause
		}
		if err = diagnose(err); errors.Is(err, ErrDisk) {
			return errs, err // no other batch would fare better
		}
		errs = append(errs, err)
	}
	if s.opts.BeforeCommit != nil {
		s.opts.BeforeCommit()
	}
	failpoint.Hit(failpoint.BeforeCommit)
	if err := s.exec(s.write.commit); err != nil {
		return errs, fmt.Errorf("store: commit: %w", err)
	}
	return errs, nil
}

// readEpoch reads the fencing token of whoever owns the database now.
func (s *Store) readEpoch() (epoch uint64, err error) {
	err = s.write.epoch.each(func(row []driver.Value) error {
		n, err := column[int64](row, 0)
		epoch = uint64(n)
		return err
	})
	return epoch, err
}

// breakOff makes the later batches of the view fail.
func (l *line) breakOff() {
	if l != nil {
		l.broken = true
	}
}

// lostError says that SQLite gave up the whole transaction, as it may when the
// disk is full or broken, and with it the batches that were fine.
type lostError struct{ cause error }

func (e *lostError) Error() string { return e.cause.Error() }

// apply runs a batch within a savepoint, which it rolls back if the batch fails.
func (s *Store) apply(b *Batch) error {
	if err := s.exec(s.write.savepoint); err != nil {
		return &lostError{fmt.Errorf("store: savepoint: %w", err)}
	}
	err := s.applyWrites(b)
	if err != nil {
		// without the transaction this savepoint is gone too
		if s.exec(s.write.rollbackTo) != nil {
			return &lostError{err}
		}
	}
	if e := s.exec(s.write.release); e != nil {
		return &lostError{fmt.Errorf("store: release: %w", errors.Join(e, err))}
	}
	return err
}

// rollback ends a transaction that failed. An error means that SQLite has ended it
// already.
func (s *Store) rollback() { _ = s.exec(s.write.rollback) }
