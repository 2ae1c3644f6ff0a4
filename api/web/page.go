package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"chat.example.com.ai/runtime/script"
)

//go:embed page
var source embed.FS

// prefix is where the files of the page are. No script can have a route there.
const prefix = "/_/"

// policy is the page's Content-Security-Policy.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// Page is the chat page with its files. It is bundled when it is first asked for: a
// start is as quick as without it.
type Page struct {
	bundled func() map[string]*file // by path
}

// file is one of them, in both encodings.
type file struct {
	kind     string // Content-Type
	keep     string // Cache-Control
	etag     string // without quotes
	identity []byte
	gzipped  []byte
}

// New makes the page.
func New() *Page {
	return &Page{bundled: sync.OnceValue(func() map[string]*file {
		files, err := bundle()
		if err != nil {
			panic("the page cannot be bundled: " + err.Error()) // all of it is embedded, so no test passes then
		}
		return files
	})}
}

// bundle makes the files of the page, by path.
func bundle() (map[string]*file, error) {
	folder, err := fs.Sub(source, "page")
	if err != nil {
		return nil, err
	}
	bundles, err := script.BundleForBrowsers(folder, "main.ts", "page.css")
	if err != nil {
		return nil, err
	}
	icon, err := fs.ReadFile(folder, "icon.svg")
	if err != nil {
		return nil, err
	}
	html, err := fs.ReadFile(folder, "index.html")
	if err != nil {
		return nil, err
	}
	files := make(map[string]*file)
	// A file with a hash of its contents in the name is kept for good.
	hashed := func(name, kind string, contents []byte) (at string) {
		ext := path.Ext(name)
		at = prefix + strings.TrimSuffix(name, ext) + "-" + hash(contents)[:12] + ext
		files[at] = newFile(kind, "public, max-age=31536000, immutable", contents)
		return at
	}
	names := strings.NewReplacer(
		"{script}", hashed("page.js", "text/javascript; charset=utf-8", bundles["main.ts"]),
		"{style}", hashed("page.css", "text/css; charset=utf-8", bundles["page.css"]),
		"{icon}", hashed("icon.svg", "image/svg+xml", icon))
	files["/"] = newFile("text/html; charset=utf-8", "no-cache", []byte(names.Replace(string(html))))
	return files, nil
}

func newFile(kind, keep string, contents []byte) *file {
	return &file{kind: kind, keep: keep, etag: hash(contents)[:24], identity: contents, gzipped: compress(contents)}
}

func hash(contents []byte) string {
	sum := sha256.Sum256(contents)
	return hex.EncodeToString(sum[:])
}

func compress(contents []byte) []byte {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		panic(err) // there is such a level
	}
	_, _ = w.Write(contents) // a buffer takes everything
	_ = w.Close()
	return b.Bytes()
}

// Serve answers a request for the page or one of its files. It reports whether it
// did: false is for a path or a method that the page has nothing for.
func (p *Page) Serve(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != "/" && !strings.HasPrefix(r.URL.Path, prefix) || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	f := p.bundled()[r.URL.Path]
	if f == nil {
		return false
	}
	header := w.Header()
	header.Set("Content-Type", f.kind)
	header.Set("Cache-Control", f.keep)
	header.Add("Vary", "Accept-Encoding") // besides what the edge says
	header.Set("Content-Security-Policy", policy)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer") // links lead out of rooms that may be private
	header.Set("Cross-Origin-Opener-Policy", "same-origin")
	header.Set("Cross-Origin-Resource-Policy", "same-origin")
	body, etag := f.identity, f.etag
	if takesGzip(r.Header.Values("Accept-Encoding")) {
		body, etag = f.gzipped, f.etag+"-gzip"
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("ETag", `"`+etag+`"`)
	header.Set("Content-Length", strconv.Itoa(len(body))) // ServeContent leaves it out of what is encoded
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	return true
}

// takesGzip reads Accept-Encoding: whether gzip is named, and not with a weight of zero.
func takesGzip(values []string) bool {
	for _, value := range values {
		for item := range strings.SplitSeq(value, ",") {
			coding, parameters, _ := strings.Cut(item, ";")
			if !strings.EqualFold(strings.TrimSpace(coding), "gzip") {
				continue
			}
			weight, given := strings.CutPrefix(strings.TrimSpace(parameters), "q=")
			q, err := strconv.ParseFloat(strings.TrimSpace(weight), 64)
			return !given || err == nil && q > 0
		}
	}
	return false
}
