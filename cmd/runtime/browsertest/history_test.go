package browsertest

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// Whoever scrolls up is given what was said before, and what they look at stays where it
// is: older messages come above it, newer ones below.
func TestHistoryByScrollingUpWithoutJumps(t *testing.T) {
	s := serve(t)
	seed(s, "general", someMessages(300))
	pages := make(chan fetch.RequestID, 10)
	ann := s.join("ann", "general")
	if err := chromedp.Listen(ann.ctx, func(event any) {
		if e, ok := event.(*fetch.EventRequestPaused); ok {
			pages <- e.RequestID
		}
	}); err != nil {
		t.Fatal(err)
	}
	ann.wait(message("message 299"))
	waitFor(ann, `(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight < 5)($('#messages'))`, true)

	// From here on, a page comes when the test lets it through.
	call(ann, fetch.Enable, fetch.EnableParams{Patterns: []*fetch.RequestPattern{{URLPattern: "*/messages*"}}})
	bob := s.join("bob", "general")
	said := 0
	for get[bool](ann, `!`+message("message 0")) {
		var page fetch.RequestID
		for waiting := true; waiting; {
			ann.wheel(-700)
			select {
			case page = <-pages:
				waiting = false
			default:
			}
		}
		ann.comesToRest()
		before := ann.topmost()
		count := get[int](ann, `$$('#messages article').length`)
		call(ann, fetch.ContinueRequest, fetch.ContinueRequestParams{RequestID: page})
		ann.wait(fmt.Sprintf(`$$('#messages article').length > %d`, count))
		ann.stays(before)

		// Somebody says something meanwhile.
		text := fmt.Sprint("meanwhile ", said)
		said++
		bob.saysAndSees(text)
		ann.wait(message(text))
		ann.stays(before)
		if said > 20 {
			t.Fatal("the beginning never comes")
		}
	}
	if said < 3 {
		t.Errorf("300 messages came in %d pages", said)
	}
	call(ann, fetch.Disable, cdp.Empty{})
	want := []string{}
	for _, m := range s.history("general") {
		want = append(want, m.Content)
	}
	if got := get[[]string](ann, contents); !slices.Equal(got, want) {
		t.Errorf("ann sees %d messages in another order than the %d stored ones, or not all of them once", len(got), len(want))
	}
}

// wheel turns the mouse's wheel over the messages, and waits for two frames.
func (w *window) wheel(by float64) {
	w.t.Helper()
	at := get[[]float64](w, `(({ left, top, width, height }) => [left + width / 2, top + height / 2])($('#messages').getBoundingClientRect())`)
	x, y := at[0], at[1]
	w.do(func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) { // cdproto leaves out a deltaX of 0
		return chromedp.Void{}, t.Call(ctx, input.DispatchMouseEvent.Method, map[string]any{"type": "mouseWheel", "x": x, "y": y, "deltaX": 0, "deltaY": by}, nil)
	})
	w.frames(2)
}

// frames waits until the page was drawn so many times.
func (w *window) frames(count int) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if _, err := chromedp.Run(ctx, chromedp.Evaluate[bool](fmt.Sprintf(`(async () => {
		for (let n = 0; n < %d; n++) await new Promise(requestAnimationFrame)
		return true
	})()`, count), chromedp.EvalAwaitPromise)); err != nil {
		w.t.Fatal(err)
	}
}

// comesToRest waits until the messages have not moved for some frames.
func (w *window) comesToRest() {
	w.t.Helper()
	last, same := math.NaN(), 0
	eventually(w.t, "the messages come to rest", func() (bool, any) {
		top := get[float64](w, `$('#messages').scrollTop`)
		if top == last {
			same++
		} else {
			last, same = top, 0
		}
		w.frames(1)
		return same >= 8, top
	})
}

// place of a message in the window.
type placed struct {
	ID  string  `json:"id"`
	Top float64 `json:"top"`
}

// topmost is the first message that is whole in view.
func (w *window) topmost() placed {
	w.t.Helper()
	return get[placed](w, `(() => {
		const edge = $('#messages').getBoundingClientRect().top
		const first = $$('#messages article').find((a) => a.getBoundingClientRect().top >= edge)
		return { id: first.dataset.id, top: first.getBoundingClientRect().top }
	})()`)
}

// stays checks that a message is where it was, now and for some frames.
func (w *window) stays(at placed) {
	w.t.Helper()
	for range 6 {
		w.frames(1)
		if top := get[float64](w, `$('#messages article[data-id='+CSS.escape(`+js(at.ID)+`)+']').getBoundingClientRect().top`); math.Abs(top-at.Top) > 2 {
			w.t.Fatalf("the message at %.1f jumped to %.1f", at.Top, top)
		}
	}
}

// Messages of one day stand under its name; there is one name a day.
func TestDaySeparators(t *testing.T) {
	s := serve(t)
	noon := time.Date(time.Now().Year(), time.Now().Month(), time.Now().Day(), 12, 0, 0, 0, time.Local)
	seed(s, "general", []seeded{
		{"bob", "long ago", noon.AddDate(-1, 0, 0)},
		{"ann", "the day before", noon.AddDate(0, 0, -1)},
		{"bob", "the same day", noon.AddDate(0, 0, -1).Add(time.Minute)},
	})
	ann := s.join("ann", "general")
	ann.saysAndSees("now")
	ann.saysAndSees("and now")
	const story = `$$('#messages [data-day], #messages article').map((e) => $('.content', e)?.textContent.trim() ?? e.textContent.trim())`
	got := get[[]string](ann, story)
	if len(got) != 8 {
		t.Fatalf("the page shows %q", got)
	}
	for n, want := range []string{"", "long ago", "Yesterday", "the day before", "the same day", "Today", "now", "and now"} {
		if want != "" && got[n] != want {
			t.Errorf("line %d is %q, want %q", n, got[n], want)
		}
	}
	days := get[[]string](ann, `$$('#messages [data-day]').map((e) => e.dataset.day)`)
	slices.Sort(days)
	if len(slices.Compact(days)) != 3 {
		t.Errorf("the days are %v", days)
	}
	ann.reload()
	ann.isIn("general")
	waitFor(ann, story, got)
}

// At midnight, in a page that is open and where nobody says anything, today is yesterday.
func TestAtMidnightTodayIsYesterday(t *testing.T) {
	s := serve(t)
	ann := s.window("ann")
	call(ann, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: `
		const Now = Date, every = setInterval, end = new Date()
		let ahead = end.setHours(23, 59, 0) - Now.now() // the last minute of this day
		const pass = (ms) => void (ahead += ms)
		Date = class extends Now {
			constructor(...of) { of.length > 0 ? super(...of) : super(Now.now() + ahead) }
			static now() { return Now.now() + ahead }
		}
		setInterval = (f, ms) => every(f, ms / 100)`})
	ann.goTo("general")
	ann.saysAndSees("good night")
	const day = `$$('#messages [data-day]').map((d) => d.textContent.trim())`
	waitFor(ann, day, []string{"Today"})
	get[int](ann, `(pass(60_000), 1)`)
	waitFor(ann, day, []string{"Yesterday"})
}
