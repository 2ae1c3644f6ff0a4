package runtime_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// looksForLeaks finds the check in the TestMain of a package. One that has more to
// do at its end asks by itself what is left.
var looksForLeaks = regexp.MustCompile(`func TestMain\(m \*testing\.M\) \{(?:\n\t.*)*?\s*goleak\.VerifyTestMain\(m|goleak\.Find\(`)

// ignored finds what a check leaves out, and the line before it.
var ignored = regexp.MustCompile(`(.*)\n.*goleak\.Ignore\w+\(`)

// A goroutine that nobody waits for fails the tests of every package that has
// some. What a package leaves out of that has its reason in the line above.
func TestEveryPackageWithTestsLooksForLeakedGoroutines(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		files := slices.Concat(p.TestGoFiles, p.XTestGoFiles)
		if len(files) == 0 {
			continue
		}
		seen++
		looks := false
		for _, name := range files {
			if name == "leaks_test.go" && p.ImportPath == strings.TrimSuffix(module, "/")+"/runtime" {
				looks = true // this file, in which the words stand anyway
				continue
			}
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			looks = looks || looksForLeaks.Match(text)
			for _, m := range ignored.FindAllSubmatch(text, -1) {
				if before := strings.TrimSpace(string(m[1])); !strings.HasPrefix(before, "//") {
					t.Errorf("%s: %s ignores a goroutine, and doesn't say why in the line above", p.ImportPath, name)
				}
			}
		}
		if !looks {
			t.Errorf("%s has tests that don't look for leaked goroutines: func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }", p.ImportPath)
		}
	}
	if seen < 13 {
		t.Errorf("saw %d packages only", seen)
	}
}
