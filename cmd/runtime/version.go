package main

import (
	"fmt"
	"io"
	"runtime/debug"
)

// writeVersion prints what this binary was built from: the time and the revision of the
// commit, and +dirty if there was more; (devel) where the build saw no repository.
func writeVersion(stdout io.Writer) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		_, err := fmt.Fprintln(stdout, "unknown")
		return err
	}
	_, err := fmt.Fprintf(stdout, "%s, %s\n", info.Main.Version, info.GoVersion)
	return err
}
