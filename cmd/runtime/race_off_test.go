//go:build !race

package main_test

// buildFlags build the program as this test was built: without the race detector.
var buildFlags []string

const raceOptions = ""
