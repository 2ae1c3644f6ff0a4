package main_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A disk that takes nothing: what comes is refused, nothing that was seen is lost,
// and the program goes on by itself when the disk does.

// smallDisk is a file system of its own in memory, which only the programs see that
// are run under it.
type smallDisk struct {
	t      *testing.T
	folder string // as those programs see it
	under  []string
	root   string // leads this test there
}

func newSmallDisk(t *testing.T, size string) *smallDisk {
	t.Helper()
	for _, name := range []string{"unshare", "nsenter", "mount"} {
		needsTool(t, name)
	}
	d := &smallDisk{t: t, folder: t.TempDir()}
	// cat keeps the name space until its input is closed
	holder := exec.Command("unshare", "--map-root-user", "--mount", "sh", "-c",
		`mount -t tmpfs -o size=`+size+` tmpfs "$0" && echo mounted && exec cat`, d.folder)
	stdin, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = holder.Wait()
	})
	if line, _ := bufio.NewReader(stdout).ReadString('\n'); line != "mounted\n" {
		missing(t, "no small disk can be mounted here")
	}
	pid := fmt.Sprint(holder.Process.Pid)
	d.under = []string{"nsenter", "--target", pid, "--user", "--mount", "--preserve-credentials", "--"}
	d.root = "/proc/" + pid + "/root" + d.folder
	return d
}

// fill leaves no room on the disk.
func (d *smallDisk) fill() {
	d.t.Helper()
	f, err := os.Create(filepath.Join(d.root, "ballast"))
	if err != nil {
		d.t.Fatal(err)
	}
	for err == nil {
		_, err = f.Write(make([]byte, 1<<12))
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		d.t.Fatal(err)
	}
}

func (d *smallDisk) free() {
	d.t.Helper()
	if err := os.Remove(filepath.Join(d.root, "ballast")); err != nil {
		d.t.Fatal(err)
	}
}

// inject has system calls of a running program end otherwise, until the returned
// function is called.
func (p *program) inject(calls, what string) (stop func()) {
	p.t.Helper()
	tracer := exec.Command("strace", "-f", "-p", fmt.Sprint(p.process.Pid), "-o", os.DevNull, "-e", "trace="+calls, "-e", "inject="+calls+":"+what)
	stderr, err := tracer.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := tracer.Start(); err != nil {
		p.t.Fatal(err)
	}
	if line, _ := bufio.NewReader(stderr).ReadString('\n'); !strings.Contains(line, "attached") {
		_ = tracer.Wait()
		missing(p.t, "no process can be traced here: "+line)
	}
	read := make(chan struct{})
	go func() { defer close(read); _, _ = io.Copy(io.Discard, stderr) }()
	return func() {
		_ = tracer.Process.Signal(syscall.SIGINT) // it leaves the program alone
		<-read
		_ = tracer.Wait()
	}
}

// An event that is being handled when the disk begins to take nothing, and an alarm
// that comes due meanwhile.
const bell = `
import { $, DO } from 'dotdo'
$.on.Bell.rung(async (event) => {
  await new Promise((resolve) => setTimeout(resolve, 500))
  $.Bell('heard').note(event.data)
})
export default DO.extend({
  $type: 'Bell',
  onRequest() {
    this.app.post('/bell/:bell', (c) => {
      $.send('Bell.rung', 'before')
      this.ctx.storage.setAlarm(Date.now() + 200)
      return c.text('')
    })
    this.app.get('/bell/:bell', async (c) => c.json(await this.things.list({ $type: 'Ring' })))
  },
  alarm() { $.send('Bell.rung', 'meanwhile') },
  note(by) { this.things.create({ $type: 'Ring', by }) },
})`

func TestADiskThatTakesNothing(t *testing.T) {
	for _, test := range []struct {
		name  string
		small bool
		says  string // in the log
		begin func(*program, *smallDisk) (end func())
	}{
		{"full", true, "database or disk is full", func(_ *program, d *smallDisk) func() { d.fill(); return d.free }},
		{"read-only", false, "disk I/O error", func(p *program, _ *smallDisk) func() { return p.inject("pwrite64", "error=EROFS") }},
		{"not synced", false, "disk I/O error", func(p *program, _ *smallDisk) func() { return p.inject("fsync,fdatasync", "error=EIO") }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			o := programOptions{scripts: shippedWith(t, map[string]string{"bell.js": bell}), flags: []string{"--watch=false"}}
			var disk *smallDisk
			if test.small {
				disk = newSmallDisk(t, "8m")
				o.data, o.under = disk.folder, disk.under
			} else {
				needsStrace(t)
				o.data = t.TempDir()
			}
			p := start(t, o)
			both := p.joinAll("general", "ann", "bob")
			ann, bob := both[0], both[1]
			ann.say("before")
			ann.wantMessage("ann", "before")
			bob.wantMessage("ann", "before")

			if r := p.do("POST", "/bell/a", ""); r.status != 200 {
				t.Fatalf("status %d", r.status)
			}
			end := test.begin(p, disk)
			lines := p.logged("\n")
			ann.say("refused")
			if code := ann.closeCode(); code != 1013 {
				t.Errorf("closed with %d, want 1013", code)
			}
			if r := p.do("PUT", "/users/ann/profile", `{"about":"refused"}`); r.status != 503 || r.header.Get("Retry-After") == "" {
				t.Errorf("status %d, Retry-After %q", r.status, r.header.Get("Retry-After"))
			}
			if r := p.get("/ws/another?user=ann"); r.status != 426 {
				t.Errorf("a request that writes nothing: status %d", r.status)
			}
			if history := p.get("/rooms/general/messages").list(t); len(history) != 1 {
				t.Errorf("the history is %v", history)
			}
			before := time.Now()
			for time.Since(before) < 1500*time.Millisecond { // people who try again and again
				again := p.connect("/ws/general?user=ann")
				again.say("refused")
				if code := again.closeCode(); code != 1013 {
					t.Fatalf("closed with %d, want 1013", code)
				}
			}
			p.eventually("the alarm could not be stored", func() bool { return p.metric("chat_alarms_failed_total") > 0 })
			for _, says := range []string{"nothing can be stored", test.says} {
				if _, ok := p.stderr.waitFor(says, p.done); !ok {
					t.Errorf("the log does not say %q:\n%s", says, p.stderr)
				}
			}
			if n := p.logged("\n") - lines; n > 10 {
				t.Errorf("%d lines in the log:\n%s", n, tail(p.stderr.String()))
			}
			p.wantIdle(0.25) // with what it tries again by itself

			end()
			ann = p.join("general", "ann")
			ann.say("after")
			p.eventually("bob hears of it", func() bool {
				o := bob.next()
				message, _ := o["message"].(object)
				if message["content"] == "refused" {
					t.Errorf("bob has heard what was refused: %v", o)
				}
				return message["content"] == "after"
			})
			p.eventually("the event is handled and the alarm has rung", func() bool { return len(p.get("/bell/heard").list(t)) == 2 })
			if _, ok := p.stderr.waitFor("takes what is to be stored again", p.done); !ok {
				t.Errorf("the log does not say that it is over:\n%s", p.stderr)
			}
			p.historyOf("general", 2)
			if err := p.process.Kill(); err != nil {
				t.Fatal(err)
			}
			p.wait()
			p = start(t, o)
			p.historyOf("general", 2)
			p.join("general", "ann").say("and on")
			p.historyOf("general", 3)
		})
	}
}

// With a disk that takes its time, what is seen is late and right, and who only
// reads doesn't notice.
func TestASlowDisk(t *testing.T) {
	needsStrace(t)
	const delay = time.Second
	o := programOptions{data: t.TempDir(), flags: []string{"--watch=false"}}
	p := start(t, o)
	p.join("quiet", "zoe").say("hello")
	p.historyOf("quiet", 1)
	both := p.joinAll("general", "ann", "bob")
	ann, bob := both[0], both[1]
	end := p.inject("fsync,fdatasync", fmt.Sprintf("delay_exit=%d", delay.Microseconds()))
	before := time.Now()
	const messages = 20
	for n := range messages {
		ann.say(fmt.Sprint(n))
	}
	var reads []time.Duration
	for range 5 {
		asked := time.Now()
		if history := p.get("/rooms/quiet/messages").list(t); len(history) != 1 {
			t.Errorf("the history is %v", history)
		}
		reads = append(reads, time.Since(asked))
	}
	slices.Sort(reads)
	if quantile(reads, 0.5) > delay*2/3 { // one may wait for the processor
		t.Errorf("reading took %v while commits wait", reads)
	}
	bob.wantMessage("ann", "0")
	if took := time.Since(before); took < delay {
		t.Errorf("seen after %v, before the disk had it", took)
	}
	for n := 1; n < messages; n++ {
		bob.wantMessage("ann", fmt.Sprint(n))
	}
	end()
	p.historyOf("general", messages)
}

// A start on a disk that takes nothing is refused, and tells why.
func TestAStartOnADiskThatTakesNothing(t *testing.T) {
	t.Run("full", func(t *testing.T) {
		disk := newSmallDisk(t, "1m")
		o := programOptions{data: disk.folder, under: disk.under, scripts: shippedWith(t, nil)}
		disk.fill()
		refuses(t, o, disk.folder, "database or disk is full")
		disk.free()
		p := start(t, o)
		p.join("general", "ann").say("hello")
		p.historyOf("general", 1)
		p.stop()
		disk.fill()
		refuses(t, o, disk.folder, "disk")
		disk.free()
		start(t, o).historyOf("general", 1)
	})
	t.Run("read-only", func(t *testing.T) {
		disk := newSmallDisk(t, "1m")
		o := programOptions{data: disk.folder, under: disk.under, scripts: shippedWith(t, nil)}
		p := start(t, o)
		p.join("general", "ann").say("hello")
		p.historyOf("general", 1)
		p.stop()
		disk.remount("ro")
		refuses(t, o, disk.folder, "read-only")
		disk.remount("rw")
		start(t, o).historyOf("general", 1)
	})
}

func (d *smallDisk) remount(how string) {
	d.t.Helper()
	command := append(d.under[1:len(d.under):len(d.under)], "mount", "-o", "remount,"+how, d.folder)
	if out, err := exec.Command(d.under[0], command...).CombinedOutput(); err != nil {
		d.t.Fatalf("%v: %s", err, out)
	}
}

// A backup that finds no room, and a restore, are one line, and leave nothing behind.
func TestABackupOnADiskThatIsFull(t *testing.T) {
	data := bury(t, nil, letter(1, `1`))
	good := filepath.Join(t.TempDir(), "good")
	succeed(t, data, "backup", good)
	disk := newSmallDisk(t, "512k")
	if err := os.WriteFile(filepath.Join(disk.root, "there"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	disk.fill()
	for _, args := range [][]string{
		{"backup", "--data", data, filepath.Join(disk.folder, "copy")},
		{"backup", "--data", data, "--force", filepath.Join(disk.folder, "there")},
		{"restore", "--data", disk.folder, good},
	} {
		command := slices.Concat(disk.under, []string{binary}, args)
		p := executeCommand(t, exec.Command(command[0], command[1:]...), nil)
		if code, text := p.wait(), p.stderr.String(); code != 1 || strings.Count(text, "\n") != 1 || !strings.Contains(text, "full") {
			t.Errorf("%v: exit status %d, %s", args, code, text)
		}
	}
	left, err := os.ReadDir(disk.root)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range left {
		if name := file.Name(); name != "there" && name != "ballast" && name != "chat.lock" {
			t.Errorf("%s is left", name)
		}
	}
}
