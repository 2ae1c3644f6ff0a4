package main_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// interleaved is a room whose handlers wait for something in their midst, and let
// others in. WORLD is where it fetches from.
const interleaved = `import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  inside: 0,
  opened: false,
  left: undefined,
  onRequest() {
    this.app.use('/rest/*', async (c, next) => {
      c.set('before', c.get('user').id)
      await next()
      c.header('X-After', c.get('user').id)
    })
    this.app.get('/rest/:room/:how', async (c) => {
      await this.pause(c.req.param('how'))
      return c.json({ before: c.get('before'), after: c.get('user').id, variable: c.var.user.claims.sub })
    })
    this.app.get('/late/:room/:how', async (c) => { // looks only after the wait who it is
      await this.pause(c.req.param('how'))
      return c.json(c.get('user').id)
    })
    this.app.get('/ws/:room/:how', async (c) => {
      const before = c.get('user').id
      await this.pause(c.req.param('how'))
      const [client, server] = Object.values(new WebSocketPair())
      this.ctx.acceptWebSocket(server)
      server.send(JSON.stringify({ before, after: c.get('user').id, bound: server.user.id }))
      return new Response(null, { status: 101, webSocket: client })
    })
    this.app.get('/leave/:room/:how', async (c) => {
      const [client, server] = Object.values(new WebSocketPair())
      this.left = server
      await this.pause(c.req.param('how'))
      return new Response(null, { status: 101, webSocket: client })
    })
    this.app.get('/take/:room/:how', async (c) => {
      this.ctx.acceptWebSocket(this.left)
      await this.pause(c.req.param('how'))
      return c.text('taken')
    })
    this.app.get('/inside/:room', (c) => c.json(this.inside))
    this.app.post('/open/:room', async (c) => {
      this.opened = true
      await $.Gate(this.ctx.id.name).open()
      return c.json(true)
    })
  },
  async webSocketMessage(ws, how) {
    const before = how.startsWith('late ') ? undefined : ws.user.id
    await this.pause(how.replace('late ', ''))
    ws.send(JSON.stringify({ before, after: ws.user.id, all: this.ctx.getWebSockets().map((ws) => ws.user.id).sort() }))
  },
  async pause(how) {
    if (how === 'nothing') return
    this.inside++
    if (how === 'call') await $.Gate(this.ctx.id.name).pass()
    if (how === 'fetch') await fetch('WORLD/' + this.ctx.id.name)
    while (how === 'timer' && !this.opened) await new Promise((resolve) => setTimeout(resolve, 5))
    this.inside--
  },
})
`

const gate = `import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Gate',
  init() { this.waiting = [] },
  pass() { return new Promise((resolve) => this.waiting.push(resolve)) },
  open() { for (const resolve of this.waiting) resolve() },
})
`

// askLater makes a request whose answer comes later.
func (p *program) askLater(path, token string) <-chan response {
	answer := make(chan response, 1)
	request, err := http.NewRequest("GET", "http://"+p.addr+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Close = true
	go func() {
		got, err := http.DefaultClient.Do(request)
		if err != nil {
			answer <- response{body: err.Error()}
			return
		}
		defer got.Body.Close()
		body, _ := io.ReadAll(got.Body)
		answer <- response{got.StatusCode, got.Header, string(body)}
	}()
	return answer
}

// Two people are in one object, each in the midst of a handler, while the other's
// goes on: neither becomes the other.
func TestTwoUsersInterleave(t *testing.T) {
	held := sync.Map{} // room -> channel that is closed when it is opened
	gateOf := func(room string) chan struct{} {
		ch, _ := held.LoadOrStore(room, make(chan struct{}))
		return ch.(chan struct{})
	}
	world := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-gateOf(strings.TrimPrefix(r.URL.Path, "/")):
		case <-r.Context().Done():
		}
	}))
	defer world.Close()
	p := start(t, programOptions{
		scripts: folder(t, map[string]string{"room.js": strings.ReplaceAll(interleaved, "WORLD", world.URL), "gate.js": gate}),
		flags:   []string{"--jwt-secret", secret, "--allow-private-fetch"},
	})
	people := []string{"ann", "bob"}
	tokens := map[string]string{}
	for _, name := range append(people, "operator") {
		tokens[name] = tokenOf(t, name, nil)
	}
	inside := func(room string, n int) {
		t.Helper()
		p.eventually(fmt.Sprintf("%d handlers wait in %s", n, room), func() bool {
			return (<-p.askLater("/inside/"+room, tokens["operator"])).body == fmt.Sprint(n)
		})
	}
	open := func(room string) {
		close(gateOf(room))
		request, err := http.NewRequest("POST", "http://"+p.addr+"/open/"+room, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+tokens["operator"])
		request.Close = true
		answer, err := http.DefaultClient.Do(request)
		if err != nil || answer.StatusCode != 200 {
			t.Fatalf("open: %v, %v", answer, err)
		}
		_ = answer.Body.Close()
	}
	for _, how := range []string{"call", "fetch", "timer"} {
		t.Run("requests over a "+how, func(t *testing.T) {
			room := "rest-" + how
			var answers []<-chan response
			for i, name := range people {
				answers = append(answers, p.askLater("/rest/"+room+"/"+how, tokens[name]))
				inside(room, i+1)
			}
			open(room)
			for i, name := range people {
				r := <-answers[i]
				if want := fmt.Sprintf(`{"before":%q,"after":%q,"variable":%q}`, name, name, name); r.body != want || r.header.Get("X-After") != name {
					t.Errorf("%s: %d %s %s", name, r.status, r.body, r.header.Get("X-After"))
				}
			}
		})
		t.Run("requests that look after a "+how, func(t *testing.T) {
			room := "late-" + how
			var answers []<-chan response
			for i, name := range people {
				answers = append(answers, p.askLater("/late/"+room+"/"+how, tokens[name]))
				inside(room, i+1)
			}
			open(room)
			for i, name := range people {
				if r := <-answers[i]; r.body != fmt.Sprintf("%q", name) {
					t.Errorf("%s: %d %s", name, r.status, r.body)
				}
			}
		})
		t.Run("messages that look after a "+how, func(t *testing.T) {
			room := "late-messages-" + how
			var clients []*client
			for i, name := range people {
				c, _, err := p.dial("/ws/"+room+"/nothing", http.Header{"Authorization": {"Bearer " + tokens[name]}})
				if err != nil {
					t.Fatal(err)
				}
				c.want(object{"bound": name})
				c.send("late " + how)
				inside(room, i+1)
				clients = append(clients, c)
			}
			open(room)
			for i, name := range people {
				clients[i].want(object{"after": name, "all": []any{"ann", "bob"}})
			}
		})
		t.Run("messages over a "+how, func(t *testing.T) {
			room := "messages-" + how
			var clients []*client
			for i, name := range people {
				c, _, err := p.dial("/ws/"+room+"/nothing", http.Header{"Authorization": {"Bearer " + tokens[name]}})
				if err != nil {
					t.Fatal(err)
				}
				c.want(object{"before": name, "bound": name})
				c.send(how)
				inside(room, i+1)
				clients = append(clients, c)
			}
			open(room)
			for i, name := range people {
				c := clients[i]
				c.want(object{"before": name, "after": name, "all": []any{"ann", "bob"}})
			}
		})
		t.Run("sockets that open after a "+how, func(t *testing.T) {
			room := "open-" + how
			opened := make([]chan *client, len(people))
			for i, name := range people {
				opened[i] = make(chan *client, 1)
				go func() {
					c, _, err := p.dial("/ws/"+room+"/"+how, http.Header{"Authorization": {"Bearer " + tokens[name]}})
					if err != nil {
						t.Error(err)
					}
					opened[i] <- c
				}()
				inside(room, i+1)
			}
			open(room)
			for i, name := range people {
				c := <-opened[i]
				if c == nil {
					continue
				}
				c.want(object{"before": name, "after": name, "bound": name})
				c.send("nothing")
				c.want(object{"before": name, "after": name})
			}
		})
	}
	// One request's socket that another one accepts would be of the other's user.
	t.Run("a socket that another request accepts", func(t *testing.T) {
		const room = "taken"
		refused := make(chan error, 1)
		go func() {
			_, answer, err := p.dial("/leave/"+room+"/call", http.Header{"Authorization": {"Bearer " + tokens["ann"]}})
			if err != nil && answer != nil {
				err = fmt.Errorf("%d", answer.StatusCode)
			}
			refused <- err
		}()
		inside(room, 1)
		taken := p.askLater("/take/"+room+"/call", tokens["bob"])
		inside(room, 2)
		open(room)
		if err := <-refused; err == nil || err.Error() != "500" {
			t.Errorf("ann got what bob's request accepted: %v", err)
		}
		if r := <-taken; r.body != "taken" {
			t.Errorf("%d %s", r.status, r.body)
		}
		// The answer does not wait for the log's line.
		if _, ok := p.stderr.waitFor("accepted in the answer to another request", p.done); !ok {
			t.Error("the log does not say so")
		}
	})
}
