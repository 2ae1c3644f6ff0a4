package browsertest

import (
	"fmt"
	"slices"
	"time"
)

// seeds is a script that gives a room messages of other people and times.
const seeds = `
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  onRequest() {
    this.app.post('/rooms/:room/seed', async (c) => {
      for (const { author, content, sent } of await c.req.json()) {
        this.things.create({ $type: 'Message', room: this.ctx.id.name, author, content, sent: new Date(sent) })
      }
      return c.json({})
    })
  },
})`

// seeded is a message that was said at some time.
type seeded struct {
	Author  string    `json:"author"`
	Content string    `json:"content"`
	Sent    time.Time `json:"sent"`
}

// seed stores messages in a room, as if they had been said. Nobody who is there is told.
func seed(s *server, room string, messages []seeded) {
	s.t.Helper()
	if path := "/rooms/" + room + "/seed"; !s.has(path) {
		s.save("seed.js", seeds)
		eventually(s.t, "the script is live", func() (bool, any) { return s.has(path), s.logged() })
	}
	for part := range slices.Chunk(messages, 100) {
		s.do("POST", "/rooms/"+room+"/seed", part, nil)
	}
}

// has reports whether a path has a route that takes a list.
func (s *server) has(path string) bool {
	status, _, err := s.try("POST", path, []seeded{})
	return err == nil && status == 200
}

// someMessages are numbered, from 0, of different lengths, over the last minutes.
func someMessages(count int) (all []seeded) {
	for n := range count {
		content := fmt.Sprintf("message %d", n)
		if n%7 == 3 {
			content += " which goes on and on, for longer than a line of any window, so that not all messages have the same height; " +
				"some of them have two lines, some three, and whoever scrolls should not notice at all"
		}
		all = append(all, seeded{Author: []string{"ann", "bob", "cem"}[n/3%3], Content: content,
			Sent: time.Now().Add(time.Duration(n-count) * time.Second)})
	}
	return all
}
