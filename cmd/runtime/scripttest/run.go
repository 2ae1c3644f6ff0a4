package scripttest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/runtime/script"
)

const (
	// host is the name under which tests reach the program.
	host = "localhost"
	// requestWithin bounds a request, on the test's clock: more than an object may take.
	requestWithin = time.Minute
	// clockSteps and minClockStep are in how many steps the clock moves on, so that a
	// test whose time is up doesn't go on for a year of its own.
	clockSteps   = 1000
	minClockStep = time.Second
	// maxAdvance bounds one advance; longer ones are a slip of the units.
	maxAdvance = 10 * 366 * 24 * time.Hour
)

// run is one run of one test, in its bubble. Its goroutine alone uses the VM;
// everything else reaches it as a step. What has to wait for the test is as much as
// the test itself has caused.
type run struct {
	world   *world
	vm      *script.TestVM
	log     *slog.Logger
	ctx     context.Context // ends with the test
	overdue atomic.Bool     // set from outside of the bubble: the test's time on the wall is up
	spoke   bool            // the test itself has written to the log

	work           sync.WaitGroup // operations and connections
	connections    map[int64]*connection
	lastConnection atomic.Int64
	timers         map[int64]*time.Timer

	mu    sync.Mutex
	steps []func() script.Outcome
	wake  chan struct{} // holds a token when there is a step

	failures []*script.Error
}

// play runs a test from its beginning to its end, and returns why it failed.
func (r *run) play(file *script.TestFile, test int) []*script.Error {
	ctx, cancel := context.WithCancel(context.Background())
	r.ctx = ctx
	r.connections = make(map[int64]*connection)
	r.timers = make(map[int64]*time.Timer)
	r.wake = make(chan struct{}, 1)
	r.vm = file.NewVM(r)
	ok := r.take(r.vm.Run(test))
	for ok && !r.over() {
		if step := r.next(); step != nil {
			ok = r.take(step())
			continue
		}
		<-r.wake
	}
	_, err := r.vm.Done()
	if err != nil {
		r.fail(err)
	}
	r.world.settle() // what went on at the end belongs to the log
	cancel()
	for _, t := range r.timers {
		t.Stop()
	}
	if err := r.world.close(); err != nil {
		r.fail(&script.Error{Name: "Error", Message: "the program under test did not stop: " + err.Error()})
	}
	r.work.Wait()
	return r.failures
}

// fail notes why the test fails. A turn that ends the test tells of its error twice;
// the one with a position stays.
func (r *run) fail(e *script.Error) {
	for i, other := range r.failures {
		if other.Name == e.Name && other.Message == e.Message && (other.File == "" || e.File == "") {
			if other.File == "" {
				r.failures[i] = e
			}
			return
		}
	}
	r.failures = append(r.failures, e)
}

// over reports whether nothing more is to come.
func (r *run) over() bool {
	if r.overdue.Load() {
		r.fail(&script.Error{Name: script.TimeoutError, Message: "the test took too long on the wall's clock: it has a loop, or moves its clock too far"})
		return true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.steps) > 0 || r.vm.Waiting() > 0 {
		return false
	}
	if done, _ := r.vm.Done(); !done {
		r.fail(&script.Error{Name: "Error", Message: "the test doesn't end: it awaits a promise that nothing will settle"})
	}
	return true
}

// push adds a step. It may be called from any goroutine of the bubble.
func (r *run) push(step func() script.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, step)
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *run) next() (step func() script.Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.steps) > 0 {
		step = r.steps[0]
		r.steps = r.steps[1:]
	}
	return step
}

// take does what a turn of the test came to, and reports whether its VM can go on.
func (r *run) take(out script.Outcome) bool {
	if out.Err != nil {
		r.fail(out.Err)
		for _, id := range out.Rejected {
			r.push(func() script.Outcome { return r.vm.Settle(id, nil, out.Err) })
		}
	}
	for _, e := range out.Effects {
		if calls, ok := e.(*script.Calls); ok {
			r.world.node.Call(calls, func(id int64, value []byte, err *script.Error) {
				r.push(func() script.Outcome { return r.vm.Settle(id, value, err) })
			})
		}
	}
	return !out.Dropped
}

// The methods of script.TestHost.

func (r *run) Log() *slog.Logger {
	r.spoke = true
	return r.log
}

func (r *run) ScriptError(kind string, err *script.Error) {
	e := *err
	e.Message = kind + ": " + e.Message
	r.fail(&e)
}

func (r *run) StartTimer(id int64, d time.Duration) {
	r.timers[id] = time.AfterFunc(d, func() {
		r.push(func() script.Outcome { return r.vm.Timer(id) })
	})
}

func (r *run) StopTimer(id int64) {
	if t := r.timers[id]; t != nil {
		t.Stop()
		delete(r.timers, id)
	}
}

// Start begins an operation. What it takes to do it in order is done at once;
// what has to wait has a goroutine.
func (r *run) Start(op script.TestOp) {
	answer := func(value any, data []byte, err error) {
		text := []byte(nil)
		if err == nil && value != nil {
			text, err = json.Marshal(value)
		}
		r.push(func() script.Outcome { return r.vm.Result(op.ID, text, data, err) })
	}
	var args []json.RawMessage
	if err := json.Unmarshal(op.Args, &args); err != nil {
		answer(nil, nil, err)
		return
	}
	switch op.Name {
	case "send":
		var id int64
		err := arguments(args, &id)
		if err == nil {
			r.connections[id].send(op.Text, op.Data)
		}
		answer(nil, nil, err)
	case "close":
		var id int64
		var code uint16
		var reason string
		err := arguments(args, &id, &code, &reason)
		if err == nil {
			r.connections[id].close(code, reason)
		}
		answer(nil, nil, err)
	case "connect":
		r.work.Go(func() {
			var path string
			var headers map[string]string
			var user json.RawMessage
			err := arguments(args, &path, &headers, &user)
			header := headerOf(headers)
			if err == nil {
				err = r.world.users.actAs(user, header)
			}
			var c *connection
			if err == nil {
				c, err = r.connect(path, header)
			}
			if err != nil {
				answer(nil, nil, err)
				return
			}
			r.push(func() script.Outcome {
				r.connections[c.id] = c
				return r.vm.Result(op.ID, []byte(fmt.Sprintf(`{"id":%d}`, c.id)), nil, nil)
			})
		})
	case "request":
		body := op.Data
		if body == nil {
			body = []byte(op.Text)
		}
		r.work.Go(func() { answer(r.request(args, body)) })
	case "advance":
		r.work.Go(func() { answer(nil, nil, r.advance(args)) })
	case "hibernate":
		r.work.Go(func() { answer(nil, nil, r.hibernate(args)) })
	default:
		answer(nil, nil, fmt.Errorf("no such operation: %s", op.Name))
	}
}

// arguments reads what a test gave.
func arguments(args []json.RawMessage, into ...any) error {
	for i, to := range into {
		if i >= len(args) {
			return errors.New("an argument is missing")
		}
		if err := json.Unmarshal(args[i], to); err != nil {
			return fmt.Errorf("argument %d: %s cannot be used", i+1, args[i])
		}
	}
	return nil
}

func headerOf(headers map[string]string) http.Header {
	h := http.Header{}
	for name, value := range headers {
		h.Set(name, value)
	}
	return h
}

// answered is the head of an answer, as the test's Response is made of.
type answered struct {
	Status  int         `json:"status"`
	Headers [][2]string `json:"headers"`
}

// request makes an HTTP request.
func (r *run) request(args []json.RawMessage, body []byte) (any, []byte, error) {
	var method, path string
	var headers map[string]string
	var user json.RawMessage
	if err := arguments(args, &method, &path, &headers, &user); err != nil {
		return nil, nil, err
	}
	if !strings.HasPrefix(path, "/") {
		return nil, nil, fmt.Errorf("request(method, path): the path %q does not begin with /", path)
	}
	ctx, cancel := context.WithTimeout(r.ctx, requestWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://"+host+path, bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	req.Header = headerOf(headers)
	if err := r.world.users.actAs(user, req.Header); err != nil {
		return nil, nil, err
	}
	res, err := r.world.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, nil, err
	}
	head := answered{Status: res.StatusCode}
	for name, values := range res.Header {
		for _, v := range values {
			head.Headers = append(head.Headers, [2]string{name, v})
		}
	}
	return head, data, nil
}

// advance moves the clock.
func (r *run) advance(args []json.RawMessage) error {
	if len(args) == 0 {
		return errors.New("clock.advance needs a time: '10s' or milliseconds")
	}
	d, err := duration(args[0])
	if err != nil {
		return err
	}
	for step := max(minClockStep, d/clockSteps); d > 0 && !r.overdue.Load() && r.ctx.Err() == nil; d -= step {
		time.Sleep(min(d, step))
	}
	r.world.settle()
	return nil
}

// duration reads milliseconds, or a text such as 1h30m, with d for days.
func duration(arg json.RawMessage) (d time.Duration, err error) {
	bad := fmt.Errorf("clock.advance(%s): a time is milliseconds, or a text such as '250ms', '10s', '1h30m', '2d'", arg)
	var ms float64
	var text string
	switch {
	case json.Unmarshal(arg, &ms) == nil:
		if ms > float64(maxAdvance/time.Millisecond) {
			return 0, fmt.Errorf("clock.advance(%s): that is more than ten years", arg)
		}
		d = time.Duration(math.Round(ms * float64(time.Millisecond)))
	case json.Unmarshal(arg, &text) == nil:
		days, rest, found := strings.Cut(text, "d")
		if !found {
			days, rest = "0", text
		}
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || time.Duration(n) > maxAdvance/(24*time.Hour) {
			return 0, bad
		}
		if rest != "" {
			if d, err = time.ParseDuration(rest); err != nil {
				return 0, bad
			}
		}
		d += time.Duration(n) * 24 * time.Hour
	default:
		return 0, bad
	}
	if d < 0 {
		return 0, bad
	}
	return d, nil
}

// hibernate has one object hibernate, or all that nothing pins.
func (r *run) hibernate(args []json.RawMessage) error {
	r.world.settle()
	if len(args) == 0 {
		for _, k := range r.world.node.Awake() {
			r.world.node.Hibernate(k, func(bool) {})
		}
		r.world.settle()
		return nil
	}
	var name string
	if err := arguments(args, &name); err != nil {
		return err
	}
	k, err := key.Parse(name)
	if err != nil {
		return fmt.Errorf("hibernate(%q): %w; an object is 'Room/general'", name, err)
	}
	told := make(chan bool, 1)
	r.world.node.Hibernate(k, func(asleep bool) { told <- asleep })
	if !<-told {
		return fmt.Errorf("hibernate: %s has something to do: a timer, a handler or a call that has not ended, waitUntil", k)
	}
	r.world.settle()
	return nil
}
