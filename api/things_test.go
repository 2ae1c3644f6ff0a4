package api_test

import (
	"fmt"
	"strings"
	"testing"
)

// A $id that is taken is an error of the create that gave it, which can be caught,
// wherever the thing is: on disk, in a turn that waits for the disk, in this one.
func TestAGivenIDIsTakenOnce(t *testing.T) {
	s := start(t, files{"up.js": upgrade, "room.js": `
import { DO } from 'dotdo'
const cases = {
  create: (r, $id) => r.things.create({ $type: 'Note', $id, n: 1 }),
  caught: (r, $id) => { try { r.things.create({ $type: 'Note', $id, n: 2 }) } catch (e) { return r.answer(e) } },
  async awaited(r, $id) { try { await r.things.create({ $type: 'Note', $id, n: 2 }) } catch (e) { return r.answer(e) } },
  twice: (r, $id) => { r.things.create({ $type: 'Note', $id, n: 1 }); return cases.caught(r, $id) },
  otherType: (r, $id) => { try { r.things.create({ $type: 'Other', $id }) } catch (e) { return r.answer(e) } },
  transaction: (r, $id) => r.ctx.storage.transactionSync(() => cases.twice(r, $id)),
  async undone(r, $id) {
    try { r.ctx.storage.transactionSync(() => { cases.create(r, $id); throw 1 }) } catch { }
    return r.things.create({ $type: 'Note', $id, n: 3 })
  },
  async replaced(r, $id) { await r.things.delete($id); return r.things.create({ $type: 'Note', $id, n: 3 }) },
  async read(r, $id) { return await r.things.get($id) },
  async upsert(r, $id) {
    try { return r.things.create({ $type: 'Note', $id, n: 4 }) } catch (e) {
      if (e.name !== 'ConflictError') throw e
      return await r.things.update($id, { n: 4 })
    }
  },
}
export default DO.extend({
  $type: 'Room',
  answer: (e) => ({ $id: [e.name, e.message, e instanceof Error] }),
  onRequest() {
    this.app.get('/do/:room/:case/:id', async (c) => {
      this.turns = (this.turns ?? 0) + 1
      const { $id, n } = (await cases[c.req.param('case')](this, c.req.param('id'))) ?? {}
      return c.json([$id, n, this.turns])
    })
  },
  async webSocketMessage(ws, m) {
    const [what, id] = m.split(' ')
    const { $id, n } = (await cases[what](this, id)) ?? {}
    ws.send(JSON.stringify([$id, n]))
  },
})`})
	conflict := func(id string) string {
		return fmt.Sprintf(`[["ConflictError","things.create: there is a thing with the $id \"%s\"",true]`, id)
	}
	for _, c := range []struct{ what, id, want string }{
		{"create", "a", `["a",1,1]`},
		{"caught", "a", conflict("a") + `,null,2]`},
		{"awaited", "a", conflict("a") + `,null,3]`},
		{"otherType", "a", conflict("a") + `,null,4]`},
		{"twice", "b", conflict("b") + `,null,5]`},
		{"transaction", "c", conflict("c") + `,null,6]`},
		{"read", "c", `["c",1,7]`}, // what came before it in the turn is stored
		{"undone", "d", `["d",3,8]`},
		{"replaced", "a", `["a",3,9]`},
		{"upsert", "a", `["a",4,10]`},
		{"upsert", "e", `["e",4,11]`},
	} {
		if _, got := s.get("/do/one/" + c.what + "/" + c.id); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
	// Nobody caught it: the turn fails, and the virtual machine stays.
	if status, _ := s.get("/do/one/create/a"); status != 500 {
		t.Errorf("status %d, want 500", status)
	}
	if log := s.log.String(); !strings.Contains(log, "ConflictError") || !strings.Contains(log, `there is a thing with the $id`) {
		t.Errorf("the log does not say what failed:\n%s", log)
	}
	if _, got := s.get("/do/one/read/a"); got != `["a",4,13]` {
		t.Errorf("after a turn that failed: %s", got)
	}

	// The first waits for the disk while the others run.
	ws := s.connect("/ws/two")
	turns := s.node.Stats().Turns.Load()
	release := s.holdCommits()
	for _, m := range []string{"create x", "caught x", "awaited x", "read x"} {
		ws.send(m)
	}
	s.eventually("all have run", func() bool { return s.node.Stats().Turns.Load() == turns+4 })
	release()
	for _, want := range []string{`["x",1]`, conflict("x") + `,null]`, conflict("x") + `,null]`, `["x",1]`} {
		ws.want(want)
	}
}
