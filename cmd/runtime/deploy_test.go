package main_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lxzan/gws"
)

// deployed is the folder of what the program is deployed with.
const deployed = "deploy"

// adapted reads a file of deploy, with replacements; each must be there to replace.
func adapted(t *testing.T, name string, replace ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(deployed, name))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for i := 0; i < len(replace); i += 2 {
		if !strings.Contains(text, replace[i]) {
			t.Fatalf("%s has no %q any more", name, replace[i])
		}
		text = strings.ReplaceAll(text, replace[i], replace[i+1])
	}
	return text
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return fmt.Sprint(l.Addr().(*net.TCPAddr).Port)
}

// nginx runs nginx with the shipped configuration before a program, but with a
// time-out of a second, and returns its addresses.
func (p *program) nginx() (plain, secure string, roots *x509.CertPool) {
	p.t.Helper()
	path := needsTool(p.t, "nginx")
	cert, key, roots := certificate(p.t)
	plain, secure = "127.0.0.1:"+freePort(p.t), "127.0.0.1:"+freePort(p.t)
	dir := p.t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			p.t.Fatal(err)
		}
		return file
	}
	site := write("chat.conf", adapted(p.t, "nginx.conf", "listen 80;", "listen "+plain+";", "listen 443 ssl;", "listen "+secure+" ssl;",
		"server 127.0.0.1:8787;", "server "+p.addr+";", "75s;", "1s;",
		"/etc/letsencrypt/live/chat.example.com/fullchain.pem", cert, "/etc/letsencrypt/live/chat.example.com/privkey.pem", key))
	main := "daemon off;\nmaster_process off;\npid " + dir + "/pid;\nerror_log stderr warn;\nevents {}\nhttp {\naccess_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		main += kind + "_temp_path " + dir + "/" + kind + ";\n"
	}
	proxy := executeCommand(p.t, exec.Command(path, "-e", "stderr", "-p", dir, "-c", write("nginx.conf", main+"include "+site+";\n}\n")), nil)
	p.eventually("nginx listens", func() bool {
		if !proxy.alive() {
			p.t.Fatalf("nginx ended: %s", proxy.stderr)
		}
		conn, err := net.Dial("tcp", secure)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
	return plain, secure, roots
}

// pinged is a client that counts pings.
type pinged struct {
	client
	pings chan struct{}
}

func (c *pinged) OnPing(conn *gws.Conn, payload []byte) {
	_ = conn.WritePong(payload)
	c.pings <- struct{}{}
}

// connectThrough opens a socket through a proxy.
func connectThrough(t *testing.T, addr, path string, roots *x509.CertPool) *pinged {
	t.Helper()
	c := &pinged{client{t: t, messages: make(chan string, 1000), closed: make(chan error, 1)}, make(chan struct{}, 1000)}
	conn, _, err := gws.NewClient(c, &gws.ClientOption{Addr: "wss://" + addr + path, HandshakeTimeout: patience, TlsConfig: &tls.Config{RootCAs: roots}})
	if err != nil {
		t.Fatal(err)
	}
	c.conn = conn
	ended := make(chan struct{})
	go func() { defer close(ended); conn.ReadLoop() }()
	t.Cleanup(func() {
		_ = conn.NetConn().Close()
		<-ended
	})
	return c
}

// Behind nginx as it is shipped, sockets are upgraded, and silent ones outlive the
// time-out of the proxy because they are pinged.
func TestBehindNginx(t *testing.T) {
	p := start(t, programOptions{flags: []string{"--ping-interval", "300ms"}})
	plain, secure, roots := p.nginx()
	ann := connectThrough(t, secure, "/ws/general?user=ann", roots)
	ann.want(object{"type": "welcome"})
	bob := p.join("general", "bob")
	for range 9 { // 2.7 s
		select {
		case <-ann.pings:
		case <-time.After(patience):
			t.Fatal("no ping")
		}
	}
	ann.say("still here")
	for got := (object{}); got["type"] != "message"; {
		got = bob.next()
	}
	bob.say("so am I")
	for got := (object{}); !contains(got, object{"message": object{"author": "bob"}}); {
		got = ann.next()
	}

	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for url, want := range map[string]int{"https://" + secure + "/rooms/general/messages": 200, "https://" + secure + "/metrics": 404, "http://" + plain + "/rooms": 301} {
		r, err := client.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		if _ = r.Body.Close(); r.StatusCode != want {
			t.Errorf("%s: status %d, want %d", url, r.StatusCode, want)
		}
	}

	// Without pings it does not: so the above shows what it should.
	q := start(t, programOptions{flags: []string{"--ping-interval", "0"}})
	_, secure, roots = q.nginx()
	silent := connectThrough(t, secure, "/ws/general?user=ann", roots)
	silent.want(object{"type": "welcome"})
	if code := silent.closeCode(); code != 1006 {
		t.Errorf("closed with %d", code)
	}
}

func TestTheUnitOfSystemd(t *testing.T) {
	verify := needsTool(t, "systemd-analyze")
	unit := filepath.Join(t.TempDir(), "chat.service")
	if err := os.WriteFile(unit, []byte(adapted(t, "chat.service", "ExecStart=/opt/chat/runtime", "ExecStart="+binary)), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(verify, "verify", "--man=no", unit).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}

func TestHealthz(t *testing.T) {
	p := start(t, programOptions{})
	_, port, _ := net.SplitHostPort(p.addr)
	for _, addr := range []string{p.addr, "0.0.0.0:" + port} {
		q := execute(t, []string{"healthz"}, map[string]string{"CHAT_ADDR": addr})
		if code := q.wait(); code != 0 || q.stdout.String() != "ok\n" {
			t.Errorf("%s: status %d, %s%s", addr, code, q.stdout, q.stderr)
		}
	}
	cert, key, _ := certificate(t)
	secure := launch(t, programOptions{data: t.TempDir(), flags: []string{"--tls-cert", cert, "--tls-key", key}})
	line, ok := secure.stdout.waitFor("listening  https://", secure.done)
	if !ok {
		t.Fatal(secure.stderr)
	}
	_, addr, _ := strings.Cut(line, "https://")
	if q := execute(t, []string{"healthz", "--addr", addr, "--tls-cert", cert, "--tls-key", key}, nil); q.wait() != 0 {
		t.Errorf("over TLS: %s", q.stderr)
	}
	p.stop()
	if q := execute(t, []string{"healthz", "--addr", p.addr}, nil); q.wait() != 1 || !strings.Contains(q.stderr.String(), "refused") {
		t.Errorf("of a program that does not run: %s", q.stderr)
	}
}

func TestVersion(t *testing.T) {
	if p := execute(t, []string{"--version"}, nil); p.wait() != 0 || !strings.Contains(p.stdout.String(), "go1.") {
		t.Errorf("%s%s", p.stdout, p.stderr)
	}
}
