package browsertest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Two messages of the conversation, as they are shown.
const (
	thanks             = "So that is what moisture is for. Thank you!"
	lastOfConversation = "I'll bring a hammer."
)

// conversation is one to look at, in the room general; and a few rooms more.
func (s *server) conversation(zone *time.Location) {
	s.t.Helper()
	at := func(days, hour, minute int) time.Time {
		now := time.Now().In(zone)
		return time.Date(now.Year(), now.Month(), now.Day()+days, hour, minute, 0, 0, zone)
	}
	seed(s, "general", []seeded{
		{"dana", "@ann may we have your watering script? Ours drowned the basil.", at(-1, 17, 40)},
		{"ann", "Sure. It asks the soil first:\n```\nif (soil.moisture() < 0.3) {\n  valve.open('2m')\n}\n```", at(-1, 18, 11)},
		{"dana", "So *that* is what `moisture` is for. Thank you!", at(-1, 18, 13)},
		{"cem", "Good morning. Who has the key to the shed?", at(0, 9, 12)},
		{"bob", "On the nail behind the door, as ever: https://example.com/shed", at(0, 9, 14)},
		{"cem", "There is no nail.", at(0, 9, 15)},
		{"cem", "There was one yesterday 🔨", at(0, 9, 15)},
		{"ann", lastOfConversation, at(0, 9, 33)},
	})
	seed(s, "kitchen", []seeded{{"dana", "soup at noon", at(0, 11, 50)}})
	seed(s, "seeds", []seeded{{"bob", "the swap is on Sunday", at(0, 11, 50)}})
}

const maxPicture = 150 << 10 // bytes: they are part of the source

// The pictures of the README. Nobody compares them: look at them.
func TestScreenshots(t *testing.T) {
	dir := t.TempDir() // where nobody looks: the scene goes on to work
	if *screenshots != "" {
		dir = fromTop(*screenshots)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := serve(t)
	zone, name := afternoon()
	s.conversation(zone)
	ann := s.window("ann")
	call(ann, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: name})
	ann.prefers("light")
	ann.size(1200, 864, false)
	ann.goTo("general")
	ann.joins("kitchen")
	ann.joins("seeds")
	ann.opens("general")
	var others []*window
	for _, name := range []string{"bob", "cem", "dana"} {
		others = append(others, s.join(name, "general"))
	}
	bob, cem, dana := others[0], others[1], others[2]
	for n, w := range others {
		w.reactsWith("There is no nail.", "😮")
		for _, other := range append(others, ann) { // or a button moves away from the mouse
			waitFor(other, `$('.reactions', `+message("There is no nail.")+`)?.textContent.match(/\d+/)?.[0]`, fmt.Sprint(n+1))
		}
	}
	bob.reactsWith(thanks, "🎉")
	ann.reactsWith(thanks, "🎉")
	ann.reactsWith(thanks, "❤️")
	dana.joins("kitchen")
	dana.saysAndSees("@ann, soup is ready")
	dana.saysAndSees("with basil, what is left of it")
	dana.opens("general")
	bob.saysAndSees("@ann you had a spare one, I think")
	ann.sees("bob", "@ann you had a spare one, I think")
	waitFor(ann, unread("kitchen"), "2")
	waitFor(ann, `$('#notifications-toggle .unread')?.textContent.trim()`, "1")

	// Somebody types in each of them.
	take := func(name string) {
		t.Helper()
		ann.click(`$('#composer')`)
		cem.click(`$('#composer')`)
		eventually(t, "cem types", func() (bool, any) {
			cem.write("m")
			return get[bool](ann, `$('#typing').textContent.includes('cem')`), nil
		})
		ann.frames(3)
		ann.picture(filepath.Join(dir, name+".png"))
	}
	take("light")
	ann.prefers("dark")
	take("dark")
	ann.prefers("light")
	ann.size(390, 844, true)
	ann.reload()
	ann.wait(message("@ann you had a spare one, I think"))
	take("phone")

}

// reactsWith reacts with one of the emoji that are offered.
func (w *window) reactsWith(text, emoji string) {
	w.t.Helper()
	w.tool(text, "React")
	w.wait(choosing)
	w.click(button("document", emoji))
	w.wait(`$$('.reactions button', ` + message(text) + `).some((b) => b.dataset.emoji === ` + js(emoji) + ` && b.ariaPressed === 'true')`)
	w.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, 1, 1))
}

// afternoon is a place where it is between three and four now, whenever pictures are taken,
// and its name.
func afternoon() (zone *time.Location, name string) {
	east := 15 - time.Now().UTC().Hour()
	if east > 12 {
		east -= 24
	}
	return time.FixedZone("", east*60*60), fmt.Sprintf("Etc/GMT%+d", -east) // the names count westwards
}

// picture saves what the window shows.
func (w *window) picture(file string) {
	w.t.Helper()
	data := call(w, page.CaptureScreenshot, page.CaptureScreenshotParams{Format: page.CaptureScreenshotFormatPng}).Data
	if err := os.WriteFile(file, data, 0o644); err != nil {
		w.t.Fatal(err)
	}
	if w.t.Logf("%s: %d KiB", file, len(data)>>10); len(data) > maxPicture {
		w.t.Errorf("%s is of %d bytes, want %d at most", file, len(data), maxPicture)
	}
}
