package api_test

import (
	"os"
	"strings"
	"testing"
)

// The first room that a reader of the README sees works as it stands.
func TestTheRoomOfTheReadme(t *testing.T) {
	s := start(t, files{"room.js": example(t, "../README.md", "js")})
	a, b := s.connect("/ws/general"), s.connect("/ws/general")
	a.send("hello")
	for _, c := range []*client{a, b} {
		if m := c.next(); !strings.Contains(m, `"text":"hello"`) || !strings.Contains(m, `"$type":"Message"`) {
			t.Errorf("received %s", m)
		}
	}
}

// So do the scripts of the page that names all that scripts can use.
func TestTheScriptsOfTheReference(t *testing.T) {
	const reference = "../scripts/README.md"
	s := start(t, files{"room.ts": example(t, reference, "ts"), "board.js": example(t, reference, "js")})
	a := s.connect("/ws/general?user=ann")
	a.send("hello")
	if m := a.next(); !strings.Contains(m, `"author":"ann"`) || !strings.Contains(m, `"text":"hello"`) {
		t.Errorf("received %s", m)
	}
	if _, body := s.get("/rooms/general/by/ann"); !strings.Contains(body, `"text":"hello"`) {
		t.Errorf("by ann: %s", body)
	}
	if _, body := s.get("/rooms/general/by/bob"); body != "[]" {
		t.Errorf("by bob: %s", body)
	}
}

// example is the first code in a language of a page.
func example(t *testing.T, page, language string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```"+language+"\n")
	code, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatalf("%s has no example in %s", page, language)
	}
	return code
}
