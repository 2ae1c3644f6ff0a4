package scripttest

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"testing/synctest"
	"time"

	"chat.example.com.ai/api"
	"chat.example.com.ai/runtime/cluster"
	"chat.example.com.ai/runtime/event"
	"chat.example.com.ai/runtime/object"
	"chat.example.com.ai/runtime/script"
	"chat.example.com.ai/runtime/socket"
	"chat.example.com.ai/store"
)

// stopWithin bounds the end of a test's program, on its own clock.
const stopWithin = time.Minute

// world is the program that one test acts upon.
type world struct {
	store    *store.Store
	sockets  *socket.Server
	node     *object.Node
	events   *event.Dispatcher
	http     *http.Server
	listener *pipeListener
	client   *http.Client
	users    users
	serving  sync.WaitGroup
	settling chan struct{} // holds a token while nobody waits for everything to settle
}

func newWorld(set *script.Set, rows store.Options) (w *world, err error) {
	ctx, log := context.Background(), rows.Log
	w = &world{listener: newPipeListener(), settling: make(chan struct{}, 1)}
	w.settling <- struct{}{}
	if w.store, err = store.Open(ctx, rows); err != nil {
		return nil, err
	}
	w.sockets = socket.NewServer(socket.Config{Log: log})
	w.node = object.NewNode(set, object.Config{
		Store: w.store, Sockets: w.sockets, Placement: cluster.NewLocal(w.store.Epoch()), Log: log,
		Outbox: func(n *object.Node) object.Outbox {
			w.events = event.New(w.store, n, w.store.Epoch(), log)
			return w.events
		},
	})
	metrics := api.NewMetrics()
	metrics.Watch(w.node, w.sockets, w.events)
	edge := api.New(w.node, metrics, log)
	edge.Identify(&w.users)
	w.http = edge.HTTP()
	w.client = &http.Client{
		Transport:     &http.Transport{DialContext: w.listener.dial, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if err := w.events.Start(ctx); err != nil {
		return nil, errors.Join(err, w.close())
	}
	w.node.Start()
	w.serving.Go(func() { _ = w.http.Serve(w.listener) }) // ends with http.ErrServerClosed
	return w, nil
}

// settle waits until nothing more happens before the clock moves on.
func (w *world) settle() {
	<-w.settling // synctest.Wait is for one at a time
	synctest.Wait()
	w.settling <- struct{}{}
}

// close ends the program as the real one ends.
func (w *world) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	_ = w.sockets.Shutdown(ctx) // who doesn't answer is cut
	_ = w.http.Shutdown(ctx)
	_ = w.http.Close()
	w.serving.Wait()
	w.events.Close()
	return errors.Join(w.node.Close(ctx), w.store.Close())
}

// pipeListener accepts connections that are made by dial, in memory.
type pipeListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "pipe" }
