package store

import (
	"context"
	"testing"

	"chat.example.com.ai/runtime/key"
)

// A delivery that is done is not read again while its row waits to be removed.
func TestWhatHasEndedIsNotReadAgain(t *testing.T) {
	hold := make(chan struct{})
	held := make(chan struct{}, 10)
	s := openStore(t, Options{BeforeCommit: func() {
		held <- struct{}{}
		<-hold
	}})
	ann := key.Key{Type: "User", ID: "ann"}
	v := s.View(general, s.Epoch())
	var rows []Delivery
	for range 3 {
		d := Delivery{Seq: s.NextSeq(), Kind: CallDelivery, Target: ann}
		rows = append(rows, d)
		v.Write(AddDelivery{d})
	}
	done := make(chan error, 1)
	s.Commit(v.Seal(), func(err error) { done <- err })
	<-held
	hold <- struct{}{}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	want := func(count int) {
		t.Helper()
		if got, _, err := s.Deliveries(context.Background(), ann, 0, 10); err != nil || len(got) != count {
			t.Errorf("%d are read, want %d; %v", len(got), count, err)
		}
	}
	s.EndDelivery(rows[0].Seq)
	want(2)
	<-held // the transaction that ends it is under way
	s.EndDelivery(rows[2].Seq)
	want(1)
	close(hold)
	<-held
	want(1)
}
