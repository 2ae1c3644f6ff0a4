package main_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
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

// standing is a proxy that stands before a program.
type standing struct {
	plain  string // address without TLS, which redirects; "" if there is none
	secure string
	roots  *x509.CertPool
	logs   func() string // all that it has logged
	proxy  *program
}

// nginx runs nginx with the shipped configuration before a program, but with a
// time-out of a second.
func (p *program) nginx() standing {
	p.t.Helper()
	path := needsTool(p.t, "nginx")
	cert, key, roots := certificate(p.t)
	dir, port := p.t.TempDir(), freePort(p.t)
	s := standing{plain: "127.0.0.1:" + freePort(p.t), secure: "127.0.0.1:" + port, roots: roots}
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			p.t.Fatal(err)
		}
		return file
	}
	site := write("chat.conf", adapted(p.t, "nginx.conf", "listen 80;", "listen "+s.plain+";", "listen 443 ssl;", "listen "+s.secure+" ssl;",
		"server 127.0.0.1:8787;", "server "+p.addr+";", "75s;", "1s;", "Host $host;", "Host $host:"+port+";", "/var/log/nginx/", dir+"/",
		"/etc/letsencrypt/live/chat.example.com/fullchain.pem", cert, "/etc/letsencrypt/live/chat.example.com/privkey.pem", key))
	main := "daemon off;\nmaster_process off;\npid " + dir + "/pid;\nerror_log stderr warn;\nevents {}\nhttp {\naccess_log off;\n"
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		main += kind + "_temp_path " + dir + "/" + kind + ";\n"
	}
	proxy := executeCommand(p.t, exec.Command(path, "-e", "stderr", "-p", dir, "-c", write("nginx.conf", main+"include "+site+";\n}\n")), nil)
	s.proxy = proxy
	s.logs = func() string {
		text := proxy.stderr.String()
		for _, name := range []string{"chat.log", "chat.error.log"} {
			data, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				p.t.Fatal(err)
			}
			text += string(data)
		}
		return text
	}
	proxy.listens(s.secure)
	return s
}

// caddy runs Caddy with the shipped configuration before a program, but with a
// certificate of the test's, and a log of all requests.
func (p *program) caddy() standing {
	p.t.Helper()
	path := needsTool(p.t, "caddy")
	cert, key, roots := certificate(p.t)
	dir, port := p.t.TempDir(), freePort(p.t)
	s := standing{secure: "127.0.0.1:" + port, roots: roots}
	file := filepath.Join(dir, "Caddyfile")
	config := adapted(p.t, "Caddyfile", "\tlog {\n", "\tadmin off\n\tauto_https off\n\tlog {\n",
		"chat.example.com {", "https://chat.example.com:"+port+" {\n\tbind 127.0.0.1\n\ttls "+cert+" "+key+"\n\tlog\n", "127.0.0.1:8787", p.addr)
	if err := os.WriteFile(file, []byte(config), 0o644); err != nil {
		p.t.Fatal(err)
	}
	proxy := executeCommand(p.t, exec.Command(path, "run", "--adapter", "caddyfile", "--config", file),
		map[string]string{"HOME": dir, "XDG_DATA_HOME": dir, "XDG_CONFIG_HOME": dir})
	s.proxy, s.logs = proxy, proxy.stderr.String
	proxy.listens(s.secure)
	return s
}

// listens waits until a proxy does.
func (p *program) listens(addr string) {
	p.t.Helper()
	p.eventually("the proxy listens", func() bool {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	})
}

// ask sends a request for chat.example.com as it stands, as program.ask does.
func (s standing) ask(t *testing.T, request string, lines ...string) response {
	t.Helper()
	_, port, _ := net.SplitHostPort(s.secure)
	conn, err := tls.Dial("tcp", s.secure, &tls.Config{ServerName: "chat.example.com", InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return askOver(t, conn, "chat.example.com:"+port, request, lines...)
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
	c := &pinged{*newClient(t), make(chan struct{}, 1000)}
	if _, err := c.open(c, &gws.ClientOption{Addr: "wss://" + addr + path, TlsConfig: &tls.Config{RootCAs: roots}}); err != nil {
		t.Fatal(err)
	}
	return c
}

// Behind nginx as it is shipped, sockets are upgraded, and silent ones outlive the
// time-out of the proxy because they are pinged.
func TestBehindNginx(t *testing.T) {
	p := start(t, programOptions{flags: []string{"--ping-interval", "300ms", "--trusted-proxy", "loopback"}})
	nginx := p.nginx()
	plain, secure, roots := nginx.plain, nginx.secure, nginx.roots
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
	nginx = q.nginx()
	silent := connectThrough(t, nginx.secure, "/ws/general?user=ann", nginx.roots)
	silent.want(object{"type": "welcome"})
	if code := silent.closeCode(); code != 1006 {
		t.Errorf("closed with %d", code)
	}
}

// Behind the proxies as they are shipped, and with the environment of the unit, the
// program knows who asks for what, however clients lie; and no log has a token.
func TestProxiesSayWhoAsks(t *testing.T) {
	const burst = 8
	for name, stand := range map[string]func(*program) standing{"nginx": (*program).nginx, "caddy": (*program).caddy} {
		t.Run(name, func(t *testing.T) {
			adapted(t, "chat.service", "Environment=CHAT_TRUSTED_PROXY=loopback", "")
			p := start(t, programOptions{env: map[string]string{"CHAT_TRUSTED_PROXY": "loopback"},
				scripts: shippedWith(t, map[string]string{"page.js": corsScript}),
				flags:   []string{"--limit-loopback", "--request-rate", "0.01", "--request-burst", fmt.Sprint(burst)}})
			proxy := stand(p)
			_, port, _ := net.SplitHostPort(proxy.secure)
			site := "https://chat.example.com:" + port
			lies := []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Host: evil.example", "X-Forwarded-Proto: http", "Forwarded: for=192.0.2.1;host=evil.example"}
			r := proxy.ask(t, "GET /url/x?token=SECRET", lies...)
			u, headers := urlOf(t, r)
			if !strings.HasPrefix(u.String(), site+"/url/x") || headers["forwarded"] != nil || headers["x-forwarded-for"] != "127.0.0.1" {
				t.Errorf("a script sees %s, %v", u, headers)
			}
			if got := toJSON(r.header["Strict-Transport-Security"]); got != `["max-age=31536000"]` {
				t.Errorf("HSTS is %s", got)
			}
			for origin, want := range map[string]int{site: 101, "https://evil.example": 403, "http://chat.example.com:" + port: 403} {
				lines := append([]string{"Origin: " + origin, "Sec-WebSocket-Protocol: chat, bearer.SECRET"}, handshake...)
				if r := proxy.ask(t, "GET /ws/general?user=ann", append(lines, lies...)...); r.status != want {
					t.Errorf("%s: a socket is answered with %d %s", origin, r.status, r.body)
				}
			}
			for i := range 20 {
				r := proxy.ask(t, "GET /rooms", fmt.Sprintf("X-Forwarded-For: 192.0.2.%d", i))
				if want := map[bool]int{true: 200, false: 429}[i < burst-4]; r.status != want {
					t.Errorf("request %d: %d", i, r.status)
				}
			}
			if r := p.ask("GET /rooms", "X-Forwarded-For: 192.0.2.1"); r.status != 200 {
				t.Errorf("another address: %d", r.status)
			}
			p.stop()
			if r := proxy.ask(t, "GET /ws/general?token=SECRET", append([]string{"Sec-WebSocket-Protocol: bearer.SECRET", "Authorization: Bearer SECRET"}, handshake...)...); r.status != 502 {
				t.Errorf("without a program: %d", r.status)
			}
			proxy.proxy.eventually("the last request is logged", func() bool {
				return strings.Contains(proxy.logs(), "/ws/general") && strings.Contains(proxy.logs(), "502")
			})
			if logs := proxy.logs() + p.stderr.String(); strings.Contains(logs, "SECRET") {
				t.Errorf("the logs:\n%s", tail(logs))
			}
		})
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

// The environment of the unit is one that the program takes, and systemd hears when it
// serves.
func TestAsAService(t *testing.T) {
	env := map[string]string{}
	for line := range strings.Lines(adapted(t, "chat.service")) {
		if settings, ok := strings.CutPrefix(strings.TrimSpace(line), "Environment="); ok {
			for setting := range strings.FieldsSeq(settings) {
				name, value, _ := strings.Cut(setting, "=")
				env[name] = value
			}
		}
	}
	help := execute(t, []string{"--help"}, nil)
	help.wait()
	for name := range env {
		if !strings.Contains(help.stdout.String(), name+",") {
			t.Errorf("the program has no %s", name)
		}
	}
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	env["NOTIFY_SOCKET"] = socket
	env["CHAT_ADDR"], env["CHAT_SCRIPTS"], env["CHAT_DATA"] = "127.0.0.1:"+freePort(t), shipped, t.TempDir()
	env["CHAT_MESSAGE_RATE"], env["CHAT_MESSAGE_BURST"] = "1", "1"
	p := execute(t, nil, env)
	p.addr = env["CHAT_ADDR"]
	if err := l.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	told := make([]byte, 100)
	n, err := l.Read(told)
	if err != nil || string(told[:n]) != "READY=1" {
		t.Fatalf("told %q, %v", told[:n], err)
	}
	if status := p.get("/healthz").status; status != 200 {
		t.Errorf("status %d", status)
	}
	answer, ann := p.keep("X-Forwarded-For: 203.0.113.1")
	defer ann.Close()
	if answer.status != 101 {
		t.Fatal(answer.status)
	}
	if _, err := io.WriteString(ann, strings.Repeat("\x81\x82\x00\x00\x00\x00hi", 3)); err != nil {
		t.Fatal(err)
	}
	p.eventually("the rate holds behind a proxy", func() bool { return p.metric("chat_messages_delayed_total") > 0 })
}

// What the README builds is a file that the way to the server takes from there: the
// repository has a folder that is called as the program is.
func TestTheBuildOfTheReadme(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "go build -trimpath -o ")
	file, rest, ok := strings.Cut(rest, " ./cmd/runtime\nscp -r ")
	if !ok || !strings.HasPrefix(rest, file+" ") {
		t.Fatalf("the README builds %q and copies %.40q", file, rest)
	}
	if info, err := os.Stat(filepath.Join("../..", file)); err == nil && info.IsDir() {
		t.Errorf("%s is a folder", file)
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
