package web_test

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The engine's clock for matches with a time-out: one for the process, which
		// ends by itself when no match has run for a while.
		goleak.IgnoreAnyFunction("github.com/dlclark/regexp2/v2.runClock"))
}
