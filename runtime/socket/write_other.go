//go:build !unix

package socket

// canTry is false where writing without waiting isn't known to work: there a
// writer goroutine does all.
const canTry = false

func writeOnce(uintptr, []byte) (int, error) { return 0, nil }
