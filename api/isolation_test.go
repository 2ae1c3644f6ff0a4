package api_test

import (
	"strings"
	"testing"
	"time"

	"chat.example.com.ai/runtime/script"
)

func TestAHostileMessageDelaysNobody(t *testing.T) {
	s := start(t, files{"up.js": upgrade, "room.js": `
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  webSocketMessage(ws, m) {
    if (m === 'ping') { ws.send('pong'); return }
    try {
      ws.send(JSON.stringify(JSON.parse(m)).length + ' characters')
    } catch (e) { ws.send(e.name + ': ' + e.message) }
  },
})`})
	evil, good := s.connect("/ws/evil"), s.connect("/ws/good")
	const megabyte = 1 << 20
	quickly(t, time.Second, func() (worst time.Duration) {
		evil.send(strings.Repeat("[", megabyte))
		evil.send(strings.Repeat("[", 500) + strings.Repeat("]", 500))
		evil.send(strings.Repeat(`{"a":`, 501) + "1" + strings.Repeat("}", 501))
		for range 20 {
			began := time.Now()
			good.send("ping")
			good.want("pong")
			worst = max(worst, time.Since(began))
		}
		evil.want("RangeError: JSON is nested deeper than 500")
		evil.want("1000 characters")
		evil.want("RangeError: JSON is nested deeper than 500")
		return worst
	})
	evil.send(strings.Repeat("x", megabyte+1))
	if code := evil.closeCode(); code != 1009 {
		t.Errorf("a message over 1 MiB was closed with %d, want 1009", code)
	}
}

func TestLoopsEndAtTheTurnTimeout(t *testing.T) {
	const timeout = 100 * time.Millisecond
	s := start(t, files{"up.js": upgrade, "room.js": loops}, turnTimeout(timeout))
	other := s.connect("/ws/other")
	var sent int64
	for _, loop := range []string{"sync", "job", "getter", "toJSON", "comparator", "caught", "recursion", "deepValue", "nothing"} {
		t.Run(loop, func(t *testing.T) {
			ws := s.connect("/ws/" + loop)
			quickly(t, 3*timeout, func() time.Duration {
				began := time.Now()
				ws.send(loop)
				sent++
				other.send("hello")
				other.want("before")
				other.want("hello")
				took := time.Since(began)
				ws.send("after")
				ws.want("before")
				ws.want("after")
				return took
			})
		})
	}
	if n := s.errorCount("webSocketMessage"); n != sent {
		t.Errorf("%d errors were reported, want %d:\n%s", n, sent, s.log)
	}
}

// A match is bounded by a variable of the library, set once for the process: to
// the default turn time-out, in these tests.
func TestARegularExpressionEndsAtTheTurnTimeout(t *testing.T) {
	s := start(t, files{"up.js": upgrade, "room.js": loops}, turnTimeout(script.DefaultTurnTimeout))
	ws, other := s.connect("/ws/one"), s.connect("/ws/other")
	ws.send("regexp")
	other.send("hello")
	other.want("before")
	other.want("hello")
	ws.send("after")
	ws.want("before")
	ws.want("after")
	if n := s.errorCount("webSocketMessage"); n != 1 {
		t.Errorf("%d errors were reported, want 1:\n%s", n, s.log)
	}
}

const loops = `
import { DO } from 'dotdo'
const loops = {
  sync() { for (;;); },
  job() { Promise.resolve().then(() => { for (;;); }) },
  getter() { return ({ get x() { for (;;); } }).x },
  toJSON() { JSON.stringify({ toJSON() { for (;;); } }) },
  comparator() { [1, 2, 3].sort(() => { for (;;); }) },
  caught() { try { for (;;); } catch { } finally { } },
  regexp() { /^(?=(a+)+b)(a+)+$/.test('a'.repeat(40) + '!') },
  recursion() { const f = () => f(); f() },
  deepValue() { let v = {}; const top = v; for (let i = 0; i < 200000; i++) { v.v = {}; v = v.v } JSON.stringify(top) },
  nothing() { throw null },
}
export default DO.extend({
  $type: 'Room',
  webSocketMessage(ws, m) { ws.send('before'); loops[m]?.(); ws.send(m) },
})`

func TestRoomsShareNothing(t *testing.T) {
	s := start(t, files{"up.js": upgrade, "room.js": `
import { DO } from 'dotdo'
let shared = 0
export default DO.extend({
  $type: 'Room',
  webSocketMessage(ws, m) {
    if (m === 'pollute') { Object.prototype.x = 1; Array.prototype.map = 7; JSON.parse = null; shared++ }
    ws.send([({}).x, typeof [].map, typeof JSON.parse, shared].join())
  },
})`})
	a, b := s.connect("/ws/a"), s.connect("/ws/b")
	a.send("pollute")
	a.want("1,number,object,1")
	b.send("look")
	b.want(",function,function,0")
}

func TestErrorsNameTheAuthorsLine(t *testing.T) {
	s := start(t, files{"up.js": upgrade, "deep/room.ts": `
import { DO } from 'dotdo'
import { helper } from './lib/helper'
interface Message { text: string }
export default DO.extend({
  $type: 'Room',
  webSocketMessage(ws: WebSocket, m: string): void {
    const message: Message = { text: m }
    helper(message.text)
  },
})`, "deep/lib/helper.ts": `
export function helper(text: string): never {
  throw new TypeError(text)
}`})
	ws := s.connect("/ws/a")
	ws.send("oh no")
	s.eventually("the error is in the log", func() bool { return s.errorCount("webSocketMessage") == 1 })
	if log := s.log.String(); !strings.Contains(log, "deep/lib/helper.ts:3:9: TypeError: oh no") || !strings.Contains(log, "Room/a") {
		t.Errorf("the log says\n%s", log)
	}
}
