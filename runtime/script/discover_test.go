package script

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// onRequest runs while scripts are loaded, when there is no object. What it can
// do without one works; for the rest the error says why it doesn't.
func TestOnRequestWithoutAnObject(t *testing.T) {
	for body, want := range map[string]string{
		"this.app.get('/ws/:room', (c) => c.text(''))": "GET /ws/:room",
		"this.setup()": "GET /setup/:room",
		"this.path = '/own/:room'; this.app.all(this.path, () => 1)":    "ALL /own/:room",
		"this.app.get('/' + this.prefix + '/:room', () => this.things)": "GET /field/:room",
		"if (!('ctx' in this)) throw new Error('no ctx'); this.setup()": "GET /setup/:room",
		"this.ctx.id":                      "TypeError: this.ctx cannot be used while routes are registered: no object is running",
		"this.things.list({ $type: 'A' })": "TypeError: this.things cannot be used while routes are registered: no object is running",
		"this.broadcast('a', 'b')":         "TypeError: this.broadcast cannot be used while routes are registered: no object is running",
		"this.nothing()":                   "TypeError: Object has no member 'nothing'",
	} {
		s, err := load(t, map[string]string{"deep/a.js": imports + `
export default DO.extend({
  prefix: 'field',
  setup() { this.app.get('/setup/:room', () => 1) },
  onRequest() {
    ` + body + `
  },
})`})
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Name+": "+e.Message != want || e.File != "deep/a.js" || e.Line != 7 {
				t.Errorf("%s\n got %v\nwant %s", body, err, want)
			}
			continue
		}
		if r := s.Routes()[0]; r.Method+" "+r.Path != want {
			t.Errorf("%s\n got %s %s\nwant %s", body, r.Method, r.Path, want)
		}
	}
}

func TestIndexes(t *testing.T) {
	for indexes, want := range map[string]string{
		"['room', '_a1', 'author.name']": "",
		"[]":                             "",
		"['a b']":                        `"a b" is not the name of a field`,
		"['']":                           `"" is not the name of a field`,
		"['1a']":                         `"1a" is not the name of a field`,
		"['a.']":                         `"a." is not the name of a field`,
		"['$id']":                        `"$id" is not the name of a field`,
		"['a\\n']":                       `"a\n" is not the name of a field`,
		"'sent'":                         "indexes must be an array",
		"{ 0: 'a' }":                     "indexes must be an array",
		"[5]":                            "an index must be a string, not 5",
	} {
		_, err := load(t, map[string]string{"a.js": imports + "export default DO.extend({ indexes: " + indexes + " })"})
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", indexes, err)
			}
			continue
		}
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(e.Message, want) || e.Position() != "a.js:2:28" {
			t.Errorf("%s: %v, want %s in a.js", indexes, err, want)
		}
	}
}

// What is wrong with a part names the member.
func TestErrorsOfPartsNameTheirPlace(t *testing.T) {
	for _, part := range []string{"{ $type: 'room' }", "{ $type: 5 }", "{ $type: 'Handler' }", "{ ctx() {} }", "{ init: 1 }", "{ onRequest() { this.app.get('/_/x', () => 1) } }"} {
		_, err := load(t, map[string]string{"a.js": empty, "deep/b.js": imports + "export default DO.extend(" + part + ")"})
		var e *Error
		if !errors.As(err, &e) || e.File != "deep/b.js" || e.Line != 2 || e.Column < 28 {
			t.Errorf("%s: %v", part, err)
		}
	}
}

func TestMisspeltHandlersAreLogged(t *testing.T) {
	var log bytes.Buffer
	_, err := Load(Options{Folder: write(t, map[string]string{
		"a.js": imports + "export default DO.extend({ websocketMessage() {}, webSocketClose() {}, Init() {}, initial() {} })",
	}), Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	for i, want := range []string{"file=a.js method=websocketMessage meant=webSocketMessage", "file=a.js method=Init meant=init"} {
		if len(lines) != 2 || !strings.Contains(lines[i], want) || !strings.Contains(lines[i], "level=WARN") {
			t.Errorf("the log is\n%s", log.String())
		}
	}
}
