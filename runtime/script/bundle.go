package script

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/evanw/esbuild/pkg/api"
)

// scriptFiles lists the scripts of a folder in path order, slash-separated and
// relative to it: every .js, .mjs, .ts and .mts, except declarations, tests,
// what starts with _ or a dot, and the folders lib and node_modules, which the
// others may import from.
func scriptFiles(folder string) ([]string, error) { return filesOf(folder, isScript) }

// filesOf walks through the folder as scriptFiles does, for files by their name.
func filesOf(folder string, is func(name string) bool) ([]string, error) {
	var files []string
	folder, err := filepath.EvalSymlinks(folder) // a walk doesn't enter a link
	if err != nil {
		return nil, err
	}
	err = filepath.WalkDir(folder, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if p != folder && (strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".")) {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			if p != folder && (name == "lib" || name == "node_modules") {
				return filepath.SkipDir
			}
			return nil
		}
		if is(name) {
			rel, err := filepath.Rel(folder, p)
			if err != nil {
				return err
			}
			files = append(files, filepath.ToSlash(rel))
		}
		return nil
	})
	slices.Sort(files)
	return files, err
}

func isScript(name string) bool {
	ext := path.Ext(name)
	switch ext {
	case ".js", ".mjs", ".ts", ".mts":
	default:
		return false
	}
	stem := strings.TrimSuffix(name, ext)
	return !strings.HasSuffix(stem, ".d") && !strings.HasSuffix(stem, ".test")
}

// bundle makes one self-contained CommonJS function of each script, with the
// author's positions in an inline source map. dotdo stays an import: the VM
// provides it. folders are those of all files that went into it.
func bundle(folder string, files []string) (code map[string]string, folders []string, err error) {
	abs, err := filepath.Abs(folder)
	if err != nil {
		return nil, nil, err
	}
	abs, err = filepath.EvalSymlinks(abs) // esbuild reports real paths
	if err != nil {
		return nil, nil, err
	}
	code = make(map[string]string, len(files))
	report, err := build(abs, files, code, onlyDefault(abs))
	if err != nil {
		return nil, nil, err
	}
	// Files that are no modules export in CommonJS's way, if at all.
	if others := slices.DeleteFunc(slices.Clone(files), report.isModule); len(others) > 0 {
		if _, err := build(abs, others, code); err != nil {
			return nil, nil, err
		}
	}
	return code, report.folders(abs), nil
}

// build bundles files into code, and returns what went into it.
func build(abs string, files []string, code map[string]string, plugins ...api.Plugin) (*metafile, error) {
	entries := make([]api.EntryPoint, len(files))
	for i, f := range files {
		// The output is named after the whole file name: a.js and a.ts may stand side by side.
		entries[i] = api.EntryPoint{InputPath: "./" + f, OutputPath: f}
	}
	result := api.Build(api.BuildOptions{
		AbsWorkingDir:       abs,
		EntryPointsAdvanced: entries,
		Outdir:              abs,
		Bundle:              true,
		Format:              api.FormatCommonJS,
		Platform:            api.PlatformNeutral,
		MainFields:          []string{"module", "main"},
		External:            []string{"dotdo"},
		Plugins:             plugins,
		Target:              api.ES2022,
		// What goja doesn't know, esbuild writes in terms of what it does.
		Supported: map[string]bool{
			"async-generator": false, "for-await": false, "top-level-await": false,
			"dynamic-import": false, "import-meta": false, "decorators": false, "using": false,
		},
		Sourcemap:      api.SourceMapInline,
		SourcesContent: api.SourcesContentExclude,
		Banner:         map[string]string{"js": "(function (exports, require, module) {"},
		Footer:         map[string]string{"js": "})"},
		LogLevel:       api.LogLevelSilent,
		Metafile:       true,
		TsconfigRaw:    "{}", // an editor's jsconfig.json says nothing about how scripts run
	})
	if len(result.Errors) > 0 {
		return nil, bundleError(result.Errors)
	}
	for _, out := range result.OutputFiles {
		rel, err := filepath.Rel(abs, out.Path)
		if err != nil {
			return nil, err
		}
		text, err := countFromOne(string(out.Contents))
		if err != nil {
			return nil, err
		}
		code[strings.TrimSuffix(filepath.ToSlash(rel), ".js")] = text
	}
	report := new(metafile)
	return report, json.Unmarshal([]byte(result.Metafile), report)
}

// onlyDefault has modules export what the runtime reads, their default, and by a plain
// assignment. esbuild's own way of exporting walks through an object and so through
// Object.prototype, all of whose methods come into being then: 8 KB in every VM.
func onlyDefault(abs string) api.Plugin {
	const entry = "entry"
	return api.Plugin{Name: entry, Setup: func(build api.PluginBuild) {
		build.OnResolve(api.OnResolveOptions{Filter: ".*"}, func(args api.OnResolveArgs) (api.OnResolveResult, error) {
			if args.Kind != api.ResolveEntryPoint {
				return api.OnResolveResult{}, nil // as without a plugin
			}
			return api.OnResolveResult{Path: args.Path, Namespace: entry}, nil
		})
		build.OnLoad(api.OnLoadOptions{Filter: ".*", Namespace: entry}, func(args api.OnLoadArgs) (api.OnLoadResult, error) {
			text := fmt.Sprintf("import * as script from %q; exports.default = script.default", args.Path)
			return api.OnLoadResult{Contents: &text, ResolveDir: abs}, nil
		})
	}}
}

// metafile is esbuild's report of the files that were bundled.
type metafile struct {
	Inputs map[string]struct{ Format string }
}

// isModule reports whether a file has an import or an export.
func (m *metafile) isModule(file string) bool { return m.Inputs[file].Format == "esm" }

// folders are those of all bundled files.
func (m *metafile) folders(abs string) []string {
	folders := make(map[string]bool)
	for input := range m.Inputs {
		folders[filepath.Dir(filepath.Join(abs, filepath.FromSlash(input)))] = true
	}
	return slices.Sorted(maps.Keys(folders))
}

// bundleError makes one Error of the first of esbuild's messages; how many more
// there are is in its message.
func bundleError(messages []api.Message) *Error {
	m := messages[0]
	e := &Error{Name: "SyntaxError", Message: m.Text}
	if loc := m.Location; loc != nil {
		e.File, e.Line, e.Column = filepath.ToSlash(loc.File), loc.Line, loc.Column+1
		e.frame = codeFrame(loc.Line, loc.Column+1, loc.LineText) // the line may be the empty one at the end
	}
	if n := len(messages) - 1; n > 0 {
		e.Message += fmt.Sprintf(" (and %d more)", n)
	}
	return e
}

// codeFrame shows a line with a caret under the column.
func codeFrame(line, column int, text string) string {
	pad := []rune{}
	for i, r := range text {
		if i >= column-1 {
			break
		}
		if r != '\t' {
			r = ' '
		}
		pad = append(pad, r)
	}
	number := fmt.Sprintf("%5d | ", line)
	return number + text + "\n" + strings.Repeat(" ", len(number)-2) + "| " + string(pad) + "^"
}

// sourceFrame is codeFrame for a position in a file of the scripts folder.
func sourceFrame(folder string, e *Error) string {
	data, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(e.File)))
	if err != nil {
		return "" // a frame is a courtesy
	}
	n := 0
	for text := range strings.Lines(string(data)) {
		if n++; n == e.Line {
			return codeFrame(e.Line, e.Column, strings.TrimRight(text, "\r\n"))
		}
	}
	return ""
}
