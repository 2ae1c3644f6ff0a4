package script

import (
	_ "embed" // the module dotdo/test
	"fmt"
	"path"
	"strings"

	"github.com/dop251/goja"
)

// testModule is what tests import from.
const testModule = "dotdo/test"

//go:embed testing.js
var testSource string

// testName is the name of testSource in stacks: frames with a < are the runtime's own.
const testName = "<" + testModule + ">"

// Test is one test(name, function) of a file.
type Test struct {
	Name         string
	Line, Column int // from 1
	Skip         bool
	Only         bool
}

// TestFile is a file of tests, loaded. It is immutable and safe for concurrent use.
type TestFile struct {
	File  string // relative to the scripts folder
	Tests []Test // in their order

	set     *Set
	module  *module
	runtime *goja.Program
}

// TestFiles lists the tests in a folder and below, as Load lists the scripts:
// every *.test.js, .mjs, .ts and .mts.
func TestFiles(folder string) ([]string, error) { return filesOf(folder, isTest) }

func isTest(name string) bool {
	stem, isTest := strings.CutSuffix(strings.TrimSuffix(name, path.Ext(name)), ".test")
	return isTest && isScript(stem+path.Ext(name))
}

// LoadTest loads a file of tests, by its path in the scripts folder. An error of
// the file is an *Error with its position.
func (s *Set) LoadTest(file string) (*TestFile, error) {
	code, _, err := bundle(s.options.Folder, []string{file})
	if err != nil {
		return nil, plainError(err)
	}
	m := &module{file: file}
	if err := m.compile(code[file], s.supers); err != nil {
		return nil, compileError(file, err)
	}
	runtime, err := goja.Compile(testName, testSource, true)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", testName, err)
	}
	f := &TestFile{File: file, set: s, module: m, runtime: runtime}
	t := f.newVM(nil)
	if out := t.vm.run(func() { t.load() }); out.Err != nil {
		return nil, withFile(out.Err, file)
	}
	f.Tests = t.tests
	return f, nil
}

// Frame shows the line of the scripts folder where an error is, with a caret under
// the column; "" if that is not known.
func (s *Set) Frame(e *Error) string {
	if e.File == "" {
		return ""
	}
	return sourceFrame(s.options.Folder, e)
}
