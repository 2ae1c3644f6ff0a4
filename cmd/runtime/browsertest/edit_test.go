package browsertest

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
)

// An edit that was begun waits while one is in another room, and over a reload, as a draft
// does; and one is told what another window does to the message meanwhile.
func TestABegunEditIsNotLost(t *testing.T) {
	s := serve(t)
	ann := s.join("ann", "general")
	ann.saysAndSees("soup at noon")
	ann.write("a draft")
	ann.joins("garden")
	ann.opens("general")
	const composer = `$('#composer').value`
	waitFor(ann, composer, "a draft")
	begin := func(text, into string) {
		t.Helper()
		ann.tool(text, "Edit")
		waitFor(ann, composer, text)
		ann.replaces(into)
	}
	resumed := func(text string) {
		t.Helper()
		waitFor(ann, composer, text)
		ann.wait(`$('#editing').checkVisibility() && $('[data-editing]')`)
	}
	told := func(what string) {
		t.Helper()
		ann.wait(`$('#toast').checkVisibility() && $('#toast').textContent.includes(` + js(what) + `)`)
		ann.wait(`$('#announcer').textContent.includes(` + js(what) + `)`)
	}

	begin("soup at noon", "soup at one")
	ann.opens("garden")
	waitFor(ann, composer, "")
	ann.wait(`!$('#editing').checkVisibility()`)
	ann.opens("general")
	resumed("soup at one")
	ann.reload()
	ann.isIn("general")
	resumed("soup at one")
	ann.click(`$('#composer')`)
	ann.press(kb.Escape)
	waitFor(ann, composer, "a draft")
	ann.opens("garden")
	ann.opens("general")
	waitFor(ann, composer, "a draft") // it was given up for good

	// Another window changes the message.
	other := ann.another()
	other.goTo("general")
	begin("soup at noon", "soup at two")
	other.edits("soup at noon", "stew at noon")
	told("changed")
	ann.wait(`$('#editing-what').textContent.includes('changed')`) // also to whom was away
	waitFor(ann, composer, "soup at two")
	ann.opens("garden")
	other.edits("stew at noon", "pie at noon")
	ann.opens("general")
	told("changed")
	resumed("soup at two")
	ann.click(`$('#composer')`)
	ann.press(enter)
	ann.sent("soup at two")
	other.wait(message("soup at two"))
	waitFor(ann, composer, "a draft")

	// Or deletes it.
	begin("soup at two", "soup at three")
	other.tool("soup at two", "Delete")
	told("deleted")
	ann.wait(`!$('#editing').checkVisibility()`)
	waitFor(ann, composer, "a draft\nsoup at three")
	ann.replaces("")
	ann.saysAndSees("bread")
	begin("bread", "butter")
	ann.opens("garden")
	other.tool("bread", "Delete")
	waitFor(other, `$$('article.deleted[data-state=sent]').length`, 2)
	ann.opens("general")
	told("deleted")
	waitFor(ann, composer, "butter")

	// One's own deletion can be undone all the same.
	ann.click(`$('#composer')`)
	ann.press(enter)
	ann.sent("butter")
	begin("butter", "jam")
	ann.tool("butter", "Delete")
	waitFor(ann, composer, "jam")
	ann.click(button(`document`, "Undo"))
	ann.sent("butter")
}
