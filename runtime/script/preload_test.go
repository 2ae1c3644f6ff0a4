package script

import (
	"testing"
)

// preloads loads one script and makes a VM of Room ahead, if that can be done.
func preloads(t *testing.T, text string) bool {
	t.Helper()
	s, err := load(t, map[string]string{"a.js": imports + text})
	if err != nil {
		t.Fatal(err)
	}
	return s.Preload("Room") != nil
}

func TestScriptsThatAskForNothingArePreloaded(t *testing.T) {
	if !preloads(t, `const ids = new Map(), never = new Promise(() => {})
		export default DO.extend({ $type: 'Room', onRequest() { this.app.get('/r/:room', (c) => c.text(this.ctx.id.name)) } })`) {
		t.Error("not preloaded")
	}
}

func TestScriptsThatCouldTellAreNotPreloaded(t *testing.T) {
	for what, text := range map[string]string{
		"time":           `globalThis.started = Date.now(); export default DO.extend({})`,
		"a Date":         `globalThis.started = new Date(); export default DO.extend({})`,
		"the log":        `console.log('loaded'); export default DO.extend({})`,
		"a timer":        `try { setTimeout(() => {}, 1) } catch {} export default DO.extend({})`,
		"its id":         `export default DO.extend({ onRequest() { try { this.room = this.ctx.id.name } catch {} } })`,
		"rows":           `export default DO.extend({ onRequest() { try { this.things.create({ $type: 'X' }) } catch {} } })`,
		"an event":       `try { $.send('A.b') } catch {} export default DO.extend({})`,
		"a call":         `try { $.Room('a').hello() } catch {} export default DO.extend({})`,
		"a fetch":        `try { fetch('http://a/') } catch {} export default DO.extend({})`,
		"later, on load": `let later = 0; Promise.resolve().then(() => later++); export default DO.extend({})`,
		"later":          `export default DO.extend({ async onRequest() { await null; this.late = true } })`,
		"a microtask":    `export default DO.extend({ onRequest() { queueMicrotask(() => {}) } })`,
	} {
		if preloads(t, text) {
			t.Errorf("a script that asks for %s is preloaded", what)
		}
	}
}

func TestScriptsThatFailAreNotPreloadedAgain(t *testing.T) {
	var s *Set
	for s == nil { // it loads at every other try
		s, _ = load(t, map[string]string{"a.js": imports + `if (Math.random() < 0.5) throw new Error('no'); export default DO.extend({})`})
	}
	for s.Preload("Room") != nil {
	}
	for range 20 {
		if s.Preload("Room") != nil {
			t.Fatal("it is tried again")
		}
	}
}
