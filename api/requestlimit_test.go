package api

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chat.example.com.ai/runtime/script"
)

func TestRequestsComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		l := NewRequestLimit(RequestLimits{Rate: 2, Burst: 10}, slog.New(slog.NewTextHandler(&log, nil)))
		defer l.Close()
		a := netip.MustParseAddr("192.0.2.1")
		ask := func() (n int, wait time.Duration) {
			for ok := true; ok && n < 1000; {
				if wait, ok = l.allowAddress(a); ok {
					n++
				}
			}
			return n, wait
		}
		for _, step := range []struct {
			after time.Duration
			n     int
			wait  time.Duration
		}{{0, 10, 500 * time.Millisecond}, {400 * time.Millisecond, 0, 100 * time.Millisecond}, {100 * time.Millisecond, 1, 500 * time.Millisecond},
			{3 * time.Second, 6, 500 * time.Millisecond}, {time.Hour, 10, 500 * time.Millisecond}} {
			time.Sleep(step.after)
			if n, wait := ask(); n != step.n || wait != step.wait {
				t.Errorf("after %v more %d, and then %v; want %d and %v", step.after, n, wait, step.n, step.wait)
			}
		}
		if wait, ok := l.allowUser("ann"); !ok {
			t.Errorf("a user waits %v for an address", wait)
		}
		if l.ofAddress.count() != 5 || l.ofUsers.count() != 0 {
			t.Errorf("%d and %d are counted", l.ofAddress.count(), l.ofUsers.count())
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := log.String(); strings.Count(got, "it gets 429") != 2 || strings.Count(got, "any more") != 2 {
			t.Errorf("the log:\n%s", got)
		}
	})
}

// Who owes nothing any more is forgotten, and of those who do only so many are known.
func TestRequestsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewRequestLimit(RequestLimits{Rate: 1, Burst: 10}, slog.New(slog.DiscardHandler))
		defer l.Close()
		for i := range 100 {
			l.allowUser(fmt.Sprint("u", i))
		}
		time.Sleep(2 * time.Second)
		for range 60 {
			l.allowUser("ann")
			time.Sleep(time.Second)
		}
		if n := len(l.users.of); n != 1 || l.users.order.Len() != n {
			t.Errorf("%d are known", n)
		}
	})
	before := heapInUse()
	l := NewRequestLimit(RequestLimits{Rate: 0.01, Burst: 10}, slog.New(slog.DiscardHandler))
	defer l.Close()
	addr := netip.MustParseAddr("2001:db8::").As16()
	for i := range 4 * maxDebts {
		addr[4], addr[5], addr[6] = byte(i>>16), byte(i>>8), byte(i)
		l.allowAddress(netip.AddrFrom16(addr))
		l.allowUser(strings.Repeat("u", 200) + fmt.Sprint(i))
	}
	took := heapInUse() - before
	t.Logf("%d addresses and users take %d KiB", 2*maxDebts, took>>10)
	if len(l.addresses.of) != maxDebts || len(l.users.of) != maxDebts || took > 16<<20 {
		t.Errorf("%d addresses and %d users are known, and take %d KiB", len(l.addresses.of), len(l.users.of), took>>10)
	}
	runtime.KeepAlive(l)
}

// A user has one rate over all addresses, and nobody who is not known has one. It does
// not matter who is exempt.
func TestRequestsOfAUser(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	addresses, l := NewAddressLimit(AddressLimits{}, log), NewRequestLimit(RequestLimits{Rate: 0.01, Burst: 3}, log)
	defer addresses.Close()
	defer l.Close()
	s := &Server{}
	s.LimitAddresses(addresses)
	s.LimitRequests(l)
	ask := func(addr, user string) int {
		w := httptest.NewRecorder()
		var who *script.User
		if user != "" {
			who = &script.User{ID: user}
		}
		if s.admitUser(w, &http.Request{RemoteAddr: addr}, who) {
			return 200
		}
		return w.Code
	}
	for i := range 6 {
		want := map[bool]int{true: 200, false: 429}[i < 3]
		if got := ask(fmt.Sprintf("192.0.2.%d:1", i), "ann"); got != want {
			t.Errorf("request %d: %d", i, got)
		}
		if got := ask(fmt.Sprintf("192.0.2.%d:1", i), ""); got != 200 {
			t.Errorf("request %d of nobody: %d", i, got)
		}
		if got := ask("127.0.0.1:1", "ann"); got != 200 {
			t.Errorf("request %d from here: %d", i, got)
		}
	}
	if got := ask("192.0.2.1:1", "bob"); got != 200 {
		t.Errorf("another user: %d", got)
	}
}
