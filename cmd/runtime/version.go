package main

import (
	"fmt"
	"io"
	"runtime/debug"
)

// writeVersion prints what this binary was built from, as far as the build knew.
func writeVersion(stdout io.Writer) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		_, err := fmt.Fprintln(stdout, "unknown")
		return err
	}
	text := info.Main.Version
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			text += " " + s.Value
		case s.Key == "vcs.time":
			text += " of " + s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			text += ", changed since"
		}
	}
	_, err := fmt.Fprintf(stdout, "%s, %s\n", text, info.GoVersion)
	return err
}
