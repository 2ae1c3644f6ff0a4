package fetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// MaxBody is how many bytes the body of a response has at most: four times the
	// largest message. It is held whole, so that reading it needs no second wait.
	MaxBody = 4 << 20
	// maxHeader is how many bytes the head of a response has at most: what a
	// script's own Headers may hold.
	maxHeader = 64 << 10
	// maxRedirects is that of the Fetch standard.
	maxRedirects = 20
	// MaxIdle is how many connections wait at most to be used again, and idleTimeout
	// for how long: enough for a conversation with a few services.
	MaxIdle     = 16
	idleTimeout = 30 * time.Second
	// dialTimeout bounds one attempt to connect, and the TLS handshake, so that a
	// host that is gone is known before the whole fetch has timed out.
	dialTimeout = 10 * time.Second
)

// userAgent is what a request without a User-Agent says: some servers want one.
const userAgent = "dotdo"

// Redirect says what becomes of a response that leads elsewhere.
type Redirect uint8

const (
	Follow Redirect = iota
	Manual          // it is the result
	Refuse          // the fetch fails
)

// Request is what a script wants sent. It is not changed.
type Request struct {
	Method   string
	URL      string      // absolute, http or https
	Header   http.Header // checked: no line breaks
	Body     []byte
	Redirect Redirect
}

// Response is a response, read to its end. The headers that concern one
// connection only are taken out.
type Response struct {
	Status     int
	StatusText string
	Header     http.Header
	Body       []byte
	URL        string // of the last redirect, without a fragment
	Redirected bool
}

// Options of a Client.
type Options struct {
	// AllowPrivate lets requests reach loopback, private and other special addresses.
	AllowPrivate bool
}

// Client makes requests. It is safe for concurrent use.
type Client struct{ transport *http.Transport }

// New makes a client. Close ends it.
func New(o Options) *Client {
	dialer := &net.Dialer{Timeout: dialTimeout}
	if !o.AllowPrivate {
		dialer.Control = dialPublic
	}
	return &Client{&http.Transport{
		Proxy:                  nil, // whatever the environment says
		DialContext:            dialer.DialContext,
		TLSHandshakeTimeout:    dialTimeout,
		MaxIdleConns:           MaxIdle,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxHeader,
	}}
}

// Close ends the connections that wait to be used again. Nothing may be under way.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Do makes a request and reads the response, for as long as ctx allows. Its error
// is fit for the author of a script.
func (c *Client) Do(ctx context.Context, r *Request) (*Response, error) {
	u, err := url.Parse(r.URL)
	if err != nil {
		var reason *url.Error
		if errors.As(err, &reason) {
			err = reason.Err
		}
		return nil, fmt.Errorf("the URL cannot be used: %w", err)
	}
	method, body, header := r.Method, r.Body, sendable(r.Header)
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", userAgent)
	}
	if header.Get("Accept") == "" {
		header.Set("Accept", "*/*")
	}
	for hops := 0; ; hops++ {
		if err := permitted(u); err != nil {
			return nil, err
		}
		req := (&http.Request{Method: method, URL: u, Header: header.Clone(), Host: u.Host, ProtoMajor: 1, ProtoMinor: 1}).WithContext(ctx)
		if len(body) > 0 {
			req.ContentLength = int64(len(body))
			req.Body = io.NopCloser(bytes.NewReader(body))
			req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		}
		res, err := c.transport.RoundTrip(req)
		if err != nil {
			return nil, explain(err, u)
		}
		location := res.Header.Get("Location")
		if r.Redirect == Manual || !redirects(res.StatusCode) || location == "" {
			return read(res, u, hops > 0)
		}
		drain(res)
		switch {
		case r.Redirect == Refuse:
			return nil, fmt.Errorf("%s redirects, and redirect is 'error'", u.Host)
		case hops == maxRedirects:
			return nil, fmt.Errorf("more than %d redirects", maxRedirects)
		}
		next, err := u.Parse(location)
		if err != nil {
			return nil, fmt.Errorf("%s redirects to something that is no URL", u.Host)
		}
		if status := res.StatusCode; method == http.MethodPost && (status == http.StatusMovedPermanently || status == http.StatusFound) ||
			status == http.StatusSeeOther && method != http.MethodGet && method != http.MethodHead {
			method, body = http.MethodGet, nil
			for _, name := range []string{"Content-Encoding", "Content-Language", "Content-Location", "Content-Type"} {
				header.Del(name)
			}
		}
		if origin(next) != origin(u) {
			for _, name := range []string{"Authorization", "Cookie"} {
				header.Del(name)
			}
		}
		u = next
	}
}

// sendable returns the headers without those that are not a script's to set: as in
// browsers they are left out, so that a request can be passed on with the headers
// that it came with.
func sendable(h http.Header) http.Header {
	names := append(connectionHeaders(h), "Accept-Encoding", "Content-Length", "Expect", "Host", "Proxy-Authenticate", "Proxy-Authorization")
	if h = h.Clone(); h == nil {
		h = http.Header{}
	}
	for _, name := range names {
		h.Del(name)
	}
	return h
}

// permitted checks what a script or a redirect wants fetched. Where it leads to is
// checked when it is dialled.
func permitted(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return fmt.Errorf("only http and https can be fetched, not %q", u.Scheme)
	case u.Hostname() == "":
		return errors.New("the URL has no host")
	case u.User != nil:
		return errors.New("a URL with a user name or a password cannot be fetched")
	}
	return nil
}

func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// origin is what of a URL decides who may see a header.
func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// drain ends a response that nobody reads; a short one gives its connection back.
func drain(res *http.Response) {
	const short = 2 << 10
	_, _ = io.CopyN(io.Discard, res.Body, short)
	_ = res.Body.Close()
}

// read reads a response to its end.
func read(res *http.Response, u *url.URL, redirected bool) (*Response, error) {
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("%s switches to another protocol", u.Host)
	}
	tooLarge := fmt.Errorf("the response of %s is larger than %d bytes", u.Host, MaxBody)
	if res.ContentLength > MaxBody && res.Request.Method != http.MethodHead {
		return nil, tooLarge
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, MaxBody+1))
	switch {
	case err != nil:
		return nil, explain(err, u)
	case len(body) > MaxBody:
		return nil, tooLarge
	}
	for _, name := range connectionHeaders(res.Header) {
		res.Header.Del(name)
	}
	at := *u
	at.Fragment, at.RawFragment = "", ""
	_, text, _ := strings.Cut(res.Status, " ")
	return &Response{Status: res.StatusCode, StatusText: text, Header: res.Header, Body: body, URL: at.String(), Redirected: redirected}, nil
}

// connectionHeaders are the names of those headers in h that concern a single
// connection (RFC 9110, section 7.6.1).
func connectionHeaders(h http.Header) []string {
	names := []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}
	for _, list := range h.Values("Connection") {
		for name := range strings.SplitSeq(list, ",") {
			names = append(names, strings.TrimSpace(name))
		}
	}
	return names
}

// explain says what went wrong as far as it helps the author of a script: not the
// addresses behind a name, nor what the libraries call it.
func explain(err error, u *url.URL) error {
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var hostname x509.HostnameError
	var refusedByPeer tls.AlertError
	var timeout net.Error
	switch {
	case errors.Is(err, errPrivate):
		return fmt.Errorf("%s is not on the public Internet: --allow-private-fetch lets scripts fetch from private addresses", u.Host)
	case errors.As(err, &name) && name.IsNotFound:
		return fmt.Errorf("there is no host %s", strconv.Quote(name.Name))
	case errors.As(err, &name):
		return fmt.Errorf("the name %s could not be looked up", strconv.Quote(name.Name))
	case errors.As(err, &hostname):
		return fmt.Errorf("the certificate of %s is for another host", u.Host)
	case errors.As(err, &certificate):
		return fmt.Errorf("the certificate of %s cannot be trusted: %s", u.Host, strings.TrimPrefix(certificate.Err.Error(), "x509: "))
	case errors.As(err, &record), errors.As(err, &refusedByPeer):
		return fmt.Errorf("no TLS connection to %s could be made", u.Host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s refuses the connection", u.Host)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("%s closed the connection before its response was complete", u.Host)
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("no connection to %s within %v", u.Host, dialTimeout)
	}
	var op *net.OpError
	if errors.As(err, &op) && op.Op == "dial" {
		return fmt.Errorf("no connection to %s could be made", u.Host)
	}
	return fmt.Errorf("%s sent no valid response", u.Host)
}
