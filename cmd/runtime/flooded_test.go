package main_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// floodedBound is what a round trip of others may take while one room is flooded,
// 99 of 100 times.
const floodedBound = 50 * time.Millisecond

// A room is flooded by many, who mention somebody each time, so that the handler and
// the one who is told are flooded too. In other rooms nobody notices.
func TestOneRoomIsFlooded(t *testing.T) {
	const tries = 3 // another program on the machine is no fault of this one
	best := time.Hour
	for try := range tries {
		p99 := floodOneRoom(t, fmt.Sprint("try ", try))
		if best = min(best, p99); best < floodedBound {
			return
		}
	}
	if raceOptions == "" {
		t.Errorf("p99 of the others was %v at best, want %v", best, floodedBound)
	}
}

func floodOneRoom(t *testing.T, name string) (p99 time.Duration) {
	t.Run(name, func(t *testing.T) {
		p := start(t, programOptions{})
		metric := p.scraper()
		p.connect("/users/victim/inbox")
		const others = 10
		var probes []*probe
		for i := range others {
			probes = append(probes, p.probe(t, fmt.Sprint("quiet", i), 50*time.Millisecond))
		}
		began := time.Now()
		<-time.After(2 * time.Second)
		f := p.flood(1, 100, "@victim and what one says in a chat, which is no book")
		flooded := time.Now()
		<-time.After(4 * time.Second)
		ended := time.Now()
		heard := f.heard()
		f.stop()
		f.hangUp()
		var before, during []time.Duration
		for _, each := range probes {
			before = append(before, each.between(began, flooded)...)
			during = append(during, each.between(flooded.Add(500*time.Millisecond), ended)...)
			each.end()
		}
		slices.Sort(before)
		slices.Sort(during)
		p99 = quantile(during, 0.99)
		t.Logf("the room: %.0f messages and %.0f deliveries a second; notified %.0f times in all", float64(heard)/100/ended.Sub(flooded).Seconds(),
			float64(heard)/ended.Sub(flooded).Seconds(), metric("chat_deliveries_total"))
		t.Logf("others: %d round trips before, median %v, p99 %v; %d during, median %v, p99 %v, worst %v", len(before), quantile(before, 0.5), quantile(before, 0.99),
			len(during), quantile(during, 0.5), p99, quantile(during, 1))
	})
	return p99
}
