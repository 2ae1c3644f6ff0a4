package browsertest

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp/kb"
)

func TestTwoPeopleTalkInTwoWindows(t *testing.T) {
	s := serve(t)
	ann := s.window("ann")
	ann.navigate("/")
	ann.click(`$('#join-name')`) // nobody knows who it is yet
	ann.write("ann")
	ann.click(button(`$('#join')`, "Join"))
	ann.isIn("general")
	ann.wait(`!$('#join')?.checkVisibility()`)

	bob := s.join("bob", "general")
	ann.seesPeople("ann", "bob")
	bob.seesPeople("ann", "bob")
	ann.says("hello bob")
	ann.sent("hello bob")
	bob.sees("ann", "hello bob")
	bob.saysAndSees("hi ann\nhow are you?")
	ann.sees("bob", "hi ann\nhow are you?")
	ann.saysAndSees("fine 🎉 👩‍👩‍👧‍👦")
	bob.sees("ann", "fine 🎉 👩‍👩‍👧‍👦")
	if id := get[string](bob, message("hello bob")+`.dataset.id`); id != s.history("general")[0].ID {
		t.Errorf("the message of the id %q is another", id)
	}

	// By a link to a room.
	cem := s.window("cem")
	cem.navigate("/#garden")
	cem.click(`$('#join-name')`)
	cem.write("cem")
	cem.press(enter)
	cem.isIn("garden")

	// Who comes back is known, and so is what was said.
	ann.navigate("/")
	ann.isIn("general")
	sameStory(t, s, "general", ann, bob)
	ann.reload()
	ann.isIn("general")
	sameStory(t, s, "general", ann, bob)
}

// A line is sent by Enter, and begun anew by Shift and Enter; one that is empty is none.
func TestAMessageOfLines(t *testing.T) {
	s := serve(t)
	ann := s.join("ann", "general")
	ann.click(`$('#composer')`)
	ann.press(enter)
	ann.write("   ")
	ann.press(enter)
	get[bool](ann, `($('#composer').select(), true)`)
	ann.write("one")
	ann.press(kb.Enter, shift)
	ann.write("two")
	ann.press(enter)
	ann.sent("one\ntwo")
	if got := s.history("general"); len(got) != 1 || got[0].Content != "one\ntwo" {
		t.Errorf("said is %v", got)
	}
}

func TestAMentionComesFromAnotherRoom(t *testing.T) {
	s := serve(t)
	bob := s.join("bob", "general")
	ann := s.join("ann", "garden")
	ann.saysAndSees("the roses are out, @bob")
	waitFor(bob, `$('#notifications-toggle .unread')?.textContent.trim()`, "1")

	// One that he sees at once is no news.
	cem := s.join("cem", "general")
	cem.saysAndSees("good morning, @bob")
	bob.sees("cem", "good morning, @bob")
	cem.saysAndSees("sleeping, @bob?") // whose mention comes after that of the first
	waitFor(bob, `$('#notifications').textContent.includes('sleeping')`, true)
	waitFor(bob, `$('#notifications-toggle .unread')?.textContent.trim()`, "1")

	bob.click(`$('#notifications-toggle')`)
	bob.wait(`$('#notifications a')?.checkVisibility()`)
	const roses = `$$('#notifications a').find((a) => a.textContent.includes('the roses are out'))`
	bob.click(roses)
	bob.isIn("garden")
	bob.wait(message("the roses are out, @bob") + `.checkVisibility()`)
	waitFor(bob, `$('.mention.me', `+message("the roses are out, @bob")+`)?.textContent`, "@bob")
	waitFor(ann, `$('.mention', `+message("the roses are out, @bob")+`)?.textContent`, "@bob")
	if get[bool](ann, `!!$('.mention.me')`) {
		t.Error("ann sees herself mentioned")
	}
	waitFor(bob, `$('#notifications-toggle .unread')?.textContent.trim() ?? ''`, "")

	// What came while nobody was there comes later.
	bob.navigate("/healthz")
	ann.saysAndSees("and the beans, @bob")
	bob.goTo("general")
	waitFor(bob, `$('#notifications-toggle .unread')?.textContent.trim()`, "1")
}

// A mention says what its message says, in the list and on the desktop, and goes with it; one
// that an edit makes is news, though the message was read before.
func TestAMentionFollowsItsMessage(t *testing.T) {
	s := serve(t)
	bob := s.join("bob", "garden")
	ann := s.join("ann", "garden")
	ann.saysAndSees("the roses are out")
	bob.sees("ann", "the roses are out")
	bob.joins("general")
	get[bool](bob, `(() => { // what the desktop shows
		window.desktop = new Map()
		window.Notification = class {
			static permission = 'granted'
			constructor(title, { body, tag }) { this.tag = tag; desktop.set(tag, body) }
			close() { desktop.delete(this.tag); this.onclose?.() }
		}
		localStorage.setItem('notifications', 'on')
		document.hasFocus = () => false
		return true
	})()`)
	badge, list, desktop := `$('#notifications-toggle .unread')?.textContent.trim() ?? ''`, `$('#notifications').textContent`, `[...desktop.values()].join()`
	ann.edits("the roses are out", "@bob, the roses are out")
	waitFor(bob, badge, "1")
	waitFor(bob, desktop, "@bob, the roses are out")
	ann.edits("@bob, the roses are out", "@bob, the beans are out")
	bob.wait(list + `.includes('beans')`)
	waitFor(bob, desktop, "")
	waitFor(bob, badge, "1")
	if get[bool](bob, list+`.includes('roses')`) {
		t.Error("the mention says what the message said before")
	}
	ann.tool("@bob, the beans are out", "Delete")
	waitFor(bob, list, "")
	waitFor(bob, badge, "")
}

func TestUnreadCounts(t *testing.T) {
	s := serve(t)
	bob := s.join("bob", "general")
	bob.joins("garden")
	ann := s.join("ann", "general")
	for n := range 3 {
		ann.saysAndSees(fmt.Sprint("news ", n))
	}
	waitFor(bob, unread("general"), "3")
	waitFor(bob, unread("garden"), "")
	bob.reload() // it is kept where he was
	bob.isIn("garden")
	waitFor(bob, unread("general"), "3")

	// Read in one window is read in the other.
	second := bob.another()
	second.goTo("garden")
	waitFor(second, unread("general"), "3")
	second.opens("general")
	second.sees("ann", "news 2")
	waitFor(second, unread("general"), "")
	waitFor(bob, unread("general"), "")
	ann.saysAndSees("seen at once")
	second.sees("ann", "seen at once")
	waitFor(bob, unread("general"), "")

	// More than can be told.
	second.opens("garden")
	seed(s, "general", someMessages(200))
	ann.saysAndSees("one more")
	bob.reload()
	bob.isIn("garden")
	waitFor(bob, unread("general"), "99+")
}

// How far one has read is known, however soon after the page is gone.
func TestWhatIsReadAtTheLastMomentIsRead(t *testing.T) {
	s := serve(t)
	bob := s.join("bob", "general")
	ann := s.join("ann", "general")
	bob.joins("garden")
	ann.saysAndSees("a line to read")
	waitFor(bob, unread("general"), "1")
	get[bool](bob, `(async () => {
		$('#rooms a[href="#general"]').click()
		while ($('#rooms a[href="#general"] .unread')) await new Promise(requestAnimationFrame)
		location.href = '/healthz'
	})() instanceof Promise`)
	waitFor(bob, `location.pathname`, "/healthz")
	ann.saysAndSees("a line that he has not seen")
	bob.goTo("garden")
	waitFor(bob, unread("general"), "1")
}

// Firefox says beforeunload while it can still send, and pagehide when it cannot. Here
// is no Firefox: the page is told what that one is told first.
func TestWhatIsDeletedAtTheLastMomentIsDeleted(t *testing.T) {
	s := serve(t)
	windows := s.joinAll("general", "ann", "bob")
	ann, bob := windows[0], windows[1]
	ann.saysAndSees("a word too many")
	bob.sees("ann", "a word too many")
	get[bool](ann, `(() => { // what is held until it can't be undone would be sent by and by
		const soon = setTimeout
		window.setTimeout = (f, ms, ...of) => ms > 2000 ? 0 : soon(f, ms, ...of)
		return true
	})()`)
	ann.tool("a word too many", "Delete")
	ann.wait(button(`document`, "Undo"))
	get[bool](ann, `dispatchEvent(new Event('beforeunload'))`)
	bob.wait(`!` + message("a word too many"))
}

func TestTyping(t *testing.T) {
	s := serve(t)
	windows := s.joinAll("general", "ann", "bob")
	ann, bob := windows[0], windows[1]
	ann.click(`$('#composer')`)
	ann.write("wel")
	waitFor(bob, `$('#typing').textContent.includes('ann')`, true)
	waitFor(ann, `$('#typing').textContent.trim()`, "")
	ann.write("l")
	ann.press(enter)
	bob.sees("ann", "well")
	waitFor(bob, `$('#typing').textContent.trim()`, "") // at once, as it is said
	ann.write("hm")
	waitFor(bob, `$('#typing').textContent.includes('ann')`, true)
	waitFor(bob, `$('#typing').textContent.trim()`, "") // after a while, as nothing came
}

func TestEditDeleteAndReact(t *testing.T) {
	s := serve(t)
	windows := s.joinAll("general", "ann", "bob")
	ann, bob := windows[0], windows[1]
	ann.saysAndSees("hello wrld")
	bob.sees("ann", "hello wrld")
	if get[bool](bob, `!!(`+button(message("hello wrld"), "Edit")+` ?? `+button(message("hello wrld"), "Delete")+`)`) {
		t.Error("bob may change what ann said")
	}
	ann.edits("hello wrld", "hello world")
	bob.sees("ann", "hello world")

	bob.reacts("hello world")
	emoji := get[string](bob, `$('.reactions button', `+message("hello world")+`).dataset.emoji`)
	reaction := func(text string) string {
		return `$$('.reactions button', ` + message(text) + `).find((b) => b.dataset.emoji === ` + js(emoji) + `)`
	}
	waitFor(bob, reaction("hello world")+`?.ariaPressed`, "true")
	waitFor(ann, reaction("hello world")+`?.ariaPressed`, "false")
	ann.click(reaction("hello world"))
	waitFor(ann, reaction("hello world")+`?.ariaPressed`, "true")
	waitFor(bob, reaction("hello world")+`?.textContent.includes('2')`, true)
	bob.click(reaction("hello world"))
	waitFor(bob, reaction("hello world")+`?.ariaPressed`, "false")
	waitFor(ann, reaction("hello world")+`?.textContent.includes('2')`, false)

	// Who was not there sees it as it is now.
	cem := s.join("cem", "general")
	cem.sees("ann", "hello world")
	waitFor(cem, reaction("hello world")+`?.ariaPressed`, "false")

	ann.tool("hello world", "Delete")
	ann.wait(`!` + message("hello world"))
	ann.click(button(`document`, "Undo")) // for a moment, nobody else knows
	ann.sent("hello world")
	ann.tool("hello world", "Delete")
	for _, w := range []*window{ann, bob, cem} {
		w.wait(`$$('#messages article.deleted').length === 1 && !` + message("hello world"))
		w.wait(`!$('#messages .reactions button')`)
	}
	cem.reload()
	cem.wait(`$$('#messages article.deleted').length === 1`)

	// What was said of a room goes with it.
	ann.saysAndSees("a word too many")
	ann.tool("a word too many", "Delete")
	ann.wait(`$('#toast').checkVisibility()`)
	ann.joins("garden")
	if get[bool](ann, `$('#toast').checkVisibility()`) {
		t.Error("what was said of another room is still there")
	}
	ann.opens("general")
	bob.wait(`$$('#messages article.deleted').length === 2`)

	// What others do while one is away comes with the rest.
	bob.saysAndSees("first")
	ann.sees("bob", "first")
	ann.offline(true)
	ann.wait(`$('#connection').textContent.trim() !== ''`)
	bob.edits("first", "changed")
	ann.offline(false)
	ann.sees("bob", "changed")
	ann.wait(`!` + message("first"))
}

// choosing is whether the focus is among the emoji.
const choosing = `document.activeElement !== document.body && !document.activeElement.closest('#messages, #compose')`

// reacts gives a message the first reaction that is offered.
func (w *window) reacts(text string) {
	w.t.Helper()
	w.tool(text, "React")
	w.wait(choosing)
	w.press(enter) // the first is at hand
	w.wait(`$('.reactions button', ` + message(text) + `)`)
}

func TestCompletionOfNames(t *testing.T) {
	s := serve(t)
	windows := s.joinAll("general", "ann", "bob", "bonnie")
	ann := windows[0]
	ann.click(`$('#composer')`)
	ann.write("hi @bo")
	waitFor(ann, `$$('#completion [role=option]').map((o) => o.textContent.trim().match(/bo\w+$/)?.[0])`, []string{"bob", "bonnie"})
	ann.press(kb.ArrowDown)
	ann.press(enter)
	waitFor(ann, `$('#composer').value`, "hi @bonnie ")
	ann.wait(`!$('#completion')?.checkVisibility()`)
	ann.write("and @b")
	ann.wait(`$('#completion')?.checkVisibility()`)
	ann.press(kb.Escape)
	ann.wait(`!$('#completion')?.checkVisibility()`)
	waitFor(ann, `$('#composer').value`, "hi @bonnie and @b")
	ann.write("o")
	ann.click(`$('#completion [role=option]')`) // by mouse as well
	waitFor(ann, `$('#composer').value`, "hi @bonnie and @bob ")
	ann.press(enter)
	windows[2].wait(`$('.mention.me')`)
}
