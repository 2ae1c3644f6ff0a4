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

	c := &client{t: t, messages: make(chan string, 100), closed: make(chan error, 1)}
	conn, _, err := gws.NewClient(c, &gws.ClientOption{
		Addr: "wss://" + p.addr + "/ws/general?user=ann", TlsConfig: &tls.Config{RootCAs: roots}, HandshakeTimeout: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.conn = conn
	ended := make(chan struct{})
	go func() { defer close(ended); conn.ReadLoop() }()
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
	<-ended
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
