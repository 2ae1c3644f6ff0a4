package browsertest

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// tab goes by the Tab key, forwards or with Shift backwards, until the focus is on an
// element, and checks that this can be seen.
func (w *window) tab(to string) {
	w.t.Helper()
	w.wait(to) // it is there
	var way []chromedp.Modifier
	if get[bool](w, `!!((`+to+`).compareDocumentPosition(document.activeElement) & Node.DOCUMENT_POSITION_FOLLOWING)`) {
		way = append(way, shift)
	}
	var passed []string
	for range 80 {
		w.press(kb.Tab, way...)
		if get[bool](w, `document.activeElement === (`+to+`)`) {
			if !get[bool](w, `document.activeElement.checkVisibility({ visibilityProperty: true, opacityProperty: true })`) {
				w.t.Errorf("the focus is on %s, which nobody sees", to)
			}
			if !get[bool](w, `document.activeElement.matches(':focus-visible') && [document.activeElement, document.activeElement.parentElement, document.activeElement.closest('form')].some((e) => e && (getComputedStyle(e).outlineStyle !== 'none' || getComputedStyle(e).boxShadow !== 'none'))`) {
				w.t.Errorf("nothing shows that the focus is on %s", to)
			}
			return
		}
		passed = append(passed, get[string](w, `document.activeElement.outerHTML.slice(0, 80)`))
	}
	w.t.Fatalf("no Tab leads to %s; passed are:\n%s", to, strings.Join(passed, "\n"))
}

// No mouse: join, talk, edit, react, go to other rooms, read notifications.
func TestByKeyboardOnly(t *testing.T) {
	s := serve(t)
	bob := s.join("bob", "general")

	ann := s.window("ann")
	ann.navigate("/")
	waitFor(ann, `document.activeElement?.id`, "join-name") // at hand at once
	ann.write("ann")
	ann.press(enter)
	ann.isIn("general")
	waitFor(ann, `document.activeElement?.id`, "composer")
	ann.write("hello frm ann")
	ann.press(enter)
	ann.sent("hello frm ann")

	// Edit the last one.
	ann.press(kb.ArrowUp)
	ann.wait(`document.activeElement?.value === 'hello frm ann'`)
	ann.replaces("hello from ann")
	ann.press(enter)
	bob.sees("ann", "hello from ann")
	waitFor(ann, `document.activeElement?.id`, "composer")
	ann.press(kb.ArrowUp)
	ann.wait(`document.activeElement?.value === 'hello from ann'`)
	ann.wait(message("hello from ann") + `.matches('[data-editing]') && $('#editing').checkVisibility()`)
	ann.press(kb.Escape) // and think better of it
	ann.wait(message("hello from ann"))
	ann.wait(`!$('[data-editing]') && !$('#editing').checkVisibility()`)
	waitFor(ann, `document.activeElement?.id`, "composer")

	// React to one.
	bob.saysAndSees("hi @ann")
	ann.sees("bob", "hi @ann")
	ann.tab(button(message("hi @ann"), "React"))
	ann.press(enter)
	ann.wait(choosing)
	ann.press(enter)
	waitFor(bob, `!!$('.reactions button', `+message("hi @ann")+`)`, true)
	if get[bool](ann, `document.activeElement === document.body`) {
		t.Error("the focus is lost after a reaction")
	}

	// Another room, by its form, and back by its link.
	ann.tab(`$('#room-name')`)
	ann.write("garden")
	ann.press(enter)
	ann.isIn("garden")
	waitFor(ann, `document.activeElement?.id`, "composer")
	ann.write("nobody here")
	ann.press(enter)
	ann.sent("nobody here")
	ann.tab(`$('#rooms a[href="#general"]')`)
	ann.press(enter)
	ann.isIn("general")

	// A mention, while here is elsewhere: from the notification to its message.
	bob.joins("garden")
	bob.saysAndSees("over here, @ann")
	waitFor(ann, `$('#notifications-toggle .unread')?.textContent.trim()`, "1")
	ann.tab(`$('#notifications-toggle')`)
	ann.press(enter)
	ann.wait(`$('#notifications a')?.checkVisibility()`)
	ann.tab(`$('#notifications a')`)
	ann.press(enter)
	ann.isIn("garden")
	ann.wait(message("over here, @ann"))

	// The list opens, and closes again by Escape.
	ann.tab(`$('#notifications-toggle')`)
	ann.press(enter)
	waitFor(ann, `$('#notifications-toggle').ariaExpanded`, "true")
	ann.press(kb.Escape)
	waitFor(ann, `$('#notifications-toggle').ariaExpanded`, "false")
	waitFor(ann, `document.activeElement?.id`, "notifications-toggle")
}

// A screen reader hears what comes in, and does not hear one's own typing.
func TestWhatAScreenReaderIsTold(t *testing.T) {
	s := serve(t)
	windows := s.joinAll("general", "ann", "bob")
	ann, bob := windows[0], windows[1]
	waitFor(ann, `$('#messages').getAttribute('role')`, "log")
	waitFor(ann, `$('#connection').getAttribute('role')`, "status")
	waitFor(ann, `$('label[for=composer]')?.textContent.trim() ?? $('#composer').ariaLabel`, "Message")
	bob.saysAndSees("can you hear me?")
	ann.sees("bob", "can you hear me?")
	ann.wait(`$$('[aria-live]:not([aria-live=off]), [role=log], [role=status]').some((e) => e.textContent.includes('can you hear me?'))`)
}
