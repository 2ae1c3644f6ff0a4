package store

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"chat.example.com.ai/runtime/key"
)

// benchBatch is what a turn that takes a chat message writes.
func benchBatch(s *Store, v *View, n int) *Batch {
	v.Write(PutThing{Insert: true, Thing: message(n, fmt.Sprintf(`{"room":"x","text":"hello, this is message %d","sent":{"$date":%d}}`, n, n))})
	v.Write(AddDelivery{Delivery{Seq: s.NextSeq(), Kind: EventDelivery, Target: key.Key{Type: "Handler", ID: "notify"},
		ID: "e", Type: "Message.sent", Source: "Room/general", Data: []byte(`{"text":"hello"}`)}})
	return v.Seal()
}

func BenchmarkCommit(b *testing.B) {
	s := openStore(b, Options{Folder: b.TempDir()})
	v := s.View(general, s.Epoch())
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		batch := benchBatch(s, v, n)
		if err := s.CommitWait(context.Background(), batch); err != nil {
			b.Fatal(err)
		}
		v.Settled(batch)
	}
}

func BenchmarkCommitGroup(b *testing.B) {
	var groups atomic.Int64
	s := openStore(b, Options{Folder: b.TempDir(), ObserveCommit: func(int, time.Duration) { groups.Add(1) }})
	var objects atomic.Int64
	b.SetParallelism(100)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		v := s.View(room(fmt.Sprint(objects.Add(1))), s.Epoch())
		for n := 0; pb.Next(); n++ {
			batch := benchBatch(s, v, n)
			if err := s.CommitWait(context.Background(), batch); err != nil {
				b.Error(err)
				return
			}
			v.Settled(batch)
		}
	})
	b.ReportMetric(float64(b.N)/float64(groups.Load()), "batches/commit")
}

func BenchmarkThings(b *testing.B) {
	s := openStore(b, Options{})
	v := s.View(general, s.Epoch())
	fill(b, v, 100_000)
	q := Query{Type: "Message", Where: []Cond{{"room", "$eq", "x"}}, OrderBy: []Order{{"sent", true}}, Limit: 50}
	check := func(b *testing.B, q Query) {
		b.ReportAllocs()
		for b.Loop() {
			if n := len(list(b, v, q)); n != 50 {
				b.Fatal(n)
			}
		}
	}
	b.Run("newest", func(b *testing.B) { check(b, Query{Type: q.Type, OrderBy: q.OrderBy, Limit: q.Limit}) })
	b.Run("newest in room", func(b *testing.B) { check(b, q) })
	b.Run("room declared", func(b *testing.B) {
		declared := q
		declared.Indexed = []string{"room"}
		list(b, v, Query{Type: q.Type, Indexed: []string{"room"}, OrderBy: []Order{{"room", false}}, Limit: 1}) // build it
		check(b, declared)
	})
	b.Run("with pending writes", func(b *testing.B) {
		for n := range 10 {
			v.Write(PutThing{Thing: message(200_000+n, `{"room":"x","sent":{"$date":999999}}`)})
			v.Seal()
		}
		check(b, q)
	})
}

func BenchmarkThing(b *testing.B) {
	s := openStore(b, Options{})
	v := s.View(general, s.Epoch())
	fill(b, v, 1000)
	b.ReportAllocs()
	for b.Loop() {
		mustHave(b, v, "m000500", true)
	}
}

func BenchmarkWriteSealSettle(b *testing.B) {
	s := openStore(b, Options{})
	v := s.View(general, s.Epoch())
	t := message(1, `{}`)
	b.ReportAllocs()
	for b.Loop() {
		v.Write(PutThing{Thing: t})
		v.Settled(v.Seal())
	}
}

// Commits one after another, alone and while backups are made without a pause.
func BenchmarkCommitWhileABackupIsMade(b *testing.B) {
	folder := b.TempDir()
	s := openStore(b, Options{Folder: folder})
	v := s.View(general, s.Epoch())
	text := `{"text":"` + strings.Repeat("x", 1000) + `"}`
	const size = 64 // MiB
	for n := range size {
		for i := range 1000 {
			v.Write(PutThing{Thing: message(n*1000+i, text), Insert: true})
		}
		save(b, v)
	}
	n := size * 1000
	commits := func(b *testing.B) {
		took := make([]time.Duration, 0, b.N)
		for range b.N {
			n++
			began := time.Now()
			save(b, v, PutThing{Thing: message(n, text), Insert: true})
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	}
	b.Run("alone", commits)
	b.Run("backup", func(b *testing.B) {
		ctx, cancel := context.WithCancel(b.Context())
		done, file := make(chan int), filepath.Join(b.TempDir(), "backup")
		go func() {
			made := 0
			for ; ctx.Err() == nil; made++ {
				if _, err := Backup(ctx, BackupOptions{Folder: folder, File: file, Replace: true}); err != nil && ctx.Err() == nil {
					b.Error(err)
				}
			}
			done <- made
		}()
		commits(b)
		cancel()
		b.ReportMetric(float64(<-done), "backups")
	})
}
