package object_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// An object that writes by a timer runs no further ahead of the disk than others.
func TestTimersWaitForTheDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := run(t, t.TempDir(), map[string]string{"room.js": `
export default DO.extend({
  onRequest() {
    this.app.get('/begin/:room', (c) => {
      const timer = setInterval(() => {
        this.things.create({ $type: 'Tick' })
        if ((this.ticks = (this.ticks ?? 0) + 1) === 1000) clearInterval(timer)
      }, 1)
      return c.text('begun')
    })
    this.app.get('/count/:room', async (c) => c.text(String(await this.things.count({ $type: 'Tick' }))))
  },
})`})
		p.want("/begin/a", "begun")
		synctest.Wait()
		before := p.Stats().Turns.Load()
		held := make(chan struct{})
		p.hold.Store(&held)
		sleep(10 * time.Second)
		if ran := p.Stats().Turns.Load() - before; ran < 64 || ran > 66 {
			t.Errorf("%d turns ran while nothing was stored, want about 64", ran)
		}
		p.hold.Store(nil)
		close(held)
		sleep(10 * time.Second)
		p.want("/count/a", "1000")
	})
}
