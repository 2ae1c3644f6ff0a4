package store

import (
	"slices"
	"strings"
)

// field is a name that a query may use: a meta field, or a field of the author's,
// dotted if it lies deeper.
type field struct {
	name string
	meta metaField
}

type metaField uint8

const (
	notMeta metaField = iota
	metaID
	metaType
	metaCreatedAt
	metaUpdatedAt
	metaVersion
)

// sent is the field with a column of its own. Chat histories are sorted by it.
const sent = "sent"

// parseField checks a name. role is the part of the query that it stands in.
func parseField(role, name string) (field, error) {
	switch name {
	case "$id":
		return field{name, metaID}, nil
	case "$type":
		return field{name, metaType}, nil
	case "$createdAt":
		return field{name, metaCreatedAt}, nil
	case "$updatedAt":
		return field{name, metaUpdatedAt}, nil
	case "$version":
		return field{name, metaVersion}, nil
	}
	for part := range strings.SplitSeq(name, ".") {
		if !isIdentifier(part) {
			return field{}, queryErrorf(role, "%q is not the name of a field; names are letters, digits and _, with dots between them, or one of $id, $type, $createdAt, $updatedAt, $version", name)
		}
	}
	return field{name: name}, nil
}

// indexable checks a name that a part declares in indexes.
func indexable(name string) (field, error) {
	f, err := parseField("indexes", name)
	if err == nil && f.meta != notMeta {
		err = queryErrorf("indexes", "%s cannot be declared; $id and $createdAt are indexed always", name)
	}
	return f, err
}

func isIdentifier(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// of returns the sort value of the field in a thing.
func (f field) of(t *Thing) scalar {
	v, _ := f.find(t)
	return v
}

// find returns the sort value too, and whether the field is there.
func (f field) find(t *Thing) (scalar, bool) {
	switch f.meta {
	case metaID:
		return textOf(t.ID), true
	case metaType:
		return textOf(t.Type), true
	case metaCreatedAt:
		return numberOf(float64(t.CreatedAt)), true
	case metaUpdatedAt:
		return numberOf(float64(t.UpdatedAt)), true
	case metaVersion:
		return numberOf(float64(t.Version)), true
	}
	return lookup(t.Fields, f.name)
}

// path is the field's place in the encoded object, as SQLite writes it.
func (f field) path() string {
	return `$."` + strings.ReplaceAll(f.name, ".", `"."`) + `"`
}

// hasColumn reports whether an index of thing orders things of one type by f.
func (f field) hasColumn() bool {
	return f.meta == metaID || f.meta == metaCreatedAt || f.name == sent
}

// declared reports whether f is among the declared indexes and needs rows there.
func (f field) declared(indexes []string) bool {
	return f.meta == notMeta && f.name != sent && slices.Contains(indexes, f.name)
}
