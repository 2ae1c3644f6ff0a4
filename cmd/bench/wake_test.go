package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

func TestWakeMeasuresMessagesToSleepingRooms(t *testing.T) {
	var r wakeReport
	runJSON(t, &r, "wake", "--rooms", "10", "--waves", "2", "--rate", "200", "--hibernate-after", "50ms")
	if len(r.Results) != 2 || r.Results[0].Server != "runtime" || r.Results[1].Server != "baseline" {
		t.Fatalf("the results are %+v", r.Results)
	}
	for _, one := range r.Results {
		if one.Heard != 20 || one.Missing != 0 || one.SocketsLost != 0 {
			t.Errorf("not all went well: %+v", one)
		}
		if !(0 < one.P50 && one.P50 <= one.P90 && one.P90 <= one.P99 && one.P99 <= one.Max) {
			t.Errorf("these latencies cannot be: %+v", one)
		}
	}
	if r.Results[0].Asleep != 20 || r.Results[1].Asleep != 0 {
		t.Errorf("%v and %v messages went to sleeping rooms", r.Results[0].Asleep, r.Results[1].Asleep)
	}
}

func TestASleepIsWaitedFor(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := "# HELP chat_objects_awake 7\nchat_objects_awake 0\nchat_sockets 3\nother{a=\"b c\"} 5\n"
		switch asked.Add(1) {
		case 1:
			text = "chat_objects_awake 2\nchat_sockets 3\n"
		case 2:
			text = "chat_objects_awake 0\nchat_sockets 4\n"
		}
		_, _ = io.WriteString(w, text)
	}))
	defer server.Close()
	s := target{name: "x", addr: strings.TrimPrefix(server.URL, "http://")}
	if asleep, err := s.fallAsleep(t.Context(), 3); err != nil || !asleep {
		t.Errorf("asleep is %v, error %v", asleep, err)
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("it was asked %d times", n)
	}
}

func TestAServerWithoutMetricsIsNotWaitedFor(t *testing.T) {
	s := target{name: "x", addr: addressOf(startBaseline(t))}
	if asleep, err := s.fallAsleep(t.Context(), 0); err != nil || asleep {
		t.Errorf("asleep is %v, error %v", asleep, err)
	}
	s.addr = "127.0.0.1:1"
	if _, err := s.fallAsleep(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "/metrics") {
		t.Errorf("of nobody the error is %v", err)
	}
}
