package object_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A room reads its history by $id. So a $id is greater than those before it also if
// the clock was set back while the program was down, or was wrong until now.
func TestIDsGrowAcrossRestartsWhateverTheClockSays(t *testing.T) {
	const notes = `
export default DO.extend({
  onRequest() {
    this.app.get('/add/:room', (c) => c.text(this.things.create({ $type: 'Note' }).$id))
    this.app.get('/all/:room', async (c) => c.text((await this.things.list({ $type: 'Note' })).map((note) => note.$id).join(' ')))
  },
})`
	data := t.TempDir()
	var want []string
	for _, later := range []time.Duration{time.Hour, 0, 2 * time.Hour, time.Second} { // than the clock's beginning, which is always the same
		synctest.Test(t, func(t *testing.T) {
			time.Sleep(later)
			p := run(t, data, map[string]string{"room.js": notes})
			for range 3 {
				want = append(want, p.ask("/add/a"))
				time.Sleep(time.Minute)
			}
			p.want("/all/a", strings.Join(want, " "))
			p.stop()
		})
	}
}
