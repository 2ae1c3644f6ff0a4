package identity

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "0123456789abcdef0123456789abcdef"

// sign makes a token of a header and claims that are given as they are, signed
// with HS256 whatever the header says.
func sign(t testing.TB, header, claims string) string {
	t.Helper()
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	signature, err := jwt.SigningMethodHS256.Sign(text, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

const hs256 = `{"alg":"HS256","typ":"JWT"}`

func verifier(t testing.TB, o Options) *Verifier {
	t.Helper()
	if o.Key.value == nil {
		var err error
		if o.Key, err = Secret(secret); err != nil {
			t.Fatal(err)
		}
	}
	return New(o)
}

// in is a time from now, as claims have it.
func in(d time.Duration) int64 { return time.Now().Add(d).Unix() }

func TestClaims(t *testing.T) {
	later := in(time.Hour)
	exp := fmt.Sprintf(`,"exp":%d`, later)
	for _, c := range []struct {
		name   string
		claims string
		want   error
	}{
		{"of somebody", `{"sub":"ann"` + exp + `}`, nil},
		{"expired", fmt.Sprintf(`{"sub":"ann","exp":%d}`, in(-time.Minute)), ErrExpired},
		{"expired in 1970", `{"sub":"ann","exp":0}`, ErrExpired},
		{"without an end", `{"sub":"ann"}`, ErrInvalid},
		{"an end that is null", `{"sub":"ann","exp":null}`, ErrInvalid},
		{"an end in words", `{"sub":"ann","exp":"tomorrow"}`, ErrInvalid},
		{"an end in milliseconds", fmt.Sprintf(`{"sub":"ann","exp":%d}`, later*1000), ErrInvalid},
		{"an end that no clock can count to", `{"sub":"ann","exp":1e300}`, ErrInvalid},
		{"an end beyond numbers", `{"sub":"ann","exp":1e999}`, ErrInvalid},
		{"not yet valid", fmt.Sprintf(`{"sub":"ann","nbf":%d`, in(time.Minute)) + exp + `}`, ErrInvalid},
		{"never valid", `{"sub":"ann","nbf":1e300` + exp + `}`, ErrInvalid},
		{"valid by now", fmt.Sprintf(`{"sub":"ann","nbf":%d`, in(-time.Minute)) + exp + `}`, nil},
		{"of the future", fmt.Sprintf(`{"sub":"ann","iat":%d`, in(time.Minute)) + exp + `}`, ErrInvalid},
		{"by a clock that is ahead", fmt.Sprintf(`{"sub":"ann","iat":%d`, in(leeway-time.Second)) + exp + `}`, nil},
		{"of nobody", `{"exp":` + fmt.Sprint(later) + `}`, ErrInvalid},
		{"of no name", `{"sub":""` + exp + `}`, ErrInvalid},
		{"of a number", `{"sub":7` + exp + `}`, ErrInvalid},
		{"of a list", `{"sub":["ann"]` + exp + `}`, ErrInvalid},
		{"of a long name", `{"sub":"` + strings.Repeat("é", 128) + `"` + exp + `}`, nil},
		{"of a name that is too long", `{"sub":"` + strings.Repeat("é", 128) + `n"` + exp + `}`, ErrInvalid},
		{"of a name with a newline", `{"sub":"an\nn"` + exp + `}`, ErrInvalid},
		{"of a name with a NUL", `{"sub":"ann\u0000"` + exp + `}`, ErrInvalid},
		{"of a name with a control character of Latin-1", `{"sub":"ann\u0085"` + exp + `}`, ErrInvalid},
		{"of half a character", `{"sub":"ann\ud800"` + exp + `}`, ErrInvalid},
		{"of bytes that are no text", "{\"sub\":\"ann\xff\"" + exp + `}`, ErrInvalid},
		{"of a name like any", `{"sub":"Ann O'Neil <ann@example.com> 🙂"` + exp + `}`, nil},
		{"of another case of sub", `{"Sub":"ann","SUB":"bob"` + exp + `}`, ErrInvalid},
		{"nothing behind them", `{"sub":"ann"` + exp + `}{"sub":"bob"` + exp + `}`, ErrInvalid},
		{"no object", `["sub","ann"]`, ErrInvalid},
		{"null", `null`, ErrInvalid},
		{"no JSON", `{"sub":"ann"`, ErrInvalid},
		{"as many as there may be", `{"sub":"ann","x":"` + strings.Repeat("x", maxClaims-100) + `"` + exp + `}`, nil},
		{"too many", `{"sub":"ann","x":"` + strings.Repeat("x", maxClaims) + `"` + exp + `}`, ErrInvalid},
		{"deep", `{"sub":"ann","x":` + strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1) + exp + `}`, nil},
		{"too deep", `{"sub":"ann","x":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + exp + `}`, ErrInvalid},
	} {
		user, err := verifier(t, Options{}).Verify(sign(t, hs256, c.claims))
		if err != c.want {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err == nil && (user.Expires != time.Unix(later, 0).Add(leeway) || !json.Valid(user.Claims) || user.ID == "") {
			t.Errorf("%s: %+v", c.name, user)
		}
	}
}

func TestTheUserOfAToken(t *testing.T) {
	later := in(time.Hour)
	user, err := verifier(t, Options{}).Verify(sign(t, hs256, fmt.Sprintf(`{"sub":"bob", "exp":%d, "n":9007199254740993, "sub":"ann", "SUB":"eve", "__proto__":{"id":"eve"}}`, later)))
	want := fmt.Sprintf(`{"SUB":"eve","__proto__":{"id":"eve"},"exp":%d,"n":9007199254740993,"sub":"ann"}`, later)
	if err != nil || user.ID != "ann" || string(user.Claims) != want {
		t.Errorf("%+v, %v", user, err)
	}
}

func TestWhoAndWhomATokenIsFor(t *testing.T) {
	v := verifier(t, Options{Issuer: "https://id.example.com", Audience: "chat"})
	for claims, want := range map[string]error{
		`"iss":"https://id.example.com","aud":"chat"`:          nil,
		`"iss":"https://id.example.com","aud":["mail","chat"]`: nil,
		`"iss":"https://id.example.com","aud":["mail"]`:        ErrInvalid,
		`"iss":"https://id.example.com","aud":7`:               ErrInvalid,
		`"iss":"https://id.example.com"`:                       ErrInvalid,
		`"iss":"https://id.example.com/","aud":"chat"`:         ErrInvalid,
		`"iss":["https://id.example.com"],"aud":"chat"`:        ErrInvalid,
		`"aud":"chat"`: ErrInvalid,
		`"iss":"https://id.example.com","aud":"chat","nbf":"x"`: ErrInvalid,
	} {
		if _, err := v.Verify(sign(t, hs256, fmt.Sprintf(`{"sub":"ann","exp":%d,%s}`, in(time.Hour), claims))); err != want {
			t.Errorf("%s: %v, want %v", claims, err, want)
		}
	}
}

// What a token says of how it is signed is believed only if it is what the key takes.
func TestHeaders(t *testing.T) {
	claims := fmt.Sprintf(`{"sub":"ann","exp":%d}`, in(time.Hour))
	v := verifier(t, Options{})
	good := sign(t, hs256, claims)
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"none":                   sign(t, `{"alg":"none"}`, claims),
		"none, unsigned":         strings.TrimRight(strings.TrimSuffix(sign(t, `{"alg":"none"}`, claims), parts[2]), "."),
		"none, without a word":   base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".",
		"None":                   base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"None"}`)) + "." + parts[1] + ".",
		"another hash":           sign(t, `{"alg":"HS512"}`, claims),
		"of a public key":        sign(t, `{"alg":"RS256"}`, claims),
		"small letters":          sign(t, `{"alg":"hs256"}`, claims),
		"an unknown one":         sign(t, `{"alg":"HS257"}`, claims),
		"no algorithm":           sign(t, `{"typ":"JWT"}`, claims),
		"a number":               sign(t, `{"alg":256}`, claims),
		"something critical":     sign(t, `{"alg":"HS256","crit":["b64"],"b64":false}`, claims),
		"no signature":           parts[0] + "." + parts[1] + ".",
		"two parts":              parts[0] + "." + parts[1],
		"four parts":             good + "." + parts[2],
		"five, as if encrypted":  good + ".x.y",
		"another's signature":    parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(claims, "ann", "bob", 1))) + "." + parts[2],
		"padded":                 good + "=",
		"a letter more":          good + "A",
		"spaces":                 parts[0] + " ." + parts[1] + "." + parts[2],
		"base64 of another kind": strings.Replace(good, "_", "/", 1) + "+",
		"huge":                   good + strings.Repeat("A", 1<<20),
		"dots":                   strings.Repeat(".", maxToken),
		"nothing but a word":     "undefined",
	} {
		if user, err := v.Verify(token); err != ErrInvalid {
			t.Errorf("%s: %+v, %v", name, user, err)
		}
	}
	for _, header := range []string{hs256, `{"alg":"HS256"}`, `{"kid":"1","alg":"HS256","typ":"at+jwt"}`} {
		if _, err := v.Verify(sign(t, header, claims)); err != nil {
			t.Errorf("%s: %v", header, err)
		}
	}
	if _, err := v.Verify(""); err != ErrMissing {
		t.Errorf("without a token: %v", err)
	}
}

// publicPEM is a public key as a file.
func publicPEM(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

func generated[K any](t testing.TB) func(key K, err error) K {
	return func(key K, err error) K {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
}

// privateKeys has one for each algorithm of public keys.
func privateKeys(t testing.TB) map[string]crypto.Signer {
	t.Helper()
	ec := func(c elliptic.Curve) crypto.Signer {
		return generated[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(c, rand.Reader))
	}
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{
		"RS256": generated[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, minRSA)),
		"ES256": ec(elliptic.P256()),
		"ES384": ec(elliptic.P384()),
		"ES512": ec(elliptic.P521()),
		"EdDSA": edwards,
	}
}

func TestPublicKeys(t *testing.T) {
	keys := privateKeys(t)
	claims := jwt.MapClaims{"sub": "ann", "exp": in(time.Hour)}
	for algorithm, private := range keys {
		file := publicPEM(t, private.Public())
		key, err := PublicKey(file)
		if err != nil || key.Algorithm() != algorithm {
			t.Errorf("%s: %s, %v", algorithm, key.Algorithm(), err)
			continue
		}
		v := New(Options{Key: key})
		for other, signer := range keys {
			token, err := jwt.NewWithClaims(jwt.GetSigningMethod(other), claims).SignedString(signer)
			if err != nil {
				t.Fatal(err)
			}
			user, err := v.Verify(token)
			if other == algorithm && (err != nil || user.ID != "ann") || other != algorithm && err != ErrInvalid {
				t.Errorf("a token of %s for a key of %s: %+v, %v", other, algorithm, user, err)
			}
		}
		// The public key is everybody's, so it must not do as the secret of HS256.
		block, _ := pem.Decode(file)
		for _, public := range [][]byte{file, block.Bytes} {
			token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(public)
			if err != nil {
				t.Fatal(err)
			}
			if user, err := v.Verify(token); err != ErrInvalid {
				t.Errorf("HS256 with the public key of %s: %+v, %v", algorithm, user, err)
			}
		}
	}
	// Another algorithm of the same key is another algorithm.
	rs := keys["RS256"]
	key, err := PublicKey(publicPEM(t, rs.Public()))
	if err != nil {
		t.Fatal(err)
	}
	for _, algorithm := range []string{"RS512", "PS256"} {
		token, err := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), claims).SignedString(rs)
		if err != nil {
			t.Fatal(err)
		}
		if user, err := New(Options{Key: key}).Verify(token); err != ErrInvalid {
			t.Errorf("%s: %+v, %v", algorithm, user, err)
		}
	}
}

func TestKeysThatAreNone(t *testing.T) {
	if _, err := Secret(secret[1:]); err == nil || strings.Contains(err.Error(), secret[1:]) {
		t.Errorf("a short secret: %v", err)
	}
	if _, err := Secret(secret); err != nil {
		t.Error(err)
	}
	small := generated[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 1024))
	private := generated[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	pkcs8 := generated[[]byte](t)(x509.MarshalPKCS8PrivateKey(private))
	p224 := generated[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P224(), rand.Reader))
	good := publicPEM(t, private.Public())
	for want, file := range map[string][]byte{
		"no key in PEM":               []byte("ssh-ed25519 AAAA"),
		"1024 bits":                   publicPEM(t, small.Public()),
		"private key":                 pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		"P-224":                       publicPEM(t, p224.Public()),
		"more than one key":           append(good, good...),
		"cannot be read":              pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkcs8}),
		"a MESSAGE, not a public key": pem.EncodeToMemory(&pem.Block{Type: "MESSAGE", Bytes: pkcs8}),
	} {
		if _, err := PublicKey(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q in it", err, want)
		}
	}
	key, err := PublicKey(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&generated[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, minRSA)).PublicKey)}))
	if err != nil || key.Algorithm() != "RS256" {
		t.Errorf("PKCS 1: %v, %v", key, err)
	}
}

// A token holds up to its end and leeway, and no longer.
func TestTheEndOfAToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := verifier(t, Options{})
		token := sign(t, hs256, fmt.Sprintf(`{"sub":"ann","exp":%d}`, in(time.Minute)))
		user, err := v.Verify(token)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(user.Expires) - time.Millisecond)
		if _, err := v.Verify(token); err != nil {
			t.Errorf("just before: %v", err)
		}
		time.Sleep(time.Second)
		if _, err := v.Verify(token); !errors.Is(err, ErrExpired) {
			t.Errorf("after: %v", err)
		}
	})
}

// BenchmarkVerify is what a request costs besides, and what anybody can have the
// program do with a token that is none.
func BenchmarkVerify(b *testing.B) {
	claims := jwt.MapClaims{"sub": "ann", "exp": in(time.Hour)}
	bench := func(key Key, private any) {
		token, err := jwt.NewWithClaims(jwt.GetSigningMethod(key.algorithm), claims).SignedString(private)
		if err != nil {
			b.Fatal(err)
		}
		v := New(Options{Key: key})
		b.Run(key.algorithm, func(b *testing.B) {
			for b.Loop() {
				if _, err := v.Verify(token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	key, err := Secret(secret)
	if err != nil {
		b.Fatal(err)
	}
	bench(key, []byte(secret))
	for algorithm, private := range privateKeys(b) {
		public, err := PublicKey(publicPEM(b, private.Public()))
		if err != nil || public.algorithm != algorithm {
			b.Fatal(algorithm, err)
		}
		bench(public, private)
	}
}

// signed tells that a token's third part, in the one way to write it, is the HMAC of
// the two before it.
func signed(token string) bool {
	i := strings.LastIndexByte(token, '.')
	if i < 0 {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(token[:i]))
	return token[i+1:] == base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// No bytes make a user but those that the secret has signed.
func FuzzVerify(f *testing.F) {
	claims := fmt.Sprintf(`{"sub":"ann","exp":%d}`, in(time.Hour))
	good := sign(f, hs256, claims)
	f.Add(hs256, claims, good)
	f.Add(hs256, "{}", sign(f, hs256, fmt.Sprintf(`{"sub":"bob","exp":%d}`, in(time.Minute))))
	f.Add(`{"alg":"none"}`, `{"sub":"ann","exp":1e300}`, strings.TrimSuffix(good, good[len(good)-43:]))
	f.Add(`{"alg":"HS256","crit":[]}`, `{"sub":"\ud800","exp":99999999999,"a":[[[]]]}`, "..")
	v := verifier(f, Options{})
	f.Fuzz(func(t *testing.T, header, claims, token string) {
		// The token can be good: one of another process, or kept from a run before.
		if user, err := v.Verify(token); err == nil && !signed(token) {
			t.Errorf("%q is a token of %+v", token, user)
		}
		user, err := v.Verify(sign(t, header, claims)) // one that is signed, whatever it says
		if err != nil {
			return
		}
		var got map[string]any
		if err := json.Unmarshal(user.Claims, &got); err != nil || got["sub"] != user.ID || !validSubject(user.ID) || len(user.Claims) > maxClaims {
			t.Errorf("%q is of %+v, %v", claims, user, err)
		}
		if !user.Expires.After(time.Now().Add(-time.Second)) || user.Expires.Unix() > lastDate+int64(leeway/time.Second)+1 {
			t.Errorf("%q ends at %v", claims, user.Expires)
		}
	})
}
