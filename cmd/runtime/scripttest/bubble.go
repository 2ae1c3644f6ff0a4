package scripttest

import (
	"fmt"
	"testing"
	"testing/synctest"
)

// inBubble runs f, and all goroutines that it starts, on a clock of their own, and
// returns when all of them have ended. The error says that they never will, or
// that f panicked.
func inBubble(f func()) (err error) {
	defer func() {
		if x := recover(); x != nil {
			err = fmt.Errorf("%v", x)
		}
	}()
	// The T is what synctest hangs its cleanups on; a zero one does.
	synctest.Test(new(testing.T), func(*testing.T) { f() })
	return nil
}
