package script

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// maxPattern is the longest path pattern in bytes: far above any that a person
// writes, low enough that a script cannot make one that is slow to match.
const maxPattern = 1024

// Pattern is a path with placeholders, in Hono's syntax:
//
//	/static/text   itself; a trailing slash counts
//	:name          one segment that isn't empty
//	:name{[0-9]+}  one segment that the regular expression (Go's) matches whole
//	:name?         a segment that may be missing; only such may follow
//	*              one segment in the middle; at the end the rest, or nothing
//
// A Pattern is immutable and may be used by several goroutines.
type Pattern struct {
	text     string
	segments []segment
	params   []string
	rest     bool // ends in a wildcard
	least    int  // segments that a path has at least
}

type segmentKind uint8

const (
	staticSegment segmentKind = iota
	paramSegment
	anySegment
)

type segment struct {
	kind segmentKind
	text string         // static: decoded text; param: its name
	expr *regexp.Regexp // of a param, or nil
}

// Param is a part of a path that a pattern named.
type Param struct {
	Name  string
	Value string // percent-decoded; escapes that are not valid stay as they are
}

var paramNameRE = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// ParsePattern reads a pattern. A leading slash may be left out. The error says
// what is wrong and doesn't name the pattern.
func ParsePattern(path string) (*Pattern, error) {
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	if len(path) > maxPattern {
		return nil, fmt.Errorf("a path is at most %d bytes long", maxPattern)
	}
	if !utf8.ValidString(path) || strings.ContainsAny(path, "?#") && !onlyOptional(path) {
		return nil, fmt.Errorf("a path has no query and no fragment")
	}
	texts, err := splitPattern(path[1:])
	if err != nil {
		return nil, err
	}
	p := &Pattern{text: path}
	optional := false
	for i, text := range texts {
		if text == "*" && i == len(texts)-1 {
			if optional {
				return nil, fmt.Errorf("no wildcard may follow an optional parameter")
			}
			p.rest = true
			break
		}
		s, opt, err := parseSegment(text)
		if err != nil {
			return nil, err
		}
		if optional && !opt {
			return nil, fmt.Errorf("only optional parameters may follow an optional parameter, and %q is not one", text)
		}
		optional = opt
		if !opt {
			p.least++
		}
		if s.kind == paramSegment {
			for _, name := range p.params {
				if name == s.text {
					return nil, fmt.Errorf("the parameter %q is there twice", name)
				}
			}
			p.params = append(p.params, s.text)
		}
		p.segments = append(p.segments, s)
	}
	return p, nil
}

// onlyOptional reports whether every ? and # stands where the syntax has a use for it.
func onlyOptional(path string) bool {
	depth := 0
	for i := 0; i < len(path); i++ {
		switch path[i] {
		case '{':
			depth++
		case '}':
			depth--
		case '#':
			if depth == 0 {
				return false
			}
		case '?':
			if depth == 0 && i+1 < len(path) && path[i+1] != '/' {
				return false
			}
		}
	}
	return true
}

// splitPattern splits at the slashes that are not within the braces of a parameter.
func splitPattern(s string) (parts []string, err error) {
	depth, start := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '{':
			if s[start] == ':' {
				depth++
			}
		case '}':
			if depth > 0 {
				depth--
			}
		case '/':
			if depth == 0 {
				parts = append(parts, s[start:i])
				start = i + 1
			}
		}
	}
	if depth != 0 {
		return nil, fmt.Errorf("a { is not closed")
	}
	return append(parts, s[start:]), nil
}

func parseSegment(text string) (s segment, optional bool, err error) {
	if text == "*" {
		return segment{kind: anySegment}, false, nil
	}
	if !strings.HasPrefix(text, ":") {
		if strings.HasSuffix(text, "?") {
			return s, false, fmt.Errorf("%q: only a parameter can be optional", text)
		}
		return segment{kind: staticSegment, text: percentDecode(text)}, false, nil
	}
	name := text[1:]
	if strings.HasSuffix(name, "?") {
		name, optional = name[:len(name)-1], true
	}
	s.kind = paramSegment
	if open := strings.IndexByte(name, '{'); open >= 0 {
		if !strings.HasSuffix(name, "}") {
			return s, false, fmt.Errorf("%q: nothing may follow the }", text)
		}
		source := name[open+1 : len(name)-1]
		// Compiled alone first, so that it cannot close the group around it.
		if _, err := regexp.Compile(source); err != nil {
			return s, false, fmt.Errorf("%q: %v", text, err)
		}
		if s.expr, err = regexp.Compile(`^(?:` + source + `)$`); err != nil {
			return s, false, fmt.Errorf("%q: %v", text, err)
		}
		name = name[:open]
	}
	if !paramNameRE.MatchString(name) {
		return s, false, fmt.Errorf("%q is not the name of a parameter", name)
	}
	s.text = name
	return s, optional, nil
}

// String is the pattern as it was written, with a leading slash.
func (p *Pattern) String() string { return p.text }

// Params are the names of the parameters, in the order of the path. The caller
// must not change them.
func (p *Pattern) Params() []string { return p.params }

// Match matches an escaped path (as of url.URL.EscapedPath), without a query.
// Optional parameters that are missing are not among params. It takes time in
// proportion to the length of path.
func (p *Pattern) Match(path string) (params []Param, ok bool) {
	path = strings.TrimPrefix(path, "/")
	count := 0 // segments matched
	more := true
	for i := range p.segments {
		if !more {
			break
		}
		var text string
		text, path, more = strings.Cut(path, "/")
		s := &p.segments[i]
		switch s.kind {
		case staticSegment:
			if text != s.text && percentDecode(text) != s.text {
				return nil, false
			}
		case anySegment:
			if text == "" {
				return nil, false
			}
		case paramSegment:
			value := percentDecode(text)
			if value == "" || s.expr != nil && !s.expr.MatchString(value) {
				return nil, false
			}
			if params == nil {
				params = make([]Param, 0, len(p.params))
			}
			params = append(params, Param{Name: s.text, Value: value})
		}
		count++
	}
	if count < p.least || more && !p.rest && count == len(p.segments) {
		return nil, false
	}
	return params, true
}

// percentDecode decodes the escapes of a path segment. A run of escapes that is
// not UTF-8, and a % that begins none, stay as they are.
func percentDecode(s string) string { return decodeEscapes(s, "") }

// decodeEscapes is percentDecode, except that the ASCII characters in keep stay escaped.
func decodeEscapes(s, keep string) string {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	out = append(out, s[:i]...)
	for i < len(s) {
		if _, ok := escapedByte(s[i:]); !ok {
			out = append(out, s[i])
			i++
			continue
		}
		start, mark := i, len(out)
		for i < len(s) {
			b, ok := escapedByte(s[i:])
			if !ok {
				break
			}
			if strings.IndexByte(keep, b) >= 0 {
				out = append(out, s[i:i+3]...)
			} else {
				out = append(out, b)
			}
			i += 3
		}
		if !utf8.Valid(out[mark:]) {
			out = append(out[:mark], s[start:i]...)
		}
	}
	return string(out)
}

func escapedByte(s string) (byte, bool) {
	if len(s) < 3 || s[0] != '%' {
		return 0, false
	}
	hi, lo := unhex(s[1]), unhex(s[2])
	return hi<<4 | lo, hi < 16 && lo < 16
}

// unhex is the value of a hexadecimal digit, or 255.
func unhex(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
