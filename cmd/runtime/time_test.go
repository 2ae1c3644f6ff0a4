package main_test

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

const timed = `import { $, DO } from 'dotdo'
export default DO.extend({
  $type: 'Room',
  onRequest() {
    this.app.post('/in/:room/:ms', async (c) => { await this.ctx.storage.setAlarm(Date.now() + Number(c.req.param('ms'))); return c.text('set') })
    this.app.get('/rang/:room', async (c) => c.json({ rang: await this.ctx.storage.get('rang') ?? [], next: await this.ctx.storage.getAlarm() }))
  },
  async alarm(info) { await this.hear('alarm ' + info.retryCount) },
  async hear(word) { await this.ctx.storage.put('rang', [...(await this.ctx.storage.get('rang') ?? []), word]) },
})
$.every('0 9 1 1 *', (t) => { $.Room('a').hear('every ' + new Date(t.scheduledTime).toISOString()) }, { name: 'new year' })
`

// kill ends the program as a power cut does.
func (p *program) kill() {
	p.t.Helper()
	if err := p.process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	p.wait()
}

func TestAnAlarmSurvivesAKillAndFiresOnce(t *testing.T) {
	scripts, data := folder(t, map[string]string{"room.js": timed}), t.TempDir()
	p := start(t, programOptions{scripts: scripts, data: data})
	due := time.Now().Add(2 * time.Second)
	p.do("POST", "/in/a/2000", "")
	p.do("POST", "/in/b/3600000", "")
	p.kill()
	time.Sleep(time.Until(due)) // it is missed while nothing runs
	for range 3 {
		p = start(t, programOptions{scripts: scripts, data: data})
		p.eventually("the alarm has fired", func() bool {
			return p.get("/rang/a").body == `{"rang":["alarm 0"],"next":null}`
		})
		if got := p.get("/rang/b").body; !strings.HasPrefix(got, `{"rang":[],"next":1`) {
			t.Errorf("the other one: %s", got)
		}
		p.kill()
	}
	p = start(t, programOptions{scripts: scripts, data: data})
	if fired := p.metric("chat_alarms_total"); fired != 0 {
		t.Errorf("%v alarms fired in the last run, want none", fired)
	}
}

func TestARunOfEveryThatWasMissedRunsOnce(t *testing.T) {
	scripts, data := folder(t, map[string]string{"room.js": timed}), t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(data, "chat.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	p := start(t, programOptions{scripts: scripts, data: data})
	if _, ok := p.stdout.waitFor("every   0 9 1 1 * UTC", p.done); !ok {
		t.Errorf("the schedule is not shown:\n%s", p.stdout)
	}
	p.eventually("the schedule is known", func() bool {
		var n int
		return db.QueryRow("SELECT count(*) FROM schedule WHERE name = 'new year' AND cron = '0 9 1 1 *'").Scan(&n) == nil && n == 1
	})
	if got := p.get("/rang/a").body; got != `{"rang":[],"next":null}` {
		t.Errorf("before anything was missed: %s", got)
	}
	p.kill()
	// as if it had been down for three years
	if _, err := db.Exec("UPDATE schedule SET last = ?", time.Now().AddDate(-3, 0, 0).UnixMilli()); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC()
	year := now.Year()
	if now.Before(time.Date(year, 1, 1, 9, 0, 0, 0, time.UTC)) {
		year--
	}
	want := `{"rang":["every ` + time.Date(year, 1, 1, 9, 0, 0, 0, time.UTC).Format("2006-01-02T15:04:05.000Z") + `"],"next":null}`
	for range 2 {
		p = start(t, programOptions{scripts: scripts, data: data})
		p.eventually("it has run once: "+want, func() bool { return p.get("/rang/a").body == want })
		p.kill()
	}
}
