package browsertest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"go.uber.org/goleak"
)

// patience bounds every wait of these tests; only a failing one reaches it.
const patience = 40 * time.Second

var screenshots = flag.String("screenshots", "", "folder for pictures of the page; a passing one if empty")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "browsertest-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	shared.folder = folder
	code := m.Run()
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, "Chromium does not end:", err)
		code = 1
	}
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	return code
}

// shared is what all tests have together: made when the first of them needs it, and
// the same until TestMain ends.
var shared environment

type environment struct {
	folder  string
	made    sync.Once
	err     error
	binary  string          // the program
	browser context.Context // chromedp's
	end     func() error    // ends the browser
}

var errNoChromium = errors.New("Chromium is not installed")

// needsChromium skips the test where there is no browser. In CI that is a failure.
func needsChromium(t *testing.T) {
	t.Helper()
	shared.made.Do(func() { shared.err = shared.make() })
	if errors.Is(shared.err, errNoChromium) {
		missing(t, shared.err.Error())
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
}

func (e *environment) make() error {
	chromium := findChromium()
	if chromium == "" {
		return errNoChromium
	}
	if err := lookAtSources(); err != nil {
		return err
	}
	// Without the race detector, also where the tests have it: cmd/runtime's own tests
	// look for races in the program, and here it would only be slower than the browser.
	e.binary = filepath.Join(e.folder, "runtime")
	if out, err := exec.Command("go", "build", "-o", e.binary, "..").CombinedOutput(); err != nil {
		return fmt.Errorf("the program does not build: %w\n%s", err, out)
	}
	return e.openBrowser(chromium)
}

// lookAtSources opens every folder of the project. go test remembers that a test passed
// until something that it looked at changes, and that the program is made of these
// it could not know.
func lookAtSources() error {
	return filepath.WalkDir(fromTop("."), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "node_modules" || entry.Name() == "data") {
			return filepath.SkipDir
		}
		return err
	})
}

// findChromium returns its path, or nothing.
func findChromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// openBrowser starts Chromium, which talks over a pipe. It asks nobody for updates or the
// like; the rest of chromedp's options keep windows in the background awake.
func (e *environment) openBrowser(path string) error {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.UserDataDir(filepath.Join(e.folder, "profile")),
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("lang", "en-US"),
	)
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox)
	}
	allocator, free := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	e.browser = ctx
	e.end = func() error {
		limited, stop := context.WithTimeout(ctx, patience)
		defer stop()
		err := chromedp.Cancel(limited)
		cancel()
		free()
		if errors.Is(err, context.Canceled) {
			return nil // it is closed
		}
		return err
	}
	if err := chromedp.Do(ctx); err != nil {
		return fmt.Errorf("Chromium does not start: %w", err)
	}
	return nil
}

// close ends what was made.
func (e *environment) close() error {
	if e.end == nil {
		return nil
	}
	return e.end()
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CHAT_REQUIRE_TOOLS") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// fromTop is a file as whoever calls go test at the top of the project names it.
func fromTop(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join("../../..", path)
}

// eventually looks until f holds. What f returns besides is told if it never does.
func eventually(t *testing.T, what string, f func() (ok bool, instead any)) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(15 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, instead := f()
		if ok {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("not within %v: %s; but: %v", patience, what, instead)
		case <-tick.C:
		}
	}
}
