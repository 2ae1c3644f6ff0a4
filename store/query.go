package store

import (
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	// DefaultLimit is how many things a query returns that names no limit: a page
	// of history.
	DefaultLimit = 100
	// MaxLimit bounds what one query returns: it is held in memory, and becomes
	// script objects within one turn. After reads on.
	MaxLimit = 1000
	// MaxSorted bounds the things that are sorted by a field without an index: that
	// many take some tens of milliseconds of a turn that has one second.
	MaxSorted = 10_000
	// MaxConds bounds the conditions of one query, and MaxIn the values of one $in,
	// so that the statement stays far from SQLite's limits.
	MaxConds = 32
	MaxIn    = 100
	// MaxOrders bounds the fields to sort by.
	MaxOrders = 8
)

// Query says which things of an object are wanted.
//
// Values compare as in SQLite: numbers before texts, booleans as 0 and 1, dates as
// their milliseconds; null, objects, lists and what is missing are nothing, which
// sorts before all else and is neither greater nor less than anything. So are NaN
// and the infinities, which JSON cannot hold.
type Query struct {
	// Type is the $type; empty is all of them.
	Type string
	// Where are conditions that must all hold.
	Where []Cond
	// OrderBy are the fields to sort by; none is by $id, the order of creation.
	// Ties are in the order of $id, in the direction of the last field.
	OrderBy []Order
	// Limit is the most things to return: 0 is DefaultLimit, MaxLimit the highest.
	Limit int
	// After, if not empty, is the $id of a thing of the object, which need not
	// match: only what comes after it in this order is returned.
	After string
	// Indexed are the fields that the noun's parts declare in indexes.
	Indexed []string
}

// Cond is one condition. Op is $eq, $ne, $gt, $gte, $lt, $lte, $in or $exists.
// Value is nil, a bool, an integer, a float64, a string or a time.Time; for $in
// a []any of these, for $exists a bool. $eq nil matches null and missing, no object
// and no list; $ne matches whatever $eq does not.
type Cond struct {
	Field string
	Op    string
	Value any
}

// Order is one field to sort by.
type Order struct {
	Field string
	Desc  bool
}

// plan is a query that is checked.
type plan struct {
	typ     string
	conds   []cond
	orders  []order // ends with $id
	limit   int
	afterID string
	after   []scalar // sort values of the thing afterID, one for each order; nil is from the start
	indexed []string
}

type cond struct {
	field  field
	op     string
	values []scalar
	exists bool
}

type order struct {
	field field
	desc  bool
}

// compile checks a query.
func compile(q Query) (*plan, error) {
	p := &plan{typ: q.Type, limit: q.Limit, afterID: q.After, indexed: q.Indexed}
	switch {
	case q.Limit < 0 || q.Limit > MaxLimit:
		return nil, queryErrorf("limit", "%d is not between 1 and %d; read on with after", q.Limit, MaxLimit)
	case q.Limit == 0:
		p.limit = DefaultLimit
	}
	if len(q.Where) > MaxConds {
		return nil, queryErrorf("where", "it has %d conditions, at most %d are allowed", len(q.Where), MaxConds)
	}
	p.conds = make([]cond, 0, len(q.Where))
	for _, c := range q.Where {
		checked, err := compileCond(c)
		if err != nil {
			return nil, err
		}
		if checked.field.meta == metaType && checked.op == "$eq" && p.typ == "" {
			p.typ = checked.values[0].text // the indexes begin with the type
			continue
		}
		p.conds = append(p.conds, checked)
	}
	if len(q.OrderBy) > MaxOrders {
		return nil, queryErrorf("orderBy", "it has %d fields, at most %d are allowed", len(q.OrderBy), MaxOrders)
	}
	desc := false
	for _, o := range q.OrderBy {
		f, err := parseField("orderBy", o.Field)
		if err != nil {
			return nil, err
		}
		p.orders = append(p.orders, order{f, o.Desc})
		if desc = o.Desc; f.meta == metaID {
			return p, nil // no ties are left
		}
	}
	p.orders = append(p.orders, order{field{"$id", metaID}, desc})
	return p, nil
}

func compileCond(c Cond) (cond, error) {
	f, err := parseField("where", c.Field)
	if err != nil {
		return cond{}, err
	}
	out := cond{field: f, op: c.Op}
	switch c.Op {
	case "$exists":
		exists, ok := c.Value.(bool)
		if !ok {
			return cond{}, queryErrorf("$exists", "%s needs true or false", c.Field)
		}
		out.exists = exists
		return out, nil
	case "$in":
		list, ok := c.Value.([]any)
		if !ok {
			return cond{}, queryErrorf("$in", "%s needs a list", c.Field)
		}
		if len(list) > MaxIn {
			return cond{}, queryErrorf("$in", "%s has %d values, at most %d are allowed", c.Field, len(list), MaxIn)
		}
		for _, item := range list {
			v, err := compileValue(f, c.Op, item)
			if err != nil {
				return cond{}, err
			}
			out.values = append(out.values, v)
		}
		return out, nil
	case "$eq", "$ne", "$gt", "$gte", "$lt", "$lte":
		v, err := compileValue(f, c.Op, c.Value)
		if err != nil {
			return cond{}, err
		}
		if v.kind == nothing && c.Op != "$eq" && c.Op != "$ne" {
			return cond{}, queryErrorf(c.Op, "%s cannot be compared with null; use $eq, $ne or $exists", c.Field)
		}
		out.values = []scalar{v}
		return out, nil
	}
	return cond{}, queryErrorf(c.Op, "%s has an unknown operator; there are $eq, $ne, $gt, $gte, $lt, $lte, $in and $exists", c.Field)
}

func compileValue(f field, op string, value any) (scalar, error) {
	var v scalar
	switch x := value.(type) {
	case nil:
	case bool:
		v = numberOf(0)
		if x {
			v = numberOf(1)
		}
	case float64:
		v = numberOf(x)
	case int:
		v = numberOf(float64(x))
	case int64:
		v = numberOf(float64(x))
	case string:
		v = textOf(x)
	case time.Time:
		v = numberOf(float64(x.UnixMilli()))
	default:
		return scalar{}, queryErrorf(op, "%s cannot be compared with a value of this kind; use null, a boolean, a number, a string or a date", f.name)
	}
	if v.kind == number && (math.IsNaN(v.num) || math.IsInf(v.num, 0)) {
		return scalar{}, queryErrorf(op, "%s cannot be compared with %v", f.name, v.num)
	}
	// a meta field has one kind of value; another is a mistake that would
	// otherwise match nothing, or everything
	switch wantText := f.meta == metaID || f.meta == metaType; {
	case f.meta == notMeta:
	case wantText && v.kind != text:
		return scalar{}, queryErrorf(op, "%s is a string", f.name)
	case !wantText && v.kind != number:
		return scalar{}, queryErrorf(op, "%s is %s", f.name, map[bool]string{true: "a number", false: "a date"}[f.meta == metaVersion])
	}
	return v, nil
}

// matches reports whether a thing meets the conditions, as the SQL of where does.
func (p *plan) matches(t *Thing) bool {
	if p.typ != "" && t.Type != p.typ {
		return false
	}
	for i := range p.conds {
		if !p.conds[i].matches(t) {
			return false
		}
	}
	return true
}

func (c *cond) matches(t *Thing) bool {
	v, exists := c.field.find(t)
	switch c.op {
	case "$exists":
		return exists == c.exists
	case "$in", "$eq":
		return slices.Contains(c.values, v)
	case "$ne":
		return !slices.Contains(c.values, v)
	}
	against := v.compare(c.values[0])
	switch c.op {
	case "$gt":
		return against > 0
	case "$gte":
		return against >= 0
	case "$lt":
		return against < 0 && v.kind != nothing
	case "$lte":
		return against <= 0 && v.kind != nothing
	}
	panic(fmt.Sprintf("store: condition %q passed the check", c.op))
}

// keys returns what a thing is sorted by, one value for each order.
func (p *plan) keys(t *Thing) []scalar {
	keys := make([]scalar, len(p.orders))
	for i, o := range p.orders {
		keys[i] = o.field.of(t)
	}
	return keys
}

// compare orders two things by their keys.
func (p *plan) compare(a, b []scalar) int {
	for i, o := range p.orders {
		if c := a[i].compare(b[i]); c != 0 {
			if o.desc {
				return -c
			}
			return c
		}
	}
	return 0
}

// merge puts things of the overlay among stored ones, which are sorted, and cuts
// at the limit.
func (p *plan) merge(stored, overlay []Thing) []Thing {
	type ranked struct {
		thing Thing
		keys  []scalar
	}
	all := make([]ranked, 0, len(stored)+len(overlay))
	for _, list := range [][]Thing{stored, overlay} {
		for i := range list {
			all = append(all, ranked{list[i], p.keys(&list[i])})
		}
	}
	slices.SortFunc(all, func(a, b ranked) int { return p.compare(a.keys, b.keys) })
	out := make([]Thing, 0, min(len(all), p.limit))
	for i := range min(len(all), p.limit) {
		out = append(out, all[i].thing)
	}
	return out
}

// first is what the things are sorted by first.
func (p *plan) first() order { return p.orders[0] }

// equalities yields the conditions that the index of a declared field can answer.
func (p *plan) equalities(yield func(cond) bool) {
	for _, c := range p.conds {
		if c.op == "$eq" && c.field.declared(p.indexed) && !yield(c) {
			return
		}
	}
}
