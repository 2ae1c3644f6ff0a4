package api

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"chat.example.com.ai/api/identity"
	"chat.example.com.ai/runtime/object"
	"chat.example.com.ai/runtime/script"
)

// Identity tells who somebody is.
type Identity interface {
	// Verify tells whose token it is. A request without a token has an empty one. The
	// user is nil if nobody in particular may ask too. Errors are those of package
	// identity.
	Verify(token string) (*script.User, error)
}

// Identify has every request to a route of the scripts tell whom it is from. Without
// it nobody is verified. It is called before anything is served.
func (s *Server) Identify(i Identity) {
	s.identity = i
	s.metrics.counter("chat_requests_unauthorized_total", "Requests that got 401, for want of a token that holds.", func() float64 { return float64(s.refused.Load()) })
}

// Where a token may be, besides the header Authorization.
const (
	tokenParameter    = "token"
	tokenSubprotocol  = "bearer." // what an upgrade of a browser can have in place of the header
	subprotocolHeader = "Sec-Websocket-Protocol"
)

// credentials are what a request came with to say whom it is from.
type credentials struct {
	tokens []string
	// subprotocol is what the handshake is answered with if the script has none: a
	// browser that offered its token as a subprotocol wants one of them. Empty if it
	// didn't, or has offered no other.
	subprotocol string
	alone       bool // the token is the only subprotocol
}

// takeCredentials takes all tokens out of a request, so that nobody behind sees them:
// of its URL, its headers, and the URL of the page that it came from.
func takeCredentials(r *http.Request) (c credentials) {
	var kept []string
	for _, value := range r.Header["Authorization"] {
		scheme, token, _ := strings.Cut(strings.ReplaceAll(value, "\t", " "), " ")
		if strings.EqualFold(scheme, "Bearer") {
			c.add(token)
		} else {
			kept = append(kept, value)
		}
	}
	replace(r.Header, "Authorization", kept)

	query, tokens := takeParameter(r.URL.RawQuery)
	for _, token := range tokens {
		c.add(token)
	}
	if len(tokens) > 0 {
		r.URL.RawQuery = query
		r.RequestURI = r.URL.RequestURI()
	}
	for i, referer := range r.Header["Referer"] {
		page, query, _ := strings.Cut(referer, "?")
		if query, tokens := takeParameter(query); len(tokens) > 0 {
			r.Header["Referer"][i] = strings.TrimSuffix(page+"?"+query, "?")
		}
	}

	kept = nil
	taken := false
	for _, value := range r.Header[subprotocolHeader] {
		for name := range strings.SplitSeq(value, ",") {
			name = strings.TrimSpace(name)
			switch {
			case len(name) > len(tokenSubprotocol) && strings.EqualFold(name[:len(tokenSubprotocol)], tokenSubprotocol):
				c.add(name[len(tokenSubprotocol):])
				taken = true
			case name != "":
				kept = append(kept, name)
			}
		}
	}
	if taken {
		var others []string
		if c.alone = len(kept) == 0; !c.alone {
			c.subprotocol = kept[0]
			others = []string{strings.Join(kept, ", ")}
		}
		replace(r.Header, subprotocolHeader, others)
	}
	return c
}

func (c *credentials) add(token string) {
	if token = strings.TrimSpace(token); token != "" {
		c.tokens = append(c.tokens, token)
	}
}

func replace(h http.Header, name string, values []string) {
	if len(values) == 0 {
		delete(h, name)
	} else {
		h[name] = values
	}
}

// takeParameter takes the tokens out of a query. What else is in it stays as it was
// written.
func takeParameter(query string) (rest string, tokens []string) {
	if query == "" {
		return "", nil
	}
	var kept []string
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		if name, err := url.QueryUnescape(name); err != nil || name != tokenParameter {
			kept = append(kept, part)
			continue
		}
		if plain, err := url.QueryUnescape(value); err == nil {
			value = plain
		}
		tokens = append(tokens, value)
	}
	return strings.Join(kept, "&"), tokens
}

// userOf tells whom a request is from. If it may not go on, it has answered.
func (s *Server) userOf(w http.ResponseWriter, c credentials) (user *script.User, ok bool) {
	switch {
	case len(c.tokens) > 1:
		writeError(w, http.StatusBadRequest, "a request has one token: in the header Authorization, as ?token=, or as a subprotocol")
		return nil, false
	case c.alone:
		writeError(w, http.StatusBadRequest, "a token as a subprotocol needs another subprotocol next to it: new WebSocket(url, ['chat', 'bearer.' + token])")
		return nil, false
	case s.identity == nil:
		return nil, true
	}
	token := ""
	if len(c.tokens) > 0 {
		token = c.tokens[0]
	}
	user, err := s.identity.Verify(token)
	if err == nil {
		return user, true
	}
	s.refused.Add(1)
	challenge := `Bearer realm="chat"`
	if !errors.Is(err, identity.ErrMissing) { // RFC 6750, section 3
		challenge += `, error="invalid_token", error_description="` + err.Error() + `"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	writeError(w, http.StatusUnauthorized, err.Error())
	return nil, false
}

// answerSubprotocol chooses a subprotocol where the script has chosen none.
func (c credentials) answerSubprotocol(response *object.Response) {
	if c.subprotocol != "" && response.Socket != nil && response.Header.Get(subprotocolHeader) == "" {
		response.Header.Set(subprotocolHeader, c.subprotocol)
	}
}
