package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// What the kernel knows of a process is read from /proc, so only Linux has it.

// tick is the unit of the times in /proc/<pid>/stat: USER_HZ is 100 on every
// Linux that Go runs on.
const tick = 10 * time.Millisecond

// cpuTime is the processor time, user's and system's, that the process has used
// so far, all of its threads together. Its resolution is one tick.
func cpuTime(pid int) (time.Duration, error) {
	name := fmt.Sprintf("/proc/%d/stat", pid)
	data, err := os.ReadFile(name)
	if err != nil {
		return 0, fmt.Errorf("the processor time of process %d: %w", pid, err)
	}
	d, ok := parseStat(data)
	if !ok {
		return 0, fmt.Errorf("the processor time of process %d: unexpected %s", pid, name)
	}
	return d, nil
}

// parseStat finds utime and stime, the 14th and the 15th field. The 2nd is the
// command in brackets, in which there may be anything: so it counts from its end.
func parseStat(data []byte) (time.Duration, bool) {
	const afterCommand = 2
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	if len(fields) < 15-afterCommand {
		return 0, false
	}
	utime, err1 := strconv.ParseInt(string(fields[13-afterCommand]), 10, 64)
	stime, err2 := strconv.ParseInt(string(fields[14-afterCommand]), 10, 64)
	return time.Duration(utime+stime) * tick, err1 == nil && err2 == nil
}
