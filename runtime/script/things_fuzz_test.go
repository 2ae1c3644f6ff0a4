package script

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"chat.example.com.ai/runtime/key"
	"chat.example.com.ai/store"
)

// FuzzThings compares what a script gets of things.list and things.count with a
// model that keeps the things as Go values, and filters and sorts them in memory:
// things with all kinds of values, committed, on their way to the disk, and of
// the running turn. What a query may not ask is a TypeError, and nothing else.
func FuzzThings(f *testing.F) {
	for _, seed := range []string{
		"", "\x05abcdefghijklmnopqrstuvwxyz", strings.Repeat("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", 16),
		strings.Repeat("\x0c\xff\x80\x7f\x01", 60), strings.Repeat("\x07\x03\x02\x05\x0b\x01\x00\x09\x04", 40), strings.Repeat("\xf3\x11\x95\x27\x5a\x60\x03", 50),
	} {
		f.Add([]byte(seed))
	}
	for i := range 24 { // bytes that look like nothing
		data := make([]byte, 400)
		for j := range data {
			data[j] = byte((j*j*31 + j*(i*2+7) + i*89) >> 2)
		}
		f.Add(data)
	}
	vm, h := newThingsVM(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		h.begin()
		defer h.end(t)
		w := &world{t: t, vm: vm, host: h, dice: dice{data}}
		w.fill()
		for range 4 {
			w.ask()
		}
	})
}

// thingsHost is an object that fuzzing makes anew for each input.
type thingsHost struct {
	roomHost
	store  *store.Store
	view   *store.View
	sealed []*store.Batch // on their way to the disk
	n      int
	now    int64
}

func (h *thingsHost) Now() time.Time         { return time.UnixMilli(h.now) }
func (h *thingsHost) View() *store.View      { return h.view }
func (h *thingsHost) Reads() context.Context { return context.Background() }
func (h *thingsHost) NewID() string          { panic("every thing is given its $id") }

func newThingsVM(t testing.TB) (*VM, *thingsHost) {
	s, err := store.Open(t.Context(), store.Options{Memory: true, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	vm, h := newTestVM(t), &thingsHost{store: s}
	vm.host, vm.noun = h, &noun{indexes: []string{"rank", "deep.a"}}
	must(vm.rt.Set("things", vm.newNative(thingsClass, nil).self))
	return vm, h
}

func (h *thingsHost) begin() {
	h.n++
	h.view = h.store.View(key.Key{Type: "Room", ID: fmt.Sprint(h.n)}, h.store.Epoch())
}

// end leaves the store as empty as it was.
func (h *thingsHost) end(t testing.TB) {
	for _, typ := range thingTypes {
		things, err := h.view.Things(context.Background(), store.Query{Type: typ, Limit: store.MaxLimit})
		if err != nil {
			t.Fatal(err)
		}
		for _, thing := range things {
			h.view.Write(store.DeleteThing{ID: thing.ID})
		}
	}
	h.seal()
	h.commit(t)
}

// seal ends a turn.
func (h *thingsHost) seal() {
	if b := h.view.Seal(); b != nil {
		h.sealed = append(h.sealed, b)
	}
}

// commit brings all turns to the disk that have ended.
func (h *thingsHost) commit(t testing.TB) {
	for _, b := range h.sealed {
		if err := h.store.CommitWait(context.Background(), b); err != nil {
			t.Fatal(err)
		}
		h.view.Settled(b)
	}
	h.sealed = nil
}

// world is an object with its things, and a model of them.
type world struct {
	dice
	t      *testing.T
	vm     *VM
	host   *thingsHost
	things map[string]*thing
	log    []string // what was done
}

// do runs a statement that must succeed.
func (w *world) do(format string, args ...any) {
	source := fmt.Sprintf(format, args...)
	w.log = append(w.log, source)
	if got := w.vm.eval(w.t, "Promise.resolve("+source+").then(() => 'done')"); got != "done" {
		w.t.Fatalf("%s\n%s", got, w)
	}
}

func (w *world) String() string { return strings.Join(w.log, "\n") }

var fieldNames = []string{"a", "b", "sent", "rank", "deep"}

// fill makes things, changes and deletes some, and commits a part of it.
func (w *world) fill() {
	w.things = map[string]*thing{}
	for range w.roll(24) {
		w.host.now = int64(w.roll(8))
		id := fmt.Sprintf("t%d", w.roll(20))
		have := w.things[id]
		switch {
		case have == nil:
			members := w.members()
			have = &thing{id: id, typ: pick(&w.dice, thingTypes...), created: w.host.now, updated: w.host.now, version: 1, fields: fields{}}
			var source strings.Builder
			for name, m := range members.inOrder() {
				fmt.Fprintf(&source, ", %s: %s", name, m.source)
				if m.value != any(absent{}) {
					have.fields[name] = m
				}
			}
			w.things[id] = have
			w.do("things.create({$type: '%s', $id: '%s'%s})", have.typ, id, source.String())
		case w.roll(3) == 0:
			delete(w.things, id)
			w.do("things.delete('%s')", id)
		default:
			var source strings.Builder
			for name, m := range w.members().inOrder() {
				fmt.Fprintf(&source, "%s: %s, ", name, m.source)
				if have.fields[name] = m; m.value == any(absent{}) {
					delete(have.fields, name)
				}
			}
			have.updated, have.version = w.host.now, have.version+1
			w.do("things.update('%s', {%s})", id, source.String())
		}
		switch w.roll(6) {
		case 0:
			w.host.seal()
			w.log = append(w.log, "end of a turn")
		case 1:
			w.host.commit(w.t)
			w.log = append(w.log, "commit")
		}
	}
}

func (w *world) members() fields {
	members := fields{}
	for range w.roll(5) {
		name := pick(&w.dice, fieldNames...)
		if members[name] = w.any(0); name == "deep" && w.roll(4) > 0 {
			members[name] = w.object(1)
		}
	}
	return members
}

func (f fields) inOrder() func(yield func(string, literal) bool) {
	return func(yield func(string, literal) bool) {
		for _, name := range fieldNames {
			if m, ok := f[name]; ok && !yield(name, m) {
				return
			}
		}
	}
}

// question is a query as a script asks it, and what it means.
type question struct {
	source  string // without after and limit
	typ     string
	valid   bool
	matches []func(*thing) bool
	orders  []func(a, b *thing) int
}

var fieldName = regexp.MustCompile(`^(\$id|\$type|\$createdAt|\$updatedAt|\$version|[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*)$`)

// path names a field: one that things have, mostly.
func (w *world) path(q *question) string {
	name := pick(&w.dice, "a", "b", "sent", "rank", "deep.a", "deep.b", "deep", "deep.c.a", "missing", "$id", "$createdAt", "$updatedAt", "$version", "$type")
	switch w.roll(24) {
	case 1:
		var raw []byte
		for range w.roll(6) {
			raw = append(raw, byte(w.roll(128)))
		}
		name = string(raw)
	case 2:
		name = pick(&w.dice, "a b", "", ".", "a.", "a..b", "$date", "a.$date", `a"; DROP TABLE thing`, "a'", "deep.0", "é", "$", "0a", "fields", "t.id", "a\x00")
	}
	q.valid = q.valid && fieldName.MatchString(name)
	return name
}

// one returns what one of the things has there, if that can be compared.
func (w *world) one(path string) literal {
	id := fmt.Sprintf("t%d", w.roll(20))
	for range 20 {
		if t := w.things[id]; t != nil {
			at := literal{"", t.fields}
			for name := range strings.SplitSeq(path, ".") {
				members, _ := at.value.(fields)
				at = members[name]
			}
			if rank(at.value) != 0 {
				return at
			}
		}
		id = fmt.Sprintf("t%d", w.roll(20))
	}
	return literal{"null", nil}
}

// operand makes a value to compare a field with.
func (w *world) operand(q *question, path string) literal {
	v := literal{}
	switch w.roll(12) {
	case 0:
		v = literal{"null", nil}
	case 1, 2:
		v = w.number()
	case 3, 4:
		v = w.text()
	case 5:
		v = w.date()
	case 6:
		v = w.any(9)
	default:
		v = w.one(path)
	}
	switch { // meta fields have one kind of value: another is a mistake
	case path == "$id" && w.roll(16) > 0:
		v = quoted(fmt.Sprintf("t%d", w.roll(20)))
	case path == "$type" && w.roll(16) > 0:
		v = quoted(pick(&w.dice, thingTypes...))
	case strings.HasPrefix(path, "$") && path != "$id" && path != "$type" && w.roll(16) > 0:
		v = literal{fmt.Sprint(w.roll(8)), 0.0}
		v.value = float64(v.source[0] - '0')
	}
	switch v.value.(type) {
	case opaque, absent, fields:
		q.valid = false
	}
	if want := map[string]int{"$id": 2, "$type": 2, "$createdAt": 1, "$updatedAt": 1, "$version": 1}[path]; want != 0 && rank(v.value) != want {
		q.valid = false
	}
	return v
}

func (w *world) question() *question {
	q := &question{typ: pick(&w.dice, thingTypes...), valid: true}
	var where, order strings.Builder
	taken := map[string]bool{}
	for range w.roll(4) {
		path := w.path(q)
		if taken[path] {
			continue // of a name that is there twice a script means the last
		}
		taken[path] = true
		fmt.Fprintf(&where, "%s: %s, ", quoted(path).source, w.condition(q, path))
	}
	taken = map[string]bool{}
	for range w.roll(4) {
		path, desc := w.path(q), w.roll(2) == 1
		if taken[path] {
			continue
		}
		taken[path] = true
		fmt.Fprintf(&order, "{%s: '%s'}, ", quoted(path).source, map[bool]string{false: "asc", true: "desc"}[desc])
		q.orders = append(q.orders, direction(desc, func(a, b *thing) int { return compareValues(a.find(path), b.find(path)) }))
		if path == "$id" {
			break // what follows has nothing left to say
		}
	}
	q.source = fmt.Sprintf("$type: '%s', where: {%s}", q.typ, where.String())
	if order.Len() > 0 {
		q.source += fmt.Sprintf(", orderBy: [%s]", order.String())
	}
	desc := strings.HasSuffix(order.String(), "'desc'}, ")
	q.orders = append(q.orders, direction(desc, func(a, b *thing) int { return cmp.Compare(a.id, b.id) }))
	return q
}

func direction(desc bool, compare func(a, b *thing) int) func(a, b *thing) int {
	if desc {
		return func(a, b *thing) int { return compare(b, a) }
	}
	return compare
}

// condition makes what a field must be.
func (w *world) condition(q *question, path string) string {
	add := func(f func(v any) bool) {
		q.matches = append(q.matches, func(t *thing) bool { return f(t.find(path)) })
	}
	switch w.roll(10) {
	case 0, 1:
		v := w.operand(q, path)
		add(func(have any) bool { return equalValues(have, v.value) })
		return v.source
	case 2:
		wanted := w.roll(2) == 1
		add(func(have any) bool { return (have != any(absent{})) == wanted })
		return fmt.Sprintf("{$exists: %v}", wanted)
	case 3:
		var source strings.Builder
		var values []any
		for range w.roll(4) {
			v := w.operand(q, path)
			source.WriteString(v.source + ", ")
			values = append(values, v.value)
		}
		add(func(have any) bool {
			return slices.ContainsFunc(values, func(wanted any) bool { return equalValues(have, wanted) })
		})
		return "{$in: [" + source.String() + "]}"
	case 4:
		if w.roll(4) > 0 {
			break
		}
		q.valid = false
		return pick(&w.dice, "{}", "[]", "{$regex: 'x'}", "{$gt: null}", "{$in: 'x'}", "{$exists: 1}", "{$eq: []}", "undefined", "() => 1", "{$gt: Symbol()}", "new Map()")
	}
	v := w.operand(q, path)
	op := pick(&w.dice, "$eq", "$ne", "$gt", "$gte", "$lt", "$lte")
	if v.value == nil && op != "$eq" && op != "$ne" {
		q.valid = false
	}
	add(func(have any) bool {
		switch op {
		case "$eq":
			return equalValues(have, v.value)
		case "$ne":
			return !equalValues(have, v.value)
		}
		if rank(have) == 0 {
			return false
		}
		c := compareValues(have, v.value)
		return op == "$gt" && c > 0 || op == "$gte" && c >= 0 || op == "$lt" && c < 0 || op == "$lte" && c <= 0
	})
	return fmt.Sprintf("{%s: %s}", op, v.source)
}

// answer is what the model says.
func (w *world) answer(q *question) (ids []string) {
	var found []*thing
	for _, t := range w.things {
		if t.typ == q.typ && !slices.ContainsFunc(q.matches, func(f func(*thing) bool) bool { return !f(t) }) {
			found = append(found, t)
		}
	}
	slices.SortFunc(found, func(a, b *thing) int {
		for _, compare := range q.orders {
			if c := compare(a, b); c != 0 {
				return c
			}
		}
		return 0
	})
	for _, t := range found {
		ids = append(ids, t.id)
	}
	return ids
}

// list asks for a page, and returns the ids in it.
func (w *world) list(source string) string {
	return w.vm.eval(w.t, "things.list({"+source+"}).then(all => all.map(t => t.$id).join(' '), String)")
}

// ask compares a query with the model: in one, counted, and page by page.
func (w *world) ask() {
	q := w.question()
	got := w.list(q.source)
	if !q.valid {
		if !strings.HasPrefix(got, "TypeError: ") {
			w.t.Fatalf("things.list({%s}) passes as %q\n%s", q.source, got, w)
		}
		return
	}
	ids := w.answer(q)
	if want := strings.Join(ids, " "); got != want {
		w.t.Fatalf("things.list({%s})\n got %s\nwant %s\n%s", q.source, got, want, w)
	}
	counted := w.vm.eval(w.t, "things.count({"+strings.Split(q.source, ", orderBy")[0]+"}).then(String, String)")
	if counted != fmt.Sprint(len(ids)) {
		w.t.Fatalf("things.count({%s})\n got %s\nwant %d\n%s", q.source, counted, len(ids), w)
	}
	limit := 1 + w.roll(4)
	after := ""
	for rest := ids; ; rest = rest[limit:] {
		page := rest[:min(limit, len(rest))]
		if got, want := w.list(fmt.Sprintf("%s, limit: %d%s", q.source, limit, after)), strings.Join(page, " "); got != want {
			w.t.Fatalf("things.list({%s, limit: %d%s})\n got %s\nwant %s\n%s", q.source, limit, after, got, want, w)
		}
		if len(page) < limit {
			return
		}
		after = fmt.Sprintf(", after: '%s'", page[limit-1])
	}
}
