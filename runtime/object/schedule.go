package object

import (
	"context"
	"fmt"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/runtime/script"
	"chat.example.com.ai/store"
)

// schedules puts the times of $.every into the outbox as they come. Their rows say
// up to when that is done, and change in the same commit. All times are whole
// minutes, so once a minute is often enough to look, at what the scripts say then.
type schedules struct {
	node   *Node
	ctx    context.Context
	cancel context.CancelFunc

	// The goroutine of run owns what follows.
	known map[string]store.Schedule // the rows; nil before they are read
	since time.Time                 // when it last looked
}

func (s *schedules) init(n *Node) {
	s.node = n
	s.ctx, s.cancel = context.WithCancel(context.Background())
}

// run looks at the schedules at once and at every minute, until cancel.
func (s *schedules) run() {
	s.since = time.Now()
	for {
		now := time.Now()
		if err := s.look(now); err != nil {
			if s.ctx.Err() == nil {
				s.node.log.Error("the schedules could not be looked at; trying again in a minute", "error", err)
			}
		} else {
			s.since = now
		}
		timer := time.NewTimer(time.Until(now.Truncate(time.Minute).Add(time.Minute)))
		select {
		case <-s.ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// look commits the runs that are due.
func (s *schedules) look(now time.Time) error {
	if s.known == nil {
		rows, err := s.node.store.Schedules(s.ctx)
		if err != nil {
			return err
		}
		s.known = make(map[string]store.Schedule, len(rows))
		for _, row := range rows {
			s.known[row.Name] = row
		}
	}
	var batch store.Batch
	var due []store.Delivery
	rows := make(map[string]store.Schedule)
	for _, each := range s.node.Scripts().Schedules() {
		row, ok := s.known[each.Name]
		if !ok || row.Cron != each.Cron || row.Last > now.Add(time.Hour).UnixMilli() { // new, or the system's clock was wrong
			row = store.Schedule{Name: each.Name, Cron: each.Cron, Last: s.since.UnixMilli()}
		}
		at, ok, err := each.Due(time.UnixMilli(row.Last), now)
		if err != nil {
			s.node.log.Error("a schedule has no next time", "handler", each.Name, "error", err)
			continue
		}
		if ok {
			row.Last = at.UnixMilli()
			d := s.delivery(each, at, now)
			due = append(due, d)
			batch.Writes = append(batch.Writes, store.AddDelivery{Delivery: d})
		}
		if row != s.known[each.Name] {
			batch.Writes = append(batch.Writes, store.PutSchedule{Schedule: row})
		}
		rows[each.Name] = row
	}
	for name := range s.known {
		if _, ok := rows[name]; !ok {
			batch.Writes = append(batch.Writes, store.DeleteSchedule{Name: name})
		}
	}
	if len(batch.Writes) == 0 {
		return nil
	}
	batch.Object = key.Key{Type: script.HandlerNoun, ID: "schedules"} // none of its rows is written
	batch.Token = s.node.config.Placement.Token(batch.Object)
	if err := s.node.store.CommitWait(s.ctx, &batch); err != nil {
		return err
	}
	s.known = rows
	for _, d := range due {
		s.node.stats.Scheduled.Add(1)
		s.node.outbox.Committed(d)
	}
	return nil
}

// delivery brings a time to a handler, once: its ID is the same whoever makes it.
func (s *schedules) delivery(each script.Schedule, at, now time.Time) store.Delivery {
	return store.Delivery{
		Seq:     s.node.store.NextSeq(),
		Kind:    store.ScheduleDelivery,
		Target:  each.Object,
		Handler: each.Name,
		ID:      fmt.Sprintf("%s@%d", each.Name, at.UnixMilli()),
		Type:    "$.every",
		Source:  each.Object.String(),
		Data:    fmt.Appendf(nil, `{"scheduledTime":%d,"cron":%q}`, at.UnixMilli(), each.Cron),
		At:      now.UnixMilli(),
		Hops:    1,
	}
}
