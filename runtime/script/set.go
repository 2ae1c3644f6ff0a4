package script

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dlclark/regexp2/v2"
	"github.com/dop251/goja"

	"chat.example.com.ai/runtime/key"
)

// Options of Load.
type Options struct {
	Folder      string
	TurnTimeout time.Duration // how long a turn may run; DefaultTurnTimeout if 0
	Log         *slog.Logger
	Overseer    *Overseer // times the turns, if their own clock can't; may be nil
}

// DefaultTurnTimeout is long for a chat message and short for a person.
const DefaultTurnTimeout = time.Second

// DefaultObject is the name of the object that routes without a parameter go
// to, of the noun DefaultNoun.
const (
	DefaultNoun   = "App"
	DefaultObject = "default"
)

// HandlerNoun is the noun of the objects that run what $.on and $.every register,
// one for each handler, named as it is; no part or route can have it.
const HandlerNoun = "Handler"

// Bounds of the maxRetries of a handler: how often an event is tried again after
// its first attempt has failed.
const (
	DefaultMaxRetries = 5
	// MaxMaxRetries is most of a day, at the longest delay between two attempts: what
	// fails for that long needs a person, who finds it among the dead letters.
	MaxMaxRetries = 100
)

// reservedPaths are the runtime's own.
var reservedPaths = []string{"/healthz", "/metrics", "/_"}

// Set is the loaded scripts: what they define, ready to become VMs. It is
// immutable and safe for concurrent use.
type Set struct {
	options  Options
	modules  []*module
	routes   []Route
	handlers []Handler
	byName   map[string]Handler // and schedules
	folders  []string           // of all files that were read
	bounded  []string           // boundedMethods that scripts name

	schedules []Schedule
	supers    map[string]struct{} // positions of the calls of super

	mu    sync.Mutex
	nouns map[string]*noun // compositions, made as they are asked for
}

// Route says which object answers a request.
type Route struct {
	Method string // upper case; ALL for any
	Path   string // as the script wrote it
	Noun   string
	Param  string // the path parameter that names the object; "" is DefaultObject
	File   string

	pattern *Pattern
}

// Match reports whether the route takes a request, and which object it goes to.
// path is escaped. The error is one of package key: a name that no object has.
func (r *Route) Match(method, path string) (key.Key, bool, error) {
	if r.Method != "ALL" && r.Method != method && !(method == "HEAD" && r.Method == "GET") {
		return key.Key{}, false, nil
	}
	params, ok := r.pattern.Match(path)
	if !ok {
		return key.Key{}, false, nil
	}
	id := DefaultObject
	if r.Param != "" {
		for _, p := range params {
			if p.Name == r.Param {
				id = p.Value
				break
			}
		}
	}
	k, err := key.New(r.Noun, id)
	return k, true, err
}

// Handler is one $.on of a script, or what is common to it and a $.every.
type Handler struct {
	Name       string // unique among all handlers: as given by the author, or file#Noun.verb
	File       string
	Noun       string  // * is any
	Verb       string  // * is any
	Object     key.Key // that runs it: Handler/ and its name
	MaxRetries int     // further attempts after a first one that failed

	position string // of its $.on or $.every
}

// Errorf makes an error about the whole handler. It is none of the transient ones.
func (h Handler) Errorf(name, format string, args ...any) *Error {
	e := &Error{Name: name, Message: fmt.Sprintf(format, args...)}
	e.setPosition(h.position)
	return e
}

// Part is what one file adds to a noun, for those who show it.
type Part struct {
	File     string
	Noun     string // "" is every noun
	Methods  []string
	Handlers []string
	Every    []string // cron strings
	Routes   []string
}

// module is one script file.
type module struct {
	file     string
	program  *goja.Program
	sum      [sha256.Size]byte // of its code, with all that it imports
	hasPart  bool
	noun     string   // $type of its part; "" is every noun
	members  []string // methods and fields of its part, lifecycle handlers not among them
	hooks    []string // the lifecycle handlers it has
	indexes  []string
	routes   []*Route
	handlers []Handler

	schedules []Schedule
	positions map[string]string // of the members of its part
}

// errorAt makes an error about a member of the module's part, or about the whole
// file.
func (m *module) errorAt(member, format string, args ...any) *Error {
	e := &Error{Name: "Error", Message: fmt.Sprintf(format, args...)}
	e.setPosition(m.positions[member])
	return withFile(e, m.file)
}

// lifecycle are the methods that every part of a noun may have; all of them run.
// But a noun has one alarm, as an object has.
var lifecycle = []string{"init", "onRequest", "webSocketMessage", "webSocketClose", "webSocketError", "alarm"}

// reservedMembers belong to every object; a part can't define them.
var reservedMembers = []string{"app", "ctx", "things", "constructor", "__proto__"}

// noun is the composition of all parts of a noun.
type noun struct {
	name    string
	parts   []*module          // in path order
	owner   map[string]*module // member -> the part whose definition counts
	alarm   *module            // the part whose alarm counts; nil without any
	indexes []string
	unfit   atomic.Bool // for Preload
}

// regexpTimeout is set once: the library takes it from a variable of its own,
// when a pattern is compiled.
var regexpTimeout sync.Once

// Load reads the scripts of a folder. An error of a script is an *Error with its
// position. A folder without scripts is an error too.
func Load(o Options) (*Set, error) {
	if o.TurnTimeout == 0 {
		o.TurnTimeout = DefaultTurnTimeout
	}
	regexpTimeout.Do(func() {
		// A match that takes longer returns no match; by then the turn's own
		// deadline has passed too, and ends it.
		regexp2.DefaultMatchTimeout = o.TurnTimeout
	})
	files, err := scriptFiles(o.Folder)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no scripts in %s: it needs at least one .js or .ts file", o.Folder)
	}
	code, folders, err := bundle(o.Folder, files)
	if err != nil {
		return nil, plainError(err)
	}
	s := &Set{options: o, folders: folders, nouns: make(map[string]*noun), byName: make(map[string]Handler), supers: make(map[string]struct{})}
	for _, f := range files {
		m := &module{file: f}
		if err := m.compile(code[f], s.supers); err != nil {
			return nil, compileError(f, err)
		}
		m.sum = sha256.Sum256([]byte(code[f]))
		for name := range boundedMethods {
			if strings.Contains(code[f], name) && !slices.Contains(s.bounded, name) {
				s.bounded = append(s.bounded, name)
			}
		}
		s.modules = append(s.modules, m)
	}
	for _, m := range s.modules {
		if err := s.discover(m); err != nil {
			return nil, framed(o.Folder, err)
		}
	}
	if err := s.check(); err != nil {
		return nil, framed(o.Folder, err)
	}
	return s, nil
}

// framed gives an error the line that it is about.
func framed(folder string, err error) error {
	if e := (*Error)(nil); errors.As(err, &e) && e.File != "" {
		e.frame = sourceFrame(folder, e)
	}
	return err
}

// plainError says in the author's terms what the bundler says in its own.
func plainError(err error) error {
	var e *Error
	if errors.As(err, &e) && strings.HasPrefix(e.Message, "Top-level await") {
		e.Message = "top-level await is not supported"
	}
	return err
}

func compileError(file string, err error) *Error {
	e := &Error{Name: "SyntaxError", Message: err.Error(), File: file, Line: 1, Column: 1}
	var compiler *goja.CompilerSyntaxError
	if errors.As(err, &compiler) {
		e.Message = compiler.Message
		if compiler.File != nil {
			p := compiler.File.Position(compiler.Offset)
			e.File, e.Line, e.Column = p.Filename, p.Line, p.Column
		}
	}
	return e
}

// check finds what no file can see alone: members that are defined twice.
func (s *Set) check() error {
	typed := map[string]bool{DefaultNoun: true}
	for _, m := range s.modules {
		if m.hasPart && m.noun != "" {
			typed[m.noun] = true
		}
		for _, r := range m.routes {
			typed[r.Noun] = true
			s.routes = append(s.routes, *r)
		}
		s.handlers = append(s.handlers, m.handlers...)
		s.schedules = append(s.schedules, m.schedules...)
	}
	for _, name := range slices.Sorted(maps.Keys(typed)) {
		if _, err := s.compose(name); err != nil {
			return err
		}
	}
	all := slices.Clone(s.handlers)
	for _, each := range s.schedules {
		all = append(all, each.Handler)
	}
	for _, h := range all {
		if other, ok := s.byName[h.Name]; ok {
			return withFile(h.Errorf("Error", "the handler %q is defined in %s and in %s: give one of them another { name }", h.Name, other.File, h.File), h.File)
		}
		s.byName[h.Name] = h
	}
	return nil
}

// compose finds the parts of a noun, and which definition of each member counts.
func (s *Set) compose(name string) (*noun, error) {
	n := &noun{name: name, owner: make(map[string]*module)}
	// choose says which of two definitions of a member counts.
	choose := func(member string, other, m *module) (*module, error) {
		switch {
		case other == nil || (other.noun == "" && m.noun != ""):
			return m, nil
		case (other.noun == "") == (m.noun == ""):
			return nil, m.errorAt(member, "%s.%s is defined in %s and in %s", name, member, other.file, m.file)
		}
		return other, nil
	}
	for _, m := range s.modules {
		if !m.hasPart || (m.noun != "" && m.noun != name) {
			continue
		}
		n.parts = append(n.parts, m)
		n.indexes = append(n.indexes, m.indexes...)
		var err error
		for _, member := range m.members {
			if n.owner[member], err = choose(member, n.owner[member], m); err != nil {
				return nil, err
			}
		}
		if m.hasHook("alarm") {
			if n.alarm, err = choose("alarm", n.alarm, m); err != nil {
				return nil, err
			}
		}
	}
	slices.Sort(n.indexes)
	n.indexes = slices.Compact(n.indexes)
	return n, nil
}

// noun returns the composition of a noun; its parts agree, as Load has seen.
func (s *Set) noun(name string) *noun {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nouns[name]
	if n == nil {
		n, _ = s.compose(name)
		if len(s.nouns) < maxNouns {
			s.nouns[name] = n
		}
	}
	return n
}

// maxNouns bounds the compositions that are kept: scripts name nouns freely in $.Noun(id).
const maxNouns = 1000

// Routes lists the routes in path order of their files, then in the order of
// registration: the first that matches counts.
func (s *Set) Routes() []Route { return s.routes }

// Handlers lists the event handlers.
func (s *Set) Handlers() []Handler { return s.handlers }

// Handler returns what takes the deliveries of a name: an event handler, or what
// runs at certain times.
func (s *Set) Handler(name string) (Handler, bool) {
	h, ok := s.byName[name]
	return h, ok
}

// HandlersOf lists the handlers that take events of a type, Noun.verb.
func (s *Set) HandlersOf(eventType string) []Handler {
	noun, verb, _ := strings.Cut(eventType, ".")
	var hs []Handler
	for _, h := range s.handlers {
		if (h.Noun == "*" || h.Noun == noun) && (h.Verb == "*" || h.Verb == verb) {
			hs = append(hs, h)
		}
	}
	return hs
}

// HasHook reports whether any part of the noun has the lifecycle handler: an
// event that no part wants needs no VM.
func (s *Set) HasHook(nounName, hook string) bool {
	for _, m := range s.noun(nounName).parts {
		if m.hasHook(hook) {
			return true
		}
	}
	return false
}

// Parts describes what was loaded, in path order.
func (s *Set) Parts() []Part {
	var parts []Part
	for _, m := range s.modules {
		p := Part{File: m.file, Noun: m.noun}
		if m.hasPart {
			p.Methods = slices.Concat(m.hooks, m.members)
		}
		for _, r := range m.routes {
			p.Routes = append(p.Routes, r.Method+" "+r.Path+" → "+r.Noun)
		}
		for _, h := range m.handlers {
			p.Handlers = append(p.Handlers, h.Noun+"."+h.Verb)
		}
		for _, each := range m.schedules {
			p.Every = append(p.Every, each.Cron)
		}
		parts = append(parts, p)
	}
	return parts
}
