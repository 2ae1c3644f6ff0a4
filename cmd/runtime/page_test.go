package main_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// Whoever opens the address has the chat, without any other file or flag.
func TestThePageIsServed(t *testing.T) {
	p := start(t, programOptions{})
	page := p.get("/")
	if page.status != http.StatusOK || !strings.Contains(page.body, `id="composer"`) || !strings.Contains(page.header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Fatalf("%d, %v: %s", page.status, page.header, page.body)
	}
	files := regexp.MustCompile(`"(/_/[^"]+)"`).FindAllStringSubmatch(page.body, -1)
	if len(files) < 3 {
		t.Fatalf("the page names %v", files)
	}
	for _, file := range files {
		if r := p.get(file[1]); r.status != http.StatusOK || r.body == "" || !strings.Contains(r.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d, %v", file[1], r.status, r.header)
		}
	}
	for _, other := range []struct{ method, path string }{{"GET", "/_/unknown.js"}, {"GET", "/index.html"}, {"POST", "/"}} {
		if r := p.do(other.method, other.path, ""); r.status != http.StatusNotFound {
			t.Errorf("%s %s: %d", other.method, other.path, r.status)
		}
	}
}

// Scripts come first: one that has the page's route has it, and the page's files stay.
func TestAScriptWithItsOwnPage(t *testing.T) {
	own := `
import { DO } from 'dotdo'
export default DO.extend({ $type: 'App', onRequest() { this.app.get('/', (c) => c.html('my own')) } })`
	p := start(t, programOptions{scripts: shippedWith(t, map[string]string{"own.js": own})})
	if r := p.get("/"); r.body != "my own" || r.header.Get("Content-Security-Policy") != "" {
		t.Errorf("%v: %s", r.header, r.body)
	}
	everything := strings.Replace(own, "'/'", "'*'", 1)
	p = start(t, programOptions{scripts: folder(t, map[string]string{"own.js": everything})})
	for path, want := range map[string]int{"/": 200, "/x/y": 200, "/_/unknown.js": 404} {
		if r := p.get(path); r.status != want || want == 200 && r.body != "my own" {
			t.Errorf("%s: %d: %s", path, r.status, r.body)
		}
	}
}
