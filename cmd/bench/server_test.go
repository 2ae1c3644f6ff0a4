package main

import (
	"strings"
	"testing"
)

func TestTheAddressIsFoundHoweverItIsWritten(t *testing.T) {
	const text = "title\n\n  listening  http://127.0.0.1:4711\n  data  x\n  listening  http://no\n"
	for size := 1; size <= len(text); size++ {
		a := announcement{url: make(chan string, 1)}
		for rest := text; rest != ""; rest = rest[min(size, len(rest)):] {
			if n, err := a.Write([]byte(rest[:min(size, len(rest))])); n == 0 || err != nil {
				t.Fatal(n, err)
			}
		}
		select {
		case addr := <-a.url:
			if addr != "http://127.0.0.1:4711" {
				t.Errorf("in pieces of %d the address is %q", size, addr)
			}
		default:
			t.Errorf("in pieces of %d there is no address", size)
		}
	}
}

func TestAServerThatEndsAtItsStartIsReportedWithItsLastWords(t *testing.T) {
	_, err := startProcess(t.Context(), "/bin/sh", "-c", "echo it cannot be >&2; exit 3")
	if err == nil || !strings.Contains(err.Error(), "it cannot be") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("error %v", err)
	}
}

func TestStopReportsAServerThatHasEnded(t *testing.T) {
	p, err := startProcess(t.Context(), "/bin/sh", "-c", "echo 'listening  http://127.0.0.1:1'; exit 4")
	if err != nil {
		t.Skip("it was seen to end first: ", err)
	}
	<-p.ended
	if err := p.stop(); err == nil || !strings.Contains(err.Error(), "exit status 4") {
		t.Errorf("error %v", err)
	}
}

func TestOnlyTheEndOfALongLogIsKept(t *testing.T) {
	var log tail
	for range keepErrors {
		_, _ = log.Write([]byte("line\n"))
	}
	_, _ = log.Write([]byte("the end"))
	if s := log.String(); len(s) != keepErrors || !strings.HasSuffix(s, "line\nthe end") {
		t.Errorf("it is %d bytes and ends with %q", len(s), s[max(0, len(s)-20):])
	}
}
