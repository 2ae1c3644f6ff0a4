package object_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"chat.example.com.ai/runtime/cluster"
	"chat.example.com.ai/runtime/event"
	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/runtime/object"
	"chat.example.com.ai/runtime/script"
	"chat.example.com.ai/runtime/socket"
	"chat.example.com.ai/store"
)

// program is what tests of time start and stop: a node with its outbox, on a data
// folder that stays.
type program struct {
	*object.Node
	t     *testing.T
	store *store.Store
	log   *lockedBuffer
	hold  atomic.Pointer[chan struct{}] // not nil: commits wait for it
	stop  func()
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// run starts a program with scripts by name, until it is stopped or the test ends.
func run(t *testing.T, data string, scripts map[string]string) *program {
	t.Helper()
	folder := t.TempDir()
	for name, text := range scripts {
		if err := os.WriteFile(filepath.Join(folder, name), []byte("import { $, DO } from 'dotdo'\n"+text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { time.Sleep(time.Second) }) // for a goroutine of the bundler that sleeps
	p := &program{t: t, log: &lockedBuffer{}}
	log := slog.New(slog.NewTextHandler(p.log, nil))
	set, err := script.Load(script.Options{Folder: folder, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if p.store, err = store.Open(t.Context(), store.Options{Folder: data, Log: log, BeforeCommit: func() {
		if held := p.hold.Load(); held != nil {
			<-*held
		}
	}}); err != nil {
		t.Fatal(err)
	}
	var events *event.Dispatcher
	p.Node = object.NewNode(set, object.Config{
		Store: p.store, Sockets: socket.NewServer(socket.Config{Log: log}), Placement: cluster.NewLocal(p.store.Epoch()), Log: log,
		Outbox: func(n *object.Node) object.Outbox {
			events = event.New(p.store, n, p.store.Epoch(), log)
			return events
		},
	})
	if err := events.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.Start()
	p.stop = sync.OnceFunc(func() {
		events.Close()
		if err := p.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := p.store.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(p.stop)
	return p
}

// ask makes a GET request of a room; the path names it.
func (p *program) ask(path string) string {
	p.t.Helper()
	room := path[strings.LastIndexByte(path, '/')+1:]
	r, err := p.Request(context.Background(), key.Key{Type: "Room", ID: room}, &script.Request{Method: "GET", URL: "http://x" + path})
	if err != nil {
		p.t.Fatalf("%s: %v\nlog:\n%s", path, err, p.log)
	}
	return string(r.Body)
}

func (p *program) want(path, want string) {
	p.t.Helper()
	if got := p.ask(path); got != want {
		p.t.Errorf("%s: %s, want %s", path, got, want)
	}
}

// sleep lets time pass, and what it brings.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// rang is a room with an alarm that keeps what it was told, and does as it was bidden.
const rang = `
export default DO.extend({
  onRequest() {
    const the = this, s = new Proxy({}, { get: (_, name) => (...args) => the.ctx.storage[name](...args) })
    this.app.get('/in/:ms/:room', async (c) => { await s.setAlarm(Date.now() + Number(c.req.param('ms'))); return c.text('set') })
    this.app.get('/do/:what/:room', async (c) => { await s.put('do', c.req.param('what')); return c.text('ok') })
    this.app.get('/get/:room', async (c) => { const at = await s.getAlarm(); return c.text(at === null ? 'null' : String(at - Date.now())) })
    this.app.get('/delete/:room', async (c) => { await s.deleteAlarm(); return c.text('ok') })
    this.app.get('/delete-all/:room', async (c) => { await s.deleteAll(); return c.text('ok') })
    this.app.get('/twice/:room', async (c) => {
      await s.setAlarm(new Date(Date.now() + 60_000))
      const first = await s.getAlarm()
      await s.deleteAlarm()
      const second = await s.getAlarm()
      await s.setAlarm(Date.now() + 5_000.5)
      return c.json([first - Date.now(), second, await s.getAlarm() - Date.now()])
    })
    this.app.get('/fails/:room', async (c) => { await s.setAlarm(Date.now() + 1000); throw new Error('no') })
    this.app.get('/call/:room', async (c) => c.text(await $.Room('other').alarm({}).catch((e) => e.message)))
    this.app.get('/rang/:room', async (c) => c.text((await s.get('rang') ?? []).join(' ')))
    this.app.onError((e, c) => { throw e })
  },
  async init() { if (await this.ctx.storage.get('do') === 'slow') await new Promise((r) => setTimeout(r, 5000)) },
  async alarm(info) {
    const s = this.ctx.storage
    const told = (await s.get('rang')) ?? []
    const say = (...words) => { told.push(words.join(',')); return s.put('rang', told) }
    await say(info.retryCount, info.isRetry, Date.now() - info.scheduledTime, await s.getAlarm())
    switch (await s.get('do')) {
      case 'throw': throw new Error('not now')
      case 'once': if (!info.isRetry) throw new Error('once'); break
      case 'again': if (told.length < 3) { await s.setAlarm(Date.now() + 1000); await say('next', await s.getAlarm() - Date.now()) } break
      case 'delete': await s.deleteAlarm(); break
      case 'delete-all': await s.deleteAll(); break
      case 'set-and-fail': if (told.length === 1) { await s.setAlarm(Date.now() + 7000); await new Promise((r) => setTimeout(r, 1)); throw new Error('late') } break
      case 'create': if (!await this.things.get('x')) { this.things.create({ $type: 'Note', $id: 'x' }) } break
      case 'never': await new Promise(() => {})
    }
  },
})`

func inTime(t *testing.T, f func(t *testing.T, p *program)) {
	synctest.Test(t, func(t *testing.T) { f(t, run(t, t.TempDir(), map[string]string{"room.js": rang})) })
}

func TestAnAlarmFiresOnceAtItsTime(t *testing.T) {
	inTime(t, func(t *testing.T, p *program) {
		p.want("/in/5000/a", "set")
		p.want("/get/a", "5000")
		sleep(4999 * time.Millisecond)
		p.want("/rang/a", "")
		sleep(time.Millisecond)
		p.want("/rang/a", "0,false,0,") // getAlarm is null in its own handler
		p.want("/get/a", "null")
		sleep(time.Hour)
		p.want("/rang/a", "0,false,0,")
	})
}

// The one timer is set again for an alarm before all others, and for the next ones.
func TestAlarmsOfManyObjectsFireInTheOrderOfTheirTimes(t *testing.T) {
	inTime(t, func(t *testing.T, p *program) {
		began := time.Now()
		for _, room := range []int{50, 10, 30, 40, 20} {
			p.want(fmt.Sprintf("/in/%d000/r%d", room, room), "set")
		}
		p.want("/in/-5000/past", "set") // at once
		synctest.Wait()
		p.want("/rang/past", "0,false,5000,")
		for room := 10; room <= 50; room += 10 {
			sleep(time.Until(began.Add(time.Duration(room)*time.Second - time.Millisecond)))
			p.want(fmt.Sprintf("/rang/r%d", room), "")
			sleep(time.Millisecond)
			p.want(fmt.Sprintf("/rang/r%d", room), "0,false,0,")
		}
	})
}

func TestAnAlarmWakesAnObjectThatHibernates(t *testing.T) {
	inTime(t, func(t *testing.T, p *program) {
		p.want("/in/86400000/a", "set")
		sleep(time.Minute)
		if awake, known := p.Stats().Awake.Load(), p.Known(); awake != 0 || known != 0 {
			t.Errorf("%d objects are awake, %d known: a pending alarm keeps them", awake, known)
		}
		sleep(24*time.Hour - time.Minute)
		p.want("/rang/a", "0,false,0,")
	})
}

func TestAnAlarmIsPartOfItsTurn(t *testing.T) {
	inTime(t, func(t *testing.T, p *program) {
		p.want("/call/a", "Room.alarm does not exist: no part of Room defines alarm")
		p.want("/twice/a", "[60000,null,5000]")
		if _, err := p.Request(context.Background(), key.Key{Type: "Room", ID: "a"}, &script.Request{Method: "GET", URL: "http://x/fails/a"}); err == nil {
			t.Error("the turn does not fail")
		}
		p.want("/get/a", "5000")
		p.want("/delete/a", "ok")
		p.want("/get/a", "null")
		p.want("/in/5000/a", "set")
		p.want("/delete-all/a", "ok")
		p.want("/get/a", "null")
		sleep(time.Hour)
		p.want("/rang/a", "")
	})
}

func TestAnAlarmInItsHandler(t *testing.T) {
	for _, test := range []struct{ do, rang string }{
		{"again", "0,false,0, next,1000 0,false,0,"},
		{"delete", "0,false,0,"},
		{"delete-all", ""},
		{"once", "1,true,2000,"},                  // what the failed turn wrote is gone
		{"set-and-fail", "0,false,0, 0,false,0,"}, // what an earlier turn set stands, in place of a retry
	} {
		t.Run(test.do, func(t *testing.T) {
			inTime(t, func(t *testing.T, p *program) {
				p.want("/do/"+test.do+"/a", "ok")
				p.want("/in/1000/a", "set")
				sleep(time.Minute)
				p.want("/rang/a", test.rang)
				p.want("/get/a", "null")
			})
		})
	}
}

func TestAnAlarmThatFailsIsTriedSixTimesMore(t *testing.T) {
	inTime(t, func(t *testing.T, p *program) {
		p.want("/do/throw/a", "ok")
		p.want("/in/1000/a", "set")
		began := time.Now().Add(time.Second)
		for i, at := range []time.Duration{0, 2, 6, 14, 30, 62, 126} {
			sleep(time.Until(began.Add(at*time.Second - time.Millisecond)))
			if got := p.Stats().Alarms.Load(); got != int64(i) {
				t.Errorf("%d attempts before %d s, want %d", got, at, i)
			}
			sleep(time.Millisecond)
			if got := p.Stats().Alarms.Load(); got != int64(i+1) {
				t.Errorf("%d attempts at %d s, want %d", got, at, i+1)
			}
			if i < 6 {
				if at := p.ask("/get/a"); !strings.HasPrefix(at, "-") && at != "0" {
					t.Errorf("while it is tried again its time is %s", at)
				}
			}
		}
		p.want("/get/a", "null")
		p.want("/rang/a", "")
		letters, err := p.store.FindLetters(t.Context(), store.LetterQuery{Limit: 10})
		if err != nil || len(letters) != 1 || letters[0].Kind != store.AlarmDelivery || letters[0].Target.String() != "Room/a" ||
			letters[0].Attempts != 7 || !strings.HasPrefix(letters[0].Position, "room.js:") || letters[0].At != began.UnixMilli() {
			t.Errorf("dead letters %+v, %v", letters, err)
		}
		if n := strings.Count(p.log.String(), "an alarm is given up"); n != 1 {
			t.Errorf("the log says %d times that it is given up", n)
		}
		if failed := p.Stats().AlarmsFailed.Load(); failed != 7 {
			t.Errorf("%d failed, want 7", failed)
		}
		p.want("/do/ok/a", "ok")
		p.want("/in/1000/a", "set") // the next one begins anew
		sleep(time.Second)
		p.want("/rang/a", "0,false,0,")
	})
}

func TestAnAlarmThatIsNeverThroughEndsAfterThirtySeconds(t *testing.T) {
	inTime(t, func(t *testing.T, p *program) {
		p.want("/do/never/a", "ok")
		p.want("/in/1000/a", "set")
		sleep(30 * time.Second)
		if failed := p.Stats().AlarmsFailed.Load(); failed != 0 {
			t.Errorf("%d failed", failed)
		}
		sleep(3 * time.Second)
		if failed := p.Stats().AlarmsFailed.Load(); failed != 1 {
			t.Errorf("%d failed, want 1", failed)
		}
		p.want("/delete/a", "ok") // no further attempts
		sleep(time.Hour)
		if failed := p.Stats().AlarmsFailed.Load(); failed > 2 {
			t.Errorf("%d failed", failed)
		}
	})
}

// The alarm is due while what takes it back is before it in the inbox.
func TestAnAlarmThatIsTakenBackInTheLastMoment(t *testing.T) {
	inTime(t, func(t *testing.T, p *program) {
		for _, room := range []string{"deleted", "later"} {
			p.want("/do/slow/"+room, "ok")
			p.want("/in/61000/"+room, "set")
		}
		sleep(time.Minute) // they hibernate
		go p.want("/delete/deleted", "ok")
		go p.want("/in/60000/later", "set")
		sleep(6 * time.Second)
		p.want("/rang/deleted", "")
		p.want("/rang/later", "")
		if fired := p.Stats().Alarms.Load(); fired != 2 {
			t.Errorf("%d alarms came due, want 2", fired)
		}
		sleep(time.Minute)
		p.want("/rang/deleted", "")
		p.want("/rang/later", "0,false,5000,") // the object woke for it
	})
}

// The commit of the alarm's turn fails: nothing of it is stored, and it comes again.
func TestAnAlarmWhoseCommitFailsComesAgain(t *testing.T) {
	inTime(t, func(t *testing.T, p *program) {
		p.want("/do/create/a", "ok")
		p.want("/in/1000/a", "set")
		held := make(chan struct{})
		p.hold.Store(&held)
		v := p.store.View(key.Key{Type: "Room", ID: "a"}, p.store.Epoch())
		v.Write(store.PutThing{Thing: store.Thing{ID: "x", Type: "Note", Fields: []byte("{}")}, Insert: true})
		p.store.Commit(v.Seal(), func(error) {})
		sleep(time.Second) // the turn has not seen what is stored before it
		p.hold.Store(nil)
		close(held)
		synctest.Wait()
		if fired, failed := p.Stats().Alarms.Load(), p.Stats().AlarmsFailed.Load(); fired != 1 || failed != 1 {
			t.Errorf("%d fired and %d failed, want 1 and 1", fired, failed)
		}
		p.want("/rang/a", "")
		sleep(2 * time.Second)
		p.want("/rang/a", "0,false,2000,") // it was not its fault
	})
}

// The disk takes nothing any more: alarms are not tried all the time.
func TestAlarmsWaitForAStoreThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := t.TempDir()
		p := run(t, data, map[string]string{"room.js": rang})
		for i := range 10 {
			p.want(fmt.Sprintf("/in/1000/r%d", i), "set")
		}
		db, err := sql.Open("sqlite", filepath.Join(data, "chat.db"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.Exec("UPDATE owner SET epoch = epoch + 1"); err != nil {
			t.Fatal(err)
		}
		sleep(time.Minute)
		if fired := p.Stats().Alarms.Load(); fired < 10 || fired > 400 {
			t.Errorf("%d attempts in a minute", fired)
		}
		if _, err := db.Exec("UPDATE owner SET epoch = epoch - 1"); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		sleep(3 * time.Second)
		for i := range 10 {
			if got := p.ask(fmt.Sprintf("/rang/r%d", i)); !strings.HasPrefix(got, "0,false,") {
				t.Errorf("rang %q", got)
			}
		}
	})
}

// More than run at a time were missed while the program was down.
func TestMissedAlarmsFireAtTheStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rooms = 600
		data := t.TempDir()
		p := run(t, data, map[string]string{"room.js": rang})
		for i := range rooms {
			p.want(fmt.Sprintf("/in/%d/r%d", 60_000+i, i), "set")
		}
		p.want("/in/90000000/later", "set")
		p.stop()
		time.Sleep(time.Hour)
		p = run(t, data, map[string]string{"room.js": rang})
		synctest.Wait()
		if got := p.Stats().Alarms.Load(); got != rooms {
			t.Errorf("%d fired, want %d", got, rooms)
		}
		for i := range rooms {
			if got := p.ask(fmt.Sprintf("/rang/r%d", i)); !strings.HasPrefix(got, "0,false,35") {
				t.Errorf("room %d: %q", i, got)
			}
		}
		p.want("/rang/later", "")
		sleep(24 * time.Hour)
		p.want("/rang/later", "0,false,0,")
	})
}

func TestTheLongestOverdueAlarmsComeFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rooms, atATime = 300, 256
		data := t.TempDir()
		p := run(t, data, map[string]string{"room.js": rang})
		for i := range rooms {
			p.want(fmt.Sprintf("/do/never/r%d", i), "ok")
			p.want(fmt.Sprintf("/in/%d/r%d", 60_000-i, i), "set")
		}
		p.stop()
		time.Sleep(time.Minute)
		p = run(t, data, map[string]string{"room.js": rang})
		synctest.Wait()
		for i := range rooms {
			if rang, first := p.ask(fmt.Sprintf("/rang/r%d", i)) != "", i >= rooms-atATime; rang != first {
				t.Errorf("alarm %d: it rang at once is %v, want %v", i, rang, first)
			}
		}
		sleep(32 * time.Second) // until those are through
		if got := p.Stats().Alarms.Load(); got < rooms {
			t.Errorf("%d fired, want %d", got, rooms)
		}
	})
}

// A script that is gone for a while, or for ever.
func TestAnAlarmWhoseMethodIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		data := t.TempDir()
		p := run(t, data, map[string]string{"room.js": rang})
		p.want("/in/1000/a", "set")
		p.want("/in/1000/b", "set")
		p.stop()
		sleep(time.Second)
		without := `export default DO.extend({ onRequest() { this.app.get('/set/:room', async (c) => {
			try { await this.ctx.storage.setAlarm(1) } catch (e) { return c.text(e.message) } }) } })`
		p = run(t, data, map[string]string{"room.js": without})
		p.want("/set/c", "storage.setAlarm: no part of Room has a method alarm()")
		sleep(3 * time.Second)
		p.stop()
		p = run(t, data, map[string]string{"room.js": rang})
		sleep(4 * time.Second)
		p.want("/rang/a", "2,true,6000,")
		p.want("/rang/b", "2,true,6000,")
	})
}
