//go:build race

package main_test

// buildFlags build the program as this test was built: with the race detector.
var buildFlags = []string{"-race"}
