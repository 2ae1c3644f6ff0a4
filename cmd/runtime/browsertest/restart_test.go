package browsertest

import (
	"fmt"
	"strings"
	"testing"
)

// Two people go on while the program is killed, and started again: what they say comes,
// once, in one order, and they hear of all of it.
func TestAKilledProgramLosesAndDoublesNothing(t *testing.T) {
	s := serve(t)
	windows := s.joinAll("general", "ann", "bob")
	var said []string
	talk := func(count int) {
		for range count {
			for _, w := range windows {
				text := fmt.Sprintf("%s says %d", w.name, len(said))
				said = append(said, text)
				w.says(text)
			}
		}
	}
	for round := range 3 {
		talk(5)
		s.kill() // some of it is on its way
		talk(3)
		for _, w := range windows {
			w.wait(`$('#connection').textContent.trim() !== ''`)
			w.wait(message(said[len(said)-1]) + ` || ` + message(said[len(said)-2]))
		}
		if round == 1 {
			windows[0].reload() // there is nobody who would answer: the browser's own page
			windows[0].wait(`!$('#composer')`)
		}
		s.start()
		if round == 1 {
			windows[0].goTo("general")
		}
		talk(5)
	}
	for _, w := range windows {
		w.isOnline()
		for _, text := range said {
			if strings.HasPrefix(text, w.name) {
				w.sent(text)
			}
		}
	}
	once(t, s, "general", said)
	sameStory(t, s, "general", windows...)
}

// A person is offline for a while: the page says so, keeps what is said, and sends it
// once when it can.
func TestOfflineAndBack(t *testing.T) {
	s := serve(t)
	windows := s.joinAll("general", "ann", "bob")
	ann, bob := windows[0], windows[1]
	ann.saysAndSees("before")
	ann.offline(true)
	waitFor(ann, `$('#connection').textContent.trim().replace(/[.…].*/, '')`, "Offline")
	said := []string{"before", "in the tunnel 1", "in the tunnel 2", "in the tunnel 3"}
	for _, text := range said[1:] {
		ann.says(text)
		waitFor(ann, message(text)+`?.dataset.state`, "sending")
		waitFor(ann, `$('.state', `+message(text)+`)?.textContent`, "Waiting to send")
	}
	bob.saysAndSees("are you there?")
	if get[bool](bob, `!!`+message(said[1])) {
		t.Fatal("ann is not offline")
	}
	ann.offline(false)
	for _, text := range said {
		ann.sent(text)
		bob.sees("ann", text)
	}
	ann.sees("bob", "are you there?")
	ann.isOnline()
	once(t, s, "general", append(said, "are you there?"))
	sameStory(t, s, "general", ann, bob)

	// The same where the server is gone and comes back.
	s.kill()
	ann.says("to nobody")
	waitFor(ann, message("to nobody")+`?.dataset.state`, "sending")
	s.start()
	ann.sent("to nobody")
	bob.sees("ann", "to nobody")
	sameStory(t, s, "general", ann, bob)
}
