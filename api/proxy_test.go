package api

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// trusting makes proxies of a list.
func trusting(t testing.TB, list string) (p Proxies) {
	t.Helper()
	if err := p.Set(list); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestWhoIsBehindAProxy(t *testing.T) {
	p := trusting(t, "loopback, 10.0.0.0/8,2001:db8:1::/48, 192.0.2.99,")
	const us = "10.0.0.1"
	for _, test := range []struct {
		lines []string
		want  string
	}{
		{nil, us},
		{[]string{""}, us},
		{[]string{"203.0.113.1"}, "203.0.113.1"},
		{[]string{" 203.0.113.1\t"}, "203.0.113.1"},
		{[]string{"203.0.113.1:80"}, "203.0.113.1"},
		{[]string{"::ffff:203.0.113.1"}, "203.0.113.1"},
		{[]string{"2001:db8::1"}, "2001:db8::1"},
		{[]string{"[2001:db8::1]"}, "2001:db8::1"},
		{[]string{"[2001:db8::1]:443"}, "2001:db8::1"},
		{[]string{"fe80::1%eth0"}, "fe80::1"},
		{[]string{"198.51.100.1, 203.0.113.1"}, "203.0.113.1"},                 // the first is what the client says
		{[]string{"198.51.100.1", "203.0.113.1"}, "203.0.113.1"},               // the same in two lines
		{[]string{"203.0.113.1, 10.1.1.1, 192.0.2.99"}, "203.0.113.1"},         // through three proxies
		{[]string{"203.0.113.1, [2001:db8:1::5]:1234"}, "203.0.113.1"},         // one of which speaks IPv6
		{[]string{"203.0.113.1,10.1.1.1", "127.0.0.1"}, "203.0.113.1"},         // lines are one list
		{[]string{"10.3.3.3, 10.1.1.1"}, "10.3.3.3"},                           // a client among the proxies
		{[]string{"127.0.0.1, 203.0.113.1"}, "203.0.113.1"},                    // a client that would be exempt
		{[]string{"203.0.113.1, unknown"}, us},                                 // nobody knows
		{[]string{"203.0.113.1, _hidden, 10.1.1.1"}, "10.1.1.1"},               // nor here
		{[]string{"203.0.113.1,"}, us},                                         // nor here
		{[]string{"203.0.113.1", ""}, us},                                      // nor here
		{[]string{"203.0.113.1, 203.0.113.1.5"}, us},                           // no addresses
		{[]string{"203.0.113.1, 010.0.0.1"}, us},                               // octal, perhaps
		{[]string{"203.0.113.1, 203.0.113.2;evil"}, us},                        //
		{[]string{`for=203.0.113.1`}, us},                                      // that is Forwarded
		{[]string{"[203.0.113.1"}, us},                                         //
		{[]string{"203.0.113.1:port"}, us},                                     //
		{[]string{strings.Repeat(",", 10_000)}, us},                            //
		{[]string{strings.Repeat("10.1.1.1,", 1000) + "10.2.2.2"}, "10.1.1.1"}, // all the way to the left
	} {
		if got := p.clientBehind(netip.MustParseAddr(us), test.lines).String(); got != test.want {
			t.Errorf("%.80q: %s, want %s", test.lines, got, test.want)
		}
	}
}

func TestWhatAProxyIsBelieved(t *testing.T) {
	p := trusting(t, "10.0.0.1,::1")
	for _, test := range []struct {
		peer, header, want string
	}{
		{"10.0.0.1:99", "X-Forwarded-For: 203.0.113.1", "203.0.113.1:0 http://here"},
		{"[::ffff:10.0.0.1]:99", "X-Forwarded-For: 203.0.113.1", "203.0.113.1:0 http://here"},
		{"[::1]:99", "X-Forwarded-For: 2001:db8::1", "[2001:db8::1]:0 http://here"},
		{"10.0.0.2:99", "X-Forwarded-For: 203.0.113.1", "10.0.0.2:99 http://here"},
		{"10.0.0.2:99", "X-Forwarded-Host: there", "10.0.0.2:99 http://here"},
		{"@", "X-Forwarded-Host: there", "@ http://here"},
		{"10.0.0.1:99", "X-Forwarded-Host: there:99", "10.0.0.1:99 http://there:99"},
		{"10.0.0.1:99", "X-Forwarded-Host: [2001:db8::1]:99", "10.0.0.1:99 http://[2001:db8::1]:99"},
		{"10.0.0.1:99", "X-Forwarded-Host: ann@there", "10.0.0.1:99 http://here"},
		{"10.0.0.1:99", "X-Forwarded-Host: there/path", "10.0.0.1:99 http://here"},
		{"10.0.0.1:99", "X-Forwarded-Host: there?", "10.0.0.1:99 http://here"},
		{"10.0.0.1:99", "X-Forwarded-Host: :80", "10.0.0.1:99 http://here"},
		{"10.0.0.1:99", "X-Forwarded-Proto: HTTPS", "10.0.0.1:99 https://here"},
		{"10.0.0.1:99", "X-Forwarded-Proto: https, http", "10.0.0.1:99 http://here"},
		{"10.0.0.1:99", "X-Forwarded-Proto: javascript", "10.0.0.1:99 http://here"},
	} {
		name, value, _ := strings.Cut(test.header, ": ")
		r := &http.Request{RemoteAddr: test.peer, Host: "here", URL: &url.URL{Path: "/", Scheme: "gopher"}, Header: http.Header{name: {value}}}
		trusted := p.resolve(r)
		if got := r.RemoteAddr + " " + r.URL.Scheme + "://" + r.Host; got != test.want {
			t.Errorf("%s, %s: %s, want %s", test.peer, test.header, got, test.want)
		}
		if (len(r.Header) == 1) != trusted {
			t.Errorf("%s, %s: the headers are %v", test.peer, test.header, r.Header)
		}
	}
}

// Any X-Forwarded-For is read as a plain model reads it, and nothing that a client
// puts to the left of its own address changes who it is.
func FuzzForwardedFor(f *testing.F) {
	for _, s := range []string{"", "203.0.113.1", "198.51.100.1, 203.0.113.1, 10.0.0.1", "a\n203.0.113.1:80,[::1]:80\n10.0.0.1", "[2001:db8::1%eth0]:80,\t::ffff:10.1.1.1 ", ",,,", "unknown,10.0.0.1", "\n"} {
		f.Add(s)
	}
	p := trusting(f, "loopback,10.0.0.0/8,fd00::/8")
	peer := netip.MustParseAddr("10.0.0.1")
	f.Fuzz(func(t *testing.T, text string) {
		lines := strings.Split(text, "\n")
		want := peer
		entries := strings.Split(strings.Join(lines, ","), ",")
		for i := len(entries) - 1; i >= 0 && p.trusts(want); i-- {
			a, ok := parseNode(strings.TrimSpace(entries[i]))
			if !ok {
				break
			}
			want = a
		}
		got := p.clientBehind(peer, lines)
		if got != want || !got.IsValid() || got.Zone() != "" || got.Is4In6() {
			t.Fatalf("%q is %v, want %v", lines, got, want)
		}
		if p.trusts(got) {
			return
		}
		for _, lie := range []string{"127.0.0.1", "198.51.100.1", "unknown", "", "203.0.113.1:1"} {
			if lied := p.clientBehind(peer, append([]string{lie}, lines...)); lied != got {
				t.Fatalf("%q before %q makes it %v", lie, lines, lied)
			}
		}
	})
}
