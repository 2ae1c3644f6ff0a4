package browsertest

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// payloads are messages that try to become more than text.
var payloads = []string{
	`<script>pwned=1</script>`,
	`<img src=x onerror=pwned=1>`,
	`<img src="http://127.0.0.1:9/beacon.png">`,
	`<svg/onload=pwned=1>`,
	`<svg><script>pwned=1</script></svg>`,
	`<iframe srcdoc="<script>parent.pwned=1</script>"></iframe>`,
	`<iframe src="javascript:parent.pwned=1"></iframe>`,
	`<body onload=pwned=1>`,
	`<input autofocus onfocus=pwned=1>`,
	`<details open ontoggle=pwned=1>`,
	`<video><source onerror=pwned=1></video>`,
	`<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=pwned=1&gt;">`,
	`<noscript><p title="</noscript><img src=x onerror=pwned=1>">`,
	`<template><script>pwned=1</script></template>`,
	`<style>@import 'http://127.0.0.1:9/style.css'; * { display: none }</style>`,
	`<link rel=stylesheet href=http://127.0.0.1:9/style.css>`,
	`<base href="http://127.0.0.1:9/">`,
	`<meta http-equiv=refresh content="0;url=http://127.0.0.1:9/">`,
	`<form action="http://127.0.0.1:9/"><button>press</button></form>`,
	`<object data="data:text/html,<script>pwned=1</script>"></object>`,
	`<a href="javascript:pwned=1" id=composer>click</a>`,
	`"><img src=x onerror=pwned=1>`,
	`'-pwned=1-'`,
	"`${pwned=1}`",
	`{{constructor.constructor('pwned=1')()}}`,
	`javascript:pwned=1`,
	`javascript://example.com/%0apwned=1`,
	`JaVaScRiPt:pwned=1`,
	`data:text/html,<script>pwned=1</script>`,
	`vbscript:pwned=1`,
	`file:///etc/passwd`,
	`https://example.com/"onmouseover="pwned=1`,
	`https://example.com/'onmouseover='pwned=1`,
	`https://example.com/<img src=x onerror=pwned=1>`,
	`http://127.0.0.1:9\@example.com/`,
	"https://example.com/\x01javascript:pwned=1",
	"[click](javascript:pwned=1)",
	"![image](http://127.0.0.1:9/image.png)",
	"`<img src=x onerror=pwned=1>`",
	"```\n</code></pre><script>pwned=1</script>\n```",
	"```html\" onclick=\"pwned=1\n<img src=x onerror=pwned=1>\n```",
	`@<img src=x onerror=pwned=1>`,
	`@bob<script>pwned=1</script>`,
	`@__proto__ @constructor @toString`,
	`&lt;img src=x onerror=pwned=1&gt;`,
	"a\u202egnp.exe\u202c \u2066hidden\u2069",
	"\u0000\u0008\ufffe\uffff",
	strings.Repeat("\u0301\u0316\u0489", 200) + "zalgo",
	"<" + strings.Repeat("a ", 500) + ">",
	strings.Repeat("@a ", 300),
	strings.Repeat("`", 999),
	strings.Repeat("*_~", 500),
	strings.Repeat("https://a.example/", 200),
}

// reactions that try the same, as far as 32 characters without white space go.
var hostileReactions = []string{`<svg/onload=pwned=1>`, `"onclick="pwned=1`, `<img/src/onerror=pwned=1>`, `constructor`}

// What somebody says is text, in every place that shows it. The window stays unharmed: no
// script runs, no element appears, nothing is fetched, no policy had to step in. (That
// is what every window of these tests is looked at for.)
func TestHostileMessagesAreText(t *testing.T) {
	s := serve(t)
	windows := s.joinAll("general", "ann", "bob")
	ann, bob := windows[0], windows[1]
	s.speaks(bob, "mallory", "general", append(payloads, "the end"))
	ann.wait(message("the end"))
	bob.wait(message("the end"))
	for n, m := range s.history("general") {
		if m.Content != payloads[min(n, len(payloads)-1)] && m.Content != "the end" {
			t.Errorf("the server has %q for %q", m.Content, payloads[n])
		}
	}
	ann.unharmed()
	// By a person's own hands, too.
	for _, text := range []string{payloads[0], payloads[1], payloads[3]} {
		ann.says(text)
	}
	ann.wait(`$$('#messages article').filter((a) => a.dataset.author === 'ann' && a.dataset.state === 'sent').length === 3`)
	waitFor(ann, `$$('#messages article').filter((a) => a.dataset.author === 'ann').map((a) => $('.content', a).textContent)`, []string{payloads[0], payloads[1], payloads[3]})

	// Reactions.
	end := get[string](ann, message("the end")+`.dataset.id`)
	var frames []any
	for _, emoji := range hostileReactions {
		frames = append(frames, map[string]any{"type": "react", "message": end, "emoji": emoji, "on": true})
	}
	s.sends(bob, "mallory", "general", frames)
	ann.wait(fmt.Sprintf(`$$('.reactions button', %s).length === %d`, message("the end"), len(hostileReactions)))
	ann.hover(`$('.reactions button', ` + message("the end") + `)`)

	// Where names are shown: in the address, in the list of rooms, in notifications.
	s.speaks(bob, "mallory", "elsewhere", []string{`@ann <img src=x onerror=pwned=1>`})
	waitFor(ann, `$('#notifications-toggle .unread')?.textContent.trim()`, "1")
	ann.click(`$('#notifications-toggle')`)
	ann.wait(`$('#notifications a')?.textContent.includes('<img src=x onerror=pwned=1>')`)
	ann.unharmed()
	ann.click(`$('#notifications a')`)
	ann.wait(message(`@ann <img src=x onerror=pwned=1>`))
	ann.unharmed()

	for _, address := range []string{
		`/?user=ann#<img src=x onerror=pwned=1>`,
		`/?user=ann#%3Cimg%20src=x%20onerror=pwned=1%3E`,
		`/?user=%3Cimg%20src=x%20onerror=pwned=1%3E#general`,
		`/?user=ann#javascript:pwned=1`,
		`/?user=ann#__proto__`,
		`/?user=ann#../../metrics?`,
		`/?user=ann#%`,
		`/?user=constructor#toString`,
	} {
		ann.navigate("/healthz")
		ann.navigate(address)
		ann.wait(`$('#composer') && document.readyState === 'complete'`)
		ann.frames(10)
		ann.unharmed()
	}
}

// What is as long or as odd as it may be stays in its place, on a narrow screen too:
// nothing is wider than what it is in, or lies over what somebody else has said.
func TestHostileMessagesStayInTheirPlace(t *testing.T) {
	s := serve(t)
	windows := s.joinAll("general", "ann", "bob")
	ann, bob := windows[0], windows[1]
	long, room := strings.Repeat("W", 64), strings.Repeat("R", 64)
	marks := strings.Repeat("\u0301\u0316\u0489\u035c", 10)
	s.speaks(bob, long, "general", []string{strings.Repeat("W", 4000), "z" + marks + "a" + marks + "lgo", "https://example.com/" + strings.Repeat("W", 1500),
		"`" + strings.Repeat("W", 1000) + "`", "```\n" + strings.Repeat("wide ", 300) + "\n```", "> " + strings.Repeat("W", 500), "@" + long,
		"\u202e an override without an end", strings.Repeat("\ufdfd", 200), "the end"})
	s.speaks(bob, long, room, []string{"@ann " + strings.Repeat("W", 500), "@ann z" + marks + "a" + marks + "lgo"})
	ann.wait(message("the end"))
	var frames []any
	for n := range 20 {
		frames = append(frames, map[string]any{"type": "react", "message": get[string](ann, message("the end")+`.dataset.id`), "emoji": string(rune('a'+n)) + long[:31], "on": true})
	}
	s.sends(bob, long, "general", frames)
	ann.wait(`$$('.reactions button').length === 20`)
	waitFor(ann, `$('#notifications-toggle .unread')?.textContent.trim()`, "2")
	ann.joins(room)
	ann.opens("general")
	for _, width := range []int64{1280, 360} {
		ann.size(width, 640, width < 500)
		ann.click(`$('#notifications-toggle')`)
		ann.wait(`$('#notifications-panel').matches(':popover-open')`)
		const wide = `['html', '#messages', '#notifications-panel', '#people', '#rooms', '#compose', '.top'].filter((place) => $(place).scrollWidth > $(place).clientWidth)`
		if found := get[[]string](ann, wide); len(found) > 0 {
			t.Errorf("at a width of %d, more than there is room for is in %v", width, found)
		}
		ann.press(kb.Escape)
	}
}

// Somebody who was mentioned a hundred times has the list drawn a few times, not after
// each.
func TestAFloodOfMentionsIsDrawnTogether(t *testing.T) {
	s := serve(t)
	bob := s.join("bob", "general")
	texts := make([]string, 90)
	for n := range texts {
		texts[n] = fmt.Sprintf("@ann %d %s", n, strings.Repeat("*a* `b` https://example.com/ ", 30))
	}
	s.speaks(bob, "mallory", "general", texts)
	ann := s.window("ann")
	call(ann, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		addEventListener('DOMContentLoaded', () => {
			window.drawn = 0
			new MutationObserver(() => drawn++).observe(document.querySelector('#notifications'), { childList: true })
		})`})
	ann.navigate("/?user=ann#quiet")
	ann.isIn("quiet")
	waitFor(ann, `$$('#notifications li').length`, len(texts))
	waitFor(ann, `$('#notifications-toggle .unread').textContent`, fmt.Sprint(len(texts)))
	if drawn := get[int](ann, `drawn`); drawn > len(texts)/2 {
		t.Errorf("%d mentions are drawn %d times", len(texts), drawn)
	}
}

// A room is a script, and may be any. Nonsense from it does the page no harm: what comes
// before and after it is shown, and what is written is sent.
func TestNonsenseIsPassedOver(t *testing.T) {
	s := serve(t)
	room := s.script("room.js")
	const send, nonsense = "server.send(JSON.stringify({ type: 'welcome',", `
    for (const nonsense of [0, null, '', 'x', [], {}, { $id: 7 }, [null], [7, {}]]) {
      const all = { users: nonsense, user: nonsense, count: nonsense, latest: null, read: nonsense, unread: nonsense, joined: nonsense, left: nonsense,
        message: nonsense, at: nonsense, error: nonsense, id: nonsense, since: nonsense, notification: nonsense }
      for (const type of ['message', 'change', 'ack', 'error', 'presence', 'typing', 'read', 'seen', 'notification', 'amend', nonsense]) server.send(JSON.stringify({ ...all, type }))
      server.send(JSON.stringify({ type: 'notification', id: 'x', notification: { type: 'mention', room: nonsense, from: nonsense, message: nonsense, content: nonsense } }))
      server.send(JSON.stringify({ type: 'amend', id: 'x', notification: { type: 'mention', room: nonsense, from: nonsense, message: nonsense, content: nonsense } }))
      server.send(JSON.stringify(nonsense))
    }
    `
	if !strings.Contains(room, send) {
		t.Fatal("room.js says welcome in another way")
	}
	s.save("room.js", strings.Replace(room, send, nonsense+"server.send(JSON.stringify({ type: 'welcome', users: undefined, count: undefined })); "+nonsense+send, 1))
	inbox := s.script("user.js")
	const unseen = "for (const text of await this.unseen())"
	if !strings.Contains(inbox, unseen) {
		t.Fatal("user.js sends what was not seen in another way")
	}
	s.save("user.js", strings.Replace(inbox, unseen, nonsense+unseen, 1))
	s.end(syscall.SIGTERM)
	s.start()
	ann := s.join("ann", "general")
	bob := s.join("bob", "general")
	bob.saysAndSees("hello @ann")
	ann.sees("bob", "hello @ann")
	ann.saysAndSees("all is well")
	bob.saysAndSees("@ann is it?")
	ann.wait(`$('#notifications').textContent.includes('hello @ann')`)
}

// unharmed checks what no watcher of the window notes.
func (w *window) unharmed() {
	w.t.Helper()
	w.frames(2)
	if get[bool](w, `'pwned' in window`) {
		w.t.Error("somebody else's script ran")
	}
	const strange = `$$('body *').filter((e) => {
		if (e.closest('body > noscript')) return false
		if (e.matches('script, iframe, object, embed, style, link, base, meta, video, audio, math, template')) return true
		if (e.hasAttribute('src') && !e.matches('[src^="/_/"]')) return true
		if ([...e.attributes].some(({ name, value }) => name.startsWith('on') || /^\s*(javascript|data|vbscript|file):/i.test(value))) return true
		if (e.closest('.content') && e.matches('img, svg, form, input, button, [id], [style]')) return true
		if (e.matches('#messages .content a')) return !/^https?:\/\//.test(e.href) || !e.relList.contains('noopener')
		return e.matches('#notifications a') && !e.getAttribute('href').startsWith('#')
	}).map((e) => e.outerHTML.slice(0, 120))`
	if found := get[[]string](w, strange); len(found) > 0 {
		w.t.Errorf("messages became elements:\n%s", strings.Join(found, "\n"))
	}
	if !get[bool](w, `$('#composer').matches('textarea') && document.querySelectorAll('#composer').length === 1`) {
		w.t.Error("the composer is another one")
	}
}

// speaks says texts as somebody, over a plain socket, by way of some window's connection;
// it returns when all are stored.
func (s *server) speaks(by *window, as, room string, texts []string) {
	s.t.Helper()
	var frames []any
	for _, text := range texts {
		frames = append(frames, map[string]any{"type": "message", "content": text})
	}
	s.sends(by, as, room, frames)
}

// sends sends frames over such a socket, with a token if there is one.
func (s *server) sends(by *window, as, room string, frames []any, token ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(by.ctx, patience)
	defer cancel()
	refused, err := chromedp.Run(ctx, chromedp.Evaluate[[]string](fmt.Sprintf(`new Promise((resolve, reject) => {
		const frames = %s, refused = []
		const ws = new WebSocket('ws://%s/ws/%s?user=%s', %s.flatMap((token) => ['chat', 'bearer.' + token]))
		let answered = 0
		ws.onopen = () => frames.forEach((frame, n) => ws.send(JSON.stringify({ id: 'm' + n + '-' + Date.now(), ...frame })))
		ws.onerror = () => reject(new Error('no socket'))
		ws.onmessage = ({ data }) => {
			const { type, error } = JSON.parse(data)
			if (type === 'error') refused.push(error)
			if ((type === 'ack' || type === 'error') && ++answered === frames.length) { ws.close(); resolve(refused) }
		}
	})`, js(frames), s.addr, room, as, js(append([]string{}, token...))), chromedp.EvalAwaitPromise))
	if err != nil || len(refused) > 0 {
		s.t.Fatalf("%s speaks: %v, %v", as, err, refused)
	}
}
