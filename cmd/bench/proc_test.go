package main

import (
	"os"
	"testing"
	"time"
)

func TestProcessorTimeIsReadAfterTheCommand(t *testing.T) {
	stat := "12 (a) 1 2 (b) S 1 12 12 0 -1 4194304 500 0 0 0 250 31 7 9 20 0 8 0 100 1000 10 18446744073709551615\n"
	if d, ok := parseStat([]byte(stat)); !ok || d != 2810*time.Millisecond {
		t.Errorf("got %v, %v", d, ok)
	}
	for _, wrong := range []string{"", "12 (a", "12 (a) S 1 2", "12 (a) S 1 12 12 0 -1 4194304 500 0 0 0 x y 7 9"} {
		if d, ok := parseStat([]byte(wrong)); ok {
			t.Errorf("%q is %v", wrong, d)
		}
	}
	if _, err := cpuTime(os.Getpid()); err != nil {
		t.Error(err)
	}
	if _, err := cpuTime(-1); err == nil {
		t.Error("there is no process -1")
	}
}
