package main_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// slowDesk is a script whose object lets one request in at a time, and takes 100 ms
// for each.
const slowDesk = `
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Desk',
  onRequest() {
    this.app.get('/desk/:desk', async (c) => {
      await this.ctx.blockConcurrencyWhile(() => new Promise((resolve) => setTimeout(resolve, 100)))
      return c.text('served')
    })
  },
})`

// eager is how many connections flood the quick object.
const eager = 1000

// floodWithRequests asks for a path over so many connections, over each again as soon as it
// is answered.
func (p *program) floodWithRequests(path string, connections int) (stop func()) {
	p.t.Helper()
	var over atomic.Bool
	var flooding sync.WaitGroup
	for range connections {
		r := p.dialRaw(p.t)
		r.patient(2 * patience)
		flooding.Go(func() {
			for !over.Load() {
				fmt.Fprintf(r, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
				answer, err := http.ReadResponse(r.in, nil)
				if err != nil || answer.StatusCode != http.StatusOK {
					p.t.Errorf("%s: %v, %v", path, answer, err)
					return
				}
				_, _ = io.Copy(io.Discard, answer.Body)
			}
		})
	}
	return func() {
		over.Store(true)
		flooding.Wait()
	}
}

// Thousands of requests go to one object: to one that is quick, each time again as soon
// as they are answered, and at the same time to one that is slow. Others notice little,
// memory stays bounded, and whoever finds no place in the inbox of the slow one in 30
// seconds is told to come again.
func TestRequestsToOneObject(t *testing.T) {
	p := start(t, programOptions{scripts: shippedWith(t, map[string]string{"desk.js": slowDesk})})
	quiet := p.probe(t, "quiet", 20*time.Millisecond)
	<-time.After(time.Second)
	calm := time.Now()
	before := p.memory(false)
	p.forgetMost()

	const patient = 2000
	asked := time.Now()
	var served, refused, over time.Time // the last of those, the first of these, and the last of all
	var waiting sync.WaitGroup
	var mu sync.Mutex
	answers := map[int]int{}
	for range patient {
		r := p.dialRaw(t)
		r.patient(2 * patience)
		fmt.Fprint(r, "GET /desk/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
		waiting.Go(func() {
			answer, err := http.ReadResponse(r.in, nil)
			mu.Lock()
			defer mu.Unlock()
			if over = time.Now(); err == nil && answer.StatusCode == http.StatusOK {
				served = over
			} else if refused.IsZero() {
				refused = over
			}
			switch {
			case err != nil:
				answers[0]++
			case answer.StatusCode == http.StatusServiceUnavailable && answer.Header.Get("Retry-After") == "":
				answers[1]++
			default:
				answers[answer.StatusCode]++
			}
		})
	}
	quick := quiet.between(time.Time{}, calm)
	bound := floodedBound + 4*quantile(quick, 0.99)
	var said []time.Duration
	for range 3 { // of which one is enough: others have the machine too
		p99 := p.othersUnderRequests(t, quiet)
		if said = append(said, p99); p99 <= bound {
			break
		}
	}
	if slices.Min(said) > bound && raceOptions == "" {
		t.Errorf("p99 of the others: %v; %v before", said, quantile(quick, 0.99))
	}
	ended := time.Now()
	p.wantMemory(t, fmt.Sprint(patient+eager, " requests"), before, 300)

	waiting.Wait()
	t.Logf("answers of the slow object by status: %v", answers)
	// One of ten in a second. While the time of one after the other is up, the next is
	// let in each time, and is late as well: it had entered, and was not through.
	most := int(served.Sub(asked)/(99*time.Millisecond)) + 1
	mostLate := int(over.Sub(refused)/(99*time.Millisecond)) + 5
	late := answers[http.StatusInternalServerError]
	if n := answers[http.StatusOK]; n < 100 || n > most || late > mostLate || answers[http.StatusServiceUnavailable] != patient-n-late {
		t.Errorf("answers of the slow object by status: %v; want %d that are served at most, and %d that are late", answers, most, mostLate)
	}
	quiet.end()
	all := quiet.between(ended.Add(time.Second), time.Now())
	t.Logf("others while the slow one is waited for: p99 %v, worst %v", quantile(all, 0.99), quantile(all, 1))
	if p99 := quantile(all, 0.99); raceOptions == "" && p99 > 2*prompt {
		t.Errorf("p99 of the others is %v while nothing runs", p99)
	}
}

// othersUnderRequests returns p99 of the round trips of others while a quick object is
// flooded.
func (p *program) othersUnderRequests(t *testing.T, others *probe) (p99 time.Duration) {
	t.Helper()
	stop := p.floodFromOutside(t, "/rooms/hot/presence")
	began, before := time.Now(), p.metric("chat_turns_total")
	<-time.After(4 * time.Second)
	ended := time.Now()
	turns := p.metric("chat_turns_total") - before
	p.eventually("it is a flood", func() bool { return p.metric("chat_turns_total") >= before+2*eager })
	stop()
	during := others.between(began.Add(500*time.Millisecond), ended)
	t.Logf("%.0f turns a second; others: %d round trips, median %v, p99 %v", turns/4, len(during), quantile(during, 0.5), quantile(during, 0.99))
	if len(during) < 10 { // those that take for ever are not among them
		t.Errorf("%d round trips of others", len(during))
	}
	return quantile(during, 0.99)
}
