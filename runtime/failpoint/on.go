//go:build failpoint

package failpoint

import (
	"cmp"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
)

// Hit ends the process if this is the place and the time.
func Hit(place string) {
	p := chosen()
	if place != p.place || p.left.Add(-1) != 0 {
		return
	}
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err != nil {
		panic(err)
	}
	select {} // the signal is on its way
}

// Synchronous is the database's pragma of that name.
func Synchronous(mode string) string { return cmp.Or(os.Getenv("CHAT_SYNCHRONOUS"), mode) }

type point struct {
	place string
	left  *atomic.Int64
}

// chosen is what the environment says.
var chosen = sync.OnceValue(func() point {
	p := point{left: new(atomic.Int64)}
	text := os.Getenv("CHAT_FAILPOINT")
	if text == "" {
		return p
	}
	place, times, _ := strings.Cut(text, ":")
	var n int64
	if _, err := fmt.Sscan(times, &n); err != nil {
		panic(fmt.Sprintf("CHAT_FAILPOINT=%q: %v", text, err))
	}
	p.place = place
	p.left.Store(n)
	return p
})
