package main

import (
	"errors"
	"fmt"
	"os"

	"chat.example.com.ai/api/identity"
)

// jwtOptions say how the program knows who somebody is. Without a key it doesn't.
type jwtOptions struct {
	secret    string
	publicKey string // file
	issuer    string
	audience  string
}

// given reports whether there is a key.
func (o jwtOptions) given() bool { return o.secret != "" || o.publicKey != "" }

// loadVerifier makes what tokens are verified with, nil if none are, and says for the
// person who starts the program how users are known.
func loadVerifier(o jwtOptions) (v *identity.Verifier, users string, err error) {
	var key identity.Key
	switch {
	case o.secret != "" && o.publicKey != "":
		return nil, "", errors.New("--jwt-secret and --jwt-public-key exclude each other: tokens have one kind of key")
	case o.secret != "":
		if key, err = identity.Secret(o.secret); err != nil {
			return nil, "", fmt.Errorf("--jwt-secret: %w", err)
		}
	case o.publicKey != "":
		file, err := os.ReadFile(o.publicKey)
		if err != nil {
			return nil, "", fmt.Errorf("--jwt-public-key: %w", err)
		}
		if key, err = identity.PublicKey(file); err != nil {
			return nil, "", fmt.Errorf("--jwt-public-key %s: %w", o.publicKey, err)
		}
	case o.issuer != "" || o.audience != "":
		return nil, "", errors.New("--jwt-issuer and --jwt-audience need --jwt-secret or --jwt-public-key")
	default:
		return nil, "whoever they say they are", nil
	}
	v = identity.New(identity.Options{Key: key, Issuer: o.issuer, Audience: o.audience})
	return v, "by verified tokens, " + key.Algorithm(), nil
}
