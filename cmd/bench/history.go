package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"
)

// Limits of the history command.
const (
	maxHistoryMessages = 10_000_000
	maxHistoryPages    = 1_000_000
	historyTurn        = 500 // messages that are made in one turn
	historyPage        = 100 // messages of a page: the most that the chat gives
)

// historyScript makes messages as the chat would, only faster: many in one turn.
const historyScript = `import { DO } from 'dotdo'

export default DO.extend({
  $type: 'Room',

  onRequest() {
    this.app.post('/fill/:room', (c) => {
      const room = this.ctx.id.name
      for (let i = 0, many = +c.req.query('messages'); i < many; i++) {
        this.things.create({
          $type: 'Message', room, author: 'user-' + (i % 100), sent: new Date(),
          content: 'the quick brown fox jumps over the lazy dog',
        })
      }
      return c.text('ok')
    })
  },
})
`

// historyOptions are the flags of the history command.
type historyOptions struct {
	options
	messages int
	pages    int
}

func parseHistory(args []string, output io.Writer) (o historyOptions, err error) {
	fs := newFlags("history", output)
	fs.IntVar(&o.messages, "messages", 100_000, "messages in one room")
	fs.IntVar(&o.pages, "pages", 2000, "pages of each kind, at random places, after all have been read in turn")
	o.defineJSON(fs)
	if err := parse(fs, args); err != nil {
		return o, err
	}
	switch {
	case o.messages < 1 || o.messages > maxHistoryMessages:
		err = fmt.Errorf("--messages must be from 1 to %d", maxHistoryMessages)
	case o.pages < 1 || o.pages > maxHistoryPages:
		err = fmt.Errorf("--pages must be from 1 to %d", maxHistoryPages)
	}
	return o, err
}

// historyReport is what the history command prints.
type historyReport struct {
	Messages int             `json:"messages"`
	Disk     int64           `json:"disk"` // bytes of the data folder
	Results  []historyResult `json:"results"`
}

// historyResult is what pages of one kind took, from the request until the whole
// answer is there.
type historyResult struct {
	Kind  string  `json:"kind"`
	Pages int     `json:"pages"`
	P50   float64 `json:"p50_ms"`
	P99   float64 `json:"p99_ms"`
	Max   float64 `json:"max_ms"`
	CPU   float64 `json:"cpu_ms"` // processor time of the server for a page
}

func (o historyOptions) measure(ctx context.Context, p *programs, progress io.Writer) (report, error) {
	data, err := p.newFolder()
	if err != nil {
		return nil, err
	}
	if err := o.fill(ctx, p, data, progress); err != nil {
		return nil, fmt.Errorf("making messages: %w", err)
	}
	r := &historyReport{Messages: o.messages}
	err = p.chat("runtime", p.shipped(), data).with(ctx, func(t target) error {
		pages := newPager(t)
		defer pages.close()
		places, err := o.walk(ctx, pages, r, progress)
		if err != nil {
			return err
		}
		for _, kind := range []string{"after", "before", "newest"} {
			fmt.Fprintf(progress, "%d pages: %s\n", o.pages, kind)
			if err := o.jump(ctx, pages, r, kind, places); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	r.Disk, err = size(data)
	return r, err
}

// fill makes the messages in a folder of data.
func (o historyOptions) fill(ctx context.Context, p *programs, data string, progress io.Writer) error {
	scripts, err := p.script(historyScript)
	if err != nil {
		return err
	}
	return p.chat("runtime", scripts, data, "--turn-timeout", "30s").with(ctx, func(t target) error {
		pages := newPager(t)
		defer pages.close()
		var made atomic.Int64
		stopProgress := tell(progress, func() string { return fmt.Sprintf("making messages: %d of %d", made.Load(), o.messages) })
		defer stopProgress()
		for n := 0; n < o.messages; n += historyTurn {
			many := min(historyTurn, o.messages-n)
			if _, err := pages.do(ctx, http.MethodPost, fmt.Sprintf("/fill/bench?messages=%d", many)); err != nil {
				return err
			}
			made.Add(int64(many))
		}
		return nil
	})
}

// walk reads the whole history in its order, and returns the $id of the last message
// of each page. All messages must be there, each once.
func (o historyOptions) walk(ctx context.Context, pages *pager, r *historyReport, progress io.Writer) (places []string, err error) {
	var took histogram
	var read atomic.Int64
	before, err := pages.target.cpuTime()
	if err != nil {
		return nil, err
	}
	stopProgress := tell(progress, func() string { return fmt.Sprintf("reading messages: %d of %d", read.Load(), o.messages) })
	defer stopProgress()
	last := ""
	for {
		ids, err := pages.page(ctx, "after="+last, &took)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if id <= last {
				return nil, fmt.Errorf("message %s comes after %s", id, last)
			}
			last = id
		}
		read.Add(int64(len(ids)))
		if len(ids) < historyPage {
			break
		}
		places = append(places, last)
	}
	if n := read.Load(); n != int64(o.messages) {
		return nil, fmt.Errorf("the history has %d messages, not %d", n, o.messages)
	}
	return append(places, last), r.add("all, in turn", &took, pages.target, before)
}

// jump reads pages of one kind at random places.
func (o historyOptions) jump(ctx context.Context, pages *pager, r *historyReport, kind string, places []string) error {
	var took histogram
	before, err := pages.target.cpuTime()
	if err != nil {
		return err
	}
	for range o.pages {
		query := ""
		if kind != "newest" {
			query = kind + "=" + places[rand.IntN(len(places))]
		}
		if _, err := pages.page(ctx, query, &took); err != nil {
			return err
		}
	}
	return r.add(kind, &took, pages.target, before)
}

// add notes pages of a kind; before is the processor time of the server before them.
func (r *historyReport) add(kind string, took *histogram, t target, before time.Duration) error {
	used, err := t.cpuTime()
	pages := int(took.total.Load())
	r.Results = append(r.Results, historyResult{
		Kind: kind, Pages: pages,
		P50: milliseconds(took.percentile(0.5)), P99: milliseconds(took.percentile(0.99)), Max: milliseconds(took.max()),
		CPU: milliseconds(used-before) / float64(pages),
	})
	return err
}

// pager asks a server over one connection.
type pager struct {
	target    target
	transport *http.Transport
	client    http.Client
}

func newPager(t target) *pager {
	p := &pager{target: t, transport: &http.Transport{}}
	p.client = http.Client{Transport: p.transport, Timeout: requestTimeout}
	return p
}

func (p *pager) close() { p.transport.CloseIdleConnections() }

// page reads one page of the room, notes what that took, and returns the $id of each
// message.
func (p *pager) page(ctx context.Context, query string, took *histogram) (ids []string, err error) {
	began := time.Now()
	text, err := p.do(ctx, http.MethodGet, fmt.Sprintf("/rooms/bench/messages?limit=%d&%s", historyPage, query))
	if err != nil {
		return nil, err
	}
	took.add(time.Since(began))
	var messages []struct {
		ID string `json:"$id"`
	}
	if err := json.Unmarshal(text, &messages); err != nil {
		return nil, err
	}
	for _, m := range messages {
		ids = append(ids, m.ID)
	}
	return ids, nil
}

// do makes a request, which must be answered with 200, and returns the answer.
func (p *pager) do(ctx context.Context, method, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+p.target.addr+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := p.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s is answered with %s", method, path, response.Status)
	}
	return io.ReadAll(response.Body)
}

func (r *historyReport) print(w io.Writer) error {
	title := fmt.Sprintf("pages of %d from a room of %d messages, %.0f MiB on disk", historyPage, r.Messages, mebibytes(r.Disk))
	return printTable(w, title, r.Results, []row[historyResult]{
		{"pages", func(r *historyResult) string { return r.Kind }},
		figure("how many", "%.0f", func(r *historyResult) float64 { return float64(r.Pages) }),
		figure("p50, ms", "%.2f", func(r *historyResult) float64 { return r.P50 }),
		figure("p99, ms", "%.2f", func(r *historyResult) float64 { return r.P99 }),
		figure("at most, ms", "%.2f", func(r *historyResult) float64 { return r.Max }),
		figure("server's processor time, ms", "%.2f", func(r *historyResult) float64 { return r.CPU }),
	})
}
