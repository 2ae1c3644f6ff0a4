package runtime_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "chat.example.com.ai/"

// level is a package's place in the order of imports; a package may import those
// of a higher level only.
var level = map[string]int{
	"cmd/runtime":            0,
	"cmd/bench":              0,
	"cmd/runtime/scripttest": 1,
	"api":                    2,
	"api/admin":              2,
	"api/web":                3,
	"api/identity":           3,
	"runtime/object":         3,
	"runtime/script":         4,
	"runtime/socket":         4,
	"runtime/event":          4,
	"runtime/fetch":          4,
	"runtime/cluster":        4,
	"store":                  5,
	"runtime/key":            6,
	"runtime/failpoint":      6,
	"runtime":                7,

	"cmd/runtime/browsertest": 0,
}

// owners are the packages that may import a third-party library, by the
// beginning of its path.
var owners = map[string][]string{
	"github.com/dop251/goja":      {"runtime/script"},
	"github.com/nlnwa/whatwg-url": {"runtime/script"},
	"github.com/evanw/esbuild":    {"runtime/script"},
	"github.com/adhocore/gronx":   {"runtime/script"},
	"github.com/dlclark/regexp2":  {"runtime/script"},
	"github.com/fsnotify":         {"runtime/script"},
	"github.com/google/uuid":      {"runtime/script"},
	"github.com/lxzan/gws":        {"runtime/socket", "cmd/bench", "cmd/runtime/scripttest"},
	"github.com/uptrace/bun":      {"store"},
	"modernc.org/sqlite":          {"store"},
	"github.com/gofrs/flock":      {"store"},
	"github.com/oklog/ulid":       {"runtime/object"},
	"github.com/prometheus":       {"api"},
	"github.com/rs/cors":          {"api"},
	"github.com/golang-jwt/jwt":   {"api/identity"},
}

// goPackage is what go list says of a package.
type goPackage struct {
	ImportPath, Dir           string
	Imports                   []string
	TestGoFiles, XTestGoFiles []string
}

// packages lists those of the project.
func packages(t *testing.T) (all []goPackage) {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,Imports,TestGoFiles,XTestGoFiles", "./...")
	cmd.Dir = ".."
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(bytes.NewReader(out)); dec.More(); {
		var p goPackage
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func TestImportsPointOneWay(t *testing.T) {
	all := packages(t)
	for _, p := range all {
		name := strings.TrimPrefix(p.ImportPath, module)
		from, ok := level[name]
		if !ok {
			t.Errorf("%s has no place in the order of imports", name)
		}
		for _, imported := range p.Imports {
			if to, ours := strings.CutPrefix(imported, module); ours {
				if level[to] <= from {
					t.Errorf("%s imports %s, which is not to its right", name, to)
				}
				continue
			}
			if first, _, _ := strings.Cut(imported, "/"); !strings.Contains(first, ".") {
				continue // the standard library
			}
			if !slices.Contains(ownersOf(imported), name) {
				t.Errorf("%s imports %s, which belongs to %v", name, imported, ownersOf(imported))
			}
		}
	}
	if len(all) < 9 {
		t.Errorf("saw %d packages only", len(all))
	}
}

func ownersOf(path string) []string {
	for prefix, names := range owners {
		if path == prefix || strings.HasPrefix(path, prefix+"/") {
			return names
		}
	}
	return nil
}
