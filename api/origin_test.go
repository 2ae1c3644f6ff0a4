package api

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

func TestOriginsAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]string{
		"https://a.example": "https://a.example", "HTTPS://A.Example": "https://a.example", "https://a.example:443": "https://a.example",
		"http://a.example:80": "http://a.example", "http://a.example:443": "http://a.example:443", "https://a.example:8443": "https://a.example:8443",
		"http://[::1]:80": "http://[::1]", "http://[0:0:0::1]:8787": "http://[::1]:8787", "http://[2001:DB8::A]": "http://[2001:db8::a]",
		"https://a.example.":            "https://a.example.", // another origin than without the dot, for browsers too
		"https://xn--bcher-kva.example": "https://xn--bcher-kva.example", "chrome-extension://abc": "chrome-extension://abc", "tauri://localhost": "tauri://localhost",
		"http://a.example:": "http://a.example",
		"null":              "", "": "", "a.example": "", "//a.example": "", "https://": "", "https://a.example/": "", "https://a.example?": "", "https://a.example#": "",
		"https://a@a.example": "", "https://a.example:port": "", "https://a b": "", "https://bücher.example": "", "https:a.example": "", "http://[::1": "",
		"https://a.example\x00": "", "file://": "",
	} {
		one, ok := parseOrigin(text)
		if ok != (want != "") || ok && one.String() != want {
			t.Errorf("%q is %v %v, want %q", text, one, ok, want)
		}
	}
	var o Origins
	if o.Set("https://b.example, *,http://A.example:80 ,") != nil || o.String() != "*,http://a.example,https://b.example" || o.Set("x") == nil || !o.any {
		t.Errorf("the list is %s", &o)
	}
	if err := o.Set(""); err != nil || o.some() || o.sharing() != nil {
		t.Errorf("nothing is %s, %v", &o, err)
	}
}

// A page that is let in for being of the same origin has the host of the request.
func FuzzOrigin(f *testing.F) {
	for _, s := range [][2]string{{"http://localhost:8787", "localhost:8787"}, {"https://a.example", "A.example:443"}, {"http://[::1]", "[0::1]:80"}, {"null", ""},
		{"http://a.example.", "a.example"}, {"https://a@b", "b"}, {"http://a:80:80", "a:80"}, {"http://[::1%25en0]", "[::1%en0]"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, from, host string) {
		if one, ok := parseOrigin(from); ok {
			if again, ok := parseOrigin(one.String()); !ok || again != one {
				t.Fatalf("%q is %q, which is %q", from, one, again)
			}
		}
		var none Origins
		if !none.admits(&http.Request{Method: "PUT", Host: host, URL: &url.URL{Scheme: "http"}, Header: http.Header{"Origin": {from}}}) {
			return
		}
		_, rest, _ := strings.Cut(from, "://")
		page, asked := hostOf(rest), hostOf(host)
		if page != asked || page == "" {
			t.Fatalf("a page of %q is let in to %q", from, host)
		}
	})
}

// hostOf is the name or address in host[:port].
func hostOf(text string) string {
	name := strings.ToLower((&url.URL{Host: text}).Hostname())
	if a, err := netip.ParseAddr(name); err == nil {
		return a.String()
	}
	return name
}
