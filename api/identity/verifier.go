package identity

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"chat.example.com.ai/runtime/script"
)

const (
	// leeway is how far the clocks of who signs and of this machine may differ.
	leeway = 3 * time.Second
	// maxToken bounds a token in bytes: the claims in base64, the signature of a large
	// RSA key, and a header with the names of its key.
	maxToken = 8 << 10
	// maxClaims bounds the claims in bytes, since every socket keeps a copy.
	maxClaims = 4 << 10
	// maxDepth is how deep claims may be nested; scripts read no JSON that is much deeper.
	maxDepth = 100
	// maxSubject is how long the name of an object may be, so that a user can be one.
	maxSubject = 256
	// lastDate is the end of the year 9999 in seconds since 1970: what is later is a
	// mistake in the unit, and may be more than a clock can count.
	lastDate = 253402300799
)

// Why a token is refused. There is no more to tell a client that can't know better.
var (
	ErrMissing = errors.New("a token is needed")
	ErrExpired = errors.New("the token has expired")
	ErrInvalid = errors.New("the token is not valid")
)

// Options of a Verifier.
type Options struct {
	Key      Key
	Issuer   string // that a token must be from; empty: anybody who has the key
	Audience string // that a token must be for, perhaps among others; empty: anybody
}

// Verifier verifies tokens.
type Verifier struct {
	key    Key
	parser *jwt.Parser
}

// New makes a Verifier.
func New(o Options) *Verifier {
	checks := []jwt.ParserOption{
		jwt.WithValidMethods([]string{o.Key.algorithm}), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithLeeway(leeway), jwt.WithJSONNumber(), jwt.WithStrictDecoding(),
	}
	if o.Issuer != "" {
		checks = append(checks, jwt.WithIssuer(o.Issuer))
	}
	if o.Audience != "" {
		checks = append(checks, jwt.WithAudience(o.Audience))
	}
	return &Verifier{o.Key, jwt.NewParser(checks...)}
}

// Verify tells whose token it is, until when that holds, and what else it says. The
// error is one of the three above.
func (v *Verifier) Verify(token string) (*script.User, error) {
	switch {
	case token == "":
		return nil, ErrMissing
	case len(token) > maxToken:
		return nil, ErrInvalid
	}
	claims := jwt.MapClaims{}
	t, err := v.parser.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return v.key.value, nil })
	if err != nil {
		if errors.Is(err, jwt.ErrTokenExpired) && validDates(claims) {
			return nil, ErrExpired
		}
		return nil, ErrInvalid
	}
	if _, critical := t.Header["crit"]; critical { // what must be understood, and isn't: RFC 7515, section 4.1.11
		return nil, ErrInvalid
	}
	payload, err := v.parser.DecodeSegment(strings.Split(token, ".")[1])
	if err != nil || !utf8.Valid(payload) || !json.Valid(payload) { // the parser looks no further than the end of the first value
		return nil, ErrInvalid
	}
	user, ok := UserOf(claims)
	if !ok {
		return nil, ErrInvalid
	}
	user.Expires = user.Expires.Add(leeway)
	return user, nil
}

// UserOf is the user whom claims are about. ok is false if they are about nobody that
// there can be.
func UserOf(claims map[string]any) (user *script.User, ok bool) {
	id, _ := claims["sub"].(string)
	if !validSubject(id) || !validDates(claims) || deeperThan(claims, maxDepth) {
		return nil, false
	}
	text, err := json.Marshal(claims) // as they were understood, each name once
	if err != nil || len(text) > maxClaims {
		return nil, false
	}
	expires, err := jwt.MapClaims(claims).GetExpirationTime()
	if err != nil {
		return nil, false
	}
	user = &script.User{ID: id, Claims: text}
	if expires != nil {
		user.Expires = expires.Time
	}
	return user, true
}

// validSubject reports whether a text can be somebody's name. One with a replacement
// character may have been another one before it was read.
func validSubject(s string) bool {
	return s != "" && len(s) <= maxSubject && utf8.ValidString(s) && !strings.ContainsRune(s, utf8.RuneError) && !strings.ContainsFunc(s, unicode.IsControl)
}

// validDates reports whether the dates of claims, as far as they are numbers, are some
// that a clock can count to: what is not may look like any other.
func validDates(claims map[string]any) bool {
	for _, name := range []string{"exp", "nbf", "iat"} {
		if n, ok := claims[name].(json.Number); ok {
			if f, err := n.Float64(); err != nil || math.Abs(f) > lastDate {
				return false
			}
		}
	}
	return true
}

// deeperThan reports whether there are more than so many arrays and objects within
// each other.
func deeperThan(v any, most int) bool {
	deeper := func(v any) bool { return deeperThan(v, most-1) }
	switch v := v.(type) {
	case []any:
		return most == 0 || slices.ContainsFunc(v, deeper)
	case map[string]any:
		if most == 0 {
			return true
		}
		for _, each := range v {
			if deeper(each) {
				return true
			}
		}
	}
	return false
}
