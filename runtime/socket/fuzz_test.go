package socket

import (
	"io"
	"testing"
	"testing/synctest"
)

// FuzzRead feeds a socket whatever bytes: it must end, with one Closed as the
// last thing told, and never panic.
func FuzzRead(f *testing.F) {
	f.Add(masked(0x80|opText, "text"), 3)
	f.Add(append(masked(opText, "a"), masked(0x80, "b")...), 1)
	f.Add(masked(0x80|opClose, "\x03\xe8bye"), 100)
	f.Add([]byte("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xffmask"), 2)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		step = min(max(step, 1), 1<<16)
		synctest.Test(t, func(t *testing.T) {
			srv, o := NewServer(Config{MaxMessage: 1000}), newOwner()
			o.told = make(chan told, 1+len(data))
			p, _ := pipe(t, srv, o)
			go func() { _, _ = io.Copy(io.Discard, p.in) }()
			for rest := data; len(rest) > 0; {
				n, err := p.Write(rest[:min(step, len(rest))])
				if err != nil {
					break
				}
				rest = rest[n:]
			}
			_ = p.Close()
			shutdown(t, srv)
			closed := 0
			for close(o.told); ; {
				got, ok := <-o.told
				if !ok {
					break
				}
				if closed > 0 {
					t.Fatal("told something after Closed")
				}
				if got.closed {
					closed++
				}
			}
			if closed != 1 {
				t.Fatalf("closed %d times", closed)
			}
		})
	})
}
