package web_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"chat.example.com.ai/api/web"
)

// maxPage is what the page weighs at most: less than a picture.
const maxPage = 40 << 10 // bytes, compressed, of all files together

var page = web.New()

// ask makes a request of the page. Headers are in pairs.
func ask(t *testing.T, method, path string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	if !page.Serve(w, r) {
		t.Fatalf("%s %s is not the page's", method, path)
	}
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// files are the paths that the page names, and itself.
func files(t *testing.T) (paths []string) {
	t.Helper()
	paths = []string{"/"}
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"#]+)"`).FindAllStringSubmatch(body(t, ask(t, "GET", "/")), -1) {
		if !seen[m[1]] {
			seen[m[1]] = true
			paths = append(paths, m[1])
		}
	}
	return paths
}

func TestPageIsSmall(t *testing.T) {
	all := files(t)
	if len(all) != 4 { // and its script, its styles, its icon
		t.Errorf("the page is %v", all)
	}
	total := 0
	for _, path := range all {
		size := len(body(t, ask(t, "GET", path, "Accept-Encoding", "gzip")))
		t.Logf("%6d bytes %s", size, path)
		total += size
	}
	if total > maxPage {
		t.Errorf("the page weighs %d bytes, more than %d", total, maxPage)
	}
}

func TestFilesAreKeptForGoodAndThePageIsNot(t *testing.T) {
	named := regexp.MustCompile(`^/_/[a-z]+-[0-9a-f]{12}\.(js|css|svg)$`)
	for _, path := range files(t) {
		r := ask(t, "GET", path)
		keep := r.Header.Get("Cache-Control")
		if path == "/" {
			if keep != "no-cache" {
				t.Errorf("the page is kept: %q", keep)
			}
			continue
		}
		if !named.MatchString(path) || keep != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %q", path, keep)
		}
	}
	for _, path := range []string{"/_/", "/_/page.js", "/index.html", "/main.ts", "/_/../page.js", "/favicon.ico"} {
		if page.Serve(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil)) {
			t.Errorf("there is a %s", path)
		}
	}
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		if page.Serve(httptest.NewRecorder(), httptest.NewRequest(method, "/", nil)) {
			t.Errorf("the page answers %s", method)
		}
	}
}

func TestHeaders(t *testing.T) {
	for _, path := range files(t) {
		r := ask(t, "GET", path)
		directives := map[string]string{}
		for directive := range strings.SplitSeq(r.Header.Get("Content-Security-Policy"), ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(directive), " ")
			directives[name] = value
		}
		for name, want := range map[string]string{
			"default-src": "'none'", "script-src": "'self'", "style-src": "'self'", "img-src": "'self'", "connect-src": "'self'", "base-uri": "'none'",
			"form-action": "'none'", "frame-ancestors": "'none'", "require-trusted-types-for": "'script'", "trusted-types": "'none'",
		} {
			if directives[name] != want {
				t.Errorf("%s: %s %q, want %q", path, name, directives[name], want)
			}
			delete(directives, name)
		}
		if len(directives) > 0 {
			t.Errorf("%s: also allowed is %v", path, directives)
		}
		for name, want := range map[string]string{
			"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
			"Cross-Origin-Resource-Policy": "same-origin", "Vary": "Accept-Encoding",
		} {
			if got := r.Header.Get(name); got != want {
				t.Errorf("%s: %s: %q, want %q", path, name, got, want)
			}
		}
		want := map[string]string{"": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}[filepath.Ext(path)]
		if got := r.Header.Get("Content-Type"); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

func TestEncodingsAndConditions(t *testing.T) {
	for _, path := range files(t) {
		plain, packed := ask(t, "GET", path), ask(t, "GET", path, "Accept-Encoding", "br, gzip;q=0.5")
		text, data := body(t, plain), body(t, packed)
		if plain.Header.Get("Content-Encoding") != "" || packed.Header.Get("Content-Encoding") != "gzip" {
			t.Fatalf("%s: encoded %q and %q", path, plain.Header.Get("Content-Encoding"), packed.Header.Get("Content-Encoding"))
		}
		unpacked, err := gzip.NewReader(strings.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if same, err := io.ReadAll(unpacked); err != nil || string(same) != text {
			t.Errorf("%s: compressed it is another: %v", path, err)
		}
		tags := []string{plain.Header.Get("ETag"), packed.Header.Get("ETag")}
		if tags[0] == tags[1] || !strings.HasPrefix(tags[0], `"`) {
			t.Errorf("%s: tags %v", path, tags)
		}
		for i, encoding := range []string{"identity", "gzip"} {
			size := strconv.Itoa(len([]string{text, data}[i]))
			for _, given := range []string{tags[i], `"other", W/` + tags[i], "*"} {
				r := ask(t, "GET", path, "Accept-Encoding", encoding, "If-None-Match", given)
				if r.StatusCode != http.StatusNotModified || body(t, r) != "" || r.Header.Get("ETag") != tags[i] {
					t.Errorf("%s, %s, %s: %d, %v", path, encoding, given, r.StatusCode, r.Header)
				}
			}
			if r := ask(t, "GET", path, "Accept-Encoding", encoding, "If-None-Match", `"other"`); r.StatusCode != http.StatusOK || r.Header.Get("Content-Length") != size {
				t.Errorf("%s, %s: %d, %v", path, encoding, r.StatusCode, r.Header)
			}
			if r := ask(t, "HEAD", path, "Accept-Encoding", encoding); r.StatusCode != http.StatusOK || body(t, r) != "" || r.Header.Get("Content-Length") != size {
				t.Errorf("HEAD %s, %s: %d, %v", path, encoding, r.StatusCode, r.Header)
			}
		}
	}
	for given, want := range map[string]bool{
		"": false, "gzip": true, "GZIP": true, "br,gzip": true, "gzip;q=1.0": true, "gzip; q=0.001": true, "gzip;q=0": false, "gzip;q=0.000": false, "gzip;q=x": false, "xgzip": false, "*": false,
	} {
		if got := ask(t, "GET", "/", "Accept-Encoding", given).Header.Get("Content-Encoding") == "gzip"; got != want {
			t.Errorf("Accept-Encoding: %q: %v", given, got)
		}
	}
}

// What the policy forbids isn't tried, so no browser has to step in: there is no inline
// script or style, and no text becomes markup anywhere.
func TestNothingInlineAndNoMarkupFromText(t *testing.T) {
	html := body(t, ask(t, "GET", "/"))
	for _, forbidden := range []string{`<script(?: [a-z]+(?:="[^"]*")?)*>[^<]`, `<style`, ` style=`, ` on[a-z]+=`, `javascript:`, `https?://`} {
		if found := regexp.MustCompile(`(?i)` + forbidden).FindString(html); found != "" {
			t.Errorf("the page has %q", found)
		}
	}
	modules, err := filepath.Glob("page/*.ts")
	if err != nil || len(modules) < 20 {
		t.Fatalf("%v, %v", modules, err)
	}
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|setHTML|parseHTML|DOMParser|createContextualFragment|document\.write|srcdoc|eval\(|new Function|setAttribute\('(on|style|src)`)
	for _, name := range modules {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if found := forbidden.Find(text); found != nil {
			t.Errorf("%s has %s", name, found)
		}
		if lines := bytes.Count(text, []byte("\n")); lines > 400 {
			t.Errorf("%s has %d lines", name, lines)
		}
	}
}

// What the modules look for on the page is there, once.
func TestModulesFindTheirElements(t *testing.T) {
	html := body(t, ask(t, "GET", "/"))
	there := map[string]int{}
	for _, m := range regexp.MustCompile(` id="([^"]+)"`).FindAllStringSubmatch(html, -1) {
		if there[m[1]]++; there[m[1]] > 1 {
			t.Errorf("#%s is there twice", m[1])
		}
	}
	for _, m := range regexp.MustCompile(` (?:for|list|aria-controls|aria-labelledby|aria-describedby|popovertarget)="([^"]+)"`).FindAllStringSubmatch(html, -1) {
		if there[m[1]] == 0 {
			t.Errorf("something points to #%s, which is not there", m[1])
		}
	}
	modules, err := filepath.Glob("page/*.ts")
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, name := range modules {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`byId(?:<\w+>)?\('([^']+)'\)`).FindAllSubmatch(text, -1) {
			looked++
			if there[string(m[1])] == 0 {
				t.Errorf("%s: no #%s on the page", name, m[1])
			}
		}
	}
	if looked < 30 {
		t.Errorf("saw %d look-ups only", looked)
	}
}

// The first request bundles the page.
func BenchmarkFirstRequest(b *testing.B) {
	for b.Loop() {
		web.New().Serve(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}
}
