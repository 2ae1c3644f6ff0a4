package browsertest

import (
	"fmt"
	"strings"
	"testing"
)

// Scripts are edited under two people who talk: what is new is there at once, what is broken
// changes nothing, and no page notices.
func TestAScriptIsEditedWhileTheyType(t *testing.T) {
	s := serve(t)
	windows := s.joinAll("general", "ann", "bob")
	ann, bob := windows[0], windows[1]
	get[bool](ann, `(window.sameDocument = true)`)
	ann.click(`$('#composer')`)
	ann.write("pi")
	s.save("echo.js", `
import { $, DO } from 'dotdo'
$.on.Message.sent((event) => { if (event.data.content === 'ping') $.Room(event.data.room).pong() })
export default DO.extend({
  $type: 'Room',
  pong() { this.say('echo', 'pong') },
})`)
	s.isLive("general")
	ann.write("ng")
	ann.press(enter)
	ann.sent("ping")
	bob.sees("ann", "ping")
	bob.sees("echo", "pong")
	ann.sees("echo", "pong")

	// Half a script changes nothing.
	ann.write("half")
	s.save("echo.js", "export default DO.extend({")
	eventually(t, "the script is refused", func() (bool, any) { return strings.Contains(s.logged(), "scripts not reloaded"), s.logged() })
	ann.press(enter)
	ann.sent("half")
	bob.sees("ann", "half")
	bob.saysAndSees("ping")
	waitFor(bob, `$$('#messages article').filter((a) => a.dataset.author === 'echo').length`, 2)

	sameStory(t, s, "general", ann, bob)
	if !get[bool](ann, `window.sameDocument === true && $('#connection').textContent.trim() === ''`) {
		t.Error("ann's page was loaded anew, or is offline")
	}
}

// isLive waits until a room runs the scripts that were saved before: they are loaded, and its
// object has moved to them.
func (s *server) isLive(room string) {
	s.t.Helper()
	s.saves++
	s.save("saves.js", fmt.Sprintf(`
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  onRequest() { this.app.get('/rooms/:room/saves', (c) => c.json(%d)) },
})`, s.saves))
	eventually(s.t, "the scripts are live", func() (bool, any) {
		_, answer, err := s.try("GET", "/rooms/"+room+"/saves", nil)
		return err == nil && answer == fmt.Sprint(s.saves), s.logged()
	})
}

// changed puts another text into the place of one in a script, until back is called. The room
// runs it when either returns.
func (s *server) changed(script, old, text, room string) (back func()) {
	s.t.Helper()
	before := s.script(script)
	after := strings.Replace(before, old, text, 1)
	if after == before {
		s.t.Fatalf("%s has no %q: it is somewhere else now", script, old)
	}
	s.save(script, after)
	s.isLive(room)
	return func() {
		s.t.Helper()
		s.save(script, before)
		s.isLive(room)
	}
}

// What the room refuses stays where it was said, with the reason, until its author sends
// it again or lets it go.
func TestWhatIsRefusedCanBeSentAgain(t *testing.T) {
	s := serve(t)
	windows := s.joinAll("general", "ann", "bob")
	ann, bob := windows[0], windows[1]
	back := s.changed("lib/frame.js", "maxContent = 4000", "maxContent = 20", "general")
	const long, longer = "for that, twenty characters are too few", "and for this they are, too, by far"
	for _, text := range []string{long, longer} {
		ann.says(text)
		waitFor(ann, message(text)+`?.dataset.state`, "failed")
		waitFor(ann, message(text)+`.textContent.includes('longer than 20 characters')`, true)
	}
	ann.saysAndSees("a short one")
	bob.sees("ann", "a short one")
	if get[bool](bob, `!!`+message(long)) {
		t.Error("bob sees what was refused")
	}
	ann.reload() // it is still there
	ann.isIn("general")
	waitFor(ann, message(long)+`?.dataset.state`, "failed")
	back()
	ann.tool(long, "Retry")
	ann.sent(long)
	bob.sees("ann", long)
	ann.tool(longer, "Discard")
	ann.wait(`!` + message(longer))
	once(t, s, "general", []string{"a short one", long})
	sameStory(t, s, "general", ann, bob)
}
