package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lxzan/gws"
)

// certificate writes a certificate for 127.0.0.1 that is its own authority.
func certificate(t *testing.T) (certFile, keyFile string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, data []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	roots = x509.NewCertPool()
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(parsed)
	return write("cert.pem", "CERTIFICATE", der), write("key.pem", "PRIVATE KEY", secret), roots
}

func TestHTTPS(t *testing.T) {
	cert, key, roots := certificate(t)
	data := t.TempDir()
	p := launch(t, programOptions{data: data, flags: []string{"--tls-cert", cert, "--tls-key", key}})
	const mark = "listening  https://"
	line, ok := p.stdout.waitFor(mark, p.done)
	if !ok {
		t.Fatalf("the program does not listen; stderr:\n%s", p.stderr)
	}
	_, p.addr, _ = strings.Cut(line, mark)

	c, _, err := p.dialWith(&gws.ClientOption{Addr: "wss://" + p.addr + "/ws/general?user=ann", TlsConfig: &tls.Config{RootCAs: roots}})
	if err != nil {
		t.Fatal(err)
	}
	c.want(object{"type": "welcome"})
	long := strings.Repeat("long ", 700)
	for _, text := range []string{"hello", long, "two records in one segment"} {
		c.say(text)
	}
	for _, text := range []string{"hello", long, "two records in one segment"} {
		c.wantMessage("ann", text)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("status %d", code)
	}
	if got := c.closeCode(); got != 1001 {
		t.Errorf("closed with %d", got)
	}
}

func TestHTTPSThatCannotBe(t *testing.T) {
	cert, _, _ := certificate(t)
	for name, flags := range map[string][]string{
		"go together":  {"--tls-cert", cert},
		"no such file": {"--tls-cert", cert, "--tls-key", "missing.pem"},
	} {
		p := launch(t, programOptions{data: t.TempDir(), flags: flags})
		if code := p.wait(); code != 1 || !strings.Contains(p.stderr.String(), name) || strings.Count(p.stderr.String(), "\n") != 1 {
			t.Errorf("status %d, says %q; want %q in one line", code, p.stderr, name)
		}
	}
}

// Over TLS a browser is told to stay with it, but for names that every machine has; and
// a page without it is another one.
func TestTLSOfTheProgramItself(t *testing.T) {
	cert, key, _ := certificate(t)
	p := launch(t, programOptions{data: t.TempDir(), flags: []string{"--tls-cert", cert, "--tls-key", key, "--allow-origin", "https://chat.example"}})
	line, ok := p.stdout.waitFor("listening  https://", p.done)
	if !ok {
		t.Fatalf("the program does not listen; stderr:\n%s", p.stderr)
	}
	_, p.addr, _ = strings.Cut(line, "https://")
	for _, test := range []struct {
		host, origin string
		status       int
		hsts         bool
	}{
		{"chat.example", "https://chat.example", 101, true},
		{"chat.example:8443", "https://chat.example:8443", 101, true},
		{"chat.example:8443", "http://chat.example:8443", 403, true},
		{"localhost", "https://localhost", 101, false},
		{p.addr, "http://" + p.addr, 403, false},
	} {
		for _, request := range []string{"GET /ws/general?user=ann", "GET /healthz"} {
			conn, err := tls.Dial("tcp", p.addr, &tls.Config{InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			lines, want := append([]string{"Host: " + test.host, "Origin: " + test.origin}, handshake...), test.status
			if request == "GET /healthz" {
				lines, want = lines[:1], 200
			}
			r := askOver(t, conn, p.addr, request, lines...)
			if r.status != want || want == 200 && (r.header.Get("Strict-Transport-Security") != "") != test.hsts {
				t.Errorf("%s of %s, %s: %d, %v", request, test.host, test.origin, r.status, r.header)
			}
		}
	}
}
