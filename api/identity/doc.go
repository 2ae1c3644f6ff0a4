// Package identity tells from a JSON Web Token who somebody is: whether one that is
// trusted has signed it, and whether it holds now. It is the only package that imports
// golang-jwt.
//
// A [Verifier] has one key and takes one algorithm, that of the key, whatever a token
// says of itself. It is safe for concurrent use, keeps nothing of what it has
// seen, and has no goroutine. A token is at most maxToken long and its claims are at
// most maxClaims, so what a client can have it do is bounded by one signature.
package identity
