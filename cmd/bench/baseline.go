package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lxzan/gws"
)

// Limits of the baseline's sockets: those of the chat.
const (
	baselineMaxMessage = 1 << 20 // bytes
	baselineHeaderTime = 10 * time.Second
)

// runBaseline serves the baseline until ctx ends, and says where it listens.
func runBaseline(ctx context.Context, addr string, stdout io.Writer) error {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "baseline\n\n  %shttp://%s\n", listening, listener.Addr())
	return serveBaseline(ctx, listener)
}

// serveBaseline answers /ws/<room>?user=<name> on the listener until ctx ends.
// Every message of a socket goes to all sockets of its room, its own too, in one
// order for all. It returns when all sockets are closed.
func serveBaseline(ctx context.Context, listener net.Listener) error {
	b := &baseline{rooms: map[string]*room{}, sockets: map[*gws.Conn]struct{}{}}
	b.upgrader = gws.NewUpgrader(b, &gws.ServerOption{ReadMaxPayloadSize: baselineMaxMessage, CheckUtf8Enabled: true})
	server := &http.Server{Handler: b, ReadHeaderTimeout: baselineHeaderTime}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	var err error
	select {
	case err = <-served:
	case <-ctx.Done():
		_ = server.Close() // requests that were not upgraded yet
		<-served
	}
	b.close()
	return err
}

// baseline is a chat server of one goroutine a socket.
type baseline struct {
	gws.BuiltinEventHandler
	upgrader *gws.Upgrader
	lastID   atomic.Int64
	readers  sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	rooms   map[string]*room // only those with a socket
	sockets map[*gws.Conn]struct{}
}

// room is the sockets that are in one room. Neither its lock nor the baseline's
// is taken while the other is held.
type room struct {
	name    string
	members int // guarded by baseline.mu: those in sockets, and those on the way in or out

	mu      sync.Mutex // held while a message goes out: one order for all
	sockets []*gws.Conn
}

// member is what a socket carries.
type member struct {
	room *room
	user string
}

const memberKey = "member"

func (b *baseline) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.URL.Path, "/ws/")
	if !ok || name == "" || strings.Contains(name, "/") {
		http.NotFound(w, r)
		return
	}
	socket, err := b.upgrader.Upgrade(w, r)
	if err != nil {
		return // it has answered
	}
	if !b.join(socket, name, r.URL.Query().Get("user")) {
		_ = socket.NetConn().Close()
		return
	}
	// Not in this goroutine: it would keep the request's memory.
	go func() {
		defer b.readers.Done()
		socket.ReadLoop()
	}()
}

// join puts a socket into its room, unless the server closes.
func (b *baseline) join(socket *gws.Conn, name, user string) bool {
	r := b.enter(socket, name)
	if r == nil {
		return false
	}
	socket.Session().Store(memberKey, &member{r, user})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sockets = append(r.sockets, socket)
	return true
}

func (b *baseline) enter(socket *gws.Conn, name string) *room {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return nil
	}
	r := b.rooms[name]
	if r == nil {
		r = &room{name: name}
		b.rooms[name] = r
	}
	r.members++
	b.sockets[socket] = struct{}{}
	b.readers.Add(1)
	return r
}

// close ends all sockets and waits for their goroutines.
func (b *baseline) close() {
	b.mu.Lock()
	b.closed = true
	for socket := range b.sockets {
		_ = socket.NetConn().Close()
	}
	b.mu.Unlock()
	b.readers.Wait()
}

// OnOpen greets as the chat does.
func (b *baseline) OnOpen(socket *gws.Conn) {
	m := memberOf(socket)
	welcome, err := json.Marshal(map[string]string{"type": "welcome", "room": m.room.name, "user": m.user})
	if err != nil {
		panic(err) // a map of strings is always JSON
	}
	_ = socket.WriteMessage(gws.OpcodeText, welcome) // a socket that is gone ends its own goroutine
}

// OnClose takes a socket out of its room.
func (b *baseline) OnClose(socket *gws.Conn, _ error) {
	r := memberOf(socket).room
	r.mu.Lock()
	if i := slices.Index(r.sockets, socket); i >= 0 {
		r.sockets = slices.Delete(r.sockets, i, i+1)
	}
	r.mu.Unlock()
	b.leave(socket, r)
}

func (b *baseline) leave(socket *gws.Conn, r *room) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.sockets, socket)
	if r.members--; r.members == 0 {
		delete(b.rooms, r.name)
	}
}

// message is what the chat makes of one: the same fields, so that both servers
// write about as many bytes.
type message struct {
	ID        string    `json:"$id"`
	Type      string    `json:"$type"`
	CreatedAt time.Time `json:"$createdAt"`
	UpdatedAt time.Time `json:"$updatedAt"`
	Version   int       `json:"$version"`
	Room      string    `json:"room"`
	Author    string    `json:"author"`
	Content   string    `json:"content"`
	Sent      time.Time `json:"sent"`
}

// OnMessage shows a message to everybody in the room. A peer that doesn't read
// holds its room up, which is as cheap as it gets: a queue for it would cost more.
func (b *baseline) OnMessage(socket *gws.Conn, in *gws.Message) {
	m := memberOf(socket)
	frame, err := b.compose(m, in.Bytes())
	_ = in.Close()
	if err != nil {
		frame = []byte(`{"type":"error","error":"a message is {\"type\":\"message\",\"content\":\"…\"}"}`)
		_ = socket.WriteMessage(gws.OpcodeText, frame)
		return
	}
	m.room.mu.Lock()
	defer m.room.mu.Unlock()
	for _, other := range m.room.sockets {
		_ = other.WriteMessage(gws.OpcodeText, frame) // a socket that is gone ends its own goroutine
	}
}

// compose reads what a client sends and writes what the room gets.
func (b *baseline) compose(m *member, data []byte) ([]byte, error) {
	var input struct {
		Type    string `json:"type"`
		Content string `json:"content"`
	}
	if err := json.Unmarshal(data, &input); err != nil {
		return nil, err
	}
	if input.Type != "message" || input.Content == "" {
		return nil, errors.New("not a message")
	}
	now := time.Now().UTC().Truncate(time.Millisecond)
	return json.Marshal(struct {
		Type    string  `json:"type"`
		Message message `json:"message"`
	}{"message", message{
		ID: "01J0000000" + strconv.FormatInt(1e15+b.lastID.Add(1), 10), Type: "Message", // as long as an id of the chat
		CreatedAt: now, UpdatedAt: now, Version: 1,
		Room: m.room.name, Author: m.user, Content: input.Content, Sent: now,
	}})
}

func memberOf(socket *gws.Conn) *member {
	m, _ := socket.Session().Load(memberKey)
	return m.(*member) // join stored it before anything else happened
}
