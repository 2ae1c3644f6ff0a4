package scripttest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"chat.example.com.ai/api/identity"
	"chat.example.com.ai/runtime/script"
)

// users are the verified users as whom a test acts. Each has a token, which nobody
// outside of this package knows; who comes without one of these is nobody in
// particular, as in development.
type users struct {
	mu      sync.Mutex
	byToken map[string]*script.User
}

// Verify implements api.Identity.
func (u *users) Verify(token string) (*script.User, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	user := u.byToken[token]
	if user != nil && !user.Expires.IsZero() && !time.Now().Before(user.Expires) {
		return nil, identity.ErrExpired
	}
	return user, nil
}

// actAs has a request act as a user that a test names: a string, or { id, claims }.
// Without one it does nothing.
func (u *users) actAs(arg json.RawMessage, h http.Header) error {
	user, err := userOf(arg)
	if user == nil || err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	token := fmt.Sprintf("user-%d", len(u.byToken))
	if u.byToken == nil {
		u.byToken = make(map[string]*script.User)
	}
	u.byToken[token] = user
	h.Set("Authorization", "Bearer "+token)
	return nil
}

func userOf(arg json.RawMessage) (*script.User, error) {
	if string(arg) == "null" {
		return nil, nil
	}
	var given struct {
		ID     string         `json:"id"`
		Claims map[string]any `json:"claims"`
	}
	if json.Unmarshal(arg, &given.ID) != nil {
		in := json.NewDecoder(bytes.NewReader(arg))
		in.UseNumber()
		if err := in.Decode(&given); err != nil {
			return nil, fmt.Errorf("{ user: %s }: a user is a name, or { id, claims }", arg)
		}
	}
	if given.Claims == nil {
		given.Claims = make(map[string]any)
	}
	given.Claims["sub"] = given.ID
	user, ok := identity.UserOf(given.Claims)
	if !ok {
		return nil, errors.New("{ user }: no token can be of this user: an id has 1 to 256 bytes without control characters, claims have at most 4 KiB")
	}
	return user, nil
}
