package main_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A script reaches a server on this machine only if the program was told so.
func TestPrivateAddressesAreFetchedOnlyIfAllowed(t *testing.T) {
	world := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello from the world") }))
	defer world.Close()
	scripts := folder(t, map[string]string{"a.js": `
import { DO } from 'dotdo'
export default DO.extend({
  onRequest() {
    this.app.get('/fetch/:room', async (c) => {
      try { return c.text(await (await fetch('` + world.URL + `')).text()) } catch (e) { return c.text(e.message) }
    })
  },
})`})
	for _, tt := range []struct {
		flags []string
		env   map[string]string
		want  string
	}{
		{nil, map[string]string{"HTTP_PROXY": world.URL}, "is not on the public Internet"},
		{[]string{"--allow-private-fetch"}, nil, "hello from the world"},
		{nil, map[string]string{"CHAT_ALLOW_PRIVATE_FETCH": "true"}, "hello from the world"},
	} {
		p := start(t, programOptions{scripts: scripts, flags: tt.flags, env: tt.env})
		if r := p.get("/fetch/a"); !strings.Contains(string(r.body), tt.want) {
			t.Errorf("%v %v: %s, want %s", tt.flags, tt.env, r.body, tt.want)
		}
		p.stop()
	}
}
