package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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

// threadTimes is the processor time that each thread of the process has used so
// far, by the thread's number. It is exact to the nanosecond; the time of threads
// that have ended is lost.
func threadTimes(pid int) (map[string]time.Duration, error) {
	names, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return nil, err
	}
	times := map[string]time.Duration{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // it has ended meanwhile
		} else if err != nil {
			return nil, err
		}
		first, _, _ := strings.Cut(string(data), " ")
		ns, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the processor time of process %d: unexpected %s", pid, name)
		}
		times[name] = time.Duration(ns)
	}
	if len(times) == 0 { // no such process, or a kernel without these files
		times[""], err = cpuTime(pid)
	}
	return times, err
}

// between is the processor time that was used from one reading of threadTimes to
// a later one.
func between(before, after map[string]time.Duration) (used time.Duration) {
	for thread, t := range after {
		used += t - before[thread]
	}
	return used
}

// residentMemory is the memory of a process that is in RAM, in bytes. What the
// kernel keeps for its sockets is not in it.
func residentMemory(pid int) (int64, error) {
	value, err := procLine(pid, "status", "VmRSS:")
	if err != nil {
		return 0, err
	}
	kb, err := strconv.ParseInt(strings.TrimSuffix(value, " kB"), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("the memory of process %d: %w", pid, err)
	}
	return kb << 10, nil
}

// openFiles is how many descriptors a process has open.
func openFiles(pid int) (int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return len(entries), err
}

// maxFiles is how many descriptors a process may have open.
func maxFiles(pid int) (int, error) {
	value, err := procLine(pid, "limits", "Max open files")
	if err != nil {
		return 0, err
	}
	soft, _, _ := strings.Cut(value, " ")
	if soft == "unlimited" {
		return math.MaxInt, nil
	}
	n, err := strconv.Atoi(soft)
	if err != nil {
		return 0, fmt.Errorf("the descriptor limit of process %d: %w", pid, err)
	}
	return n, nil
}

// procLine is what stands after a label in a file of /proc/<pid>.
func procLine(pid int, file, label string) (string, error) {
	name := fmt.Sprintf("/proc/%d/%s", pid, file)
	data, err := os.ReadFile(name)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, label); ok {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("%s has no %q", name, label)
}
