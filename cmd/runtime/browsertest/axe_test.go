package browsertest

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// violation is what axe-core finds, once a rule.
type violation struct {
	ID     string   `json:"id"`
	Impact string   `json:"impact"`
	Help   string   `json:"help"`
	Where  []string `json:"where"`
}

// axe looks at the page as it is, and fails for what is serious or critical.
func (w *window) axe(code, state string) {
	w.t.Helper()
	w.frames(2)
	if !get[bool](w, `'axe' in window`) {
		get[bool](w, `(function () {`+code+"\n"+`}.call(window), true)`)
	}
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]violation](`axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
		violations.map(({ id, impact, help, nodes }) => ({ id, impact, help, where: nodes.slice(0, 5).map((n) => n.html.slice(0, 160) + ' ' + n.failureSummary.replace(/\s+/g, ' ').slice(0, 200)) })))`, chromedp.EvalAwaitPromise))
	if err != nil {
		w.t.Fatalf("%s: axe: %v", state, err)
	}
	for _, v := range found {
		report := w.t.Logf
		if v.Impact == "serious" || v.Impact == "critical" {
			report = w.t.Errorf
		}
		report("%s: %s, %s: %s\n%s", state, v.Impact, v.ID, v.Help, strings.Join(v.Where, "\n"))
	}
}

// Nothing keeps anybody out, in whatever state the page is.
func TestAccessibility(t *testing.T) {
	file := os.Getenv("CHAT_AXE")
	if file == "" {
		missing(t, "CHAT_AXE does not name axe-core's axe.min.js")
	}
	code, err := os.ReadFile(fromTop(file))
	if err != nil {
		t.Fatal(err)
	}
	axe := string(code)
	const shown = "what code, @bob? https://example.com"
	s := serve(t)
	s.conversation(time.Local)
	bob := s.join("bob", "general")
	s.do("PUT", "/rooms/club/members?user=bob", map[string]any{"members": []string{"bob"}}, nil)

	for _, look := range []struct {
		name   string
		scheme string
		phone  bool
	}{{"light", "light", false}, {"dark", "dark", false}, {"phone", "light", true}, {"dark phone", "dark", true}} {
		t.Run(look.name, func(t *testing.T) {
			w := s.window("ann")
			w.t = t
			call(w, page.SetBypassCSP, page.SetBypassCSPParams{Enabled: true}) // for axe's own styles
			w.prefers(look.scheme)
			if look.phone {
				w.size(390, 844, true)
			}
			w.navigate("/")
			w.click(`$('#join-name')`)
			w.axe(axe, "the question who it is")
			w.write("ann")
			w.press(enter)
			w.wait(message(lastOfConversation))
			w.says("what `code`, @bob? https://example.com")
			w.sent(shown)
			w.axe(axe, "a conversation")
			w.click(`$('#composer')`)
			w.write("hello @b")
			w.wait(`$('#completion [role=option]')?.checkVisibility()`)
			w.axe(axe, "the completion")
			w.press(kb.Escape)
			w.replaces("")
			w.tool(shown, "React")
			w.axe(axe, "the emoji")
			w.press(kb.Escape)
			w.tool(shown, "Edit")
			w.axe(axe, "an edit")
			w.press(kb.Escape)
			bob.t = t
			bob.saysAndSees("@ann, for you in " + look.name)
			w.click(`$('#notifications-toggle')`)
			w.wait(`$('#notifications a')?.checkVisibility()`)
			w.axe(axe, "the notifications")
			w.press(kb.Escape)
			if look.phone {
				w.click(`$('#rooms-toggle')`)
				w.wait(`$('#rooms').checkVisibility({ visibilityProperty: true })`)
				w.axe(axe, "the rooms")
				w.press(kb.Escape)
			}
			get[string](w, `location.hash = '#club'`)
			w.wait(`$('#app').matches('.closed')`)
			w.axe(axe, "a room that lets one in no more")
			get[string](w, `location.hash = '#general'`)
			w.isIn("general")
			w.offline(true)
			w.wait(`$('#connection').textContent.trim() !== ''`)
			w.says("to nobody")
			w.wait(`$('.state')`)
			w.axe(axe, "offline")
			w.close()
		})
	}
	bob.t = t
}
