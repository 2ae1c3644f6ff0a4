package store

import (
	"context"
	"fmt"

	"chat.example.com.ai/runtime/key"
)

// Deliveries returns up to limit deliveries of the outbox for one target, those
// with positions above afterSeq, in the order of their positions.
func (s *Store) Deliveries(ctx context.Context, target key.Key, afterSeq int64, limit int) ([]Delivery, error) {
	rows, err := s.cache.query(ctx, `SELECT `+outboxFields+` FROM outbox WHERE target = ? AND seq > ? ORDER BY seq LIMIT ?`,
		target.String(), afterSeq, max(limit, 0))
	if err != nil {
		return nil, s.readError(ctx, err)
	}
	defer rows.Close()
	var out []Delivery
	for rows.Next() {
		d := Delivery{Target: target}
		var name string
		if err := rows.Scan(&d.Seq, &d.Kind, &name, &d.Handler, &d.ID, &d.Type, &d.Source, &d.Data, &d.At, &d.Hops, &d.Attempts, &d.NextAt); err != nil {
			return nil, s.readError(ctx, err)
		}
		out = append(out, d)
	}
	return out, s.readError(ctx, rows.Err())
}

// DeliveryTargets returns the objects that have deliveries in the outbox.
func (s *Store) DeliveryTargets(ctx context.Context) ([]key.Key, error) {
	var names []string
	if err := s.reader.NewSelect().Table("outbox").ColumnExpr("DISTINCT target").Scan(ctx, &names); err != nil {
		return nil, s.readError(ctx, err)
	}
	targets := make([]key.Key, 0, len(names))
	for _, name := range names {
		k, err := key.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("store: a target in the outbox: %w", err)
		}
		targets = append(targets, k)
	}
	return targets, nil
}

// Stats are numbers for metrics.
type Stats struct {
	Outbox      int64 // deliveries that are not done
	DeadLetters int64
	Bytes       int64 // size of the database, without the log
	Queued      int   // batches that wait for the writer
}

// Stats counts. It reads the outbox whole, so it is for every few seconds.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	var stats Stats
	err := s.reader.NewSelect().
		ColumnExpr("(SELECT count(*) FROM outbox), (SELECT count(*) FROM dead_letter)").
		ColumnExpr("(SELECT page_count FROM pragma_page_count) * (SELECT page_size FROM pragma_page_size)").
		Scan(ctx, &stats.Outbox, &stats.DeadLetters, &stats.Bytes)
	if err != nil {
		return Stats{}, s.readError(ctx, err)
	}
	s.mu.Lock()
	stats.Queued = len(s.queue)
	s.mu.Unlock()
	return stats, nil
}
