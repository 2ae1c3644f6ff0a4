package socket

import (
	"bufio"
	"bytes"
	"io"
	"testing"
	"testing/synctest"
)

// FuzzRead feeds a socket whatever bytes, and closes it from our side at some point,
// or not: it must end, with one Closed as the last thing told, and never panic.
// What it has sent until then are whole frames, and nothing follows a close.
func FuzzRead(f *testing.F) {
	for _, ours := range []int{-1, 0, 1} {
		f.Add(masked(0x80|opText, "text"), 3, ours)
		f.Add(append(masked(opText, "a"), masked(0x80, "b")...), 1, ours)
		f.Add(masked(0x80|opClose, "\x03\xe8bye"), 100, ours)
		f.Add([]byte("\x82\xff\xff\xff\xff\xff\xff\xff\xff\xffmask"), 2, ours)
		f.Add(append(masked(0x80|opPing, "p"), masked(0x80|opBinary, "after")...), 7, ours)
	}
	f.Fuzz(func(t *testing.T, data []byte, step, ours int) {
		step = min(max(step, 1), 1<<16)
		synctest.Test(t, func(t *testing.T) {
			srv, o := NewServer(Config{MaxMessage: 1000}), newOwner()
			o.told = make(chan told, 1+len(data))
			p, s := pipe(t, srv, o)
			var sent []byte
			read := make(chan struct{})
			go func() {
				defer close(read)
				sent, _ = io.ReadAll(p.in)
			}()
			for n, rest := 0, data; ; n++ {
				if n == ours {
					s.Send(NewFrame(true, []byte("bye")))
					s.Close(4000, "enough")
					s.Send(NewFrame(true, []byte("late")))
				}
				if len(rest) == 0 {
					break
				}
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
			<-read
			checkSent(t, sent)
		})
	})
}

// checkSent takes what a socket has sent apart. The last frame may be cut.
func checkSent(t *testing.T, sent []byte) {
	t.Helper()
	p := &peer{t: t, in: bufio.NewReader(bytes.NewReader(sent))}
	for over := false; ; {
		opcode, data, err := p.read()
		if err != nil {
			return
		}
		if over || data == "late" {
			t.Fatalf("%#x %q follows a close in %q", opcode, data, sent)
		}
		switch opcode {
		case opText, opBinary, opPing, opPong:
		case opClose:
			over = true
		default:
			t.Fatalf("it sent %#x %q in %q", opcode, data, sent)
		}
	}
}
