package browsertest

import (
	"testing"

	"github.com/chromedp/cdproto/page"
)

// A browser may keep nothing for a page: its person has forbidden it, or the disk is
// full. The chat is there all the same, until the tab is closed.
func TestABrowserThatKeepsNothing(t *testing.T) {
	s := serve(t)
	for name, script := range map[string]string{
		"denied": `for (const name of ['localStorage', 'sessionStorage'])
			Object.defineProperty(window, name, { get() { throw new DOMException('denied', 'SecurityError') } })`,
		"alone": `window.BroadcastChannel = class { constructor() { throw new DOMException('denied', 'SecurityError') } }`,
		"full":  `Storage.prototype.setItem = () => { throw new DOMException('full', 'QuotaExceededError') }`,
	} {
		w := s.window(name)
		call(w, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		w.navigate("/")
		w.click(`$('#join-name')`)
		w.write(name)
		w.press(enter)
		w.isIn("general")
		w.saysAndSees("I am " + name)
		w.joins("elsewhere")
		w.saysAndSees("here too")
	}
}
