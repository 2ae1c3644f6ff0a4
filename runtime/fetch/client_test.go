package fetch

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what must not wait for long.
const patience = 10 * time.Second

// echo answers with what it was asked.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var lines []string
	for name, values := range r.Header {
		lines = append(lines, name+"="+strings.Join(values, ","))
	}
	slices.Sort(lines)
	fmt.Fprintf(w, "%s %s %s %s", r.Method, r.URL, strings.Join(lines, " "), body)
}

func serve(t *testing.T, f http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	return s
}

func newClient(t *testing.T, o Options) *Client {
	c := New(o)
	t.Cleanup(c.Close)
	return c
}

func do(t *testing.T, c *Client, r *Request) (*Response, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return c.Do(ctx, r)
}

func TestRequestAndResponse(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Two"] = []string{"a", "b"}
		w.Header().Set("Keep-Alive", "timeout=5")
		w.WriteHeader(201)
		echo(w, r)
	})
	res, err := do(t, newClient(t, Options{AllowPrivate: true}), &Request{
		Method: "PUT", URL: s.URL + "/p?q=r", Body: []byte("body"),
		Header: http.Header{"X": {"1", "2"}, "Connection": {"close, X-Hop"}, "X-Hop": {"gone"}, "Host": {"other"}, "Content-Length": {"99"},
			"Transfer-Encoding": {"chunked"}, "Upgrade": {"h2c"}, "Expect": {"100-continue"}, "Accept-Encoding": {"br"}, "Proxy-Authorization": {"p"}, "Cookie": {"a=b"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := "PUT /p?q=r Accept-Encoding=gzip Accept=*/* Content-Length=4 Cookie=a=b User-Agent=dotdo X=1,2 body"
	if got := string(res.Body); got != want {
		t.Errorf("the server saw\n%s, want\n%s", got, want)
	}
	if res.Status != 201 || res.StatusText != "Created" || res.URL != s.URL+"/p?q=r" || res.Redirected ||
		!slices.Equal(res.Header["X-Two"], []string{"a", "b"}) || res.Header.Get("Keep-Alive") != "" {
		t.Errorf("the response is %+v", res)
	}
}

// net/http reads the environment once in a process, so this looks at the setting.
func TestProxiesOfTheEnvironmentAreIgnored(t *testing.T) {
	if c := newClient(t, Options{AllowPrivate: true}); c.transport.Proxy != nil {
		t.Error("a proxy may be asked")
	}
}

func TestRedirects(t *testing.T) {
	other := serve(t, echo)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		if n, _ := fmt.Sscanf(r.URL.Path, "/%d", &status); n == 0 {
			echo(w, r)
			return
		}
		if to := r.URL.Query().Get("to"); to != "" {
			w.Header().Set("Location", to)
		}
		w.WriteHeader(status)
	})
	header := http.Header{"Authorization": {"secret"}, "Cookie": {"c=d"}, "Content-Type": {"text/plain"}, "X": {"y"}}
	const all = "Accept-Encoding=gzip Accept=*/* Authorization=secret"
	const with, without = all + " Content-Length=4 Content-Type=text/plain Cookie=c=d User-Agent=dotdo X=y body", all + " Cookie=c=d User-Agent=dotdo X=y "
	for _, tt := range []struct {
		method, path string
		redirect     Redirect
		want         string // the beginning of an error, if it is one
	}{
		{"POST", "/301?to=/a", Follow, "200 true POST→GET /a " + without},
		{"POST", "/302?to=a%3Fb", Follow, "200 true POST→GET /a?b " + without},
		{"PUT", "/301?to=/a", Follow, "200 true PUT→PUT /a " + with},
		{"PUT", "/303?to=/a", Follow, "200 true PUT→GET /a " + without},
		{"POST", "/307?to=/a", Follow, "200 true POST→POST /a " + with},
		{"POST", "/308?to=/301%3Fto=/a", Follow, "200 true POST→GET /a " + without},
		{"POST", "/307?to=" + other.URL, Follow, "200 true POST→POST / Accept-Encoding=gzip Accept=*/* Content-Length=4 Content-Type=text/plain User-Agent=dotdo X=y body"},
		{"POST", "/300?to=/a", Follow, "300 false POST→"},
		{"POST", "/304?to=/a", Follow, "304 false POST→"},
		{"POST", "/302", Follow, "302 false POST→"},
		{"POST", "/302?to=/a", Manual, "302 false POST→"},
		{"POST", "/302?to=/a", Refuse, "HOST redirects, and redirect is 'error'"},
		{"POST", "/302?to=file:///etc/passwd", Follow, `only http and https can be fetched, not "file"`},
		{"POST", "/302?to=http://u:p@127.0.0.1/", Follow, "a URL with a user name or a password cannot be fetched"},
		{"POST", "/302?to=http://%255B::1/", Follow, "HOST redirects to something that is no URL"},
		{"POST", "/302?to=http:", Follow, "the URL has no host"},
	} {
		got := ""
		res, err := do(t, newClient(t, Options{AllowPrivate: true}), &Request{Method: tt.method, URL: s.URL + tt.path, Header: header, Body: []byte("body"), Redirect: tt.redirect})
		if err != nil {
			got = err.Error()
		} else {
			got = fmt.Sprintf("%d %v %s→%s", res.Status, res.Redirected, tt.method, res.Body)
		}
		if want := strings.ReplaceAll(tt.want, "HOST", strings.TrimPrefix(s.URL, "http://")); got != want {
			t.Errorf("%s %s\n gives %s\n  want %s", tt.method, tt.path, got, want)
		}
	}
	if header.Get("Authorization") == "" {
		t.Error("the request was changed")
	}
}

// Who was sent somewhere else doesn't get its secrets back on the way home.
func TestSecretsStayLostAfterAnotherOrigin(t *testing.T) {
	var home, away *httptest.Server
	home = serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, away.URL, http.StatusFound)
			return
		}
		echo(w, r)
	})
	away = serve(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, home.URL+"/end", http.StatusFound) })
	res, err := do(t, newClient(t, Options{AllowPrivate: true}), &Request{Method: "GET", URL: home.URL, Header: http.Header{"Authorization": {"secret"}}})
	if err != nil || strings.Contains(string(res.Body), "secret") || strings.Contains(string(res.Body), "Referer") {
		t.Errorf("%v %s", err, res.Body)
	}
}

func TestRedirectsInACircleEnd(t *testing.T) {
	var requests atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		http.Redirect(w, r, "/", http.StatusFound)
	})
	_, err := do(t, newClient(t, Options{AllowPrivate: true}), &Request{Method: "GET", URL: s.URL})
	if err == nil || err.Error() != "more than 20 redirects" || requests.Load() != 21 {
		t.Errorf("%v after %d requests", err, requests.Load())
	}
}

func TestResponsesAreBounded(t *testing.T) {
	zeros := make([]byte, 1<<20)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		size := MaxBody
		switch r.URL.Path {
		case "/larger":
			size++
		case "/announced":
			w.Header().Set("Content-Length", fmt.Sprint(MaxBody+1))
			return
		case "/endless":
			for r.Context().Err() == nil {
				_, _ = w.Write(zeros)
			}
			return
		case "/bomb":
			w.Header().Set("Content-Encoding", "gzip")
			z := gzip.NewWriter(w)
			for range 8 {
				_, _ = z.Write(zeros)
			}
			_ = z.Close()
			return
		case "/head":
			w.Header().Set("X", strings.Repeat("x", 2*maxHeader))
		}
		_, _ = w.Write(bytes.Repeat([]byte("x"), size))
	})
	host := strings.TrimPrefix(s.URL, "http://")
	c := newClient(t, Options{AllowPrivate: true})
	if res, err := do(t, c, &Request{Method: "GET", URL: s.URL + "/fits"}); err != nil || len(res.Body) != MaxBody {
		t.Errorf("what fits: %v", err)
	}
	for _, path := range []string{"/larger", "/announced", "/endless", "/bomb"} {
		if _, err := do(t, c, &Request{Method: "GET", URL: s.URL + path}); err == nil || err.Error() != "the response of "+host+" is larger than 4194304 bytes" {
			t.Errorf("%s: %v", path, err)
		}
	}
	if res, err := do(t, c, &Request{Method: "HEAD", URL: s.URL + "/announced"}); err != nil || res.Header.Get("Content-Length") != fmt.Sprint(MaxBody+1) {
		t.Errorf("HEAD: %v", err)
	}
	if _, err := do(t, c, &Request{Method: "GET", URL: s.URL + "/head"}); err == nil {
		t.Error("a large head is read")
	}
}

func TestCompressedResponsesAreUnpacked(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, "unpacked")
		_ = z.Close()
	})
	res, err := do(t, newClient(t, Options{AllowPrivate: true}), &Request{Method: "GET", URL: s.URL})
	if err != nil || string(res.Body) != "unpacked" || res.Header.Get("Content-Encoding") != "" || res.Header.Get("Content-Length") != "" {
		t.Errorf("%v %+v", err, res)
	}
}

func TestWhatFailsIsExplained(t *testing.T) {
	closes := serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, _ := w.(http.Hijacker).Hijack()
		_, _ = io.WriteString(conn, map[string]string{
			"/nothing": "", "/half": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "/noise": "noise\r\n\r\n",
			"/switch": "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
		}[r.URL.Path])
		_ = conn.Close()
	})
	secure := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	secure.Config.ErrorLog = nil
	secure.StartTLS()
	t.Cleanup(secure.Close)
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = gone.Close()
	plain, tlsHost := strings.TrimPrefix(closes.URL, "http://"), strings.TrimPrefix(secure.URL, "https://")
	c := newClient(t, Options{AllowPrivate: true})
	(&names{}).install(c, &net.Dialer{})
	for url, want := range map[string]string{
		closes.URL + "/nothing":          plain + " closed the connection before its response was complete",
		closes.URL + "/half":             plain + " closed the connection before its response was complete",
		closes.URL + "/noise":            plain + " sent no valid response",
		closes.URL + "/switch":           plain + " switches to another protocol",
		closes.URL + "/%zz":              `the URL cannot be used: invalid URL escape "%zz"`,
		"http://" + gone.Addr().String(): gone.Addr().String() + " refuses the connection",
		secure.URL:                       "the certificate of " + tlsHost + " cannot be trusted: certificate signed by unknown authority",
		"https://" + plain:               "no TLS connection to " + plain + " could be made",
		"http://name.invalid/":           `there is no host "name.invalid"`,
		"ftp://a/":                       `only http and https can be fetched, not "ftp"`,
	} {
		if _, err := do(t, c, &Request{Method: "GET", URL: url}); err == nil || err.Error() != want {
			t.Errorf("%s\n  fails with %v\n want %s", url, err, want)
		}
	}
	c.transport.TLSClientConfig = &tls.Config{RootCAs: secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	_, port, _ := net.SplitHostPort(tlsHost)
	if res, err := do(t, c, &Request{Method: "GET", URL: secure.URL}); err != nil || res.Status != 200 {
		t.Errorf("https: %v", err)
	}
	if _, err := do(t, c, &Request{Method: "GET", URL: "https://localhost:" + port}); err == nil || err.Error() != "the certificate of localhost:"+port+" is for another host" {
		t.Errorf("https, another name: %v", err)
	}
}

func TestAContextEndsIt(t *testing.T) {
	begun, over := make(chan struct{}, 2), make(chan struct{})
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			w.(http.Flusher).Flush()
		}
		begun <- struct{}{}
		select {
		case <-r.Context().Done():
		case <-over:
		}
	})
	defer close(over)
	c := newClient(t, Options{AllowPrivate: true})
	for _, path := range []string{"/head", "/body"} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-begun; cancel() }()
		if _, err := c.Do(ctx, &Request{Method: "GET", URL: s.URL + path}); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// names answers what is looked up: each name with its addresses in turn.
type names struct {
	answers map[string][]string
	asked   map[string]int
}

// install has the client look names up here, over a connection in memory.
func (n *names) install(c *Client, dialer *net.Dialer) {
	dialer.Resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go n.answer(server)
		return client, nil
	}}
	c.transport.DialContext = dialer.DialContext
	c.transport.DisableKeepAlives = true // each request dials
}

// answer answers one query in DNS's format for TCP.
func (n *names) answer(conn net.Conn) {
	defer conn.Close()
	var size [2]byte
	if _, err := io.ReadFull(conn, size[:]); err != nil {
		return
	}
	query := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(conn, query); err != nil {
		return
	}
	var labels []string
	at := 12
	for query[at] != 0 {
		labels = append(labels, string(query[at+1:at+1+int(query[at])]))
		at += 1 + int(query[at])
	}
	name, kind := strings.Join(labels, "."), binary.BigEndian.Uint16(query[at+1:])
	question := query[12 : at+5]
	answer := append([]byte{query[0], query[1], 0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0}, question...)
	if kind == 1 && len(n.answers[name]) > 0 { // A; there is no AAAA
		given := n.answers[name]
		address := netip.MustParseAddr(given[min(n.asked[name], len(given)-1)]).As4()
		n.asked[name]++
		answer[7] = 1
		answer = append(answer, 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4)
		answer = append(answer, address[:]...)
	}
	_, _ = conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
}

// It is the address that counts, whatever name leads there, and whatever it led
// to before.
func TestPrivateAddressesAreNotReached(t *testing.T) {
	var reached atomic.Int64
	private := serve(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(private.URL, "http://"))
	// What stands for the public Internet is on loopback too: an address that the
	// guard of this test lets pass.
	const outside = "127.0.0.77"
	listener, err := net.Listen("tcp", outside+":"+port)
	if err != nil {
		t.Skipf("no second loopback address: %v", err)
	}
	public := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
			return
		}
		_, _ = io.WriteString(w, "public")
	})}
	served := make(chan struct{})
	go func() { defer close(served); _ = public.Serve(listener) }()
	t.Cleanup(func() { _ = public.Close(); <-served })

	c := newClient(t, Options{})
	dialer := &net.Dialer{Control: func(network, address string, raw syscall.RawConn) error {
		if strings.HasPrefix(address, outside+":") {
			return nil
		}
		return dialPublic(network, address, raw)
	}}
	dns := &names{asked: map[string]int{}, answers: map[string][]string{
		"public.test": {outside}, "private.test": {"127.0.0.1"}, "rebinds.test": {outside, "127.0.0.1"},
		"metadata.test": {"169.254.169.254"},
	}}
	dns.install(c, dialer)
	get := func(url string) string {
		res, err := do(t, c, &Request{Method: "GET", URL: url})
		if err != nil {
			return err.Error()
		}
		return string(res.Body)
	}
	refused := func(host string) string {
		return host + " is not on the public Internet: --allow-private-fetch lets scripts fetch from private addresses"
	}
	p := ":" + port
	for _, tt := range []struct{ url, want string }{
		{"http://public.test" + p, "public"},
		{"http://127.0.0.1" + p, refused("127.0.0.1" + p)},
		{"http://localhost" + p, refused("localhost" + p)},
		{"http://[::1]" + p, refused("[::1]" + p)},
		{"http://[::ffff:127.0.0.1]" + p, refused("[::ffff:127.0.0.1]" + p)},
		{"http://0.0.0.0" + p, refused("0.0.0.0" + p)},
		{"https://127.0.0.1" + p, refused("127.0.0.1" + p)},
		{"http://private.test" + p, refused("private.test" + p)},
		{"http://metadata.test/latest/meta-data", refused("metadata.test")},
		{"http://public.test" + p + "/?to=" + private.URL, refused("127.0.0.1" + p)},
		{"http://public.test" + p + "/?to=http://private.test" + p, refused("private.test" + p)},
		{"http://public.test" + p + "/?to=//2130706433" + p, ""},
		{"http://rebinds.test" + p, "public"},
		{"http://rebinds.test" + p, refused("rebinds.test" + p)},
	} {
		if got := get(tt.url); got != tt.want && tt.want != "" || got == "" {
			t.Errorf("%s gives %q, want %q", tt.url, got, tt.want)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("the private server was reached %d times", n)
	}
	if got := dns.asked["rebinds.test"]; got != 2 {
		t.Errorf("the name that changes was looked up %d times", got)
	}
}

// The guard of New is the one that the test above has beside its exception.
func TestTheGuardIsOnUnlessItIsTurnedOff(t *testing.T) {
	s := serve(t, echo)
	if _, err := do(t, newClient(t, Options{}), &Request{Method: "GET", URL: s.URL}); err == nil {
		t.Error("a loopback address was reached")
	}
	if _, err := do(t, newClient(t, Options{AllowPrivate: true}), &Request{Method: "GET", URL: s.URL}); err != nil {
		t.Error(err)
	}
}
