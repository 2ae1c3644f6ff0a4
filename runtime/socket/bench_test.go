package socket

import (
	"fmt"
	"io"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// BenchmarkBroadcast sends one frame of 200 bytes to n sockets over loopback,
// as a script does: encode once, send to each of the hub.
func BenchmarkBroadcast(b *testing.B) {
	const window = 64 // broadcasts on the way; clients are waited for after each window
	for _, n := range []int{2, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			site := newSite(b, Config{}, nil)
			var hub Hub
			data := make([]byte, 200)
			size := NewFrame(true, data).Len()
			var reading sync.WaitGroup
			asked := make([]chan int, n)
			for i := range n {
				p, s := site.dial(b)
				_ = p.SetDeadline(time.Time{})
				hub.Add(s)
				asked[i] = make(chan int, 1)
				go func() {
					for frames := range asked[i] {
						if _, err := io.CopyN(io.Discard, p.in, int64(frames*size)); err != nil {
							b.Error(err)
						}
						reading.Done()
					}
				}()
			}
			b.ReportAllocs()
			b.ResetTimer()
			for left := b.N; left > 0; left -= window {
				now := min(left, window)
				reading.Add(n)
				for _, ask := range asked {
					ask <- now
				}
				for range now {
					frame := NewFrame(true, data)
					for s := range hub.All() {
						s.Send(frame)
					}
				}
				reading.Wait()
			}
			b.StopTimer()
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/send")
			for _, ask := range asked {
				close(ask)
			}
		})
	}
}

// BenchmarkEcho is a message of 100 bytes there and back: read, given to the
// owner, sent.
func BenchmarkEcho(b *testing.B) {
	site := newSite(b, Config{}, nil)
	p, s := site.dial(b)
	_ = p.SetDeadline(time.Time{})
	message := masked(0x80|opText, string(make([]byte, 100)))
	frame := NewFrame(true, make([]byte, 100))
	answer := make([]byte, frame.Len())
	b.ReportAllocs()
	for b.Loop() {
		p.write(message)
		<-site.owner.told
		s.Send(frame)
		if _, err := io.ReadFull(p.in, answer); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHubTagged(b *testing.B) {
	srv := newServer(b, Config{})
	var hub Hub
	for range 100 {
		hub.Add(srv.New(nil, []string{"room"}))
	}
	b.ReportAllocs()
	for b.Loop() {
		for range hub.Tagged("room") {
		}
	}
}

func TestSocketIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(Socket{}); size > 176 {
		t.Errorf("a Socket has %d bytes", size)
	}
}
