package api_test

import (
	"fmt"
	"sync"
	"testing"
	"time"
)

func maxAwake(n int) option {
	return func(s *setup) { s.objects.MaxAwake = n }
}

// More rooms than may be awake, which call each other and send events: everybody
// is served.
func TestFewPlacesServeManyRooms(t *testing.T) {
	s := start(t, files{"up.js": upgrade, "room.js": `
import { $, DO } from 'dotdo'
$.on.Said.hello(async (e) => { await $.User(e.data.user).heard(e.data.room) })
export default DO.extend({
  $type: 'Room',
  async webSocketMessage(ws, text) {
    this.things.create({ $type: 'Message', text })
    $.send('Said.hello', { user: 'u-' + this.ctx.id.name, room: this.ctx.id.name })
    ws.send(text + ' ' + await $.User(text).name() + ' ' + await this.things.count({ $type: 'Message' }))
  },
})`, "user.js": `
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'User',
  onRequest() { this.app.get('/heard/:user', async (c) => c.text(String(await this.things.count({ $type: 'Heard' })))) },
  name() { return 'I am ' + this.ctx.id.name },
  heard(room) { this.things.create({ $type: 'Heard', room }) },
})`}, maxAwake(2), hibernateAfter(time.Hour))
	const rooms, messages = 20, 5
	var clients []*client
	for i := range rooms {
		clients = append(clients, s.connect(fmt.Sprint("/ws/r", i)))
	}
	var all sync.WaitGroup
	for i, c := range clients {
		all.Go(func() {
			for m := range messages {
				user := fmt.Sprintf("%d-%d", i, m)
				c.send(user)
				select {
				case got := <-c.messages:
					if want := fmt.Sprintf("%s I am %s %d", user, user, m+1); got != want {
						t.Errorf("received %s, want %s", got, want)
					}
				case <-time.After(patience):
					t.Errorf("%s is not answered", user)
					return
				}
			}
		})
	}
	all.Wait()
	for i := range rooms {
		s.eventually("the events arrive", func() bool {
			_, body := s.get(fmt.Sprint("/heard/u-r", i))
			return body == fmt.Sprint(messages)
		})
	}
	s.eventually("the target is kept", func() bool {
		return s.metric("chat_objects_awake") <= 2 && s.metric("chat_objects_waiting") == 0
	})
	for _, c := range clients { // and their ends are heard of
		_ = c.conn.WriteClose(1000, nil)
	}
	s.eventually("all others are forgotten", func() bool { return s.node.Known() <= 2 })
}
