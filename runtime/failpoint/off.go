//go:build !failpoint

package failpoint

// Hit ends the process if this is the place and the time.
func Hit(string) {}

// Synchronous is the database's pragma of that name.
func Synchronous(mode string) string { return mode }
