package api_test

import (
	"testing"
	"time"
)

// An alarm that hangs in what cannot be interrupted is not tried for ever: it is to
// blame for its object being out of service.
func TestAnAlarmThatHangsIsCounted(t *testing.T) {
	s := start(t, files{"room.js": `
import { DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  onRequest() {
    this.app.get('/set/:room', async (c) => { await this.ctx.storage.setAlarm(Date.now()); return c.text('set') })
    this.app.get('/rang/:room', async (c) => c.json(await this.ctx.storage.get('rang') ?? null))
  },
  async alarm(info) {
    if (!info.isRetry) Array.prototype.indexOf.call({ length: 2e7 }, 1)
    await this.ctx.storage.put('rang', info.retryCount)
  },
})`}, turnTimeout(30*time.Millisecond))
	if status, body := s.get("/set/a"); status != 200 {
		t.Fatal(status, body)
	}
	s.eventually("it is tried again", func() bool { _, body := s.get("/rang/a"); return body == "1" })
	if hung := s.metric("chat_turns_hung_total"); hung != 1 {
		t.Errorf("%v turns hung", hung)
	}
	if fired, failed := s.metric("chat_alarms_total"), s.metric("chat_alarms_failed_total"); fired < 2 || failed < 1 {
		t.Errorf("%v alarms fired, %v failed", fired, failed)
	}
}
