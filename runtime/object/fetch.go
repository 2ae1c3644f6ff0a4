package object

import (
	"context"
	"sync/atomic"
	"time"

	"chat.example.com.ai/runtime/fetch"
	"chat.example.com.ai/runtime/script"
)

// Bounds of fetches.
const (
	// MaxFetching is how many fetches of all objects are under way at a time; more
	// wait. Each may need a few descriptors, and holds its response.
	MaxFetching = 32
	// maxObjectFetching is how many of them one object has, as on Cloudflare: one
	// that asks a slow server leaves room for the others.
	maxObjectFetching = 6
	// maxFetches is how many there are, under way or waiting, each with a goroutine,
	// and maxFetchBytes how many bytes they want to send. More are refused.
	maxFetches    = 1024
	maxFetchBytes = 64 << 20
	// fetchTimeout ends a fetch, counted from its release: waiting is part of it.
	fetchTimeout = 30 * time.Second
)

// fetcher makes one request, for as long as ctx allows.
type fetcher interface {
	Do(ctx context.Context, r *fetch.Request) (*fetch.Response, error)
	Close()
}

// fetches are what the objects of a node ask of the world outside.
type fetches struct {
	client fetcher
	ctx    context.Context // ends when the node closes
	stop   context.CancelCauseFunc
	slots  chan struct{} // holds one of each that is under way
	count  atomic.Int64
	bytes  atomic.Int64
}

func newFetches(client fetcher) *fetches {
	f := &fetches{client: client, slots: make(chan struct{}, MaxFetching)}
	f.ctx, f.stop = context.WithCancelCause(context.Background())
	return f
}

// admit counts one more, unless there are too many; leave takes it off the count.
func (fs *fetches) admit(bytes int) bool {
	count, sum := fs.count.Add(1), fs.bytes.Add(int64(bytes))
	if count <= maxFetches && sum <= maxFetchBytes {
		return true
	}
	fs.leave(bytes)
	return false
}

func (fs *fetches) leave(bytes int) {
	fs.count.Add(-1)
	fs.bytes.Add(-int64(bytes))
}

// fetch makes a request of a turn that was released. It leaves even if the VM that
// asked for it is gone: then nobody hears of the result.
func (o *Object) fetch(act *activation, f *script.Fetch) {
	n := o.node
	if n.closing.Load() {
		return // as with timers, there is no use for what it would come to
	}
	ctx, cancel := context.WithTimeoutCause(n.fetches.ctx, fetchTimeout,
		script.NewError(script.TimeoutError, "fetch: no response within %v", fetchTimeout))
	if !f.Begin(cancel) {
		cancel()
		return
	}
	n.stats.Fetches.Add(1)
	bytes := len(f.Body)
	if !n.fetches.admit(bytes) {
		cancel()
		o.complete(act.fetched(f, nil, script.NewError(script.OverloadedError, "fetch: too many fetches wait")))
		return
	}
	if act.fetching == nil {
		act.fetching = make(chan struct{}, maxObjectFetching)
	}
	n.begin()
	go func() {
		defer n.finish()
		res, err := n.fetches.do(ctx, act.fetching, f)
		n.fetches.leave(bytes)
		cancel()
		o.complete(act.fetched(f, res, err))
	}()
}

// do waits until the object and the node have room, and makes the request.
func (fs *fetches) do(ctx context.Context, object chan struct{}, f *script.Fetch) (*script.Fetched, *script.Error) {
	for _, slots := range []chan struct{}{object, fs.slots} {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		case <-ctx.Done():
			return nil, whyEnded(ctx)
		}
	}
	if ctx.Err() != nil { // both happened
		return nil, whyEnded(ctx)
	}
	r := &fetch.Request{Method: f.Method, URL: f.URL, Header: f.Header, Body: f.Body}
	switch f.Redirect {
	case "manual":
		r.Redirect = fetch.Manual
	case "error":
		r.Redirect = fetch.Refuse
	}
	res, err := fs.client.Do(ctx, r)
	switch {
	case ctx.Err() != nil && err != nil:
		return nil, whyEnded(ctx)
	case err != nil:
		return nil, script.NewError("TypeError", "fetch failed: %v", err)
	}
	return &script.Fetched{
		Status: res.Status, StatusText: res.StatusText, Header: res.Header, Body: res.Body, URL: res.URL, Redirected: res.Redirected,
	}, nil
}

// whyEnded is why the context of a fetch has ended. If it was its signal, nobody
// asks.
func whyEnded(ctx context.Context) *script.Error {
	if e, ok := context.Cause(ctx).(*script.Error); ok {
		return e
	}
	return script.NewError("AbortError", "the fetch was aborted")
}

// fetched brings the result of a fetch into the VM, if it is still the one that
// waits for it.
func (act *activation) fetched(f *script.Fetch, r *script.Fetched, err *script.Error) completion {
	if err != nil {
		act.object.node.stats.FetchErrors.Add(1)
	}
	return func(o *Object) {
		if o.act != act || f.Stopped() {
			return
		}
		act.kind = "fetch result"
		o.flush() // what was released doesn't wait for a turn
		o.settle(act, act.vm.SettleFetch(f.ID, r, err), nil)
	}
}

// close ends what is under way.
func (fs *fetches) close() {
	fs.stop(script.NewError(script.UnavailableError, "the program is stopping"))
}
