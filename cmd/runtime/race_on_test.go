//go:build race

package main_test

// buildFlags build the program as this test was built: with the race detector.
var buildFlags = []string{"-race"}

// raceOptions spare each program the second that the detector sleeps at its end.
const raceOptions = "GORACE=atexit_sleep_ms=50"
