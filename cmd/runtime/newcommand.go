package main

import (
	"cmp"
	_ "embed" // what a new script begins as
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"chat.example.com.ai/runtime/script"
)

//go:embed template/script.js
var newScript string

//go:embed template/script.test.js
var newTest string

// nameRE is the name of a new script: part of a path, and a noun once its words
// begin with capitals.
var nameRE = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

const maxNewName = 40 // bytes: a word or three, and short of what a noun may have

// writeNew is the command new: it writes a script that works, and its test. It
// overwrites nothing.
func writeNew(args []string, getenv func(string) string, stdout io.Writer) error {
	fs := newFlags("new")
	standard := "./scripts"
	folder := fs.String("scripts", cmp.Or(getenv("CHAT_SCRIPTS"), standard), "folder of the scripts")
	names, err := parseWords(fs, args, stdout, "Writes a new script and its test:\n\n  runtime new NAME [--scripts folder]\n\n")
	if err != nil {
		return err
	}
	if len(names) != 1 {
		return fmt.Errorf("new takes one name, such as: new poll")
	}
	name := names[0]
	if !nameRE.MatchString(name) || len(name) > maxNewName {
		return fmt.Errorf("new %q: a name is small letters, digits and single dashes, begins with a letter, and has %d characters at most", name, maxNewName)
	}
	noun := nounOf(name)
	if err := checkNew(*folder, name, noun); err != nil {
		return fmt.Errorf("new %s: %w", name, err)
	}

	file, test := filepath.Join(*folder, name+".js"), filepath.Join(*folder, name+".test.js")
	fill := strings.NewReplacer("NAME", name, "NOUN", noun, "FILE", filepath.ToSlash(test))
	if err := os.MkdirAll(*folder, 0o755); err != nil {
		return err
	}
	if err := writeFile(file, fill.Replace(newScript)); err != nil {
		return err
	}
	if err := writeFile(test, fill.Replace(newTest)); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	flags := ""
	if filepath.Clean(*folder) != filepath.Clean(standard) {
		flags = " --scripts " + *folder
	}
	_, err = fmt.Fprintf(stdout, `wrote %[1]s and %[2]s. Next:

  go run ./cmd/runtime test%[4]s %[2]s
  go run ./cmd/runtime%[4]s
  npx wscat -c ws://localhost:8787/%[3]s/one

`, file, test, name, flags)
	return err
}

// nounOf is MyPoll for my-poll.
func nounOf(name string) string {
	var noun strings.Builder
	for word := range strings.SplitSeq(name, "-") {
		noun.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return noun.String()
}

// checkNew reports what stands in the way of a script: its file, a part of its
// noun, or its route.
func checkNew(folder, name, noun string) error {
	for _, ext := range []string{".js", ".mjs", ".ts", ".mts"} {
		if file := filepath.Join(folder, name+ext); exists(file) {
			return fmt.Errorf("%s is there already", file)
		}
	}
	if file := filepath.Join(folder, name+".test.js"); exists(file) {
		return fmt.Errorf("%s is there already", file)
	}
	switch {
	case noun == script.HandlerNoun, noun == script.DefaultNoun, name == "healthz", name == "metrics":
		return errors.New("the name is the runtime's own")
	}
	set, err := script.Load(script.Options{Folder: folder, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil // the folder is empty, or the author has something to mend first; neither is in the way
	}
	for _, p := range set.Parts() {
		if p.Noun == noun {
			return fmt.Errorf("%s has a part of %s already", p.File, noun)
		}
	}
	for _, r := range set.Routes() {
		if _, ok, _ := r.Match("GET", "/"+name+"/one"); ok {
			return fmt.Errorf("%s has the route %s already", r.File, r.Path)
		}
	}
	return nil
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return !errors.Is(err, os.ErrNotExist)
}

// writeFile writes a file that is not there yet.
func writeFile(name, text string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}
