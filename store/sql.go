package store

import (
	"encoding/json"
	"strconv"
	"strings"
)

// access is the way into the things of a query.
type access struct {
	// index is a declared field: its rows lead to the things, in its order. With
	// the zero field SQLite finds its way among the indexes of thing.
	index field
	// equal, if not nil, is the value of index that is wanted.
	equal *scalar
}

func (a access) indexed() bool { return a.index.name != "" }

// sqlText is a statement, or a part of one. A constant is one by itself, and a string is
// not: the compiler turns down whatever was made of a value. Values are bound. Only the
// builder makes longer ones of it, and a test holds that nothing else converts to it.
type sqlText string

// builder writes one statement with bound parameters.
type builder struct {
	text strings.Builder
	args []any
}

// arg binds a value and returns its place.
func (b *builder) arg(v any) sqlText {
	b.args = append(b.args, v)
	return sqlText("?" + strconv.Itoa(len(b.args)))
}

func (b *builder) add(parts ...sqlText) {
	for _, p := range parts {
		b.text.WriteString(string(p))
	}
}

// statement is what was written, and its parameters.
func (b *builder) statement() (sqlText, []any) { return sqlText(b.text.String()), b.args }

const nothingSQL = "-9e999"

// selectThings lists things. The list is made in full before the first row comes
// out (MATERIALIZED), because only then does the driver watch the deadline: rows
// that it fetches later may take as long as they like. The order outside is that
// inside: SQLite reads a materialized table as it was written.
func selectThings(object string, p *plan, a access, exclude []string) (sqlText, []any) {
	b := &builder{}
	b.add("WITH listed AS MATERIALIZED (SELECT t.id, t.type, t.created, t.updated, t.version, t.fields")
	b.from(object, p, a, exclude)
	if p.after != nil {
		b.add(" AND ")
		b.following(p, a)
	}
	b.add(" ORDER BY ")
	for i, o := range p.orders {
		if i > 0 {
			b.add(", ")
		}
		b.add(b.value(o.field, a))
		if o.desc {
			b.add(" DESC")
		}
	}
	b.add(" LIMIT ", b.arg(p.limit), ") SELECT * FROM listed")
	return b.statement()
}

// countThings counts things.
func countThings(object string, p *plan, a access, exclude []string) (sqlText, []any) {
	b := &builder{}
	b.add("SELECT count(*)")
	b.from(object, p, a, exclude)
	return b.statement()
}

// from writes the FROM and WHERE clauses.
func (b *builder) from(object string, p *plan, a access, exclude []string) {
	if a.indexed() {
		// CROSS JOIN keeps this order of the tables
		b.add(" FROM thing_index i CROSS JOIN thing t ON t.object = i.object AND t.id = i.id WHERE i.object = ", b.arg(object),
			" AND i.type = ", b.arg(p.typ), " AND i.field = ", b.arg(a.index.name))
		if a.equal != nil {
			b.add(" AND i.value = ", b.arg(a.equal.bind()))
		}
	} else {
		b.add(" FROM thing t WHERE t.object = ", b.arg(object))
		if p.typ != "" {
			b.add(" AND t.type = ", b.arg(p.typ))
		}
	}
	for i := range p.conds {
		b.add(" AND ")
		b.cond(&p.conds[i], a)
	}
	if len(exclude) > 0 {
		b.add(" AND t.id NOT IN (SELECT value FROM json_each(", b.arg(jsonList(exclude)), "))")
	}
}

func (b *builder) cond(c *cond, a access) {
	if c.op == "$exists" {
		switch {
		case c.field.meta != notMeta && c.exists:
			b.add("1")
		case c.field.meta != notMeta:
			b.add("0")
		case c.exists:
			b.add("json_type(t.fields, ", b.arg(c.field.path()), ") IS NOT NULL")
		default:
			b.add("json_type(t.fields, ", b.arg(c.field.path()), ") IS NULL")
		}
		return
	}
	v := b.value(c.field, a)
	switch c.op {
	case "$eq", "$in":
		b.oneOf(c, v)
	case "$ne":
		b.add("NOT ")
		b.oneOf(c, v)
	case "$gt":
		b.add(v, " > ", b.arg(c.values[0].bind()))
	case "$gte":
		b.add(v, " >= ", b.arg(c.values[0].bind()))
	case "$lt":
		b.add(v, " < ", b.arg(c.values[0].bind()))
		b.something(c.field, v)
	case "$lte":
		b.add(v, " <= ", b.arg(c.values[0].bind()))
		b.something(c.field, v)
	}
}

// something writes the condition that a field has a value, beside one that is met by
// nothing, too. A meta field always has one (and SQLite would compare a text with
// the name of minus infinity).
func (b *builder) something(f field, v sqlText) {
	if f.meta == notMeta {
		b.add(" AND ", v, " > ", nothingSQL)
	}
}

// oneOf writes the condition that the sort value v of a field is one of those of c.
// Objects and lists have the same as null has, and are not null.
func (b *builder) oneOf(c *cond, v sqlText) {
	null := false
	b.add("(", v, " IN (")
	comma := sqlText("")
	for _, item := range c.values {
		if item.kind == nothing {
			null = true
			continue
		}
		b.add(comma, b.arg(item.bind()))
		comma = ", "
	}
	b.add(")")
	if null {
		b.add(" OR coalesce(json_type(t.fields, ", b.arg(c.field.path()), "), 'null') = 'null'")
	}
	b.add(")")
}

// following writes the condition that a row comes after the one with the sort
// values p.after.
func (b *builder) following(p *plan, a access) {
	if b.followingRow(p, a) {
		return
	}
	// x > ? OR (x = ? AND (y < ? OR (y = ? AND ...)))
	for i, o := range p.orders {
		v, arg := b.value(o.field, a), b.arg(p.after[i].bind())
		b.add("(", v, sign(o.desc), arg)
		if i < len(p.orders)-1 {
			b.add(" OR ", v, " = ", arg, " AND ")
		}
	}
	for range p.orders {
		b.add(")")
	}
}

// followingRow writes the same as one comparison of rows, which SQLite can begin
// an index with, if all orders have one direction.
func (b *builder) followingRow(p *plan, a access) bool {
	for _, o := range p.orders {
		if o.desc != p.orders[0].desc {
			return false
		}
	}
	if len(p.orders) == 1 {
		b.add(b.value(p.orders[0].field, a), sign(p.orders[0].desc), b.arg(p.after[0].bind()))
		return true
	}
	b.add("(")
	for i, o := range p.orders {
		if i > 0 {
			b.add(", ")
		}
		b.add(b.value(o.field, a))
	}
	b.add(")", sign(p.orders[0].desc), "(")
	for i := range p.orders {
		if i > 0 {
			b.add(", ")
		}
		b.add(b.arg(p.after[i].bind()))
	}
	b.add(")")
	return true
}

func sign(desc bool) sqlText {
	if desc {
		return " < "
	}
	return " > "
}

// value writes the sort value of a field.
func (b *builder) value(f field, a access) sqlText {
	switch {
	case f.meta == metaID && a.indexed():
		return "i.id"
	case f.meta == metaID:
		return "t.id"
	case f.meta == metaType:
		return "t.type"
	case f.meta == metaCreatedAt:
		return "t.created"
	case f.meta == metaUpdatedAt:
		return "t.updated"
	case f.meta == metaVersion:
		return "t.version"
	case f.name == sent:
		return "t.sent"
	case f == a.index:
		return "i.value"
	}
	path, date := b.arg(f.path()), b.arg(f.path()+`."$date"`)
	// numbers become floating point, which is what they are in a script
	return `coalesce(CASE json_type(t.fields, ` + path + `)` +
		` WHEN 'text' THEN json_extract(t.fields, ` + path + `)` +
		` WHEN 'integer' THEN json_extract(t.fields, ` + path + `) + 0.0` +
		` WHEN 'real' THEN json_extract(t.fields, ` + path + `) + 0.0` +
		` WHEN 'true' THEN 1.0 WHEN 'false' THEN 0.0` +
		` WHEN 'object' THEN CASE WHEN json_type(t.fields, ` + date + `) IN ('integer', 'real')` +
		` THEN json_extract(t.fields, ` + date + `) + 0.0 END END, ` + nothingSQL + `)`
}

// jsonList encodes ids for json_each: any number of them is one parameter, and the
// statement stays the same.
func jsonList(ids []string) string {
	out, err := json.Marshal(ids)
	if err != nil {
		panic(err) // strings can always be encoded
	}
	return string(out)
}
