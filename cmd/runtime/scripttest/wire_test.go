package scripttest

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// A writer doesn't wait for the reader, and what it wrote last is still read after
// the close.
func TestAWireLetsTheLastBytesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		w := newWire(client)
		go w.pump()
		for range 3 {
			if _, err := w.Write([]byte("abc")); err != nil {
				t.Fatal(err)
			}
		}
		_ = w.Close()
		if _, err := w.Write([]byte("x")); err == nil {
			t.Error("it takes bytes after the close")
		}
		got := make([]byte, 9)
		if _, err := io.ReadFull(server, got); err != nil || string(got) != "abcabcabc" {
			t.Errorf("%q, %v", got, err)
		}
		closed := time.Now()
		if n, err := server.Read(got); err != io.EOF {
			t.Errorf("%d bytes, %v", n, err)
		}
		if took := time.Since(closed); took != lastBytes {
			t.Errorf("it closed after %v", took)
		}
	})
}

// One that nobody reads ends all the same.
func TestAWireThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, _ := net.Pipe()
		w := newWire(client)
		ended := make(chan struct{})
		go func() { defer close(ended); w.pump() }()
		_, _ = w.Write([]byte("abc"))
		_ = w.Close()
		<-ended
		w.shut() // again, to no effect
	})
}
