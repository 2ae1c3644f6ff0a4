//go:build unix

package api

import (
	"fmt"
	"math"
	"syscall"
)

// MaxFiles is how many files this process may have open. Go has raised that to
// what the system allows, less one, before main ran.
func MaxFiles() (int, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("the limit of open files cannot be read: %w", err)
	}
	return int(min(uint64(limit.Cur), math.MaxInt32)), nil
}
