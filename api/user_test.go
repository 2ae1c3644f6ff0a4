package api

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"testing"
)

func TestTakeCredentials(t *testing.T) {
	for _, c := range []struct {
		name          string
		target        string
		header        http.Header
		tokens        []string
		left          string // of the target
		leftOfHeaders http.Header
		subprotocol   string
		alone         bool
	}{
		{name: "nothing", target: "/a?", left: "/a?"},
		{name: "a header", target: "/a", header: http.Header{"Authorization": {"Bearer T"}}, tokens: []string{"T"}, left: "/a"},
		{name: "more space", target: "/a", header: http.Header{"Authorization": {"BEARER   T"}}, tokens: []string{"T"}, left: "/a"},
		{name: "a tab", target: "/a", header: http.Header{"Authorization": {"Bearer\tT"}}, tokens: []string{"T"}, left: "/a"},
		{name: "other schemes", target: "/a", header: http.Header{"Authorization": {"Basic B", "Bearer T", "Bearer"}}, tokens: []string{"T"}, left: "/a",
			leftOfHeaders: http.Header{"Authorization": {"Basic B"}}},
		{name: "a parameter", target: "/a?token=T", tokens: []string{"T"}, left: "/a"},
		{name: "among others", target: "/a?x=%zz&token=T&&b+c", tokens: []string{"T"}, left: "/a?x=%zz&&b+c"},
		{name: "an empty one", target: "/a?token&token=&b", left: "/a?b"},
		{name: "not that one", target: "/a?Token=T&tokens=T&x=token=T", left: "/a?Token=T&tokens=T&x=token=T"},
		{name: "escaped", target: "/a?%74%6F%6b%65%6e=%54.%54", tokens: []string{"T.T"}, left: "/a"},
		{name: "a subprotocol", target: "/a", header: http.Header{"Sec-Websocket-Protocol": {"chat, bearer.T , b"}}, tokens: []string{"T"}, left: "/a",
			leftOfHeaders: http.Header{"Sec-Websocket-Protocol": {"chat, b"}}, subprotocol: "chat"},
		{name: "in lines", target: "/a", header: http.Header{"Sec-Websocket-Protocol": {"Bearer.T", "chat", "b"}}, tokens: []string{"T"}, left: "/a",
			leftOfHeaders: http.Header{"Sec-Websocket-Protocol": {"chat, b"}}, subprotocol: "chat"},
		{name: "alone", target: "/a", header: http.Header{"Sec-Websocket-Protocol": {"bearer.T,"}}, tokens: []string{"T"}, left: "/a", alone: true},
		{name: "subprotocols without one", target: "/a", header: http.Header{"Sec-Websocket-Protocol": {"chat", "b"}}, left: "/a",
			leftOfHeaders: http.Header{"Sec-Websocket-Protocol": {"chat", "b"}}},
		{name: "all places", target: "/a?token=1", header: http.Header{"Authorization": {"Bearer 2"}, "Sec-Websocket-Protocol": {"bearer.3, chat"}},
			tokens: []string{"2", "1", "3"}, left: "/a", leftOfHeaders: http.Header{"Sec-Websocket-Protocol": {"chat"}}, subprotocol: "chat"},
		{name: "the page that it came from", target: "/a", header: http.Header{"Referer": {"http://x/?token=T&room=a"}}, left: "/a",
			leftOfHeaders: http.Header{"Referer": {"http://x/?room=a"}}},
	} {
		u, err := url.ParseRequestURI(c.target)
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{URL: u, RequestURI: c.target, Header: c.header}
		if r.Header == nil {
			r.Header = http.Header{}
		}
		got := takeCredentials(r)
		if !slices.Equal(got.tokens, c.tokens) || got.subprotocol != c.subprotocol || got.alone != c.alone {
			t.Errorf("%s: %+v", c.name, got)
		}
		if r.RequestURI != c.left || r.URL.RequestURI() != c.left {
			t.Errorf("%s: %s and %s are left", c.name, r.RequestURI, r.URL.RequestURI())
		}
		if len(r.Header)+len(c.leftOfHeaders) > 0 && !reflect.DeepEqual(r.Header, c.leftOfHeaders) {
			t.Errorf("%s: %v are left", c.name, r.Header)
		}
	}
}

// What is taken out of a query is what net/url finds there under the name, and nothing
// else.
func FuzzTakeParameter(f *testing.F) {
	for _, query := range []string{"", "token=T", "a=1&token=T&b", "%74oken=%2e&token&Token=x", "a=%zz&to%6ben=%zz", "&&token==&=token", "token=a+b&token=c"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		rest, tokens := takeParameter(query)
		if again, more := takeParameter(rest); again != rest || len(more) > 0 {
			t.Errorf("%q left %q, of which %q was left", query, rest, again)
		}
		before, err := url.ParseQuery(query)
		if err != nil {
			return // it drops what it doesn't like
		}
		after, err := url.ParseQuery(rest)
		if err != nil || after.Has(tokenParameter) || !slices.Equal(before[tokenParameter], tokens) {
			t.Errorf("%q: %q and %q, %v", query, rest, tokens, err)
		}
		before.Del(tokenParameter)
		if !reflect.DeepEqual(before, after) {
			t.Errorf("%q: %q is left, %v", query, rest, after)
		}
	})
}
