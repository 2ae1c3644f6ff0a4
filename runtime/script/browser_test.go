package script

import (
	"strings"
	"testing"
	"testing/fstest"
)

func TestBundleForBrowsers(t *testing.T) {
	files := fstest.MapFS{
		"main.ts":       {Data: []byte("import { hello } from './lib/hello.ts'\nhello('ann' as string)\n")},
		"lib/hello.ts":  {Data: []byte("import type { X } from './x.ts'\nexport const hello = (name: string) => console.log('hello ' + name)\n")},
		"page.css":      {Data: []byte("@import './colours.css';\n.a { .b { color: red } }\n")},
		"colours.css":   {Data: []byte("/* a comment */ .c { color: blue }\n")},
		"broken.ts":     {Data: []byte("export const x: number =\n")},
		"unresolved.ts": {Data: []byte("import 'left-pad'\n")},
		"outside.ts":    {Data: []byte("import '../../etc/passwd'\n")},
	}
	made, err := BundleForBrowsers(files, "main.ts", "page.css")
	if err != nil {
		t.Fatal(err)
	}
	if js := string(made["main.ts"]); !strings.Contains(js, "hello ") || strings.Contains(js, "import") || strings.Contains(js, "string") {
		t.Errorf("made of the modules was %s", js)
	}
	if css := string(made["page.css"]); css != ".c{color:#00f}.a .b{color:red}\n" {
		t.Errorf("made of the style sheets was %q", css)
	}
	for entry, want := range map[string]string{"broken.ts": "broken.ts:2:1", "unresolved.ts": "unresolved.ts:1:8", "outside.ts": "outside.ts:1:8", "none.ts": "none.ts"} {
		if _, err := BundleForBrowsers(files, entry); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", entry, err)
		}
	}
}
