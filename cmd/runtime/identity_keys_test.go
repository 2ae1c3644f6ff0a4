package main_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// keyPair is a private key, and a file that has its public one.
type keyPair struct {
	private crypto.Signer
	method  jwt.SigningMethod
	file    string
	pem     []byte
}

func newKeyPair(t *testing.T, private crypto.Signer, err error, method jwt.SigningMethod) keyPair {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	k := keyPair{private, method, filepath.Join(t.TempDir(), "public.pem"), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}
	if err := os.WriteFile(k.file, k.pem, 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

// sign makes a token; key is the private one, or what somebody takes for it.
func sign(t *testing.T, method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
	t.Helper()
	token, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// The program takes tokens of its public key, and of nothing else.
func TestPublicKeys(t *testing.T) {
	claims := func() jwt.MapClaims {
		return jwt.MapClaims{"sub": "ann", "iss": "me", "aud": []string{"mail", "chat"}, "exp": time.Now().Add(time.Hour).Unix()}
	}
	rs, err := rsa.GenerateKey(rand.Reader, 2048)
	pairs := []keyPair{newKeyPair(t, rs, err, jwt.SigningMethodRS256)}
	es, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	pairs = append(pairs, newKeyPair(t, es, err, jwt.SigningMethodES256))
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	pairs = append(pairs, newKeyPair(t, ed, err, jwt.SigningMethodEdDSA))
	for i, pair := range pairs {
		t.Run(pair.method.Alg(), func(t *testing.T) {
			p := startIdentity(t, "--jwt-public-key", pair.file, "--jwt-issuer", "me", "--jwt-audience", "chat")
			with := func(name string, value any) jwt.MapClaims {
				c := claims()
				c[name] = value
				return c
			}
			good := sign(t, pair.method, pair.private, claims())
			other := pairs[(i+1)%len(pairs)]
			for name, c := range map[string]struct {
				token string
				error string // "" if it is taken
			}{
				"good":                        {good, ""},
				"none":                        {sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims()), "not valid"},
				"HS256 with the public key":   {sign(t, jwt.SigningMethodHS256, pair.pem, claims()), "not valid"},
				"another key":                 {sign(t, other.method, other.private, claims()), "not valid"},
				"expired":                     {sign(t, pair.method, pair.private, with("exp", time.Now().Add(-time.Minute).Unix())), "expired"},
				"expired, of another":         {sign(t, other.method, other.private, with("exp", time.Now().Add(-time.Minute).Unix())), "not valid"},
				"without an end":              {sign(t, pair.method, pair.private, with("exp", nil)), "not valid"},
				"not yet valid":               {sign(t, pair.method, pair.private, with("nbf", time.Now().Add(time.Minute).Unix())), "not valid"},
				"for others":                  {sign(t, pair.method, pair.private, with("aud", "mail")), "not valid"},
				"from others":                 {sign(t, pair.method, pair.private, with("iss", "you")), "not valid"},
				"of a name with a line break": {sign(t, pair.method, pair.private, with("sub", "an\nn")), "not valid"},
				"of half a character":         {sign(t, pair.method, pair.private, with("sub", "\ufffd")), "not valid"},
				"of nobody":                   {sign(t, pair.method, pair.private, with("sub", "")), "not valid"},
				"of a long name":              {sign(t, pair.method, pair.private, with("sub", strings.Repeat("a", 257))), "not valid"},
				"large":                       {sign(t, pair.method, pair.private, with("x", strings.Repeat("x", 4000))), ""},
				"too large":                   {sign(t, pair.method, pair.private, with("x", strings.Repeat("x", 4097))), "not valid"},
				"cut":                         {good[:len(good)-2], "not valid"},
				"no token":                    {"null", "not valid"},
				"missing":                     {"", "needed"},
			} {
				for _, where := range []string{"header", "parameter"} {
					path, header := "/who/a", http.Header{}
					if where == "header" && c.token != "" {
						header.Set("Authorization", "Bearer "+c.token)
					} else if c.token != "" {
						path += "?token=" + c.token
					}
					r := p.askWith(path, header)
					challenge := r.header.Get("WWW-Authenticate")
					switch {
					case c.error == "" && (r.status != 200 || !strings.Contains(r.body, `"id":"ann"`)):
						t.Errorf("%s, %s: %d %s", name, where, r.status, r.body)
					case c.error != "" && (r.status != 401 || !strings.HasPrefix(challenge, `Bearer realm="chat"`) || !strings.Contains(r.body, `{"error":"`) || !strings.Contains(r.body, c.error)):
						t.Errorf("%s, %s: %d %s %s", name, where, r.status, challenge, r.body)
					case c.error == "needed" && strings.Contains(challenge, "invalid_token"):
						t.Errorf("%s, %s: %s", name, where, challenge)
					}
				}
				_, answer, err := p.dial("/ws/a", http.Header{"Sec-WebSocket-Protocol": {"chat, bearer." + c.token}})
				if (err == nil) != (c.error == "") || err != nil && (answer == nil || answer.StatusCode != 401) {
					t.Errorf("%s, socket: %v, %v", name, answer, err)
				}
			}
		})
	}
}

// Whatever a client sends in place of a token, it gets a plain answer, and so does
// who comes after it.
func TestHostileTokens(t *testing.T) {
	p := startIdentity(t, "--jwt-secret", secret)
	token := tokenOf(t, "ann", nil)
	segment := base64.RawURLEncoding.EncodeToString
	for name, c := range map[string]struct {
		path   string
		header http.Header
		status int
	}{
		"two places":             {"/who/a?token=" + token, http.Header{"Authorization": {"Bearer " + token}}, 400},
		"two parameters":         {"/who/a?token=" + token + "&token=" + token, nil, 400},
		"two headers":            {"/who/a", http.Header{"Authorization": {"Bearer " + token, "bearer " + token}}, 400},
		"two subprotocols":       {"/who/a", http.Header{"Sec-Websocket-Protocol": {"chat, bearer." + token, "bearer." + token}}, 400},
		"no other subprotocol":   {"/who/a", http.Header{"Sec-Websocket-Protocol": {"bearer." + token}}, 400},
		"an empty one besides":   {"/who/a?token=", http.Header{"Authorization": {"Bearer " + token}}, 200},
		"basic":                  {"/who/a", http.Header{"Authorization": {"Basic " + token}}, 401},
		"without a scheme":       {"/who/a", http.Header{"Authorization": {token}}, 401},
		"two in one":             {"/who/a", http.Header{"Authorization": {"Bearer " + token + ", Bearer " + token}}, 401},
		"another case of token":  {"/who/a?Token=" + token, nil, 401},
		"huge":                   {"/who/a", http.Header{"Authorization": {"Bearer " + strings.Repeat("A", 12<<10)}}, 401},
		"huge, in the URL":       {"/who/a?token=" + strings.Repeat("A.", 6<<10), nil, 401},
		"beyond all headers":     {"/who/a", http.Header{"Authorization": {"Bearer " + strings.Repeat("A", 1<<20)}}, 431},
		"an escape that is none": {"/who/a?token=%zz", nil, 401},
		"deep":                   {"/who/a?token=" + segment([]byte(`{"alg":"HS256"}`)) + "." + segment([]byte(strings.Repeat("[", 5000))) + ".x", nil, 401},
		"a header that is deep":  {"/who/a?token=" + segment([]byte(strings.Repeat(`{"a":`, 1000))) + ".e30.x", nil, 401},
		"the page's, no token":   {"/healthz", nil, 200},
		"metrics":                {"/metrics", nil, 200},
		"no route":               {"/nowhere", nil, 404},
		"a bad name":             {"/who/" + strings.Repeat("a", 300), nil, 401},
	} {
		if r := p.askWith(c.path, c.header); r.status != c.status {
			t.Errorf("%s: %d %.200s, want %d", name, r.status, r.body, c.status)
		}
	}
	if r := p.askWith("/who/a", http.Header{"Authorization": {"Bearer " + token}}); r.status != 200 {
		t.Errorf("afterwards: %d %s", r.status, r.body)
	}
	if n := p.metric("chat_requests_unauthorized_total"); n < 8 {
		t.Errorf("%v requests are counted", n)
	}
	if !strings.Contains(p.stdout.String(), "by verified tokens, HS256\n") {
		t.Errorf("the start says\n%s", p.stdout)
	}
}

// The token that README makes with openssl is one.
func TestTheTokenOfTheReadme(t *testing.T) {
	needsTool(t, "openssl")
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```sh\n")
	code, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("README has no example in sh")
	}
	out, err := exec.Command("sh", "-euc", code+`printf '%s %s' "$CHAT_JWT_SECRET" "$token"`).Output()
	if err != nil {
		t.Fatal(err)
	}
	generated, token, _ := strings.Cut(string(out), " ")
	p := start(t, programOptions{scripts: folder(t, map[string]string{"room.js": whoami}), env: map[string]string{"CHAT_JWT_SECRET": generated}})
	if r := p.askWith("/who/a", http.Header{"Authorization": {"Bearer " + token}}); r.status != 200 || !strings.Contains(r.body, `"id":"ann"`) {
		t.Errorf("%d %s", r.status, r.body)
	}
}

func TestKeysThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "private.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)})
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, flags := range map[string][]string{
		"31 bytes":         {"--jwt-secret", secret[1:]},
		"exclude":          {"--jwt-secret", secret, "--jwt-public-key", file},
		"private key":      {"--jwt-public-key", file},
		"no such file":     {"--jwt-public-key", filepath.Join(dir, "missing.pem")},
		"--jwt-public-key": {"--jwt-issuer", "me"},
	} {
		p := launch(t, programOptions{data: t.TempDir(), flags: flags})
		if code := p.wait(); code != 1 || !strings.Contains(p.stderr.String(), want) || strings.Count(p.stderr.String(), "\n") != 1 || strings.Contains(p.stderr.String(), secret[1:]) {
			t.Errorf("status %d, says %q; want %q in one line", code, p.stderr, want)
		}
	}
}
