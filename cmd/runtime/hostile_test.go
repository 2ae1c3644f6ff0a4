package main_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	endian "encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// raw is a client that sends whatever bytes it likes.
type raw struct {
	t *testing.T
	net.Conn
	in *bufio.Reader
}

// dialRaw opens a connection that lasts until the test ends.
func (p *program) dialRaw(t *testing.T) *raw {
	t.Helper()
	conn, err := net.DialTimeout("tcp", p.addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &raw{t, conn, bufio.NewReader(conn)}
}

// upgradeRaw opens a WebSocket, and sends more in the same segment.
func (p *program) upgradeRaw(t *testing.T, path, more string) *raw {
	t.Helper()
	r := p.dialRaw(t)
	fmt.Fprintf(r, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n%s", path, p.addr, more)
	r.patient(patience)
	answer, err := http.ReadResponse(r.in, nil)
	if err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%s: %v, %v", path, answer, err)
	}
	return r
}

// patient bounds reading and writing from now on.
func (r *raw) patient(d time.Duration) { _ = r.SetDeadline(time.Now().Add(d)) }

// frame is a client's frame with a mask of zeros. Its first byte and its announced
// length are whatever they are.
func frame(first byte, length int, payload string) []byte {
	b := []byte{first}
	switch {
	case length <= 125:
		b = append(b, 0x80|byte(length))
	case length <= 0xFFFF:
		b = endian.BigEndian.AppendUint16(append(b, 0x80|126), uint16(length))
	default:
		b = endian.BigEndian.AppendUint64(append(b, 0x80|127), uint64(length))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

func whole(first byte, payload string) []byte { return frame(first, len(payload), payload) }

// next reads the server's next frame.
func (r *raw) next() (opcode byte, payload []byte, err error) {
	head := make([]byte, 2, 10)
	if _, err := io.ReadFull(r.in, head); err != nil {
		return 0, nil, err
	}
	size := uint64(head[1])
	for code, n := range map[uint64]int{126: 2, 127: 8} {
		if uint64(head[1]) == code {
			long := make([]byte, 8)
			if _, err := io.ReadFull(r.in, long[8-n:]); err != nil {
				return 0, nil, err
			}
			size = endian.BigEndian.Uint64(long)
		}
	}
	payload = make([]byte, size)
	_, err = io.ReadFull(r.in, payload)
	return head[0] & 0xF, payload, err
}

// wantClose reads until the server's close frame, which must have the code, and
// then the end. The end is orderly: a reset could take the frame with it.
func (r *raw) wantClose(code int) {
	r.t.Helper()
	for {
		opcode, payload, err := r.next()
		if err != nil {
			r.t.Errorf("no close frame: %v", err)
			return
		}
		if opcode != 8 {
			continue
		}
		got := 0
		if len(payload) >= 2 {
			got = int(endian.BigEndian.Uint16(payload))
		}
		if got != code {
			r.t.Errorf("closed with %d %q, want %d", got, payload[min(2, len(payload)):], code)
		}
		break
	}
	if _, err := r.in.ReadByte(); !errors.Is(err, io.EOF) {
		r.t.Errorf("after the close frame: %v", err)
	}
}

// memory is what the program has resident now, or had at most, in bytes.
func (p *program) memory(most bool) int64 {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.process.Pid))
	if err != nil {
		p.t.Skip("no /proc")
	}
	name := "VmRSS:"
	if most {
		name = "VmHWM:"
	}
	_, rest, _ := strings.Cut(string(status), name)
	var kib int64
	if _, err := fmt.Sscan(rest, &kib); err != nil {
		p.t.Fatal(err)
	}
	return kib << 10
}

// forgetMost has memory(true) begin anew.
func (p *program) forgetMost() {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.process.Pid), []byte("5"), 0)
}

// wantMemory checks what an attack has added to the program's memory at most, in MiB.
// The race detector's is another program.
func (p *program) wantMemory(t *testing.T, what string, before int64, most int64) {
	t.Helper()
	added := (p.memory(true) - before) >> 20
	t.Logf("%s: %d MiB more at most, over %d", what, added, before>>20)
	if raceOptions == "" && added > most {
		t.Errorf("%s: %d MiB more at most, want %d", what, added, most)
	}
}

// violations are bytes on an open socket, and the code that answers them.
var violations = map[string]struct {
	bytes []byte
	code  int
}{
	"text that is not UTF-8":         {whole(0x81, "\xff\xfe"), 1007},
	"text that is cut in a rune":     {whole(0x81, "\xe2\x82"), 1007},
	"a close reason, not UTF-8":      {whole(0x88, "\x03\xe8\xff"), 1007},
	"reserved bit 1":                 {whole(0xC1, "x"), 1002},
	"reserved bit 2":                 {whole(0xA1, "x"), 1002},
	"reserved bit 3":                 {whole(0x91, "x"), 1002},
	"a reserved opcode":              {whole(0x83, "x"), 1002},
	"a reserved opcode of control":   {whole(0x8B, "x"), 1002},
	"a frame without a mask":         {[]byte{0x81, 1, 'x'}, 1002},
	"a ping without a mask":          {[]byte{0x89, 0}, 1002},
	"a long ping":                    {frame(0x89, 126, ""), 1002},
	"a fragment of a ping":           {whole(0x09, "x"), 1002},
	"a fragment of a close":          {whole(0x08, "\x03\xe8"), 1002},
	"a continuation of nothing":      {whole(0x80, "x"), 1002},
	"a message within a message":     {append(whole(0x01, "x"), whole(0x81, "y")...), 1002},
	"a close with half a code":       {whole(0x88, "\x03"), 1002},
	"a close with a code never sent": {whole(0x88, "\x03\xed"), 1002}, // 1005
	"a close with a code of nobody":  {whole(0x88, "\x03\xe7"), 1002}, // 999
	"a frame over the limit":         {frame(0x82, 1<<20+1, ""), 1009},
	"100 MB, announced":              {frame(0x82, 100<<20, ""), 1009},
	"2^62 bytes, announced":          {frame(0x82, 1<<62, ""), 1009},
	"2^63 bytes, announced":          {append([]byte{0x82, 0xFF, 0x80}, make([]byte, 11)...), 1009},
	"fragments over the limit":       {append(whole(0x02, strings.Repeat("x", 1<<19)), frame(0x00, 1<<19+1, strings.Repeat("x", 1<<19+1))...), 1009},
	"HTTP after the upgrade":         {[]byte("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"), 1002},
}

// Whatever clients do, each gets its answer, memory stays bounded, no goroutine
// stays behind, and others talk on.
func TestHostileClients(t *testing.T) {
	p := start(t, programOptions{scripts: hastyWith(t, nil)})
	metric := p.scraper()
	p.join("hall", "warm-up").close()
	p.eventually("it is quiet", func() bool { return metric("chat_sockets") == 0 })
	goroutines := metric("go_goroutines")
	talk := p.probe(t, "quiet", 20*time.Millisecond)

	var slow sync.WaitGroup
	patiently := func(name string, f func(*testing.T)) { slow.Go(func() { t.Run(name, f) }) }
	patiently("headers that never end", func(t *testing.T) {
		r := p.dialRaw(t)
		r.patient(15 * time.Second) // of the 10 s that headers may take
		fmt.Fprint(r, "GET /rooms HTTP/1.1\r\n")
		r.drip(200*time.Millisecond, "X-A: b\r\n")
		if answer, err := http.ReadResponse(r.in, nil); err == nil && answer.StatusCode != http.StatusRequestTimeout {
			t.Errorf("answered %d", answer.StatusCode)
		} else if errors.Is(err, os.ErrDeadlineExceeded) {
			t.Error("not cut")
		}
	})
	patiently("a body that never ends", func(t *testing.T) {
		r := p.dialRaw(t)
		r.patient(40 * time.Second) // of the 30 s that a request may take
		fmt.Fprint(r, "PUT /users/eve/profile HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
		r.drip(200*time.Millisecond, "1\r\nx\r\n")
		answer, err := http.ReadResponse(r.in, nil)
		if err != nil || answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%v, %v", answer, err)
		}
	})
	for name, bytes := range map[string][]byte{"a message by the byte": {'x'}, "fragments without end": bytes.Repeat(frame(0x00, 0, ""), 100)} {
		patiently(name, func(t *testing.T) {
			r := p.upgradeRaw(t, "/ws/hall?user=slow", "")
			r.patient(75 * time.Second) // of the 60 s that a message may take
			first := frame(0x81, 1000, "")
			if len(bytes) > 1 {
				first = frame(0x01, 0, "")
			}
			_, _ = r.Write(first)
			r.drip(200*time.Millisecond, string(bytes))
			r.wantClose(1008)
		})
	}

	for name, v := range violations {
		t.Run(name, func(t *testing.T) {
			r := p.upgradeRaw(t, "/ws/hall?user=eve", "")
			_, _ = r.Write(v.bytes)
			r.wantClose(v.code)
		})
	}
	t.Run("HTTP with the upgrade", func(t *testing.T) {
		p.upgradeRaw(t, "/ws/hall?user=eve", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").wantClose(1002)
	})
	t.Run("headers over the limit", func(t *testing.T) {
		r := p.dialRaw(t)
		r.patient(patience)
		fmt.Fprintf(r, "GET /rooms HTTP/1.1\r\nHost: localhost\r\nX-A: %s\r\n\r\n", strings.Repeat("a", 1<<20))
		if answer, err := http.ReadResponse(r.in, nil); err != nil || answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%v, %v", answer, err)
		}
	})
	attack := func(name string, mib int64, f func(*testing.T)) {
		t.Run(name, func(t *testing.T) {
			p.forgetMost()
			before := p.memory(false)
			f(t)
			p.wantMemory(t, name, before, mib)
		})
	}
	attack("100 MB, sent", 16, func(t *testing.T) {
		r := p.upgradeRaw(t, "/ws/hall?user=eve", "")
		go func() {
			_, _ = r.Write(frame(0x82, 100<<20, ""))
			part := make([]byte, 1<<20)
			for range 100 {
				if _, err := r.Write(part); err != nil {
					return
				}
			}
			_ = r.Conn.(*net.TCPConn).CloseWrite()
		}()
		r.wantClose(1009)
	})
	attack("100 MB of fragments", 16, func(t *testing.T) {
		r := p.upgradeRaw(t, "/ws/hall?user=eve", "")
		go func() {
			part := append(frame(0x02, 1, "x"), bytes.Repeat(frame(0x00, 1, "x"), 1<<16)...)
			for range 100 << 20 / len(part) {
				if _, err := r.Write(part); err != nil {
					return
				}
				part[0] = 0x00
			}
			_ = r.Conn.(*net.TCPConn).CloseWrite()
		}()
		r.wantClose(1009)
	})
	attack("16 MB of pings", 16, func(t *testing.T) {
		r := p.upgradeRaw(t, "/ws/hall?user=eve", "")
		pings := bytes.Repeat(whole(0x89, strings.Repeat("p", 58)), 16<<20/64)
		go func() {
			_, _ = r.Write(pings)
			_, _ = r.Write(whole(0x88, "\x03\xe8"))
		}()
		for n := 0; ; n++ {
			opcode, _, err := r.next()
			if opcode == 8 && n >= 16<<20/64 {
				break
			}
			if err != nil {
				t.Fatalf("after %d pongs: %v", n, err)
			}
			if opcode != 10 {
				n-- // of the room
			}
		}
	})
	attack("16 MB of pings of one who does not read", 16, func(t *testing.T) {
		r := p.upgradeRaw(t, "/ws/hall?user=eve", "")
		_ = r.Conn.(*net.TCPConn).SetReadBuffer(32 << 10)
		slowBefore := metric("chat_sockets_slow_total")
		pings := bytes.Repeat(whole(0x89, strings.Repeat("p", 119)), 16<<20/125)
		go func() { _, _ = r.Write(pings) }()
		p.eventually("who does not read is closed", func() bool { return metric("chat_sockets_slow_total") > slowBefore })
		r.wantCloseWithin(1013)
	})
	for _, who := range []string{"never reads", "reads a byte a second"} {
		attack("one who "+who, 48, func(t *testing.T) {
			r := p.upgradeRaw(t, "/ws/busy?user=deaf", "")
			_ = r.Conn.(*net.TCPConn).SetReadBuffer(32 << 10)
			loud := p.join("busy", "loud")
			if who != "never reads" {
				stop := make(chan struct{})
				defer close(stop)
				go func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(time.Second):
							_, _ = r.in.ReadByte()
						}
					}
				}()
			}
			text, slowBefore := strings.Repeat("x", 4000), metric("chat_sockets_slow_total")
			for metric("chat_sockets_slow_total") == slowBefore {
				for range 50 {
					loud.say(text)
					for loud.next()["type"] != "message" {
					}
				}
			}
			if who == "never reads" {
				r.wantCloseWithin(1013)
			}
			loud.close()
		})
	}

	slow.Wait()
	talk.end()
	trips := talk.between(time.Time{}, time.Now())
	t.Logf("bystanders: %d round trips, median %v, p99 %v, worst %v", len(trips), quantile(trips, 0.5), quantile(trips, 0.99), quantile(trips, 1))
	if worst := quantile(trips, 1); worst > 5*prompt {
		t.Errorf("a bystander waited for %v", worst)
	}
	p.eventually("all sockets but those of the bystanders are gone", func() bool { return metric("chat_sockets") == 2 })
	p.eventually("no goroutine is left", func() bool { return metric("go_goroutines") <= goroutines+4 })
}

// wantCloseWithin is wantClose for a connection that may be cut after the close:
// its close frame was behind more than it would read in time.
func (r *raw) wantCloseWithin(code int) {
	r.t.Helper()
	r.patient(patience)
	_ = r.Conn.(*net.TCPConn).SetReadBuffer(4 << 20)
	for {
		opcode, payload, err := r.next()
		switch {
		case opcode == 8 && err == nil:
			if got := int(endian.BigEndian.Uint16(payload)); got != code {
				r.t.Errorf("closed with %d, want %d", got, code)
			}
			return
		case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return
		case err != nil:
			r.t.Errorf("not closed: %v", err)
			return
		}
	}
}

// drip sends the same again and again until the other side has had enough.
func (r *raw) drip(every time.Duration, text string) {
	go func() {
		for {
			if _, err := io.WriteString(r, text); err != nil {
				return
			}
			<-time.After(every)
		}
	}()
}

// Ten thousand connections stop in the middle of their handshake, over TLS too. Who
// is exempt from limits holds memory and descriptors for ten seconds, and no longer;
// who isn't is refused. Others talk on.
func TestHalfOpenHandshakes(t *testing.T) {
	const many = 10_000
	cert, key, roots := certificate(t)
	for name, test := range map[string]struct {
		flags   []string
		says    string
		lets    int // of them in, at most
		kib     int64
		overTLS bool
	}{
		"nothing":            {nil, "", many, 24, false},
		"half a request":     {nil, "GET /ws/general?user=eve HTTP/1.1\r\nHost", many, 24, false},
		"half a TLS hello":   {[]string{"--tls-cert", cert, "--tls-key", key}, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", many, 32, true},
		"where limits count": {[]string{"--limit-loopback"}, "GET / HTTP/1.1\r\nHost", 256, 24, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := startAt(t, programOptions{scripts: hastyWith(t, nil), flags: test.flags}, test.overTLS)
			client := &http.Client{Transport: &http.Transport{MaxConnsPerHost: 1, TLSClientConfig: &tls.Config{RootCAs: roots}}}
			t.Cleanup(client.CloseIdleConnections)
			metric := func(name string) float64 { return p.metricBy(client, test.overTLS, name) }
			goroutines := metric("go_goroutines")
			var talk *probe
			if !test.overTLS {
				talk = p.probe(t, "quiet", 20*time.Millisecond)
			}
			before := p.memory(false)
			p.forgetMost()
			var conns []net.Conn
			defer func() {
				for _, conn := range conns {
					_ = conn.Close()
				}
			}()
			for range many {
				conn, err := net.DialTimeout("tcp", p.addr, patience)
				if err != nil {
					t.Fatalf("after %d: %v", len(conns), err)
				}
				conns = append(conns, conn)
				_, _ = io.WriteString(conn, test.says) // it may be refused
			}
			open := metric("chat_connections")
			if open > float64(test.lets)+3 {
				t.Errorf("%v connections are open", open)
			}
			p.wantMemory(t, fmt.Sprintf("%v handshakes", open), before, int64(open)*test.kib>>10+32)
			p.eventually("they are cut", func() bool { return metric("chat_connections") <= 3 })
			p.eventually("no goroutine is left", func() bool { return metric("go_goroutines") <= goroutines+8 })
			if talk == nil {
				return
			}
			talk.end()
			trips := talk.between(time.Time{}, time.Now())
			t.Logf("others: %d round trips, median %v, p99 %v, worst %v", len(trips), quantile(trips, 0.5), quantile(trips, 0.99), quantile(trips, 1))
		})
	}
}

// startAt is start, also over TLS.
func startAt(t *testing.T, o programOptions, overTLS bool) *program {
	t.Helper()
	if !overTLS {
		return start(t, o)
	}
	o.data = t.TempDir()
	p := launch(t, o)
	const mark = "listening  https://"
	line, ok := p.stdout.waitFor(mark, p.done)
	if !ok {
		t.Fatalf("the program does not listen; stderr:\n%s", p.stderr)
	}
	_, p.addr, _ = strings.Cut(line, mark)
	return p
}

// metricBy reads a metric with a client of its own.
func (p *program) metricBy(client *http.Client, overTLS bool, name string) (value float64) {
	p.t.Helper()
	scheme := "http://"
	if overTLS {
		scheme = "https://"
	}
	r, err := client.Get(scheme + p.addr + "/metrics")
	if err != nil {
		p.t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	_, rest, ok := strings.Cut("\n"+string(body), "\n"+name+" ")
	if _, err := fmt.Sscan(rest, &value); !ok || err != nil {
		p.t.Fatalf("no metric %s: %v", name, err)
	}
	return value
}

// Bodies that are on their way take a budget of memory, not one for each client; who
// has announced one and sent nothing takes none of it.
func TestBodiesHaveABudget(t *testing.T) {
	p := start(t, programOptions{scripts: shippedWith(t, map[string]string{"big.js": bigResponse}), flags: []string{"--turn-timeout", "1m"}})
	metric := p.scraper()
	metric("go_goroutines")
	before := p.memory(false)
	p.forgetMost()
	put := func(sent int) *raw {
		r := p.dialRaw(t)
		r.patient(2 * patience)
		fmt.Fprintf(r, "PUT /users/ann/profile HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", 1<<20)
		_, _ = r.Write(make([]byte, sent))
		return r
	}
	for range 200 {
		put(0)
	}
	var large []*raw
	for range 150 {
		large = append(large, put(1<<20-1))
	}
	p.eventually("many are refused", func() bool { return metric("chat_request_bodies_refused_total") >= 80 })
	if held := metric("chat_request_bodies_bytes"); held > 64<<20 || held < 32<<20 {
		t.Errorf("bodies take %v bytes", held)
	}
	p.wantMemory(t, "150 bodies of 1 MiB", before, 200)
	if r := p.do("PUT", "/users/bob/profile", `{"name":"Bob"}`); r.status != 200 {
		t.Errorf("a small body meanwhile: status %d", r.status)
	}
	answers := map[int]int{}
	for _, r := range large {
		_, _ = r.Write([]byte{'x'})
		answer, err := http.ReadResponse(r.in, nil)
		if err != nil {
			answers[0]++ // it was still sending, and the refusal was lost to it
			continue
		}
		answers[answer.StatusCode]++
		if answer.StatusCode == 503 && answer.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		_ = r.Close()
	}
	t.Logf("answers by status: %v", answers)
	if answers[400] < 30 || answers[503] < 20 || answers[0] > 40 {
		t.Errorf("answers by status: %v", answers)
	}
	p.eventually("the budget is given back", func() bool { return metric("chat_request_bodies_bytes") == 0 })

	p.forgetMost()
	before = p.memory(false)
	var deaf []*raw
	for i := range 16 { // eight of them are the budget
		r := p.dialRaw(t)
		r.patient(2 * patience)
		_ = r.Conn.(*net.TCPConn).SetReadBuffer(16 << 10)
		fmt.Fprintf(r, "GET /big/%d HTTP/1.1\r\nHost: localhost\r\n\r\n", i)
		deaf = append(deaf, r)
	}
	p.eventually("some responses are refused", func() bool { return metric("chat_response_bodies_refused_total") > 0 })
	p.wantMemory(t, "16 responses of 8 MiB that nobody reads", before, 200)
	if r := p.get("/rooms"); r.status != 200 {
		t.Errorf("a small response meanwhile: status %d", r.status)
	}
	for _, r := range deaf {
		_ = r.Close()
	}
	p.eventually("the budget is given back", func() bool { return metric("chat_response_bodies_bytes") == 0 })
	for _, line := range []string{"bodies of requests take up", "bodies of requests fit", "responses that clients are slow", "responses fit"} {
		p.wantOnce(line)
	}
}

// bigResponse is a script with a large response.
const bigResponse = `
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Big',
  onRequest() { this.app.get('/big/:big', (c) => c.text('x'.repeat(8 << 20))) },
})`
