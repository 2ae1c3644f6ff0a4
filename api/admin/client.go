package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
)

// ErrNotRunning says that no program answers on the socket of a data folder: none
// runs, or one is just starting or stopping.
var ErrNotRunning = errors.New("no program answers")

// Client asks the program that has a data folder. Its methods are those of Letters.
type Client struct{ http http.Client }

// Dial connects to the program that has a data folder. It returns ErrNotRunning if
// there is none.
func Dial(ctx context.Context, folder string) (*Client, error) {
	connect := func(ctx context.Context) (net.Conn, error) {
		path, release, err := socketPath(folder)
		if err != nil {
			return nil, err
		}
		defer release()
		return (&net.Dialer{Timeout: timeout}).DialContext(ctx, "unix", path)
	}
	conn, err := connect(ctx)
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, ErrNotRunning
	} else if err != nil {
		return nil, err
	}
	_ = conn.Close()
	c := &Client{}
	c.http.Transport = &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return connect(ctx) },
		MaxConnsPerHost: 1,
	}
	return c, nil
}

// Close ends the connection.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// List is Letters.List.
func (c *Client) List(ctx context.Context, q Query) (letters []Letter, err error) {
	err = c.do(ctx, http.MethodGet, "/deadletters?"+q.values().Encode(), nil, &letters)
	return letters, err
}

// Replay is Letters.Replay.
func (c *Client) Replay(ctx context.Context, s Selection) (o Outcome, err error) {
	err = c.do(ctx, http.MethodPost, "/deadletters/replay", s, &o)
	return o, err
}

// Drop is Letters.Drop.
func (c *Client) Drop(ctx context.Context, s Selection) (o Outcome, err error) {
	err = c.do(ctx, http.MethodPost, "/deadletters/drop", s, &o)
	return o, err
}

func (c *Client) do(ctx context.Context, method, path string, body, to any) error {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://program"+path, bytes.NewReader(text))
	if err != nil {
		return err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("the program that has the data folder does not answer: %w", err)
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusOK {
		return json.NewDecoder(answer.Body).Decode(to) // a page
	}
	var f failure
	if err := json.NewDecoder(io.LimitReader(answer.Body, maxFailure)).Decode(&f); err != nil {
		return fmt.Errorf("the program that has the data folder answers %s", answer.Status)
	}
	if answer.StatusCode == http.StatusBadRequest {
		return &RequestError{f.Error}
	}
	return errors.New(f.Error)
}
