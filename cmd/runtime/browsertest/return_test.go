package browsertest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

const (
	mark    = `$('#messages .new')`
	inSight = `((e) => e && e.getBoundingClientRect().top >= $('#messages').getBoundingClientRect().top && e.getBoundingClientRect().bottom <= $('#messages').getBoundingClientRect().bottom)`
	atEnd   = `(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight < 5)($('#messages'))`
	badge   = `$('#notifications-toggle .unread')?.textContent.trim() ?? ''`
)

// Who was away sees where what was missed begins, and it is new until it was on the
// screen, mentions too; also if it is more than a socket is sent at once.
func TestWhatWasMissedIsNewUntilItIsSeen(t *testing.T) {
	s := serve(t)
	seed(s, "general", someMessages(20))
	bob := s.join("bob", "general")
	ann := s.join("ann", "general")
	ann.saysAndSees("before")
	bob.sees("ann", "before")

	bob.offline(true)
	waitFor(bob, `$('#connection').textContent.trim()`, "Offline")
	ann.saysAndSees("this is urgent, @bob")
	seed(s, "general", someMessages(60))
	ann.saysAndSees("after")
	bob.offline(false)
	bob.wait(message("after"))
	bob.wait(inSight + `(` + message("this is urgent, @bob") + `)`)
	bob.wait(inSight + `(` + mark + `)`)
	waitFor(bob, badge, "1")
	waitFor(bob, `$('#jump').hidden`, false)
	want := get[string](bob, unread("general"))
	if want == "" || !strings.HasPrefix(get[string](bob, `$('#jump').textContent`), want+" new") {
		t.Errorf("%q are unread, and the way to the end says %q", want, get[string](bob, `$('#jump').textContent`))
	}

	// Whatever comes while it goes there, the page arrives at the end.
	bob.click(`$('#jump')`)
	ann.reacts("after")
	ann.saysAndSees("while he scrolls")
	bob.sees("ann", "while he scrolls")
	bob.wait(atEnd)
	bob.comesToRest()
	bob.wait(atEnd)
	waitFor(bob, unread("general"), "")
	waitFor(bob, badge, "")

	bob.offline(true)
	waitFor(bob, `$('#connection').textContent.trim()`, "Offline")
	seed(s, "general", someMessages(560))
	bob.offline(false)
	bob.wait(message("message 559"))
	bob.comesToRest()
	waitFor(bob, unread("general"), "99+")
	bob.wait(`!` + atEnd)
	waitFor(bob, `$('#jump').textContent`, "100 new ↓")
}

// A window that nobody sees waits where the new messages begin.
func TestAHiddenWindowWaitsWhereTheNewMessagesBegin(t *testing.T) {
	s := serve(t)
	windows := s.joinAll("general", "ann", "bob")
	ann, bob := windows[0], windows[1]
	ann.saysAndSees("before")
	bob.sees("ann", "before")
	hide := func(is bool) {
		get[bool](bob, fmt.Sprintf(`(() => {
			Object.defineProperty(document, 'hidden', { value: %v, configurable: true })
			Object.defineProperty(document, 'visibilityState', { value: %[1]v ? 'hidden' : 'visible', configurable: true })
			return document.dispatchEvent(new Event('visibilitychange'))
		})()`, is))
	}
	hide(true)
	ann.saysAndSees("one\ntwo\nthree")
	bob.sees("ann", "one\ntwo\nthree")
	hide(false)
	waitFor(bob, unread("general"), "") // it is on the screen
	hide(true)
	for n := range 15 {
		ann.saysAndSees(fmt.Sprintf("line %d\nand\nsome\nmore", n))
	}
	bob.sees("ann", "line 14\nand\nsome\nmore")
	hide(false)
	bob.wait(inSight + `(` + mark + `)`)
	bob.comesToRest()
	bob.wait(inSight + `(` + message("line 0\nand\nsome\nmore") + `)`)
	waitFor(bob, unread("general"), "15")
}

// A room opens where its new messages begin, if that is more than a page back, too.
func TestARoomOpensWhereTheNewMessagesBegin(t *testing.T) {
	s := serve(t)
	seed(s, "general", someMessages(30))
	bob := s.join("bob", "general")
	ann := s.join("ann", "general")
	ann.saysAndSees("the last that he sees")
	bob.sees("ann", "the last that he sees")
	eventually(t, "it is read", func() (bool, any) {
		second := bob.another()
		second.goTo("garden")
		n := get[string](second, unread("general"))
		second.close()
		return n == "", n
	})
	bob.navigate("/healthz")
	seed(s, "general", someMessages(80))
	bob.goTo("general")
	bob.wait(message("the last that he sees"))
	bob.wait(inSight + `(` + mark + `)`)
	bob.comesToRest()
	bob.wait(inSight + `(` + mark + `)`)
	bob.wait(unread("general") + ` !== ''`)
}

// What somebody reads in a message, has selected, or is about to press stays when somebody
// reacts to it.
func TestAReactionLeavesWhatWasSaidAlone(t *testing.T) {
	s := serve(t)
	windows := s.joinAll("general", "ann", "bob")
	ann, bob := windows[0], windows[1]
	var lines []string
	for n := range 120 {
		lines = append(lines, fmt.Sprint("line ", n))
	}
	bob.says("```\n" + strings.Join(lines, "\n") + "\n```")
	const block = `$('#messages pre')`
	ann.wait(block)
	get[bool](ann, `(() => {
		`+block+`.scrollTop = 500
		`+block+`.focus()
		getSelection().selectAllChildren(`+block+`)
		window.pressed = `+button(`$('#messages article')`, "React")+`
		return true
	})()`)
	const state = `[` + block + `.scrollTop, document.activeElement === ` + block + `, getSelection().toString().includes('line 77'), pressed.isConnected]`
	before := get[[]any](ann, state)
	bob.wait(block)
	bob.hover(`$('#messages article')`)
	bob.click(button(`$('#messages article')`, "React"))
	bob.click(`$$('#picker button').find((b) => b.checkVisibility())`)
	ann.wait(`$('.reactions button')`)
	if after := get[[]any](ann, state); !slices.Equal(after, before) || before[0] == 0.0 || before[1] != true || before[2] != true {
		t.Errorf("scrolled, focused, selected, pressed: %v, then %v", before, after)
	}
}

// What was deleted just before a room is left is deleted.
func TestWhatIsAskedOfARoomIsDoneAfterItIsLeft(t *testing.T) {
	s := serve(t)
	windows := s.joinAll("garden", "ann", "bob")
	ann, bob := windows[0], windows[1]
	ann.saysAndSees("a word too many")
	bob.sees("ann", "a word too many")
	ann.tool("a word too many", "Delete")
	ann.leaves("garden")
	bob.wait(`!` + message("a word too many"))

	ann.joins("garden")
	s.kill()
	ann.wait(`$('#connection').textContent.trim() !== ''`)
	ann.says("goodbye")
	ann.leaves("garden")
	s.start()
	bob.sees("ann", "goodbye")
	bob.seesPeople("bob")
}

// leaves leaves a room by its button in the list.
func (w *window) leaves(room string) {
	w.t.Helper()
	item := `$('#rooms li[data-room=` + js(room) + `]')`
	w.hover(item)
	w.click(`$('.leave', ` + item + `)`)
	w.wait(`!` + item)
}

// Rooms that were joined and left without a network are so for the server, too, as soon
// as there is one.
func TestRoomsAreJoinedAndLeftOffline(t *testing.T) {
	s := serve(t)
	ann := s.join("ann", "general")
	ann.joins("garden")
	rooms := func() (names []string) {
		var answer struct{ Rooms []string }
		s.do("GET", "/users/ann/rooms?user=ann", nil, &answer)
		return answer.Rooms
	}
	eventually(t, "both are known", func() (bool, any) { return len(rooms()) == 2, rooms() })
	ann.offline(true)
	waitFor(ann, `$('#connection').textContent.trim()`, "Offline")
	ann.click(`$('#room-name')`)
	ann.paste("kitchen")
	ann.press(enter)
	waitFor(ann, `$('#rooms a[aria-current="page"]')?.getAttribute('href')`, "#kitchen")
	ann.leaves("garden")
	ann.offline(false)
	ann.isIn("kitchen")
	eventually(t, "the server knows", func() (bool, any) { return fmt.Sprint(rooms()) == "[general kitchen]", rooms() })
	ann.reload()
	ann.isIn("kitchen")
	waitFor(ann, `$$('#rooms li').map((li) => li.dataset.room)`, []string{"general", "kitchen"})
}

// Who reads what was said before reads it still when the window becomes narrow, and wide
// again.
func TestTheReadingPlaceStaysInANarrowWindow(t *testing.T) {
	s := serve(t)
	seed(s, "general", someMessages(200))
	ann := s.join("ann", "general")
	ann.wait(atEnd + ` && $$("#messages article").length >= 50`)
	for range 4 {
		ann.wheel(-700)
	}
	ann.comesToRest()
	first := func() placed {
		return get[placed](ann, `(() => {
			const edge = $('#messages').getBoundingClientRect().top
			const first = $$('#messages article').find((a) => a.getBoundingClientRect().bottom > edge + 1)
			return { id: first.dataset.id, top: first.getBoundingClientRect().top - edge }
		})()`)
	}
	before := first()
	for _, width := range []int64{500, 900, 1280} {
		ann.size(width, 800, false)
		ann.wait(fmt.Sprintf(`innerWidth === %d`, width))
		ann.comesToRest()
		if after := first(); after.ID != before.ID || width == 1280 && math.Abs(after.Top-before.Top) > 3 {
			t.Errorf("at %d px: %+v, and before %+v", width, after, before)
		}
	}
}
