package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"chat.example.com.ai/api"
	"chat.example.com.ai/api/admin"
	"chat.example.com.ai/api/web"
	"chat.example.com.ai/runtime/cluster"
	"chat.example.com.ai/runtime/event"
	"chat.example.com.ai/runtime/object"
	"chat.example.com.ai/runtime/script"
	"chat.example.com.ai/runtime/socket"
	"chat.example.com.ai/store"
)

// The stop as a whole takes at most five seconds: what supervisors grant at least.
const (
	stopAdmin   = 200 * time.Millisecond  // for commands that are being answered
	stopSockets = 2 * time.Second         // for clients to answer the close
	stopHTTP    = time.Second             // for requests under way
	stopReload  = 200 * time.Millisecond  // for scripts that are being loaded
	stopObjects = 1500 * time.Millisecond // for turns and their commits
)

// system is the running program.
type system struct {
	options   options
	set       *script.Set
	users     string // how the program knows them
	store     *store.Store
	sockets   *socket.Server
	node      *object.Node
	events    *event.Dispatcher
	reloader  *reloader
	admin     *admin.Server // nil if its socket could not be made
	edge      *api.Server
	http      *http.Server
	limit     *api.ConnLimit
	addresses *api.AddressLimit
	requests  *api.RequestLimit
	listeners []net.Listener
	serving   sync.WaitGroup
	served    chan error // why serving ended by itself
}

// start opens everything, in the order in which the parts need each other. The
// address comes last, so that who can connect can be served. frames is where the
// lines of a script's error are shown, if not in the log.
func start(ctx context.Context, o options, log *slog.Logger, frames io.Writer) (s *system, err error) {
	s = &system{options: o, served: make(chan error, 1)}
	files, err := api.MaxFiles()
	if err != nil {
		return nil, err
	}
	s.limit, err = api.NewConnLimit(files, func() int { return s.sockets.Len() }, log)
	if err != nil {
		return nil, err
	}
	s.addresses = api.NewAddressLimit(o.addresses, log)
	s.addresses.TrustProxies(o.proxies)
	s.limit.LimitAddresses(s.addresses)
	s.requests = api.NewRequestLimit(o.requests, log)
	certificate, err := loadCertificate(o)
	if err != nil {
		return nil, err
	}
	verifier, users, err := loadVerifier(o.jwt)
	if err != nil {
		return nil, err
	}
	s.users = users
	scripts := script.Options{Folder: o.scripts, TurnTimeout: o.turnTimeout, Log: log}
	var watcher *script.Watcher
	if o.watch {
		watcher = script.NewWatcher(o.scripts, log) // before the scripts are read
	}
	reloading := false
	defer func() {
		if watcher != nil && !reloading {
			watcher.Close()
		}
	}()
	s.set, err = script.Load(scripts)
	if err != nil {
		return nil, scriptsError(o.scripts, err)
	}
	metrics := api.NewMetrics()
	s.store, err = store.Open(ctx, store.Options{
		Folder: o.data, Log: log, ObserveCommit: metrics.Commit, CheckUpTo: cmp.Or(int64(o.checkUpTo)<<20, -1),
	})
	if errors.Is(err, store.ErrLocked) {
		return nil, inUse(o.data)
	} else if errors.Is(err, store.ErrCorrupt) {
		return nil, fmt.Errorf("the data folder %s cannot be opened: %w; restore a backup; runtime check says what else is damaged", o.data, err)
	} else if err != nil {
		return nil, fmt.Errorf("the data folder %s cannot be opened: %w", o.data, err)
	}
	s.sockets = socket.NewServer(socket.Config{
		PingInterval: o.pingInterval, Rate: o.messageRate, Burst: o.messageBurst, Gone: s.addresses.Gone, Log: log,
	})
	place := cluster.NewLocal(s.store.Epoch())
	s.node = object.NewNode(s.set, object.Config{
		Store: s.store, Sockets: s.sockets, Placement: place, Log: log,
		HibernateAfter: o.hibernateAfter, MaxAwake: o.maxAwake, AllowPrivateFetch: o.privateFetch,
		Observe: object.Observer{Turn: metrics.Turn, ScriptError: metrics.ScriptError},
		Outbox: func(n *object.Node) object.Outbox {
			s.events = event.New(s.store, n, s.store.Epoch(), log)
			return s.events
		},
	})
	reloading = true
	s.startReloader(scripts, watcher, func() { metrics.ScriptError("load") }, frames)
	metrics.Watch(s.node, s.sockets, s.events)
	metrics.WatchLimit(s.limit)
	metrics.WatchStore(s.store)
	metrics.WatchAddresses(s.addresses)
	metrics.WatchRequests(s.requests)
	s.edge = api.New(s.node, metrics, log)
	s.edge.LimitAddresses(s.addresses)
	s.edge.LimitRequests(s.requests)
	s.edge.AllowOrigins(o.origins)
	s.edge.TrustProxies(o.proxies)
	s.edge.ServePage(web.New())
	if verifier != nil {
		s.edge.Identify(verifier)
	}
	s.http = s.edge.HTTP()
	s.limit.Watch(s.http)
	s.http.TLSConfig = certificate
	s.listeners, err = listen(o.addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		err = fmt.Errorf("the address %s is in use: stop what listens there, or choose another with --addr", o.addr)
	}
	if onLoopback(s.listeners) {
		s.edge.CheckHosts(o.addr)
	}
	if err == nil {
		err = s.events.Start(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	s.node.Start()
	s.admin, err = admin.Serve(o.data, &admin.Letters{Store: s.store, Replayed: s.events.Committed, AlarmSet: s.node.AlarmSet}, log)
	if err != nil { // the chat goes on without
		log.Warn("commands such as deadletters cannot reach this program", "socket", filepath.Join(o.data, admin.SocketName), "error", err)
	}
	for i, l := range s.listeners {
		l = s.limit.Listener(l)
		s.listeners[i] = l
		s.serving.Go(func() {
			serve := s.http.Serve
			if certificate != nil {
				serve = func(l net.Listener) error { return s.http.ServeTLS(l, "", "") }
			}
			if err := serve(l); !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
				select {
				case s.served <- err:
				default: // one is enough
				}
			}
		})
	}
	return s, nil
}

// loadCertificate reads what HTTPS needs; nil if it isn't asked for. WebSockets are
// of HTTP/1.1, so that is what is offered.
func loadCertificate(o options) (*tls.Config, error) {
	if o.tlsCert == "" {
		return nil, nil
	}
	pair, err := tls.LoadX509KeyPair(o.tlsCert, o.tlsKey)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert, --tls-key: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12}, nil
}

// listen opens the address; for localhost on both loopback addresses, as clients
// differ in which they try first.
func listen(addr string) ([]net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("--addr: %w", err)
	}
	first, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	if host != "localhost" {
		return []net.Listener{first}, nil
	}
	_, port, _ := net.SplitHostPort(first.Addr().String())
	for _, loopback := range []string{"127.0.0.1", "::1"} {
		if second, err := net.Listen("tcp", net.JoinHostPort(loopback, port)); err == nil {
			return []net.Listener{first, second}, nil
		}
	}
	return []net.Listener{first}, nil // the other is in use by somebody, or this machine has none
}

// onLoopback reports whether only this machine can connect.
func onLoopback(listeners []net.Listener) bool {
	return len(listeners) > 0 && !slices.ContainsFunc(listeners, func(l net.Listener) bool {
		tcp, ok := l.Addr().(*net.TCPAddr)
		return !ok || !tcp.IP.IsLoopback()
	})
}

// scriptsError is what somebody reads whose script doesn't load.
func scriptsError(folder string, err error) error {
	if _, missing := os.Stat(folder); errors.Is(missing, os.ErrNotExist) {
		return fmt.Errorf("no scripts in %s: there is no such folder; name another with --scripts", folder)
	}
	var e *script.Error
	if !errors.As(err, &e) {
		return err
	}
	text := e.Error()
	if e.File != "" {
		text = filepath.Join(folder, text)
	}
	for _, more := range []string{e.Frame(), e.Stack} {
		if more != "" {
			text += "\n" + more
		}
	}
	return errors.New(text)
}

// stop ends everything in order: sockets are told to go, what runs is committed,
// then the store closes.
func (s *system) stop() error {
	within := func(d time.Duration, f func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(context.Background(), d)
		defer cancel()
		return f(ctx)
	}
	if s.admin != nil {
		_ = within(stopAdmin, func(ctx context.Context) error { s.admin.Close(ctx); return nil })
	}
	_ = within(stopReload, func(ctx context.Context) error { s.reloader.close(ctx); return nil })
	for _, l := range s.listeners {
		_ = l.Close() // no new connections; http.Server closes it once more
	}
	// Sockets that don't answer and requests that don't end are cut: that they
	// took their time is no failure of the stop.
	_ = within(stopSockets, s.sockets.Shutdown)
	_ = within(stopHTTP, s.http.Shutdown)
	_ = s.http.Close()
	s.serving.Wait()
	s.limit.Close()
	s.addresses.Close()
	s.requests.Close()
	s.edge.Close()
	s.events.Close()
	var errs []error
	if err := within(stopObjects, s.node.Close); err != nil {
		errs = append(errs, fmt.Errorf("objects were still running: %w", err))
	}
	return errors.Join(append(errs, s.store.Close())...)
}

// address is what a client connects to, by the name that was asked for.
func (s *system) address() string {
	addr := s.listeners[0].Addr().String()
	if host, _, err := net.SplitHostPort(s.options.addr); err == nil && host == "localhost" {
		if _, port, err := net.SplitHostPort(addr); err == nil {
			return net.JoinHostPort(host, port)
		}
	}
	return addr
}

// scheme is that of the address.
func (s *system) scheme() string {
	if s.options.tlsCert != "" {
		return "https"
	}
	return "http"
}

// describe prints what was started, for the person who started it.
func (s *system) describe(w io.Writer) {
	fmt.Fprintf(w, "chat.example.com.ai\n\n  listening  %s://%s\n  data       %s\n  scripts    %s\n  users      %s\n  room for   %d connections\n\n",
		s.scheme(), s.address(), s.options.data, s.options.scripts, s.users, s.limit.Room())
	for _, p := range s.set.Parts() {
		noun := p.Noun
		if noun == "" {
			noun = "every noun"
		}
		fmt.Fprintf(w, "  %s\n", p.File)
		if len(p.Methods) > 0 {
			fmt.Fprintf(w, "    part of %s: %s\n", noun, strings.Join(p.Methods, ", "))
		}
		for _, r := range p.Routes {
			fmt.Fprintf(w, "    route   %s\n", r)
		}
		for _, h := range p.Handlers {
			fmt.Fprintf(w, "    handler $.on.%s\n", h)
		}
		for _, cron := range p.Every {
			fmt.Fprintf(w, "    every   %s UTC\n", cron)
		}
	}
	fmt.Fprintf(w, "\nOpen %s in a browser.\n\n", s.pageURL())
}

// pageURL is where a browser on this machine finds the page. Where tokens are needed, it
// says where in it one goes.
func (s *system) pageURL() string {
	u := url.URL{Scheme: s.scheme(), Host: s.address(), Path: "/"}
	if addr, ok := s.listeners[0].Addr().(*net.TCPAddr); ok && addr.IP.IsUnspecified() {
		u.Host = net.JoinHostPort("localhost", strconv.Itoa(addr.Port))
	}
	if s.options.jwt.given() {
		u.Fragment = "token=TOKEN"
	}
	return u.String()
}
