package store

import (
	"context"
	"fmt"

	"chat.example.com.ai/runtime/key"
)

// maxPageBytes is about how much data one page of deliveries brings: some events at
// their largest, and thousands as they are.
const maxPageBytes = 8 << 20

// Deliveries returns up to limit deliveries of the outbox for one target that were not
// tried yet, those with positions above afterSeq, in the order of their positions; and
// whether there may be more behind them. Fewer than limit come if their data is large.
func (s *Store) Deliveries(ctx context.Context, target key.Key, afterSeq int64, limit int) (rows []Delivery, more bool, err error) {
	return s.deliveries(ctx, limit, `target = ? AND next_at = 0 AND seq > ? ORDER BY seq`, target.String(), afterSeq)
}

// DueDeliveries returns those that are to be tried again up to a time, in the order of
// their times and then of their positions, beginning behind one of them, or behind
// nothing (0, 0). Else it is as Deliveries.
func (s *Store) DueDeliveries(ctx context.Context, afterNextAt, afterSeq, until int64, limit int) (rows []Delivery, more bool, err error) {
	return s.deliveries(ctx, limit, `next_at > 0 AND (next_at, seq) > (?, ?) AND next_at <= ? ORDER BY next_at, seq`, afterNextAt, afterSeq, until)
}

// DueDeliveriesOf returns those of one target.
func (s *Store) DueDeliveriesOf(ctx context.Context, target key.Key, until int64, limit int) (rows []Delivery, more bool, err error) {
	return s.deliveries(ctx, limit, `target = ? AND next_at > 0 AND next_at <= ? ORDER BY next_at, seq`, target.String(), until)
}

// deliveries reads rows of the outbox. Those whose end is on its way are left out.
func (s *Store) deliveries(ctx context.Context, limit int, where sqlText, args ...any) (out []Delivery, more bool, err error) {
	ended := s.endedSet() // before the query: what is ended later was still somebody's then
	rows, err := s.cache.query(ctx, `SELECT `+outboxFields+` FROM outbox WHERE `+where+` LIMIT ?`, append(args, max(limit, 0))...)
	if err != nil {
		return nil, false, s.readError(ctx, err)
	}
	defer rows.Close()
	n, bytes := 0, 0
	for rows.Next() {
		var d Delivery
		var target string
		if err := rows.Scan(&d.Seq, &d.Kind, &target, &d.Handler, &d.ID, &d.Type, &d.Source, &d.Data, &d.At, &d.Hops, &d.Attempts, &d.NextAt); err != nil {
			return nil, false, s.readError(ctx, err)
		}
		if d.Target, err = key.Parse(target); err != nil {
			return nil, false, fmt.Errorf("store: the target of delivery %d: %w", d.Seq, err)
		}
		n++
		if _, isEnded := ended[d.Seq]; !isEnded {
			out = append(out, d)
			bytes += len(d.Data)
		}
		if n == limit || bytes > maxPageBytes {
			return out, true, nil
		}
	}
	return out, false, s.readError(ctx, rows.Err())
}

// NextDelivery returns the first time after a given one at which something of the
// outbox is to be tried again, and whether there is one.
func (s *Store) NextDelivery(ctx context.Context, after int64) (at int64, found bool, err error) {
	found, err = s.one(ctx, []any{&at}, `SELECT next_at FROM outbox WHERE next_at > 0 AND next_at > ? ORDER BY next_at LIMIT 1`, after)
	return at, found, err
}

// DeliveryTargets returns up to limit objects that have deliveries in the outbox which
// were not tried yet, those whose names sort behind a given one, in that order.
func (s *Store) DeliveryTargets(ctx context.Context, after key.Key, limit int) ([]key.Key, error) {
	name := ""
	if !after.IsZero() {
		name = after.String()
	}
	rows, err := s.cache.query(ctx, `SELECT DISTINCT target FROM outbox WHERE target > ? AND next_at = 0 ORDER BY target LIMIT ?`, name, limit)
	if err != nil {
		return nil, s.readError(ctx, err)
	}
	defer rows.Close()
	var targets []key.Key
	for rows.Next() {
		if err := rows.Scan(&name); err != nil {
			return nil, s.readError(ctx, err)
		}
		k, err := key.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("store: a target in the outbox: %w", err)
		}
		targets = append(targets, k)
	}
	return targets, s.readError(ctx, rows.Err())
}

// Stats are numbers for metrics.
type Stats struct {
	Outbox      int64 // deliveries that are not done
	OldestAt    int64 // when the first of them was sent, milliseconds; 0 without any
	DeadLetters int64
	Bytes       int64 // size of the database, without the log
	Queued      int   // batches that wait for the writer
}

// Stats counts. It reads the outbox whole, so it is for every few seconds.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	var stats Stats
	err := s.reader.NewSelect().
		ColumnExpr("(SELECT count(*) FROM outbox), (SELECT count(*) FROM dead_letter)").
		ColumnExpr("coalesce((SELECT at FROM outbox ORDER BY seq LIMIT 1), 0)").
		ColumnExpr("(SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)").
		Scan(ctx, &stats.Outbox, &stats.DeadLetters, &stats.OldestAt, &stats.Bytes)
	if err != nil {
		return Stats{}, s.readError(ctx, err)
	}
	s.mu.Lock()
	stats.Queued = len(s.queue)
	s.mu.Unlock()
	return stats, nil
}
