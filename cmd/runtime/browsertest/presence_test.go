package browsertest

import "testing"

// A person is here over several tabs, once, until the last of them is closed; a reload
// is no leaving.
func TestPresenceOverTabsDoesNotFlicker(t *testing.T) {
	s := serve(t)
	// For as long as a reload takes, however slow the machine is, nobody has left.
	back := s.changed("lib/presence.js", "const grace = 5000", "const grace = 60_000", "general")
	bob := s.join("bob", "general")
	ann := s.join("ann", "general")
	bob.seesPeople("ann", "bob")
	// Whatever happens to the list is noted.
	get[bool](bob, `(window.seen = [], new MutationObserver(() => {
		const here = $$('#people li[data-user]').map((li) => li.dataset.user).sort().join()
		if (here !== window.seen.at(-1)) window.seen.push(here)
	}).observe($('#people'), { childList: true, subtree: true, attributes: true }), true)`)

	second := ann.another()
	second.goTo("general")
	second.saysAndSees("in two tabs")
	ann.sees("ann", "in two tabs")
	ann.close()
	for range 3 {
		second.reload()
		second.isIn("general")
	}
	// Back after longer than the room takes to tell that somebody came, which is less than
	// it takes for somebody to have left.
	second.navigate("/healthz")
	cem := s.join("cem", "general")
	bob.seesPeople("ann", "bob", "cem")
	second.goTo("general")
	second.saysAndSees("still here")
	bob.sees("ann", "still here")
	back()
	second.close()
	bob.seesPeople("bob", "cem")
	cem.seesPeople("bob", "cem")
	for _, here := range get[[]string](bob, `window.seen`) {
		if here != "ann,bob" && here != "ann,bob,cem" && here != "bob,cem" {
			t.Errorf("bob saw that %s were here", here)
		}
	}
	if seen := get[[]string](bob, `window.seen`); len(seen) > 3 {
		t.Errorf("the list flickered: %v", seen)
	}
}
