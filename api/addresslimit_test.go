package api

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chat.example.com.ai/runtime/key"
)

// from is a connection from an address.
type from struct {
	net.Conn
	addr string
}

func (f *from) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(f.addr), 4711))
}

// overTLS is a connection as an http.Server shows it.
type overTLS struct{ *from }

func (o overTLS) NetConn() net.Conn { return o.from }

func TestWhatOfAnAddressCounts(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1", "127.0.0.1:1": "127.0.0.1", "[::1]:1": "::1",
		"[2001:db8:1:2:3:4:5:6]:80": "2001:db8:1:2::", "[fe80::1%eth0]:80": "fe80::", "@": "invalid IP", "": "invalid IP",
	} {
		if got := clientOf(&http.Request{RemoteAddr: addr}).String(); got != want {
			t.Errorf("%q counts as %s, want %s", addr, got, want)
		}
	}
}

// open adds connections until one is refused, and returns those that were not.
func (l *AddressLimit) open(addr string, most int) (conns []*from) {
	for range most {
		conn := &from{addr: addr}
		if !l.admit(conn) {
			break
		}
		conns = append(conns, conn)
	}
	return conns
}

func TestConnectionsOfAnAddress(t *testing.T) {
	l := NewAddressLimit(AddressLimits{Handshakes: 4, Sockets: 6}, slog.New(slog.DiscardHandler))
	defer l.Close()
	const a, same, other = "2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1"
	conns := l.open(a, 9)
	if len(conns) != 4 || len(l.open(same, 9)) != 0 || len(l.open(other, 9)) != 4 {
		t.Fatalf("%d handshakes", len(conns))
	}
	l.note(conns[0], http.StateActive)
	if len(l.open(a, 9)) != 0 {
		t.Error("a request is a response already")
	}
	l.note(overTLS{conns[0]}, http.StateIdle)
	l.note(overTLS{conns[0]}, http.StateIdle) // after a second request
	more := l.open(a, 9)
	if len(more) != 1 {
		t.Errorf("%d after a response", len(more))
	}
	l.note(conns[1], http.StateClosed)
	l.note(conns[1], http.StateClosed)
	if more = append(more, l.open(a, 9)...); len(more) != 2 {
		t.Errorf("%d after an end", len(more))
	}
	var accounts []uint32
	for l.roomForSocket(counted(netip.MustParseAddr(a))) {
		accounts = append(accounts, l.addSocket(counted(netip.MustParseAddr(same))))
	}
	if len(accounts) != 6 {
		t.Errorf("%d sockets", len(accounts))
	}
	l.note(conns[2], http.StateHijacked)
	if len(l.open(a, 9)) != 0 { // 6 sockets, 1 kept, 3 handshakes
		t.Error("more than sockets and handshakes together")
	}
	l.Gone(accounts[0])
	if !l.roomForSocket(counted(netip.MustParseAddr(a))) || len(l.open(a, 9)) != 1 {
		t.Error("no room after one has gone")
	}
}

// Nothing is known of an address of which nothing is open, and none that is exempt.
func TestAddressesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewAddressLimit(AddressLimits{Handshakes: 4, Sockets: 6, Names: 60}, slog.New(slog.DiscardHandler))
		defer l.Close()
		if len(l.open("127.0.0.1", 99)) != 99 || len(l.open("::1", 99)) != 99 || l.Known() != 0 {
			t.Errorf("loopback is limited; %d known", l.Known())
		}
		room := key.Key{Type: "Room", ID: "x"}
		for i := range 100 {
			addr := fmt.Sprintf("192.0.2.%d", i)
			conn := l.open(addr, 1)[0]
			account := l.addSocket(netip.MustParseAddr(addr))
			l.note(conn, http.StateHijacked)
			if i%2 == 0 {
				l.allowName(netip.MustParseAddr(addr), room)
			}
			l.Gone(account)
		}
		if l.Known() != 0 || len(l.conns) != 0 || len(l.kept) != 0 || len(l.free) != len(l.byID) {
			t.Errorf("%d are known still", l.Known())
		}
		if n := len(l.asked.of); n != 50 {
			t.Errorf("%d are known, want the 50 that asked for a name", n)
		}
		time.Sleep(2 * time.Second)
		for range 30 {
			l.allowName(netip.MustParseAddr("198.51.100.1"), room)
		}
		if n := len(l.asked.of); n != 1 {
			t.Errorf("%d are known still", n)
		}
	})
}

// However many addresses come, few are remembered.
func TestAHostOfAddressesTakesLittleMemory(t *testing.T) {
	l := NewAddressLimit(AddressLimits{Handshakes: 4, Sockets: 6, Names: 60}, slog.New(slog.DiscardHandler))
	defer l.Close()
	before := heapInUse()
	addr := netip.MustParseAddr("2001:db8::").As16()
	for i := range 20 * maxDebts {
		addr[4], addr[5], addr[6] = byte(i>>16), byte(i>>8), byte(i)
		l.allowName(counted(netip.AddrFrom16(addr)), key.Key{Type: "Room", ID: "x"})
	}
	took := heapInUse() - before
	t.Logf("%d addresses take %d KiB", len(l.asked.of), took>>10)
	if len(l.asked.of) != maxDebts || l.Known() != 0 || took > 8<<20 {
		t.Errorf("%d addresses take %d KiB", len(l.asked.of)+l.Known(), took>>10)
	}
	runtime.KeepAlive(l)
}

// Names come back one by one; the log has two lines of it.
func TestNewNamesOfAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := NewAddressLimit(AddressLimits{Names: 30}, slog.New(slog.NewTextHandler(&log, nil)))
		defer l.Close()
		a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
		ask := func(a netip.Addr) (n int, wait time.Duration) {
			for ok := true; ok; {
				if wait, ok = l.allowName(a, key.Key{Type: "Room", ID: "x"}); ok {
					n++
				}
			}
			return n, wait
		}
		if n, wait := ask(a); n != 30 || wait != 2*time.Second {
			t.Errorf("%d names, then %v", n, wait)
		}
		if n, _ := ask(b); n != 30 {
			t.Errorf("%d names of another", n)
		}
		time.Sleep(time.Second)
		if n, wait := ask(a); n != 0 || wait != time.Second {
			t.Errorf("%d names after a second, then %v", n, wait)
		}
		time.Sleep(9 * time.Second)
		if n, _ := ask(a); n != 5 {
			t.Errorf("%d names after ten seconds", n)
		}
		time.Sleep(time.Hour)
		if n, _ := ask(a); n != 30 {
			t.Errorf("%d names after an hour", n)
		}
		if l.names.count() != 5 {
			t.Errorf("%d are counted", l.names.count())
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := log.String(); strings.Count(got, "too many new names: it gets 429") != 3 || strings.Count(got, "any more") != 3 {
			t.Errorf("the log:\n%s", got)
		}
	})
}

// heapInUse is what is on the heap, in bytes, without what nobody has any more.
func heapInUse() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
