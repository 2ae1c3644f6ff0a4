package script

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestPattern(t *testing.T) {
	const no = "-"
	tests := []struct{ pattern, path, want string }{
		{"/", "/", ""}, {"/", "", ""}, {"/", "/a", no}, {"", "/", ""}, {"a", "/a", ""},
		{"/a/b", "/a/b", ""}, {"/a/b", "/a/b/", no}, {"/a/b/", "/a/b", no}, {"/a/b/", "/a/b/", ""}, {"/a/b", "/a", no}, {"/a", "/A", no}, {"/a/b", "/a//b", no},
		{"/{a/b}", "/{a/b}", ""}, {"/{", "/{", ""}, {"/a.b", "/axb", no}, {"/a.b", "/a.b", ""}, {"/a+(b)", "/a+(b)", ""},
		{"/café", "/caf%C3%A9", ""}, {"/caf%C3%A9", "/caf%C3%A9", ""}, {"/café", "/caf%c3%a9", ""}, {"/a b", "/a%20b", ""},
		{"/:x", "/1", "x=1"}, {"/:x", "/", no}, {"/:x", "/1/", no}, {"/:x", "/1/2", no}, {"/a/:x/b/:y", "/a/1/b/2", "x=1 y=2"}, {"/a/:x/", "/a/1/", "x=1"},
		{"/:x", "/a%20b", "x=a b"}, {"/:x", "/a%2Fb", "x=a/b"}, {"/:x", "/%E2%82%AC", "x=€"}, {"/:x", "/%zz", "x=%zz"}, {"/:x", "/%E2%82", "x=%E2%82"}, {"/:x", "/50%", "x=50%"}, {"/:x", "/a+b", "x=a+b"}, {"/:x", "/%25", "x=%"}, {"/:x", "/%2520", "x=%20"},
		{"/:id{[0-9]+}", "/12", "id=12"}, {"/:id{[0-9]+}", "/12a", no}, {"/:id{[0-9]+}", "/a12", no}, {"/:id{[0-9]+}/x", "/12/x", "id=12"}, {"/:id{a|b}", "/ab", no}, {"/:id{a|b}", "/b", "id=b"}, {"/:id{[0-9]{2}}", "/12", "id=12"}, {"/:id{[^/]+}", "/a", "id=a"}, {"/:id{a?}", "/a", "id=a"},
		{"/:x?", "/", no}, {"/a/:x?", "/a", ""}, {"/a/:x?", "/a/1", "x=1"}, {"/a/:x?", "/a/", no}, {"/a/:x?", "/a/1/2", no}, {"/a/:x?/:y?", "/a/1", "x=1"}, {"/a/:x?/:y?", "/a/1/2", "x=1 y=2"}, {"/a/:x{[0-9]+}?", "/a", ""}, {"/a/:x{[0-9]+}?", "/a/b", no},
		{"*", "/", ""}, {"*", "/a/b", ""}, {"/*", "/", ""}, {"/*", "", ""}, {"/a/*", "/a", ""}, {"/a/*", "/a/", ""}, {"/a/*", "/a/b/c/", ""}, {"/a/*", "/ab", no}, {"/a/*", "/", no}, {"/:x/*", "/1/2/3", "x=1"},
		{"/a/*/c", "/a/b/c", ""}, {"/a/*/c", "/a/c", no}, {"/a/*/c", "/a/b/b/c", no}, {"/a/*/c", "/a//c", no}, {"/*/c", "/b/c", ""}, {"/a*b", "/a*b", ""}, {"/a*b", "/axb", no}, {"/*/*", "/a", ""}, {"/*/*", "/", no},
	}
	for _, tt := range tests {
		p, err := ParsePattern(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		got := no
		if params, ok := p.Match(tt.path); ok {
			var list []string
			for _, p := range params {
				list = append(list, p.Name+"="+p.Value)
			}
			got = strings.Join(list, " ")
		}
		if got != tt.want {
			t.Errorf("%s matches %s: got %q, want %q", tt.pattern, tt.path, got, tt.want)
		}
	}
}

func TestPatternErrors(t *testing.T) {
	for pattern, want := range map[string]string{
		"/:":                            `"" is not the name of a parameter`,
		"/:a b":                         `"a b" is not the name of a parameter`,
		"/:file.json":                   `"file.json" is not the name of a parameter`,
		"/:a/:a":                        `the parameter "a" is there twice`,
		"/:a{":                          "a { is not closed",
		"/:a{(}":                        `":a{(}": error parsing regexp: missing closing ): ` + "`(`",
		"/:a{)(}":                       `":a{)(}": error parsing regexp: unexpected ): ` + "`)(`",
		"/:a{x}y":                       `":a{x}y": nothing may follow the }`,
		"/:a?/b":                        `only optional parameters may follow an optional parameter, and "b" is not one`,
		"/:a?/*":                        "no wildcard may follow an optional parameter",
		"/a?":                           `"a?": only a parameter can be optional`,
		"/a?b=c":                        "a path has no query and no fragment",
		"/a#b":                          "a path has no query and no fragment",
		"/a\xff":                        "a path has no query and no fragment",
		strings.Repeat("a", 1024):       "a path is at most 1024 bytes long",
		"/" + strings.Repeat("a", 2000): "a path is at most 1024 bytes long",
	} {
		if _, err := ParsePattern(pattern); err == nil || err.Error() != want {
			t.Errorf("%.50s: got %v, want %s", pattern, err, want)
		}
	}
}

func TestPatternParams(t *testing.T) {
	p, err := ParsePattern("/a/:x/*/:y{[0-9]+}/:z?")
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Params(); !slices.Equal(got, []string{"x", "y", "z"}) {
		t.Errorf("%v", got)
	}
	if p.String() != "/a/:x/*/:y{[0-9]+}/:z?" {
		t.Error(p)
	}
}

// FuzzPattern compares patterns with a matcher that takes the paths apart and tries.
func FuzzPattern(f *testing.F) {
	for _, s := range [][2]string{
		{"/a/:x", "/a/1"}, {"/:id{[0-9]+}", "/5"}, {"/a/*", "/a/b/c"}, {"/*/:a?/:b?", "/%zz/%E2%82%AC"}, {"/:a{[^/]{1,3}}?", "/"}, {"/é/:x", "/%C3%A9/x"},
		{"/*", ""}, {"/:x?", "/"}, {"/a/*/c", "/a//c"}, {"/%2F/:a", "/%2f/%2F"}, {"/:a{(a|b)*c}/", "/abac/"}, {"/:a{a+$}", "/aaaaaaaaaaaaaaaa%00"}, {"/:a{(?m)^x$}", "/x%0Ay"}, {"/:a?/:b{.}?", "/%E2%82/%41%zz%80"}, {"/a/:x/b", "/a/1"},
	} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		p, err := ParsePattern(pattern)
		if err != nil {
			return
		}
		if len(path) > 4096 {
			t.Skip()
		}
		var params []Param
		var ok bool
		quickly(t, time.Second, func() { params, ok = p.Match(path) })
		want, wantOK := tryPattern(p, path)
		if ok != wantOK || !slices.Equal(params, want) {
			t.Errorf("%q on %q: %v %v, want %v %v", pattern, path, params, ok, want, wantOK)
		}
		// A pattern without placeholders matches itself.
		if !strings.ContainsAny(pattern, ":*%") {
			if _, ok := p.Match(p.String()); !ok {
				t.Errorf("%q does not match itself", pattern)
			}
		}
		again, err := ParsePattern(p.String())
		if err != nil {
			t.Fatalf("%q, again: %v", p, err)
		}
		if params, ok := again.Match(path); ok != wantOK || !slices.Equal(params, want) {
			t.Errorf("%q, again, on %q: %v %v, want %v %v", pattern, path, params, ok, want, wantOK)
		}
	})
}

// tryPattern matches the segments of a path with as many of a pattern as there may be.
func tryPattern(p *Pattern, path string) ([]Param, bool) {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for n := p.least; n <= len(p.segments); n++ {
		if len(parts) != n && !(p.rest && len(parts) > n) {
			continue
		}
		var params []Param
		fits := true
		for i, s := range p.segments[:n] {
			value := unescaped(parts[i])
			switch s.kind {
			case staticSegment:
				fits = fits && (value == s.text || parts[i] == s.text)
			case anySegment:
				fits = fits && parts[i] != ""
			case paramSegment:
				fits = fits && value != "" && (s.expr == nil || s.expr.MatchString(value))
				params = append(params, Param{s.text, value})
			}
		}
		if fits {
			return params, true
		}
	}
	return nil, false
}

var escapesRE = regexp.MustCompile(`(%[0-9A-Fa-f]{2})+`)

// unescaped decodes the runs of escapes that are UTF-8.
func unescaped(s string) string {
	return escapesRE.ReplaceAllStringFunc(s, func(run string) string {
		if text, err := url.PathUnescape(run); err == nil && utf8.ValidString(text) {
			return text
		}
		return run
	})
}

func BenchmarkPattern(b *testing.B) {
	p, err := ParsePattern("/rooms/:room/messages/:id{[0-9]+}")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := p.Match("/rooms/general/messages/17"); !ok {
			b.Fatal("no match")
		}
	}
}
