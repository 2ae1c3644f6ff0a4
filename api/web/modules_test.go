package web_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"chat.example.com.ai/cmd/runtime/scripttest"
)

// The modules of the page that need no page have tests, tests/*.test.ts. They run as
// those of scripts do, beside a script that does nothing, as a folder has one at least.
func TestModules(t *testing.T) {
	folder := t.TempDir()
	// The engine of scripts knows no classes of characters by property. Browsers do.
	classes := strings.NewReplacer(`\p{L}`, `A-Za-zª-ÖØ-öø-ˁ一-鿿`, `\p{N}`, `0-9`)
	for _, part := range []string{"page", "tests"} {
		if err := os.Mkdir(filepath.Join(folder, part), 0o755); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(part + "/*.ts")
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", part, files, err)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(folder, name), classes.Replace(string(text)))
		}
	}
	write(t, filepath.Join(folder, "tests/nothing.js"), "export {}")
	var out bytes.Buffer
	counts, err := scripttest.Run(t.Context(), scripttest.Options{Folder: filepath.Join(folder, "tests"), TurnTimeout: 10 * time.Second}, &out)
	t.Logf("%+v", counts)
	if err != nil || counts.Failed > 0 || counts.Passed < 50 {
		t.Errorf("%v\n%s", err, &out)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
