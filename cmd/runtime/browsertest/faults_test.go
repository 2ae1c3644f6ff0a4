package browsertest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/page"
)

// A test that looks for harm must see it: a page that does all of it.
func TestAWindowNotesItsFaults(t *testing.T) {
	needsChromium(t)
	const harmful = `<!doctype html><meta charset=utf-8><title>harm</title><body>
<img src="http://127.0.0.1:9/elsewhere.png">
<script>document.title = 'an inline script ran'</script>
<script src="/harm.js"></script>`
	const script = `
setTimeout(() => { throw new Error('thrown') })
fetch('http://127.0.0.1:9/fetched').catch(() => {})
new WebSocket('ws://127.0.0.1:9/connected')
setTimeout(() => alert('hello'), 50)`
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "script-src 'self'")
		if r.URL.Path == "/harm.js" {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, script)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, harmful)
	}))
	defer site.Close()

	w := (&server{t: t, addr: strings.TrimPrefix(site.URL, "http://")}).window("nobody")
	w.navigate("/")
	want := []string{"exception: Uncaught Error: thrown", "a dialog: hello", "policy violated: script-src-elem",
		"elsewhere: http://127.0.0.1:9/elsewhere.png", "elsewhere: http://127.0.0.1:9/fetched", "elsewhere: ws://127.0.0.1:9/connected"}
	eventually(t, "all is noted", func() (bool, any) {
		noted := strings.Join(w.faults.all(), "\n")
		for _, fault := range want {
			if !strings.Contains(noted, fault) {
				return false, noted
			}
		}
		return true, nil
	})
	call(w, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: true})
	call(w, page.Close, cdp.Empty{})
	w.faults.take()
}
