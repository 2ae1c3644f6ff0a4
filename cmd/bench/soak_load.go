package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"
)

const (
	visitLimit = 10 * time.Second       // for a visitor to be greeted
	badLimit   = 300 * time.Millisecond // for the server to hang up on a bad client, before that does
	inboxLimit = 50 * time.Millisecond  // for an inbox to be read
	soakUsers  = 100                    // people who are mentioned, and read their inboxes
)

// parts are what is done to the server, each at its own pace.
func (s *soak) parts() []part {
	a := func(rate float64) time.Duration { return time.Duration(float64(time.Second) / rate) }
	parts := []part{
		{"a message", a(s.rate), s.say, false},
		{"a visit", a(s.rate / 10), s.visit, false},
		{"a request", a(s.rate / 10), s.request, false},
		{"an inbox", a(s.rate / 20), s.inbox, false},
		{"a bad client", a(s.rate / 60), s.misbehave, false},
		{"a reload", max(s.runs/20, 500*time.Millisecond), s.reload, false},
		{"a look", s.runs / soakSamples, s.look, true},
	}
	if s.scripts != "" {
		parts = append(parts, part{"an alarm", a(s.rate / 20), s.alarm, false})
	}
	return parts
}

// say sends a message from a socket that stays. Every fifth mentions somebody.
func (s *soak) say(_ context.Context, n int) error {
	text := content(n)
	if n%5 == 0 {
		text = strings.Replace(text, "the lazy dog", fmt.Sprintf("@soak-%d", n/5%soakUsers), 1)
	}
	if err := s.fleet.peers[n%len(s.fleet.peers)].write(opText, []byte(text)); err != nil {
		return err
	}
	s.sent.Add(1)
	return nil
}

// visit comes into a room, is greeted, and leaves: every other time without a word.
func (s *soak) visit(ctx context.Context, n int) error {
	f := fleet{addr: s.server.addr, tls: s.server.tls, rooms: s.rooms, received: func(*peer, int) {}, peers: make([]*peer, 1)}
	defer f.close()
	p := &peer{fleet: &f}
	in, err := p.open(ctx, f.addr, f.tls, fmt.Sprintf("/ws/bench-%d?user=guest-%d", n%s.rooms, n%1000))
	if err != nil {
		return err
	}
	f.peers[0] = p
	f.readers.Go(func() { p.read(in) })
	limited, cancel := context.WithTimeout(ctx, visitLimit)
	defer cancel()
	if err := poll(limited, pollEvery, func() bool { return f.welcomed.Load() == 1 }); err != nil {
		return fmt.Errorf("not greeted: %w", err)
	}
	if n%2 == 0 {
		return p.write(opClose, []byte{1000 >> 8, 1000 & 0xFF})
	}
	return nil
}

// inbox opens the inbox of somebody, reads what was kept, and has seen it.
func (s *soak) inbox(ctx context.Context, n int) error {
	p := &peer{}
	in, err := p.open(ctx, s.server.addr, s.server.tls, fmt.Sprintf("/users/soak-%d/inbox", n%soakUsers))
	if err != nil {
		return err
	}
	defer p.conn.Close()
	if err := p.conn.SetReadDeadline(time.Now().Add(inboxLimit)); err != nil {
		return err
	}
	var last struct{ ID string }
	for {
		_, payload, err := readFrame(in)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded): // that was all
			if last.ID == "" {
				return nil
			}
			return p.write(opText, fmt.Appendf(nil, `{"type":"seen","id":%q}`, last.ID))
		case err != nil:
			return err
		}
		if err := json.Unmarshal(payload, &last); err != nil {
			return err
		}
	}
}

// request asks for pages, and changes profiles.
func (s *soak) request(ctx context.Context, n int) error {
	switch user := fmt.Sprintf("/users/soak-%d/profile", n%soakUsers); n % 5 {
	case 0:
		return s.get(ctx, user)
	case 1:
		return s.ask(ctx, http.MethodPut, user, fmt.Sprintf(`{"name":"Number %d"}`, n))
	case 2:
		return s.get(ctx, fmt.Sprintf("/rooms/bench-%d/presence", n%s.rooms))
	default:
		return s.get(ctx, fmt.Sprintf("/rooms/bench-%d/messages?limit=20", n%s.rooms))
	}
}

// alarm sets one, which rings when its object is asleep.
func (s *soak) alarm(ctx context.Context, n int) error {
	return s.get(ctx, fmt.Sprintf("/soak/%d", n%50))
}

func (s *soak) get(ctx context.Context, path string) error {
	return s.ask(ctx, http.MethodGet, path, "")
}

// ask makes a request, over a connection of its own, that must be answered well.
func (s *soak) ask(ctx context.Context, method, path, body string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	scheme := "http://"
	if s.server.tls {
		scheme = "https://"
	}
	request, err := http.NewRequestWithContext(ctx, method, scheme+s.server.addr+path, strings.NewReader(body))
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: anyCertificate()}}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, response.Status)
	}
	return nil
}

// badManners are what bad clients send: before the handshake if raw, else after it.
var badManners = []struct {
	raw  bool
	sent []byte
}{
	{true, []byte("GET /ws/bench-0?user=x HTTP/1.1\r\nHost: localhost\r\n")},                          // and no more
	{true, bytes.Repeat([]byte("\x16\x03\x01\xff"), 64)},                                              // no HTTP
	{false, []byte("\x81\x05hello")},                                                                  // without a mask
	{false, []byte("\xf1\x80\x00\x00\x00\x00")},                                                       // reserved bits
	{false, []byte("\x82\xff\x00\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00")},                       // 100 MB are announced
	{false, []byte("\x81\x82\x00\x00\x00\x00\xff\xfe")},                                               // no UTF-8
	{false, []byte("\x01\x83\x00\x00\x00\x00abc")},                                                    // a fragment, and no end
	{false, append([]byte("\x81\xfe\x4e\x20\x00\x00\x00\x00"), bytes.Repeat([]byte("["), 20_000)...)}, // deeper than JSON may be
	{false, []byte("\x88\x82\x00\x00\x00\x00\x03\xed")},                                               // a code that nobody may send
	{false, bytes.Repeat([]byte("\x89\x80\x00\x00\x00\x00"), 200)},                                    // pings, and nobody reads the pongs
	{false, append([]byte("\x81\xfe\x10\x00\x00\x00\x00\x00"), bytes.Repeat([]byte("x"), 2_000)...)},  // half a message
	{false, []byte("\x80\x80\x00\x00\x00\x00")},                                                       // goes on with nothing
}

// misbehave is a client that breaks the rules, waits a moment, and is gone. What
// the server makes of it is its own business.
func (s *soak) misbehave(ctx context.Context, n int) error {
	how := badManners[n%len(badManners)]
	p := &peer{}
	if how.raw {
		conn, err := (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, "tcp", s.server.addr)
		if err != nil {
			return err
		}
		p.conn = conn
	} else if _, err := p.open(ctx, s.server.addr, s.server.tls, fmt.Sprintf("/ws/bench-%d?user=bad-%d", n%s.rooms, n%100)); err != nil {
		return err
	}
	defer p.conn.Close()
	if err := p.conn.SetDeadline(time.Now().Add(badLimit)); err != nil {
		return err
	}
	if _, err := p.conn.Write(how.sent); err == nil {
		_, _ = io.Copy(io.Discard, p.conn) // until one of the two has had enough
	}
	return nil
}

// reload changes a script, or, every other time and where there is none to change,
// sends the signal that has them loaded again.
func (s *soak) reload(_ context.Context, n int) error {
	if s.scripts != "" && n%2 == 0 {
		return s.writeScript(fmt.Sprintf("change %d", n))
	}
	return syscall.Kill(s.server.pid, syscall.SIGHUP)
}
