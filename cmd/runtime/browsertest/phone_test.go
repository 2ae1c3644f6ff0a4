package browsertest

import (
	"strings"
	"testing"
)

// On a phone everything is there, and nothing is wider than the screen.
func TestOnAPhone(t *testing.T) {
	s := serve(t)
	long := strings.Repeat("Donaudampfschifffahrtsgesellschaft", 12)
	seed(s, "general", append(someMessages(30),
		seeded{Author: "bob", Content: long, Sent: someMessages(1)[0].Sent},
		seeded{Author: "bob", Content: "https://example.com/" + long, Sent: someMessages(1)[0].Sent},
		seeded{Author: "bob", Content: "```\n" + long + "\n```", Sent: someMessages(1)[0].Sent},
		seeded{Author: "a-name-that-is-as-long-as-names-may-be-and-has-no-space", Content: "hello", Sent: someMessages(1)[0].Sent}))
	ann := s.window("ann")
	ann.size(390, 844, true)
	ann.navigate("/")
	ann.fits("the question who it is")
	ann.click(`$('#join-name')`)
	ann.write("ann")
	ann.press(enter)
	waitFor(ann, `$('#rooms a[aria-current="page"]')?.getAttribute('href')`, "#general")
	ann.wait(message("hello"))
	ann.fits("the messages")
	ann.saysAndSees("from the train")
	ann.fits("a message of one's own")
	if !get[bool](ann, `(({ top, bottom, left, right }) => top > 400 && bottom <= innerHeight && left >= 0 && right <= innerWidth)($('#composer').getBoundingClientRect())`) {
		t.Error("the composer is not at the lower end of the screen")
	}
	if size := get[float64](ann, `parseFloat(getComputedStyle($('#composer')).fontSize)`); size < 16 {
		t.Errorf("the composer's letters are of %v px: some phones zoom in below 16", size)
	}

	// What is folded away can be unfolded, and what has nothing to point with can be touched.
	bob := s.join("bob", "garden")
	bob.saysAndSees("@ann, look at this")
	waitFor(ann, `$('#notifications-toggle .unread').textContent.trim()`, "1")
	ann.click(`$('#notifications-toggle')`)
	ann.wait(`$('#notifications a')?.checkVisibility()`)
	ann.fits("the notifications")
	ann.click(`$('#notifications a')`)
	waitFor(ann, `$('#rooms a[aria-current="page"]')?.getAttribute('href')`, "#garden")
	ann.wait(message("@ann, look at this") + `?.checkVisibility()`)
	ann.tool("@ann, look at this", "React")
	ann.fits("the emoji")
	ann.wait(choosing)
	ann.press(enter)
	ann.wait(`$('.reactions button', ` + message("@ann, look at this") + `)`)
	ann.click(`$('#rooms-toggle')`)
	ann.wait(`$('#rooms').checkVisibility({ visibilityProperty: true })`)
	ann.fits("the rooms")
	ann.click(`$('#rooms a[href="#general"]')`)
	ann.wait(message("from the train") + `?.checkVisibility()`)
	ann.click(`$('#composer')`) // nothing lies over it any more
	ann.write("back at @b")
	ann.wait(`$('#completion [role=option]')?.checkVisibility()`)
	ann.fits("the completion")
}

// fits checks that the page does not scroll sideways.
func (w *window) fits(what string) {
	w.t.Helper()
	w.frames(2)
	if got := get[[]float64](w, `[innerWidth, document.documentElement.scrollWidth, document.body.scrollWidth, $('#messages')?.scrollWidth - $('#messages')?.clientWidth]`); got[0] != 390 || got[1] > 390 || got[2] > 390 || got[3] > 0 {
		w.t.Errorf("%s: of 390 px width, the window has %v, the page %v, its body %v, and the messages are %v wider than their place", what, got[0], got[1], got[2], got[3])
	}
	if outside := get[[]string](w, `$$('body *').filter((e) => e.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && (({ left, right, width, top, bottom }) => width > 0 && left < innerWidth && right > innerWidth + 1)(e.getBoundingClientRect()))
		.filter((e) => { for (let p = e.parentElement; p; p = p.parentElement) if (['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(p).overflowX)) return false; return true })
		.map((e) => e.outerHTML.slice(0, 80))`); len(outside) > 0 {
		w.t.Errorf("%s: outside of the screen is %s", what, strings.Join(outside, "\n"))
	}
}
