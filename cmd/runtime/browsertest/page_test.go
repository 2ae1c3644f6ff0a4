package browsertest

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// join opens the chat as somebody, in a room, in a profile that is new.
func (s *server) join(name, room string) *window {
	s.t.Helper()
	w := s.window(name)
	w.goTo(room)
	return w
}

// joinAll opens it for several people, who see each other.
func (s *server) joinAll(room string, names ...string) (windows []*window) {
	s.t.Helper()
	for _, name := range names {
		windows = append(windows, s.join(name, room))
	}
	for _, w := range windows {
		w.seesPeople(names...)
	}
	return windows
}

// goTo opens the chat anew, as the same person.
func (w *window) goTo(room string) {
	w.t.Helper()
	w.navigate("/?user=" + url.QueryEscape(w.name) + "#" + room)
	w.isIn(room)
}

// isIn waits until the window shows a room, and is among its people.
func (w *window) isIn(room string) {
	w.t.Helper()
	waitFor(w, `$('#rooms a[aria-current="page"]')?.getAttribute('href')`, "#"+room)
	w.wait(person(w.name))
	w.isOnline()
}

func (w *window) isOnline() {
	w.t.Helper()
	waitFor(w, `$('#connection').textContent.trim()`, "")
}

// person is somebody in the list of who is here.
func person(name string) string { return `$('#people li[data-user=` + js(name) + `]')` }

// seesPeople waits until just these are here.
func (w *window) seesPeople(names ...string) {
	w.t.Helper()
	for _, name := range names {
		w.wait(person(name))
	}
	waitFor(w, `$$('#people li[data-user]').length`, len(names))
}

// message is the article of a message, by its text.
func message(text string) string { return "message(" + js(text) + ")" }

// button is a button of some element by its name, as a screen reader has it.
func button(in, name string) string {
	return fmt.Sprintf(`$$('button', %s ?? document.createElement('p')).find((b) => (b.getAttribute('aria-label') ?? b.textContent).trim().startsWith(%s))`, in, js(name))
}

// says writes a message and sends it. It may still be on its way.
func (w *window) says(text string) {
	w.t.Helper()
	w.click(`$('#composer')`)
	w.paste(text)
	w.press(enter)
	waitFor(w, `$('#composer').value`, "")
}

// saysAndSees is says, and a wait until it is acknowledged.
func (w *window) saysAndSees(text string) {
	w.t.Helper()
	w.says(text)
	w.sent(text)
}

// sent waits until one's own message is acknowledged.
func (w *window) sent(text string) {
	w.t.Helper()
	waitFor(w, message(text)+`?.dataset.state`, "sent")
}

// sees waits until a message is there.
func (w *window) sees(author, text string) {
	w.t.Helper()
	waitFor(w, message(text)+`?.dataset.author`, author)
}

// contents are the texts of all messages that the window shows, in order.
const contents = `$$('#messages article').map((a) => $('.content', a).textContent.trim())`

// unread is the number at the link of a room, or nothing.
func unread(room string) string {
	return `$('#rooms a[href="#` + room + `"] .unread')?.textContent.trim() ?? ''`
}

// opens follows the link of a room that is in the list.
func (w *window) opens(room string) {
	w.t.Helper()
	w.click(`$('#rooms a[href="#` + room + `"]')`)
	w.isIn(room)
}

// joins opens a room by its name, by the form.
func (w *window) joins(room string) {
	w.t.Helper()
	w.click(`$('#room-name')`)
	w.paste(room)
	w.press(enter)
	w.isIn(room)
}

// tool clicks a button of a message's toolbar, which may be there only while the mouse is
// over the message.
func (w *window) tool(text, name string) {
	w.t.Helper()
	w.hover(message(text))
	w.click(button(message(text), name))
}

// edits changes one's own message.
func (w *window) edits(text, into string) {
	w.t.Helper()
	w.tool(text, "Edit")
	w.wait(`document.activeElement?.value === ` + js(text))
	w.replaces(into)
	w.press(enter)
	w.wait(message(into))
}

// replaces writes over what is in the field that has the focus.
func (w *window) replaces(text string) {
	w.t.Helper()
	get[bool](w, `(document.activeElement.select(), true)`)
	w.paste(text)
}

// sameStory checks that these windows show what the server has stored, in the same order,
// once: nothing is lost and nothing doubled.
func sameStory(t *testing.T, s *server, room string, windows ...*window) {
	t.Helper()
	var want []string
	for _, m := range s.history(room) {
		want = append(want, m.Content)
	}
	for _, w := range windows {
		waitFor(w, contents, want)
	}
}

// once checks that every text is there exactly once.
func once(t *testing.T, s *server, room string, texts []string) {
	t.Helper()
	times := map[string]int{}
	for _, m := range s.history(room) {
		times[m.Content]++
	}
	for _, text := range texts {
		if times[text] != 1 {
			t.Errorf("%q is stored %d times", text, times[text])
		}
	}
	if len(times) != len(texts) {
		t.Errorf("stored are %d different messages, want %d: %s", len(times), len(texts), strings.Join(texts, ", "))
	}
}
