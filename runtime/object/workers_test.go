package object

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// shift runs objects that do nothing but take time, each as often as it is told.
type shift struct {
	workers
	mu      sync.Mutex
	steps   map[*Object][]time.Duration
	order   []*Object
	at, top int // how many run now, and have run at a time
	by      map[*Object]*worker
}

// inShift runs f with workers for two objects at a time, and six more beside stalled ones.
func inShift(t *testing.T, f func(t *testing.T, s *shift)) {
	synctest.Test(t, func(t *testing.T) {
		s := &shift{steps: make(map[*Object][]time.Duration), by: make(map[*Object]*worker)}
		ready := &readyVMs{}
		s.init(s.step, ready)
		s.atATime = 2
		f(t, s)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if s.running != 0 || s.extra != 0 || ready.running.Load() != 0 {
			t.Errorf("at the end %d run, %d more may, and %d workers have objects", s.running, s.extra, ready.running.Load())
		}
		s.close()
	})
}

func (s *shift) step(o *Object, by *worker) (more bool) {
	s.mu.Lock()
	took := s.steps[o][0]
	s.steps[o] = s.steps[o][1:]
	more = len(s.steps[o]) > 0
	s.order = append(s.order, o)
	s.by[o] = by
	s.at++
	s.top = max(s.top, s.at)
	s.mu.Unlock()
	time.Sleep(took)
	s.mu.Lock()
	s.at--
	s.mu.Unlock()
	return more
}

// have makes an object that has something to do.
func (s *shift) have(awake bool, steps ...time.Duration) *Object {
	o := &Object{agenda: &agenda{}}
	if awake {
		o.act = &activation{}
	}
	s.mu.Lock()
	s.steps[o] = steps
	s.mu.Unlock()
	o.mu.Lock()
	s.enter(o)
	o.mu.Unlock()
	synctest.Wait()
	return o
}

// began are the objects that have run, in order.
func (s *shift) began() []*Object {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.order)
}

func TestObjectsRunAFewAtATimeInOrder(t *testing.T) {
	inShift(t, func(t *testing.T, s *shift) {
		var all []*Object
		for range 1000 {
			all = append(all, s.have(false, 20*time.Millisecond))
		}
		began := time.Now()
		time.Sleep(10 * time.Second)
		order := s.began()
		for i, o := range all {
			if at := slices.Index(order, o); at < i-1 || at > i+1 { // two begin at the same time
				t.Fatalf("of %d, number %d has run as number %d", len(order), i, at)
			}
		}
		if s.top != 2 {
			t.Errorf("%d have run at a time, want 2", s.top)
		}
		if took := time.Since(began); took != 10*time.Second {
			t.Errorf("they took %v", took)
		}
	})
}

func TestWhatGoesOnPassesNewcomersAndLeavesThemAShare(t *testing.T) {
	inShift(t, func(t *testing.T, s *shift) {
		for range 1000 {
			s.have(false, 20*time.Millisecond)
		}
		time.Sleep(10 * time.Millisecond)
		before := len(s.began())
		talks := s.have(true, time.Millisecond)
		time.Sleep(20 * time.Millisecond)
		if at := slices.Index(s.began(), talks); at < 0 || at > before+1 { // another begins at the same time
			t.Errorf("it ran as number %d, after %d", at, before)
		}
		for range 1000 {
			s.have(true, 20*time.Millisecond)
		}
		before = len(s.began())
		time.Sleep(5 * time.Second)
		order, came := s.began()[before:], 0
		for _, o := range order {
			if o.act == nil {
				came++
			}
		}
		if want := len(order) / (newcomersAfter + 1); came < want-1 || came > want+1 {
			t.Errorf("%d of %d were newcomers, want %d", came, len(order), want)
		}
	})
}

func TestARequestIsANewcomer(t *testing.T) {
	inShift(t, func(t *testing.T, s *shift) {
		s.have(true, time.Second)
		s.have(true, time.Second)
		asks := &Object{act: &activation{}, agenda: &agenda{}}
		asks.inbox.pushEvent(&requestEvent{})
		s.steps[asks] = []time.Duration{0}
		s.enter(asks)
		hears := &Object{act: &activation{}, agenda: &agenda{}}
		hears.inbox.pushEvent(&messageEvent{})
		hears.inbox.pushEvent(&requestEvent{})
		s.steps[hears] = []time.Duration{0}
		s.enter(hears)
		time.Sleep(2 * time.Second)
		if order := s.began(); !slices.Equal(order[2:], []*Object{hears, asks}) {
			t.Error("who asks was before who talks")
		}
	})
}

func TestAnObjectWithMuchToDoHandsOn(t *testing.T) {
	inShift(t, func(t *testing.T, s *shift) {
		much := slices.Repeat([]time.Duration{slice}, 100)
		a, b := s.have(true, much...), s.have(true, much...)
		c, d := s.have(true, slice, slice), s.have(true, slice)
		time.Sleep(3 * slice)
		if order := s.began()[:8]; !slices.Equal(order[2:4], []*Object{c, d}) && !slices.Equal(order[2:4], []*Object{d, c}) ||
			!slices.Contains(order[4:7], a) || !slices.Contains(order[4:7], b) || !slices.Contains(order[4:7], c) {
			t.Error("those that wait have no turn, or those that handed on have none after them")
		}
	})
}

func TestStepsThatTakeLongHoldUpOthersOnlyShortly(t *testing.T) {
	inShift(t, func(t *testing.T, s *shift) {
		for range 2 {
			s.have(true, time.Hour)
		}
		next := s.have(true, time.Millisecond)
		time.Sleep(stallAfter - time.Millisecond)
		if slices.Contains(s.began(), next) {
			t.Error("three run where two may")
		}
		time.Sleep(2 * time.Millisecond)
		if !slices.Contains(s.began(), next) {
			t.Error("the third waits for two that are stalled")
		}
		for range 20 { // from then on one at a time runs beside them
			s.have(true, time.Millisecond)
		}
		time.Sleep(20 * time.Millisecond)
		if n := len(s.began()); n != 23 {
			t.Errorf("%d have run, want 23", n)
		}
		if s.top != 3 {
			t.Errorf("%d have run at a time, want 3", s.top)
		}
	})
}

// A machine that is slow for its load is not made slower.
func TestWhereStepsEndNoMoreRunAtATime(t *testing.T) {
	inShift(t, func(t *testing.T, s *shift) {
		for range 100 {
			s.have(false, 300*time.Millisecond)
			time.Sleep(150 * time.Millisecond)
		}
		if s.top != 2 {
			t.Errorf("%d have run at a time, want 2", s.top)
		}
	})
}

func TestWhatRunsBesideStalledStepsIsBoundedUnlessTheyAreLost(t *testing.T) {
	inShift(t, func(t *testing.T, s *shift) {
		var stuck []*Object
		for range 20 {
			stuck = append(stuck, s.have(true, time.Hour))
		}
		time.Sleep(time.Minute)
		if n := len(s.began()); n != 8 {
			t.Fatalf("%d run, want 2 and 6 more", n)
		}
		for i, o := range stuck[:8] {
			s.by[o].lose()
			time.Sleep(time.Minute)
			if n := len(s.began()); n != 9+i {
				t.Fatalf("%d run after %d were lost", n-i-1, i+1)
			}
		}
		time.Sleep(2 * time.Hour)
		if n := len(s.began()); n != 20 {
			t.Errorf("%d have run in the end", n)
		}
	})
}
