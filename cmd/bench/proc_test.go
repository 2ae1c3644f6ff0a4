package main

import (
	"os"
	"runtime"
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

func TestTimeOfThreadsIsThatOfTheProcess(t *testing.T) {
	before, err := threadTimes(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	from, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	to := from
	for to-from < 200*time.Millisecond {
		if to, err = cpuTime(os.Getpid()); err != nil {
			t.Fatal(err)
		}
	}
	after, err := threadTimes(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if used := between(before, after); (used - (to - from)).Abs() > 3*tick {
		t.Errorf("the threads used %v, the process %v", used, to-from)
	}
	if _, err := threadTimes(-1); err == nil {
		t.Error("there is no process -1")
	}
}

func TestMemoryAndDescriptorsOfThisProcess(t *testing.T) {
	memory := make([]byte, 64<<20)
	for i := range memory {
		memory[i] = 1
	}
	if n, err := residentMemory(os.Getpid()); err != nil || n < int64(len(memory)) || n > 10<<30 {
		t.Errorf("with 64 MiB there are %d bytes, %v", n, err)
	}
	runtime.KeepAlive(memory)
	before, err := openFiles(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const more = 10
	for range more {
		f, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
	}
	if n, err := openFiles(os.Getpid()); err != nil || n != before+more {
		t.Errorf("of %d descriptors, %d more are %d, %v", before, more, n, err)
	}
	if n, err := maxFiles(os.Getpid()); err != nil || n < before+more {
		t.Errorf("there may be %d descriptors, %v", n, err)
	}
	for _, f := range []func(int) error{
		func(pid int) error { _, err := residentMemory(pid); return err },
		func(pid int) error { _, err := openFiles(pid); return err },
		func(pid int) error { _, err := maxFiles(pid); return err },
	} {
		if f(-1) == nil {
			t.Error("there is no process -1")
		}
	}
}
