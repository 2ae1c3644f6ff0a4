package browsertest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

const secret = "a secret of the tests, of more than 32 bytes"

// token says who somebody is, for a while, as whoever knows the secret does.
func token(user string, until time.Time) string {
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode(fmt.Appendf(nil, `{"sub":%s,"exp":%d}`, js(user), until.Unix()))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}

// enter opens the chat with a token.
func (s *server) enter(name, room string) (w *window, with string) {
	s.t.Helper()
	with = token(name, time.Now().Add(time.Hour))
	w = s.window(name)
	w.navigate("/#token=" + with)
	w.isIn("general")
	if room != "general" {
		w.joins(room)
	}
	return w, with
}

// With tokens, people are who the token says, whatever they or their address say; the
// token leaves the address bar at once, and a private room shows nothing to others.
func TestWhoHasATokenIsWhoItSays(t *testing.T) {
	s := serve(t, "--jwt-secret", secret)
	as := func(token, method, path string, body any) (int, string) {
		t.Helper()
		status, answer, err := s.tryAs(token, method, path, body)
		if err != nil {
			t.Fatal(err)
		}
		return status, answer
	}
	ann, annsToken := s.enter("ann", "general")
	bob, bobsToken := s.enter("bob", "general")
	ann.seesPeople("ann", "bob")
	if at := get[string](ann, `location.href`); strings.Contains(at, "token") {
		t.Errorf("the address bar has %s", at)
	}
	if get[int](ann, `history.length`) > 2 {
		t.Error("the address with the token is in the tab's history")
	}
	ann.saysAndSees("it is me")
	bob.sees("ann", "it is me")

	// A reload keeps the token; another name in the address changes nothing.
	ann.reload()
	ann.isIn("general")
	ann.navigate("/healthz")
	ann.navigate("/?user=mallory#general")
	ann.isIn("general")
	ann.saysAndSees("still me")
	bob.sees("ann", "still me")
	if status, answer := as(annsToken, "GET", "/rooms/general/messages", nil); status != http.StatusOK || strings.Contains(answer, "mallory") {
		t.Errorf("%d: %s", status, answer)
	}

	// Nor does a name in the address of a plain socket, or in a frame.
	s.sends(bob, "mallory", "general", []any{map[string]any{"type": "message", "content": "who is this?", "author": "mallory"}}, bobsToken)
	ann.sees("bob", "who is this?")

	// A private room.
	if status, answer := as(annsToken, "PUT", "/rooms/club/members", map[string]any{"members": []string{"ann", "cem"}}); status != http.StatusOK {
		t.Fatalf("%d: %s", status, answer)
	}
	ann.joins("club")
	ann.saysAndSees("a secret of ours, @bob and @cem")
	if status, answer := as(bobsToken, "GET", "/rooms/club/messages", nil); status != http.StatusForbidden {
		t.Errorf("%d: %s", status, answer)
	}
	bob.navigate("/healthz")
	bob.navigate("/#club")
	bob.wait(`$('#composer') && /private|member/i.test(document.body.innerText)`)
	bob.wait(`!document.body.innerText.includes('a secret of ours')`)
	if get[bool](bob, `!!$('#messages article') || !!`+person("ann")) {
		t.Error("bob sees into the club")
	}
	bob.wait(`$('#composer').readOnly && $('#send').disabled`) // nobody would read what he writes
	bob.click(`$('#composer')`)
	bob.paste("let me in")
	bob.press(enter)
	if got := get[string](bob, `$('#composer').value`); got != "" || get[bool](bob, `$('#people-panel').checkVisibility() || $('#send').checkVisibility({ visibilityProperty: true })`) {
		t.Errorf("bob may write where he is no member: %q", got)
	}
	cem, _ := s.enter("cem", "general")
	waitFor(cem, `$('#notifications-toggle .unread')?.textContent.trim()`, "1")
	cem.click(`$('#notifications-toggle')`)
	cem.click(`$('#notifications a')`)
	cem.isIn("club")
	cem.sees("ann", "a secret of ours, @bob and @cem")
	bob.click(button(`$('#messages')`, "Leave"))
	bob.isIn("general")
	bob.wait(`!$('#rooms a[href="#club"]')`)
	bob.saysAndSees("where is everybody?")
	waitFor(bob, `$('#notifications-toggle .unread')?.textContent.trim() ?? ''`, "")

	for _, token := range []string{annsToken, bobsToken} {
		if strings.Contains(s.logged(), token) || strings.Contains(s.logged(), token[strings.LastIndex(token, "."):]) {
			t.Error("the log has a token")
		}
	}
}

// Without a token, or with one that is over, the page says what is missing instead of
// trying for ever.
func TestWithoutAGoodTokenThePageSaysSo(t *testing.T) {
	s := serve(t, "--jwt-secret", secret)
	short := s.window("bob")
	short.navigate("/#token=" + token("bob", time.Now().Add(8*time.Second)))
	short.isIn("general")

	w := s.window("ann")
	w.navigate("/")
	w.wait(`/token|sign in|log in/i.test(document.body.innerText)`)
	w.navigate("/healthz")
	w.navigate("/#token=" + token("ann", time.Now().Add(-time.Hour)))
	w.wait(`/expired|sign in|log in|token/i.test(document.body.innerText)`)
	if strings.Contains(get[string](w, `location.href`), "token=") {
		t.Error("the address bar has the token")
	}
	short.wait(`/expired/i.test(document.body.innerText)`) // while it was open
	if get[bool](short, `!!$('#join-name')?.checkVisibility()`) {
		t.Error("who has no token any more is asked for a name")
	}

	// The link of a sign-in, opened where the page is already: only what is behind # changes.
	short.navigate("/#token=" + token("bob", time.Now().Add(time.Hour)))
	short.isIn("general")
	short.saysAndSees("here again")
	if strings.Contains(get[string](short, `location.href`), "token=") {
		t.Error("the address bar has the second token")
	}
}

// Whoever is told to come back by a link does so in the window that says it, or in one
// where the chat is open: there, the browser loads nothing anew by itself.
func TestALinkSignsInWhereThePageIsOpen(t *testing.T) {
	s := serve(t, "--jwt-secret", secret)
	link := func(name string) string { return "/#club&token=" + token(name, time.Now().Add(time.Hour)) }
	in := func(w *window, name string) {
		t.Helper()
		w.isIn("club")
		waitFor(w, `$('#me-name').textContent`, name)
		if at := get[string](w, `location.href`); strings.Contains(at, "token") {
			t.Errorf("the address bar has %s", at)
		}
	}
	w := s.window("ann")
	w.navigate("/")
	w.wait(`/sign in/i.test(document.body.innerText)`)
	w.navigate(link("ann"))
	in(w, "ann")
	w.click(`$('#composer')`)
	w.write("what only ann is to")
	w.navigate(link("bob"))
	w.name = "bob"
	in(w, "bob")
	if draft := get[string](w, `$('#composer').value`); draft != "" {
		t.Errorf("bob finds what ann has begun to write: %q", draft)
	}
	w.saysAndSees("it is bob now")
}

// Who is taken out while writing keeps what was begun, and goes on with it once back.
func TestWhoIsTakenOutKeepsWhatTheyWrote(t *testing.T) {
	s := serve(t, "--jwt-secret", secret)
	ann, anns := s.enter("ann", "club")
	bob, _ := s.enter("bob", "club")
	admit := func(members ...string) {
		t.Helper()
		if status, answer, err := s.tryAs(anns, "PUT", "/rooms/club/members", map[string]any{"members": members}); err != nil || status != http.StatusOK {
			t.Fatal(status, answer, err)
		}
	}
	bob.click(`$('#composer')`)
	bob.write("let me st")
	admit("ann")
	bob.wait(`/no longer a member/.test($('#messages').innerText) && !$('#messages article') && $('#composer').readOnly`)
	bob.write("ay")
	bob.press(enter)
	waitFor(bob, `$('#composer').value`, "let me st") // to be copied, at least
	admit("ann", "bob")
	bob.click(button(`$('#messages')`, "Try again"))
	bob.isIn("club")
	waitFor(bob, `$('#composer').value`, "let me st")
	bob.write("ay")
	bob.press(enter)
	ann.sees("bob", "let me stay")
}
