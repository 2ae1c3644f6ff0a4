package object

import (
	"context"

	"chat.example.com.ai/runtime/fetch"
)

// Fetcher is what makes the requests of a node.
type Fetcher func(ctx context.Context, r *fetch.Request) (*fetch.Response, error)

func (f Fetcher) Do(ctx context.Context, r *fetch.Request) (*fetch.Response, error) { return f(ctx, r) }

// Close does nothing.
func (f Fetcher) Close() {}

// FetchBy has f make the node's requests. Nothing may have been fetched before.
func (n *Node) FetchBy(f Fetcher) { n.fetches.client = f }
