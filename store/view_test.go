package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestAnObjectSeesWhatItHasNotCommittedYet(t *testing.T) {
	s := openStore(t, Options{})
	ctx := context.Background()
	v, other := s.View(general, s.Epoch()), s.View(room("other"), s.Epoch())

	v.Write(PutThing{Thing: message(1, `{}`), Insert: true})
	v.Write(PutValue{"k", []byte("1")})
	if writes, bytes := v.Turn(); writes != 2 || bytes < 10 {
		t.Errorf("turn of %d writes, %d bytes", writes, bytes)
	}
	mustHave(t, v, "m000001", true)
	mustHave(t, other, "m000001", false)
	first := v.Seal()
	if first.Object != general || first.Token != s.Epoch() || len(first.Writes) != 2 || first.Bytes == 0 {
		t.Errorf("batch %+v", first)
	}

	// a turn that fails takes nothing but its own writes with it
	v.Write(DeleteThing{"m000001"})
	v.Write(DeleteAllValues{})
	mustHave(t, v, "m000001", false)
	v.Discard()
	if writes, bytes := v.Turn(); writes != 0 || bytes != 0 {
		t.Errorf("turn of %d writes, %d bytes after Discard", writes, bytes)
	}
	if v.Seal() != nil {
		t.Error("an empty turn makes a batch")
	}
	mustHave(t, v, "m000001", true)

	v.Write(PutThing{Thing: message(2, `{}`)})
	second := v.Seal()
	for _, b := range []*Batch{first, second} {
		if err := s.CommitWait(ctx, b); err != nil {
			t.Fatal(err)
		}
		// committed, and still in the overlay: seen once
		if got := ids(list(t, v, Query{})); got != "1 2" {
			t.Errorf("listed %q", got)
		}
		v.Settled(b)
	}
	if len(v.pending) != 0 {
		t.Error("batches are left in the view")
	}
	if got := ids(list(t, v, Query{})); got != "1 2" {
		t.Errorf("listed %q", got)
	}
	values, err := v.Values(ctx, []string{"k"})
	if err != nil || string(values["k"]) != "1" {
		t.Errorf("values %q, %v", values, err)
	}
}

func TestReadsDoNotWaitForACommit(t *testing.T) {
	gate := make(chan struct{})
	reached := make(chan struct{}, 1)
	s := openStore(t, Options{BeforeCommit: func() {
		select {
		case reached <- struct{}{}:
		default:
		}
		<-gate
	}})
	v := s.View(general, s.Epoch())
	v.Write(PutThing{Thing: message(1, `{}`)})
	done := make(chan error, 1)
	s.Commit(v.Seal(), func(err error) { done <- err })
	<-reached
	mustHave(t, v, "m000001", true)
	if got := ids(list(t, v, Query{})); got != "1" {
		t.Errorf("listed %q", got)
	}
	mustHave(t, s.View(general, s.Epoch()), "m000001", false)
	close(gate)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestReadOfAnEndedContext(t *testing.T) {
	s := openStore(t, Options{})
	v := s.View(general, s.Epoch())
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := v.Things(ctx, Query{}); !errors.Is(err, context.Canceled) {
		t.Errorf("Things: %v", err)
	}
	if _, err := v.ListValues(ctx, ListOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("ListValues: %v", err)
	}
	if _, err := v.Values(ctx, []string{"k"}); !errors.Is(err, context.Canceled) {
		t.Errorf("Values: %v", err)
	}
}

func TestListValues(t *testing.T) {
	s := openStore(t, Options{})
	v := s.View(general, s.Epoch())
	for _, k := range []string{"a", "a1", "a2", "b", "é", "\U0010ffff", "\U0010ffffx"} {
		v.Write(PutValue{k, []byte(k)})
	}
	save(t, v)
	v.Write(PutValue{"a15", []byte("new")})
	v.Write(DeleteValue{"a2"})
	for _, c := range []struct {
		opts ListOptions
		want []string
	}{
		{ListOptions{}, []string{"a", "a1", "a15", "b", "é", "\U0010ffff", "\U0010ffffx"}},
		{ListOptions{Prefix: "a", Limit: 2}, []string{"a", "a1"}},
		{ListOptions{Prefix: "a", Reverse: true, Limit: 2}, []string{"a15", "a1"}},
		{ListOptions{Start: "a1", End: "b"}, []string{"a1", "a15"}},
		{ListOptions{StartAfter: "a1", End: "b"}, []string{"a15"}},
		{ListOptions{Prefix: "\U0010ffff"}, []string{"\U0010ffff", "\U0010ffffx"}},
		{ListOptions{Prefix: "none"}, nil},
	} {
		rows, err := v.ListValues(context.Background(), c.opts)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, row := range rows {
			got = append(got, row.Key)
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: %q, want %q", c.opts, got, c.want)
		}
	}
	v.Write(DeleteAllValues{})
	v.Write(PutValue{"z", nil})
	rows, err := v.ListValues(context.Background(), ListOptions{})
	if err != nil || len(rows) != 1 || rows[0].Key != "z" || rows[0].Value == nil {
		t.Errorf("after DeleteAllValues: %q, %v", rows, err)
	}
	save(t, v)
	committed, err := v.ListValues(context.Background(), ListOptions{})
	if err != nil || !reflect.DeepEqual(committed, rows) {
		t.Errorf("committed: %q, %v", committed, err)
	}
}

func TestOverlayOfValuesIsLikeCommitted(t *testing.T) {
	s := openStore(t, Options{})
	ctx := context.Background()
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 2))
		half, whole := s.View(room(fmt.Sprint("half", seed)), s.Epoch()), s.View(room(fmt.Sprint("whole", seed)), s.Epoch())
		keys := []string{"a", "a\x00", "ab", "b", "ba", "é", "z"}
		some := func() string {
			if r.IntN(2) == 0 {
				return ""
			}
			return keys[r.IntN(len(keys))]
		}
		for i := range 40 {
			var w Write
			switch r.IntN(10) {
			case 0:
				w = DeleteAllValues{}
			case 1, 2, 3:
				w = DeleteValue{keys[r.IntN(len(keys))]}
			default:
				w = PutValue{keys[r.IntN(len(keys))], []byte{byte(i)}}
			}
			half.Write(w)
			whole.Write(w)
			if i < 20 && r.IntN(4) == 0 {
				save(t, half)
			} else if r.IntN(4) == 0 {
				half.Seal()
			}
		}
		save(t, whole)
		for range 50 {
			opts := ListOptions{Start: some(), StartAfter: some(), End: some(), Prefix: some(), Reverse: r.IntN(2) == 0, Limit: r.IntN(4)}
			want, err := whole.ListValues(ctx, opts)
			if err != nil {
				t.Fatal(err)
			}
			got, err := half.ListValues(ctx, opts)
			if err != nil || len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, %+v:\n got %q (%v)\nwant %q", seed, opts, got, err, want)
			}
		}
		want, _ := whole.Values(ctx, keys)
		got, err := half.Values(ctx, keys)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("seed %d: %q (%v), want %q", seed, got, err, want)
		}
	}
}
