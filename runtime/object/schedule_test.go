package object_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"chat.example.com.ai/store"
)

// ticks keeps what handlers of $.every tell it.
const ticks = `
export default DO.extend({
  $type: 'Room',
  onRequest() { this.app.get('/ticks/:room', async (c) => c.text((await this.ctx.storage.get('ticks') ?? []).join(' '))) },
  async tick(word) { await this.ctx.storage.put('ticks', [...(await this.ctx.storage.get('ticks') ?? []), word]) },
})
`

// inDay runs f with a program that starts at 08:59:30 on a Monday, with a script.
func inDay(t *testing.T, script string, f func(p *program, restart func(down time.Duration, script string))) {
	synctest.Test(t, func(t *testing.T) {
		monday := time.Date(2000, 1, 3, 8, 59, 30, 0, time.UTC)
		time.Sleep(time.Until(monday)) // the bubble begins on Saturday
		data := t.TempDir()
		p := run(t, data, map[string]string{"room.js": ticks, "every.js": script})
		synctest.Wait()
		f(p, func(down time.Duration, script string) {
			p.stop()
			time.Sleep(down)
			next := run(t, data, map[string]string{"room.js": ticks, "every.js": script})
			p.Node, p.store, p.log, p.stop = next.Node, next.store, next.log, next.stop
			synctest.Wait()
		})
	})
}

const clockTime = `const at = (t) => new Date(t.scheduledTime).toISOString().slice(8, 16)
`

func TestEveryRunsAtItsTimes(t *testing.T) {
	inDay(t, clockTime+`
$.every('0 9 * * 1', (t) => { $.Room('weekly').tick(at(t) + '|' + t.cron + '|' + Object.keys(t)) })
$.every('@hourly', (t) => { $.Room('hourly').tick(at(t)) })
$.every.hour((t) => { $.Room('hour').tick(at(t)) })
$.every.day((t) => { $.Room('day').tick(at(t)) }, { name: 'midnight' })
`, func(p *program, restart func(time.Duration, string)) {
		sleep(30*time.Second - time.Millisecond)
		p.want("/ticks/weekly", "")
		sleep(time.Millisecond)
		p.want("/ticks/weekly", "03T09:00|0 9 * * 1|scheduledTime,cron")
		sleep(15 * time.Hour)
		p.want("/ticks/day", "04T00:00")
		hours := p.ask("/ticks/hour")
		if !strings.HasPrefix(hours, "03T09:00 03T10:00 ") || strings.Count(hours, " ") != 15 || hours != p.ask("/ticks/hourly") {
			t.Errorf("every hour: %s", hours)
		}
		p.want("/ticks/weekly", "03T09:00|0 9 * * 1|scheduledTime,cron")
	})
}

func TestARunThatWasMissedRunsOnceAtTheStart(t *testing.T) {
	minutely := clockTime + `$.every.minute((t) => { $.Room('a').tick(at(t)) })
$.every('0 9 * * 1', (t) => { $.Room('b').tick(at(t)) })`
	inDay(t, minutely, func(p *program, restart func(time.Duration, string)) {
		sleep(2*time.Minute + 29*time.Second)
		p.want("/ticks/a", "03T09:00 03T09:01")
		restart(time.Second, minutely) // on the minute
		p.want("/ticks/a", "03T09:00 03T09:01 03T09:02")
		restart(59*time.Second, minutely) // nothing was missed
		p.want("/ticks/a", "03T09:00 03T09:01 03T09:02")
		restart(time.Hour, minutely)
		p.want("/ticks/a", "03T09:00 03T09:01 03T09:02 03T10:02")
		p.want("/ticks/b", "03T09:00")
		sleep(time.Minute)
		p.want("/ticks/a", "03T09:00 03T09:01 03T09:02 03T10:02 03T10:03")
		p.want("/ticks/b", "03T09:00")
	})
}

func TestASchedulesFirstRunIsNotMissed(t *testing.T) {
	one, two := `$.every('0 8 * * *', () => { $.Room('a').tick('one') }, { name: 'x' })`, `$.every('30 8 * * *', () => { $.Room('a').tick('two') }, { name: 'x' })`
	inDay(t, one, func(p *program, restart func(time.Duration, string)) {
		p.want("/ticks/a", "") // 08:00 was before it was there
		restart(24*time.Hour, two)
		p.want("/ticks/a", "") // so was 08:30 before the schedule was changed
		restart(time.Minute, `$.every('0 0 1 1 *', () => {})`)
		if rows, err := p.store.Schedules(p.t.Context()); err != nil || len(rows) != 1 || rows[0].Name != "every.js#every 0 0 1 1 *" {
			t.Errorf("schedules that are left: %+v, %v", rows, err)
		}
		restart(24*time.Hour, two)
		p.want("/ticks/a", "") // it was gone meanwhile
	})
}

func TestARunThatFailsIsTriedAgainAndThenADeadLetter(t *testing.T) {
	inDay(t, `
let tries = 0
$.every('0 9 * * *', () => { $.Room('a').tick('tried ' + ++tries); if (tries < 3) throw new Error('not yet') })
$.every('0 9 * * *', () => { throw new Error('never') })`, func(p *program, restart func(time.Duration, string)) {
		sleep(5 * time.Minute)
		p.want("/ticks/a", "tried 3")
		letters, err := p.store.FindLetters(p.t.Context(), store.LetterQuery{Limit: 10})
		if err != nil || len(letters) != 1 || letters[0].Handler != "every.js#every 0 9 * * *#2" || !strings.HasPrefix(letters[0].Position, "every.js:5:") {
			t.Errorf("dead letters %+v, %v", letters, err)
		}
		if !strings.Contains(p.log.String(), "every.js:4:") {
			t.Errorf("no position in the log:\n%s", p.log)
		}
	})
}
