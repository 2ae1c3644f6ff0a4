package api_test

import (
	"os"
	"strings"
	"testing"
)

// The first room that a reader of the README sees works as it stands.
func TestTheRoomOfTheReadme(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```js\n")
	room, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatal("the README has no room")
	}
	s := start(t, files{"room.js": room})
	a, b := s.connect("/ws/general"), s.connect("/ws/general")
	a.send("hello")
	for _, c := range []*client{a, b} {
		if m := c.next(); !strings.Contains(m, `"text":"hello"`) || !strings.Contains(m, `"$type":"Message"`) {
			t.Errorf("received %s", m)
		}
	}
}
