package script

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// write makes a scripts folder.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	folder := t.TempDir()
	for name, text := range files {
		path := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func load(t testing.TB, files map[string]string) (*Set, error) {
	t.Helper()
	return Load(Options{Folder: write(t, files), Log: slog.New(slog.DiscardHandler)})
}

const (
	imports = "import { $, DO } from 'dotdo'\n"
	empty   = imports + "export default DO.extend({})\n"
)

func TestWhichFilesAreScripts(t *testing.T) {
	s, err := load(t, map[string]string{
		"b.js": empty, "a.ts": empty, "a.js": empty, "deep/er/c.mjs": empty, "d.mts": empty,
		"e.d.ts": "broken(", "f.test.js": "broken(", "_g.js": "broken(", ".h.js": "broken(",
		"lib/i.js": "broken(", "node_modules/j/index.js": "broken(", "deep/lib/k.js": "broken(", "l.json": "broken(", "_m/n.js": "broken(",
		"jsconfig.json": "broken(", "tsconfig.json": "broken(", "README.md": "broken(", // for editors and people
	})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range s.Parts() {
		got = append(got, p.File)
	}
	if want := []string{"a.js", "a.ts", "b.js", "d.mts", "deep/er/c.mjs"}; !reflect.DeepEqual(got, want) {
		t.Errorf("scripts %v, want %v", got, want)
	}
}

func TestRoutesNameTheirObjects(t *testing.T) {
	s, err := load(t, map[string]string{
		"a.js": imports + `export default DO.extend({ onRequest() {
			this.app.use('*', async (c, next) => { await next() })
			this.app.get('/ws/:room', (c) => c.text(''))
			this.app.post('/rooms/:room/things/:thing', (c) => c.text(''))
			this.app.all('/anything', (c) => c.text(''))
		} })`,
		"b.js": imports + `export default DO.extend({ $type: 'Profile', onRequest() { this.app.get('/users/:user', (c) => c.text('')) } })`,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ method, path, want string }{
		{"GET", "/ws/general", "Room/general"},
		{"GET", "/ws/a%2Fb", "Room/a/b"},
		{"HEAD", "/ws/general", "Room/general"},
		{"POST", "/ws/general", ""},
		{"POST", "/rooms/x/things/y", "Room/x"},
		{"DELETE", "/anything", "App/default"},
		{"GET", "/users/ann", "Profile/ann"},
		{"GET", "/nothing", ""},
	} {
		got := ""
		for _, r := range s.Routes() {
			if k, ok, err := r.Match(test.method, test.path); err != nil {
				t.Error(err)
			} else if ok {
				got = k.String()
				break
			}
		}
		if got != test.want {
			t.Errorf("%s %s goes to %q, want %q", test.method, test.path, got, test.want)
		}
	}
}

func TestHandlersAreFoundByNounAndVerb(t *testing.T) {
	s, err := load(t, map[string]string{"a.js": imports + `
$.on.Message.sent(() => {})
$.on.Message.sent(() => {})
$.on['*'].sent(() => {}, { name: 'any' })
$.on.Message['*'](() => {})
$.on.Other.sent(() => {})
`})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range s.HandlersOf("Message.sent") {
		got = append(got, h.Name)
	}
	if want := []string{"a.js#Message.sent", "a.js#Message.sent#2", "any", "a.js#Message.*"}; !reflect.DeepEqual(got, want) {
		t.Errorf("handlers %v, want %v", got, want)
	}
}

// A set that cannot run is an error with the author's position. The line that is
// to blame is marked with ###.
func TestScriptsThatDoNotLoad(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		want  string // in the message
	}{
		"syntax":            {map[string]string{"a.js": "\nconst a = (1 + \n} ###"}, "Unexpected"},
		"typescript syntax": {map[string]string{"a.ts": "let a: = 1 ###"}, "Unexpected"},
		"top-level await":   {map[string]string{"a.js": "\nconst a = await 1 //###"}, "top-level await is not supported"},
		"missing import":    {map[string]string{"a.js": "import './nothing' //###"}, "Could not resolve"},
		"throws":            {map[string]string{"deep/a.js": imports + "\nfunction f() {\n  null.x //###\n}\nf()"}, "Cannot read"},
		"rejects":           {map[string]string{"a.js": imports + "\nPromise.reject(new Error('oh')) //###"}, "oh"},
		"loops":             {map[string]string{"a.js": imports + "function f() {\n  for (;;) Math.random() //###\n}\nf()"}, "longer than"},
		"storage":           {map[string]string{"a.js": imports + "$.send('A.b', 1) //###"}, "no object is running"},
		"call":              {map[string]string{"a.js": imports + "$.User('x').y() //###"}, "no object is running"},
		"bad verb":          {map[string]string{"a.js": imports + "$.on.Message['a b'](() => {}) //###"}, "a verb is"},
		"bad noun":          {map[string]string{"a.js": imports + "$.on.message.sent(() => {}) //###"}, "a noun begins"},
		"no function":       {map[string]string{"a.js": imports + "$.on.Message.sent(1) //###"}, "takes a function"},
		"half a retry":      {map[string]string{"a.js": imports + "$.on.Message.sent(() => {}, { maxRetries: 1.5 }) //###"}, `maxRetries is a whole number from 0 to 100, not 1.5`},
		"retries as text":   {map[string]string{"a.js": imports + "$.on.Message.sent(() => {}, { maxRetries: '5' }) //###"}, `maxRetries is a whole number from 0 to 100, not 5`},
		"a retry less":      {map[string]string{"a.js": imports + "$.on.Message.sent(() => {}, { maxRetries: -1 }) //###"}, `maxRetries is a whole number from 0 to 100, not -1`},
		"a name too long":   {map[string]string{"a.js": imports + "$.on.Message.sent(() => {}, { name: 'x'.repeat(257) }) //###"}, "the handler needs another { name }"},
		"unknown option":    {map[string]string{"a.js": imports + "$.on.Message.sent(() => {}, { nme: 'x' }) //###"}, `unknown option "nme"`},
		"bad path":          {map[string]string{"a.js": imports + "export default DO.extend({ onRequest() {\n  this.app.get('/:room{[}', (c) => c) //###\n} })"}, "/:room{[}"},
		"onRequest throws":  {map[string]string{"a.js": imports + "export default DO.extend({ onRequest() {\n  this.ctx.storage.get('x') //###\n} })"}, ""},
		"two extends":       {map[string]string{"a.js": imports + "DO.extend({})\nexport default DO.extend({}) //###"}, "one DO.extend"},
		"no default":        {map[string]string{"a.js": imports + "DO.extend({})"}, "must be the default export"},
		"other default":     {map[string]string{"a.js": "export default { webSocketMessage() {} }"}, "must be DO.extend"},
		"bad $type":         {map[string]string{"a.js": imports + "export default DO.extend({ $type: 'room' }) //###"}, `"room" cannot be a noun`},
		"reserved noun":     {map[string]string{"a.js": imports + "export default DO.extend({\n $type: 'Handler' //###\n})"}, "cannot be a noun"},
		"reserved member":   {map[string]string{"a.js": imports + "export default DO.extend({\n  ctx() {} //###\n})"}, "belongs to every object"},
		"hook not method":   {map[string]string{"a.js": imports + "export default DO.extend({ a: 1,\n  init: 1 //###\n})"}, "must be a method"},
		"reserved route":    {map[string]string{"a.js": imports + "export default DO.extend({ onRequest() { \nthis.app.get('/metrics', (c) => c) //###\n } })"}, "the runtime's own"},
		"twice, untyped":    {map[string]string{"a.js": imports + "export default DO.extend({ f() {} })", "b.js": imports + "export default DO.extend({\n f() {} //###\n })"}, "App.f is defined in a.js and in b.js"},
		"twice, typed":      {map[string]string{"a.js": imports + "export default DO.extend({ $type: 'Room', f() {} })", "b.js": imports + "export default DO.extend({ $type: 'Room',\n f() {} //###\n })"}, "Room.f is defined in a.js and in b.js"},
		"twice, named":      {map[string]string{"a.js": imports + "$.on.A.b(() => {}, { name: 'x' })", "b.js": imports + "\n$.on.A.b(() => {}, { name: 'x' }) //###"}, `the handler "x" is defined in a.js and in b.js`},
		"nothing":           {map[string]string{"a.txt": ""}, "no scripts"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(t, test.files)
			if err == nil {
				t.Fatal("loaded")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v\nwant %s", err, test.want)
			}
			for file, text := range test.files {
				before, _, marked := strings.Cut(text, "###")
				if !marked {
					continue
				}
				var e *Error
				if !errors.As(err, &e) {
					t.Fatalf("%v is no *Error", err)
				}
				if line := strings.Count(before, "\n") + 1; e.File != file || e.Line != line || e.Column < 1 {
					t.Errorf("at %s, want %s:%d", e.Position(), file, line)
				}
				if !strings.Contains(e.Frame(), "^") {
					t.Errorf("no code frame:\n%s", e.Frame())
				}
			}
		})
	}
}

func TestATypedMemberWinsOverAnUntypedOne(t *testing.T) {
	s, err := load(t, map[string]string{
		"a.js": imports + "export default DO.extend({ f() { return 'every' }, g() { return 'every' } })",
		"b.js": imports + "export default DO.extend({ $type: 'Room', f() { return 'room' } })",
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := s.noun("Room").owner["f"].file + s.noun("Room").owner["g"].file + s.noun("User").owner["f"].file; got != "b.jsa.jsa.js" {
		t.Errorf("owners %s", got)
	}
}

func TestExtractMentions(t *testing.T) {
	s, err := load(t, map[string]string{"a.js": imports + `
import { extractMentions as same } from 'dotdo'
const got = JSON.stringify([extractMentions('@ann hi @bob.b, (@ann) a@b.c @@x @ü_1. @'), same === extractMentions])
if (got !== '[["ann","bob.b","ü_1"],true]') throw new Error(got)
`})
	if err != nil {
		t.Fatal(err, s)
	}
}

// What is no module exports in CommonJS's way, or nothing at all.
func TestFilesThatAreNoModules(t *testing.T) {
	set, err := load(t, map[string]string{
		"a.js": "const { DO } = require('dotdo')\nexports.default = DO.extend({ $type: 'Room', f() {} })",
		"b.js": "// nothing: import, export",
		"c.ts": "let count: number = 1",
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range set.Parts() {
		if (part.Noun == "Room") != (part.File == "a.js") {
			t.Errorf("%s is a part of %q", part.File, part.Noun)
		}
	}
}
