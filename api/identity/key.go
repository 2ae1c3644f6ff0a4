package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
)

const (
	// minSecret is what HS256 needs at least, in bytes: RFC 7518, section 3.2.
	minSecret = 32
	// minRSA is the least RSA key, in bits: RFC 7518, section 3.3.
	minRSA = 2048
)

// Key is what tokens are verified with. It decides on their algorithm.
type Key struct {
	algorithm string
	value     any // as golang-jwt has it
}

// Algorithm is the name of the one algorithm that the key takes, as in RFC 7518.
func (k Key) Algorithm() string { return k.algorithm }

// Secret is a key that who signs tokens has too: HS256.
func Secret(secret string) (Key, error) {
	if len(secret) < minSecret {
		return Key{}, fmt.Errorf("the secret has %d bytes: it needs %d at least", len(secret), minSecret)
	}
	return Key{"HS256", []byte(secret)}, nil
}

// PublicKey reads a public key, or a certificate with one, from a file in PEM: of RSA for
// RS256, on the curve P-256, P-384 or P-521 for ES256, ES384 or ES512, and of
// Ed25519 for EdDSA.
func PublicKey(file []byte) (Key, error) {
	block, rest := pem.Decode(file)
	if block == nil {
		return Key{}, errors.New("the file has no key in PEM")
	}
	if next, _ := pem.Decode(rest); next != nil {
		return Key{}, errors.New("the file has more than one key: which is meant is not clear")
	}
	key, err := parsePublic(block)
	if err != nil {
		return Key{}, err
	}
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSA {
			return Key{}, fmt.Errorf("the RSA key has %d bits: it needs %d at least", bits, minRSA)
		}
		return Key{"RS256", key}, nil
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return Key{"ES256", key}, nil
		case elliptic.P384():
			return Key{"ES384", key}, nil
		case elliptic.P521():
			return Key{"ES512", key}, nil
		}
		return Key{}, fmt.Errorf("the curve %s has no algorithm of tokens", key.Curve.Params().Name)
	case ed25519.PublicKey:
		return Key{"EdDSA", key}, nil
	}
	return Key{}, fmt.Errorf("tokens have no algorithm for a %T", key)
}

func parsePublic(block *pem.Block) (key any, err error) {
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		key, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		var c *x509.Certificate
		if c, err = x509.ParseCertificate(block.Bytes); err == nil {
			key = c.PublicKey
		}
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "OPENSSH PRIVATE KEY":
		return nil, errors.New("the file has a private key: this program needs the public one, and nobody else the private one")
	default:
		return nil, fmt.Errorf("the file has a %s, not a public key", block.Type)
	}
	if err != nil {
		return nil, fmt.Errorf("the public key cannot be read: %w", err)
	}
	return key, nil
}
