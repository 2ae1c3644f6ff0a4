package main_test

import (
	"flag"
	"strings"
	"testing"
	"time"
)

// overloadFor is how long the program is overloaded; -overload 1m for the whole
// minute that README speaks of.
var overloadFor = flag.Duration("overload", 8*time.Second, "how long TestOverload overloads the program")

// Two hundred clients send as fast as TCP takes it: far more than the machine can do.
// They are held up, none is cut, memory stays bounded, others are as quick as
// before soon after, and what anybody has heard is stored, whatever ends the program.
func TestOverload(t *testing.T) {
	p := start(t, programOptions{scripts: hastyWith(t, nil)})
	metric := p.scraper()
	quiet := p.probe(t, "quiet", 10*time.Millisecond)
	began := time.Now()
	<-time.After(2 * time.Second)
	before := quiet.between(began, time.Now())

	rooms, each := 100, 2
	if raceOptions != "" {
		rooms = 4 // what TCP takes of more would be worked off for half a minute
	}
	f := p.flood(rooms, each, strings.Repeat("and what one says in a chat, ", 16))
	mostMemory := p.watchMemory()
	flooded := time.Now()
	third := *overloadFor / 3
	<-time.After(third)
	early := p.memory(false)
	heard, turns := f.heard(), metric("chat_turns_total")
	<-time.After(*overloadFor - third)
	late := p.memory(false)
	took := time.Since(flooded) - third
	rate := float64(f.heard()-heard) / float64(each) / took.Seconds()
	f.stop()
	stopped, backlog := time.Now(), float64(f.sent()-f.heard()/int64(each))
	during := quiet.between(flooded, stopped)
	t.Logf("%d clients for %v: %.0f messages a second, %.0f turns; TCP took %d messages, of which %d were seen", rooms*each, took.Round(time.Second),
		rate, (metric("chat_turns_total")-turns)/took.Seconds(), f.sent(), f.heard()/int64(each))

	t.Logf("round trips of others: before %v, during %v (p99 %v, worst %v)",
		quantile(before, 0.5), quantile(during, 0.5), quantile(during, 0.99), quantile(during, 1))
	t.Logf("memory: %d MiB after a third, %d at the end", early>>20, late>>20)

	// What TCP took before is worked off; then it is as before.
	p.eventually("it is as quick as before", func() bool {
		last := quiet.between(time.Now().Add(-500*time.Millisecond), time.Now())
		return len(last) >= len(before)/10 && quantile(last, 0.5) <= 3*quantile(before, 0.5)+20*time.Millisecond
	})
	recovered := time.Since(stopped) - 500*time.Millisecond
	most := mostMemory()
	for _, c := range f.all {
		if c.wrong != nil {
			t.Fatalf("%s in %s: %v", c.name, c.room, c.wrong)
		}
	}
	if open := metric("chat_sockets"); open != float64(rooms*each+2) {
		t.Errorf("%v sockets are open, want %d: nobody who reads is cut", open, rooms*each+2)
	}
	t.Logf("as quick as before %v after the end; %d MiB of memory at most", recovered.Round(100*time.Millisecond), most>>20)
	const bound = 400
	if raceOptions == "" && most>>20 > bound {
		t.Errorf("%d MiB are resident, want at most %d", most>>20, bound)
	}
	if most := 5*time.Second + time.Duration(1.5*backlog/rate*float64(time.Second)); recovered > most {
		t.Errorf("it was as quick as before only after %v, with %.0f messages to work off; want %v", recovered, backlog, most)
	}
	quiet.end()

	// Once more, and the plug is pulled.
	f.goOn()
	<-time.After(time.Second)
	if err := p.process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-p.done
	f.hangUp()
	t.Logf("%d messages are stored, %d were seen", f.wantStored(t), f.heard()/int64(each))
}
