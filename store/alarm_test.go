package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
)

// mustAlarm checks what a view knows of the object's alarm; nil is none.
func mustAlarm(t *testing.T, v *View, want *Alarm) {
	t.Helper()
	got, ok, err := v.Alarm(context.Background())
	if err != nil || ok != (want != nil) || ok && got != *want {
		t.Errorf("alarm %+v %v %v, want %+v", got, ok, err, want)
	}
}

func TestAnAlarmFromBeingSetToItsEnd(t *testing.T) {
	s := openStore(t, Options{})
	v := s.View(general, s.Epoch())
	mustAlarm(t, v, nil)
	first := &Alarm{Object: general, ID: 1, Scheduled: 100, Due: 100}
	second := &Alarm{Object: general, ID: 2, Scheduled: 100, Due: 100}
	for _, step := range []struct {
		write Write
		want  *Alarm
	}{
		{SetAlarm{ID: 1, At: 100}, first},
		{EndAlarm{ID: 7}, first}, // of another one
		{RetryAlarm{ID: 7, Attempts: 9, Due: 9}, first},
		{SetAlarm{ID: 2, At: 100}, second},
		{EndAlarm{ID: 1}, second},
		{EndAlarm{ID: 2}, nil},
		{SetAlarm{ID: 1, At: 100}, first},
		{DeleteAlarm{}, nil},
		{SetAlarm{ID: 2, At: 100}, second},
	} {
		v.Write(step.write)
		mustAlarm(t, v, step.want) // in its turn
		b := v.Seal()
		mustAlarm(t, v, step.want) // while it waits
		if err := s.CommitWait(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		v.Settled(b)
		mustAlarm(t, v, step.want)
	}
	save(t, v, RetryAlarm{ID: 2, Attempts: 3, Due: 500})
	mustAlarm(t, v, &Alarm{Object: general, ID: 2, Scheduled: 100, Due: 500, Attempts: 3})
	v.Write(DeleteAlarm{})
	v.Discard()
	mustAlarm(t, v, &Alarm{Object: general, ID: 2, Scheduled: 100, Due: 500, Attempts: 3})
}

func TestDueAlarmsComeInTheirOrder(t *testing.T) {
	s := openStore(t, Options{})
	const n = 50
	for _, i := range rand.Perm(n) {
		v := s.View(room(fmt.Sprintf("r%02d", i)), s.Epoch())
		save(t, v, SetAlarm{ID: int64(i), At: int64(1000 + i/2)}) // two each
	}
	due, err := s.DueAlarms(t.Context(), 1015, 20)
	if err != nil || len(due) != 20 {
		t.Fatalf("%d are due, %v", len(due), err)
	}
	for i, a := range due {
		if want := (Alarm{Object: room(fmt.Sprintf("r%02d", i)), ID: int64(i), Scheduled: int64(1000 + i/2), Due: int64(1000 + i/2)}); a != want {
			t.Errorf("%d: %+v, want %+v", i, a, want)
		}
	}
	if due, err = s.DueAlarms(t.Context(), 1015, n); err != nil || len(due) != 32 {
		t.Errorf("%d are due, %v", len(due), err)
	}
	for after, want := range map[int64]int64{0: 1000, 999: 1000, 1000: 1001, 1023: 1024, 1024: 0} {
		if next, found, err := s.NextAlarm(t.Context(), after); err != nil || found != (want != 0) || next != want {
			t.Errorf("after %d: %d %v %v, want %d", after, next, found, err, want)
		}
	}
}

func TestAlarmsAndSchedulesStay(t *testing.T) {
	folder := t.TempDir()
	s, err := Open(t.Context(), Options{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	weekly := Schedule{"weekly", "0 9 * * 1", 1000}
	save(t, s.View(general, s.Epoch()), SetAlarm{ID: 5, At: 100}, PutSchedule{Schedule{"weekly", "@weekly", 1}}, PutSchedule{weekly},
		PutSchedule{Schedule{"gone", "@daily", 2}}, DeleteSchedule{"gone"})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Options{Folder: folder})
	mustAlarm(t, s.View(general, s.Epoch()), &Alarm{Object: general, ID: 5, Scheduled: 100, Due: 100})
	if got, err := s.Schedules(t.Context()); err != nil || !reflect.DeepEqual(got, []Schedule{weekly}) {
		t.Errorf("schedules %+v, %v", got, err)
	}
}
