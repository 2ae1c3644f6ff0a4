package cluster_test

import (
	"testing"

	"go.uber.org/goleak"

	"chat.example.com.ai/runtime/cluster"
	"chat.example.com.ai/runtime/key"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEveryObjectLivesHere(t *testing.T) {
	l := cluster.NewLocal(7)
	if got := l.Token(key.Key{Type: "Room", ID: "general"}); got != 7 {
		t.Errorf("token %d, want the epoch of the store", got)
	}
}
