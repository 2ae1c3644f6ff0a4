package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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

// BenchmarkHistory reads pages of one room, as the shipped chat and the seed ask for
// them, at random places. The room has 10,000 messages, or CHAT_BENCH_MESSAGES.
func BenchmarkHistory(b *testing.B) {
	messages := 10_000
	if given := os.Getenv("CHAT_BENCH_MESSAGES"); given != "" {
		var err error
		if messages, err = strconv.Atoi(given); err != nil || messages < 1000 {
			b.Fatalf("CHAT_BENCH_MESSAGES is %q, want a number from 1000", given)
		}
	}
	s := openStore(b, Options{Folder: b.TempDir()})
	v := s.View(general, s.Epoch())
	id := func(n int) string { return fmt.Sprintf("01HZX%021d", n) }
	began := time.Now()
	for n := range messages {
		t := message(n, fmt.Sprintf(`{"room":"general","author":"user-%d","content":"the quick brown fox jumps over the lazy dog","sent":{"$date":%d}}`, n%100, n))
		t.ID = id(n)
		v.Write(PutThing{Thing: t, Insert: true})
		if n%5000 == 4999 || n == messages-1 {
			save(b, v)
		}
	}
	b.Logf("%d messages in %v", messages, time.Since(began).Round(time.Millisecond))

	inRoom := []Cond{{"room", "$eq", "general"}}
	byID, newestFirst := []Order{{"$id", false}}, []Order{{"$id", true}}
	for _, c := range []struct {
		name  string
		query func(n int) Query // n is a place in the history
	}{
		{"newest", func(int) Query { return Query{OrderBy: newestFirst, Limit: 50} }},
		{"before", func(n int) Query {
			return Query{Where: []Cond{{"$id", "$lt", id(n)}}, OrderBy: newestFirst, Limit: 100}
		}},
		{"after", func(n int) Query { return Query{Where: []Cond{{"$id", "$gt", id(n)}}, OrderBy: byID, Limit: 100} }},
		{"since", func(n int) Query { return Query{Where: []Cond{{"$id", "$gt", id(n)}}, OrderBy: byID, Limit: 501} }},
		{"seed", func(int) Query { return Query{Where: inRoom, OrderBy: []Order{{"sent", true}}, Limit: 50} }},
		{"seed-after", func(n int) Query {
			return Query{Where: inRoom, OrderBy: []Order{{"sent", true}}, After: id(n), Limit: 100}
		}},
		{"in-room-after", func(n int) Query { return Query{Where: inRoom, OrderBy: byID, After: id(n), Limit: 100} }},
	} {
		b.Run(c.name, func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 1))
			var took []time.Duration
			for b.Loop() {
				q := c.query(600 + r.IntN(messages-600-501)) // where pages are full
				q.Type = "Message"
				began := time.Now()
				got := list(b, v, q)
				took = append(took, time.Since(began))
				if len(got) != q.Limit {
					b.Fatalf("%d messages, want %d", len(got), q.Limit)
				}
			}
			slices.Sort(took)
			for name, part := range map[string]float64{"p50-ms": 0.5, "p99-ms": 0.99} {
				b.ReportMetric(float64(took[int(part*float64(len(took)-1))].Microseconds())/1000, name)
			}
		})
	}
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

// BenchmarkCheck looks through a database of about a megabyte, again and again.
func BenchmarkCheck(b *testing.B) {
	folder := b.TempDir()
	s, err := Open(context.Background(), Options{Folder: folder})
	if err != nil {
		b.Fatal(err)
	}
	v := s.View(general, s.Epoch())
	for n := range 4000 {
		v.Write(PutThing{Thing: message(n, fmt.Sprintf(`{"room":"general","author":"ann","content":"this is message %d of the room","sent":{"$date":%d}}`, n, n)), Insert: true})
	}
	if err := s.CommitWait(context.Background(), v.Seal()); err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	file, err := os.Stat(filepath.Join(folder, FileName))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(file.Size())
	for b.Loop() {
		if problems, err := Check(context.Background(), folder); len(problems) > 0 || err != nil {
			b.Fatal(problems, err)
		}
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
