package browsertest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// Keys and modifiers that the tests press.
const (
	enter = kb.Enter
	shift = chromedp.ModifierShift
)

// window is one tab with the chat.
type window struct {
	t       *testing.T
	s       *server
	name    string // of who sits before it
	profile cdp.BrowserContextID
	ctx     context.Context
	faults  faults
}

// faults are what a window did that no window should. It is written by chromedp's
// goroutine.
type faults struct {
	mu    sync.Mutex
	noted []string
}

func (f *faults) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if text := fmt.Sprintf(format, args...); len(f.noted) < 20 && !slices.Contains(f.noted, text) {
		f.noted = append(f.noted, text)
	}
}

func (f *faults) all() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.noted)
}

// take forgets them.
func (f *faults) take() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.noted = nil
}

// window opens an empty tab in a profile of its own: nobody has been here before.
func (s *server) window(name string) *window {
	s.t.Helper()
	profile, err := chromedp.CallBrowser(shared.browser, target.CreateBrowserContext, target.CreateBrowserContextParams{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { // after its windows are closed
		params := target.DisposeBrowserContextParams{BrowserContextID: profile.BrowserContextID}
		if _, err := chromedp.CallBrowser(shared.browser, target.DisposeBrowserContext, params); err != nil {
			s.t.Error(err)
		}
	})
	return s.open(name, profile.BrowserContextID)
}

// another opens one more empty tab in the profile of this one.
func (w *window) another() *window {
	w.t.Helper()
	return w.s.open(w.name, w.profile)
}

func (s *server) open(name string, profile cdp.BrowserContextID) *window {
	s.t.Helper()
	w := &window{t: s.t, s: s, name: name, profile: profile}
	ctx, cancel := chromedp.NewContext(shared.browser, chromedp.WithExistingBrowserContext(profile), chromedp.WithListener(w.watch))
	w.ctx = ctx
	s.t.Cleanup(func() {
		if s.t.Failed() && ctx.Err() == nil {
			s.t.Logf("%s's window shows:\n%s", name, w.describe())
		}
		_ = chromedp.Cancel(ctx) // the test may have closed it
		cancel()
		for _, fault := range w.faults.all() {
			s.t.Errorf("%s's window: %s", name, fault)
		}
	})
	if err := chromedp.Do(ctx); err != nil { // opens the tab, which lives as long as this context
		s.t.Fatal(err)
	}
	call(w, audits.Enable, cdp.Empty{})
	call(w, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}) // as if it were in front
	w.size(1280, 800, false)
	return w
}

// watch notes faults.
func (w *window) watch(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		w.faults.note("exception: %s", describeException(e.ExceptionDetails))
	case *page.EventJavascriptDialogOpening:
		w.faults.note("a dialog: %s", e.Message)
	case *log.EventEntryAdded:
		// What fails on the network is what the tests do to it.
		if e.Entry.Source != log.EntrySourceNetwork && e.Entry.Level == log.EntryLevelError {
			w.faults.note("%s: %s", e.Entry.Source, e.Entry.Text)
		}
	case *audits.EventIssueAdded:
		if policy := e.Issue.Details.ContentSecurityPolicyIssueDetails; policy != nil {
			w.faults.note("policy violated: %s %s", policy.ViolatedDirective, policy.BlockedURL)
		}
	case *network.EventRequestWillBeSent:
		w.request(e.Request.URL)
	case *network.EventWebSocketCreated:
		w.request(e.URL)
	}
}

// request notes one to elsewhere.
func (w *window) request(to string) {
	u, err := url.Parse(to)
	if err == nil && (u.Host == w.s.addr || u.Scheme == "data" || u.Scheme == "blob" || u.Scheme == "about") {
		return
	}
	w.faults.note("request to elsewhere: %s", to)
}

func describeException(e *runtime.ExceptionDetails) string {
	if e.Exception != nil && e.Exception.Description != "" {
		return e.Text + " " + e.Exception.Description
	}
	return e.Text
}

// describe is the page as text, for whoever reads of a failure.
func (w *window) describe() string {
	text, err := evaluate[string](w, `location.href + '\n' + document.body.innerText`)
	if err != nil {
		return err.Error()
	}
	return text
}

// close closes the tab as a person does.
func (w *window) close() {
	w.t.Helper()
	if err := chromedp.Cancel(w.ctx); err != nil {
		w.t.Fatalf("%s's window does not close: %v", w.name, err)
	}
}

// call sends the browser a command about this tab.
func call[P, R any](w *window, command cdp.Command[P, R], params P) R {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	result, err := chromedp.Call(ctx, command, params)
	if err != nil {
		w.t.Fatalf("%s's window: %s: %v", w.name, command.Method, err)
	}
	return result
}

// do does what takes several commands.
func (w *window) do(actions ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		w.t.Fatalf("%s's window: %v", w.name, err)
	}
}

// size makes the window as large as this, in CSS pixels. A phone also has a touch screen.
func (w *window) size(width, height int64, phone bool) {
	w.t.Helper()
	call(w, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: height, DeviceScaleFactor: 1, Mobile: phone})
	call(w, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: phone})
}

// prefers sets what the system asks for: dark or light, and whether things may move.
func (w *window) prefers(scheme string) {
	w.t.Helper()
	call(w, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
}

// offline takes the network from the window, or gives it back. Connections that are there
// are cut.
func (w *window) offline(is bool) {
	w.t.Helper()
	call(w, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{Offline: is, DownloadThroughput: -1, UploadThroughput: -1}}})
	call(w, network.OverrideNetworkState, network.OverrideNetworkStateParams{Offline: is, DownloadThroughput: -1, UploadThroughput: -1})
}

// navigate goes to a path of the server. What is there, the test waits for.
func (w *window) navigate(path string) {
	w.t.Helper()
	if result := call(w, page.Navigate, page.NavigateParams{URL: "http://" + w.s.addr + path}); result.ErrorText != "" {
		w.t.Fatalf("%s's window: %s: %s", w.name, path, result.ErrorText)
	}
}

// reload is the browser's button.
func (w *window) reload() {
	w.t.Helper()
	call(w, page.Reload, page.ReloadParams{})
}

// evaluate runs an expression in the page. It may use $ and $$, the first and all
// elements of a selector, and message, the article of a message by its text.
func evaluate[T any](w *window, expression string) (T, error) {
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	return chromedp.Run(ctx, chromedp.Evaluate[T](`(() => {
		const $ = (selector, from = document) => from.querySelector(selector)
		const $$ = (selector, from = document) => [...from.querySelectorAll(selector)]
		const message = (text) => $$('#messages article').find((a) => $('.content', a)?.textContent.trim() === text)
		return (`+expression+`)
	})()`))
}

// get is evaluate for what is there.
func get[T any](w *window, expression string) T {
	w.t.Helper()
	result, err := evaluate[T](w, expression)
	if err != nil {
		w.t.Fatalf("%s's window: %s: %v", w.name, expression, err)
	}
	return result
}

// wait waits until an expression is true.
func (w *window) wait(expression string) {
	w.t.Helper()
	eventually(w.t, w.name+"'s window: "+expression, func() (bool, any) {
		ok, err := evaluate[bool](w, "!!("+expression+")")
		return ok, err
	})
}

// waitFor waits until an expression has this value.
func waitFor[T any](w *window, expression string, want T) {
	w.t.Helper()
	eventually(w.t, fmt.Sprintf("%s's window: %s is %s", w.name, expression, js(want)), func() (bool, any) {
		got, err := evaluate[T](w, expression)
		if err != nil {
			return false, err
		}
		return js(got) == js(want), js(got)
	})
}

// js writes a value as JavaScript.
func js(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// click clicks in the middle of an element, once it is there and nothing lies over it.
func (w *window) click(element string) {
	w.t.Helper()
	x, y := w.place(element)
	w.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, y), chromedp.MouseClickXY(x, y))
}

// hover moves the mouse over an element.
func (w *window) hover(element string) {
	w.t.Helper()
	x, y := w.place(element)
	w.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, y))
}

// place waits until an element can be reached by a mouse and has come to rest, and says
// where.
func (w *window) place(element string) (x, y float64) {
	w.t.Helper()
	var at, before []float64
	eventually(w.t, w.name+"'s window: to be clicked: "+element, func() (bool, any) {
		var err error
		before = at
		at, err = evaluate[[]float64](w, `((e) => {
			if (!e) return null
			e.scrollIntoView({ block: 'nearest' })
			const r = e.getClientRects()[0]
			if (!r) return null
			const x = r.left + r.width / 2, y = r.top + r.height / 2
			const top = document.elementFromPoint(x, y)
			return top && (e.contains(top) || top.contains(e)) ? [x, y] : null
		})(`+element+`)`)
		if err != nil || len(at) != 2 {
			return false, err
		}
		w.frames(1)
		return slices.Equal(at, before), at
	})
	return at[0], at[1]
}

// write types a text where the focus is, key by key; what no key has comes as from an
// input method.
func (w *window) write(text string) {
	w.t.Helper()
	for _, r := range text {
		if r < 0x80 {
			w.press(string(r))
		} else {
			call(w, input.InsertText, input.InsertTextParams{Text: string(r)})
		}
	}
}

// press presses keys, such as kb.Enter, with modifiers. Each is one event with its text,
// so that the page can prevent what it types; chromedp's own way sends the text apart.
func (w *window) press(keys string, modifiers ...chromedp.Modifier) {
	w.t.Helper()
	for _, r := range keys {
		key := kb.Keys[r]
		if key == nil {
			w.t.Fatalf("no key types %q", r)
		}
		event := input.DispatchKeyEventParams{Type: kb.KeyRawDown, Key: key.Key, Code: key.Code,
			NativeVirtualKeyCode: key.Native, WindowsVirtualKeyCode: key.Windows}
		if key.Shift {
			event.Modifiers = shift.Int64()
		}
		for _, m := range modifiers {
			event.Modifiers |= m.Int64()
		}
		if key.Print && event.Modifiers&^shift.Int64() == 0 {
			event.Type, event.Text, event.UnmodifiedText = kb.KeyDown, key.Text, key.Unmodified
		}
		call(w, input.DispatchKeyEvent, event)
		event.Type, event.Text, event.UnmodifiedText = kb.KeyUp, "", ""
		call(w, input.DispatchKeyEvent, event)
	}
}

// paste puts a text where the focus is, in one go.
func (w *window) paste(text string) {
	w.t.Helper()
	call(w, input.InsertText, input.InsertTextParams{Text: text})
}
