package browsertest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp/kb"
)

// focus names what has the focus.
const focus = `(({ id, dataset, localName }) => id || dataset.action || localName)(document.activeElement) + (document.activeElement.getAttribute('href') ?? '')`

// keepsFocus checks that the focus is there, and stays when the page is drawn.
func (w *window) keepsFocus(on string) {
	w.t.Helper()
	waitFor(w, focus, on)
	w.frames(3)
	if got := get[string](w, focus); got != on {
		w.t.Errorf("the focus goes from %s to %s", on, got)
	}
}

// What has the focus may go: the next thing has it then.
func TestTheFocusIsNotLost(t *testing.T) {
	s := serve(t)
	back := s.changed("lib/frame.js", "maxContent = 4000", "maxContent = 20", "general")
	windows := s.joinAll("general", "ann", "bob")
	ann, bob := windows[0], windows[1]

	// A message that is given up.
	ann.says("more than twenty letters")
	waitFor(ann, message("more than twenty letters")+`?.dataset.state`, "failed")
	ann.tab(button(message("more than twenty letters"), "Discard"))
	ann.press(enter)
	ann.keepsFocus("composer")
	back()

	// A room that is left, whether or not it is the open one.
	for _, room := range []string{"garden", "kitchen", "attic"} {
		ann.joins(room)
	}
	ann.opens("general")
	ann.keepsFocus("composer") // what was clicked needs no key any more
	leave := func(room string) {
		t.Helper()
		ann.tab(`$('#rooms [data-room=` + room + `] .leave')`)
		ann.press(enter)
		ann.wait(`!$('#rooms [data-room=` + room + `]')`)
	}
	leave("garden")
	ann.keepsFocus("a#kitchen")
	ann.press(enter)
	ann.isIn("kitchen")
	ann.keepsFocus("a#kitchen") // who goes by keys goes on
	leave("kitchen")
	ann.isIn("general")
	ann.keepsFocus("a#attic")
	leave("attic")
	ann.keepsFocus("a#general")

	// The message to react to is drawn anew meanwhile.
	bob.saysAndSees("one")
	ann.sees("bob", "one")
	ann.tool("one", "React")
	ann.wait(choosing)
	bob.edits("one", "two")
	ann.wait(message("two"))
	ann.press(kb.Escape)
	ann.keepsFocus("react")
	ann.press(enter)
	ann.wait(choosing)
	bob.edits("two", "three")
	ann.wait(message("three"))
	ann.press(enter)
	ann.wait(`$('.reactions button', ` + message("three") + `)`)
	ann.keepsFocus("react")
}

// What comes, and what changes, leaves the other mentions where they are. To follow one in
// the room that is open is not one more step on the way back.
func TestMentionsStayAtHand(t *testing.T) {
	s := serve(t)
	windows := s.joinAll("general", "ann", "bob")
	ann, bob := windows[0], windows[1]
	bob.joins("garden")
	bob.saysAndSees("@ann, one")
	waitFor(ann, `$('#notifications-toggle .unread').textContent`, "1")
	ann.click(`$('#notifications-toggle')`)
	ann.tab(`$('#notifications a')`)
	bob.saysAndSees("@ann, two")
	waitFor(ann, `$$('#notifications li').length`, 2)
	waitFor(ann, `$('.text', document.activeElement)?.textContent`, "@ann, one")
	bob.edits("@ann, one", "@ann, three")
	waitFor(ann, `$('.text', document.activeElement)?.textContent`, "@ann, three")

	ann.press(enter)
	ann.isIn("garden")
	ann.wait(message("@ann, three") + ` === document.activeElement`)
	entries := get[int](ann, `history.length`)
	for _, text := range []string{"@ann, two", "@ann, three"} {
		ann.click(`$('#notifications-toggle')`)
		ann.click(`$$('#notifications a').find((a) => a.textContent.includes(` + js(text) + `))`)
		ann.wait(message(text) + ` === document.activeElement`)
	}
	if got := get[int](ann, `history.length`); got != entries {
		t.Errorf("the history has %d entries more", got-entries)
	}
	waitFor(ann, `location.hash`, "#garden")
	get[bool](ann, `(history.back(), true)`)
	ann.isIn("general")
}

// The keyboard of a phone comes when one wants to write; and what its narrow screen hides is
// told of.
func TestAPhoneInTheHand(t *testing.T) {
	s := serve(t)
	long := strings.Repeat("long-name-", 6)
	ann := s.window("ann")
	ann.size(390, 844, true)
	if !get[bool](ann, `matchMedia('(pointer: coarse)').matches`) {
		t.Fatal("this phone has a mouse")
	}
	for _, room := range []string{"garden", "kitchen", long, "general"} {
		ann.goTo(room)
		if height := get[float64](ann, `$('#composer').offsetHeight`); height != 38 {
			t.Errorf("the empty composer of %s is %v px high", room, height)
		}
	}
	ann.saysAndSees("a word too many")
	get[bool](ann, `(document.activeElement.blur(), true)`)
	keyboard := func() bool {
		ann.frames(3)
		return get[bool](ann, `document.activeElement === $('#composer')`)
	}
	ann.tool("a word too many", "Delete")
	if keyboard() {
		t.Error("to delete brings up the keyboard")
	}
	ann.click(button(`document`, "Undo"))
	ann.sent("a word too many")
	if keyboard() {
		t.Error("to undo it brings up the keyboard")
	}
	ann.tab(button(message("a word too many"), "Delete")) // but this one has keys
	ann.press(enter)
	waitFor(ann, `document.activeElement.textContent`, "Undo")
	ann.press(enter)
	ann.keepsFocus("composer")

	const rooms = `$('#rooms-toggle').ariaLabel`
	const dot = `getComputedStyle($('#rooms-toggle'), '::after').borderTopWidth`
	waitFor(ann, rooms, "Rooms")
	bob := s.join("bob", "garden")
	bob.saysAndSees("news")
	waitFor(ann, rooms, "Rooms, 1 with new messages")
	waitFor(ann, dot, "5px")
	bob.joins("kitchen")
	bob.saysAndSees("more news")
	waitFor(ann, rooms, "Rooms, 2 with new messages")
	for _, room := range []string{"garden", "kitchen"} {
		ann.click(`$('#rooms-toggle')`)
		ann.opens(room)
	}
	waitFor(ann, rooms, "Rooms")
	waitFor(ann, dot, "0px")

	ann.size(844, 390, true)
	if small := get[[]string](ann, `$$('input, textarea').filter((e) => parseFloat(getComputedStyle(e).fontSize) < 16).map((e) => e.id)`); len(small) > 0 {
		t.Errorf("in %v, letters are smaller than 16 px: some phones zoom in", small)
	}
}

// The list of names is there as long as the cursor is at one.
func TestTheCompletionFollowsTheCursor(t *testing.T) {
	s := serve(t)
	long := "c" + strings.Repeat("_long_name", 6)
	ann := s.joinAll("general", "ann", "cem", long)[0]
	ann.click(`$('#composer')`)
	ann.write("ask @c")
	waitFor(ann, `$$('#completion li').length`, 2)
	if get[bool](ann, `$$('#completion bdi').some((name) => name.getBoundingClientRect().right > $('#completion').getBoundingClientRect().right)`) {
		t.Error("a long name is wider than the list")
	}
	ann.press(kb.ArrowDown)
	ann.frames(3)
	waitFor(ann, `$$('#completion li').map((o) => o.ariaSelected)`, []string{"false", "true"})
	for range 3 {
		ann.press(kb.ArrowLeft)
	}
	ann.wait(`!$('#completion').checkVisibility()`)
	ann.press(enter)
	ann.sent("ask @c")
	ann.write("שלום")
	ann.wait(`$('#composer').matches(':dir(rtl)')`) // as it will be when it was said
}

// Of many rooms one sees which is open, also without the page's colours.
func TestTheOpenRoomIsSeen(t *testing.T) {
	s := serve(t)
	for n := range 30 {
		s.do("PUT", fmt.Sprintf("/users/ann/rooms/room-%d?user=ann", n), nil, nil)
	}
	ann := s.join("ann", "room-0")
	seen := func(room string) {
		t.Helper()
		ann.wait(`(({ top, bottom }, nav) => top > nav.top - 1 && bottom < nav.bottom + 1)($('#rooms [href="#` + room + `"]').getBoundingClientRect(), $('nav').getBoundingClientRect())`)
	}
	seen("room-0")
	for _, room := range []string{"room-29", "room-0", "room-15"} {
		get[string](ann, `location.hash = '#`+room+`'`)
		ann.isIn(room)
		seen(room)
	}

	bob := s.join("bob", "room-14")
	bob.saysAndSees("news")
	waitFor(ann, unread("room-14"), "1")
	call(ann, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "forced-colors", Value: "active"}}})
	if get[bool](ann, `(({ backgroundColor }) => backgroundColor === getComputedStyle(document.body).backgroundColor)(getComputedStyle($('#rooms a[aria-current]')))`) {
		t.Error("the open room looks like one with news")
	}
}
