package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of the start command.
const (
	maxStartRooms = 10_000_000
	maxStarts     = 20
	perRoom       = 10 // messages
	fillAtOnce    = 32 // rooms: enough that they share commits
	healthzEvery  = time.Millisecond
)

// fillScript makes rooms as the chat would, only faster: all messages of one in
// one turn.
const fillScript = `import { DO } from 'dotdo'

export default DO.extend({
  $type: 'Room',

  onRequest() {
    this.app.post('/fill/:room', (c) => {
      const room = this.ctx.id.name
      for (let i = 0; i < 10; i++) {
        this.things.create({
          $type: 'Message', room, author: 'user-' + i, sent: new Date(),
          content: 'the quick brown fox jumps over the lazy dog',
        })
      }
      return c.text('ok')
    })
  },
})
`

// startOptions are the flags of the start command.
type startOptions struct {
	options
	rooms  int
	starts int
}

func parseStart(args []string, output io.Writer) (o startOptions, err error) {
	fs := newFlags("start", output)
	fs.IntVar(&o.rooms, "rooms", 100_000, fmt.Sprintf("rooms on disk, of %d messages each", perRoom))
	fs.IntVar(&o.starts, "starts", 3, "how often to start with them, and with none in turn")
	o.defineJSON(fs)
	if err := parse(fs, args); err != nil {
		return o, err
	}
	switch {
	case o.rooms < 1 || o.rooms > maxStartRooms:
		err = fmt.Errorf("--rooms must be from 1 to %d", maxStartRooms)
	case o.starts < 1 || o.starts > maxStarts:
		err = fmt.Errorf("--starts must be from 1 to %d", maxStarts)
	}
	return o, err
}

// startReport is what the start command prints.
type startReport struct {
	Filled  float64       `json:"rooms_per_second"` // how fast the rooms were made
	Results []startResult `json:"results"`
}

// startResult is what was measured with so many rooms.
type startResult struct {
	Rooms  int     `json:"rooms"`
	Disk   int64   `json:"disk"`          // bytes of the data folder
	Ready  float64 `json:"ready_ms"`      // from the start of the process until /healthz answers: the median
	Worst  float64 `json:"ready_max_ms"`  //
	Memory int64   `json:"memory"`        // resident then, in bytes: the median
	First  float64 `json:"first_page_ms"` // for the messages of one room, after that: the median
	times  []float64
	memory []int64
	pages  []float64
}

func (o startOptions) measure(ctx context.Context, p *programs, progress io.Writer) (report, error) {
	r := &startReport{}
	for _, rooms := range []int{0, o.rooms} {
		data, err := p.newFolder()
		if err != nil {
			return nil, err
		}
		if rooms > 0 {
			if r.Filled, err = o.fill(ctx, p, data, progress); err != nil {
				return nil, fmt.Errorf("making rooms: %w", err)
			}
		}
		one := startResult{Rooms: rooms}
		s := p.chat("runtime", p.shipped(), data)
		for n := range o.starts {
			fmt.Fprintf(progress, "start %d of %d with %d rooms\n", n+1, o.starts, rooms)
			if err := one.start(ctx, s); err != nil {
				return nil, err
			}
		}
		if one.Disk, err = size(data); err != nil {
			return nil, err
		}
		r.Results = append(r.Results, one.evaluate())
	}
	return r, nil
}

// fill makes the rooms in a folder of data, and returns how many a second.
func (o startOptions) fill(ctx context.Context, p *programs, data string, progress io.Writer) (perSecond float64, err error) {
	scripts, err := p.script(fillScript)
	if err != nil {
		return 0, err
	}
	// Rooms that are done are not to fill the memory.
	s := p.chat("runtime", scripts, data, "--hibernate-after", "10ms")
	begin := time.Now()
	err = s.with(ctx, func(t target) error {
		var made atomic.Int64
		stopProgress := tell(progress, func() string {
			return fmt.Sprintf("making rooms: %d of %d", made.Load(), o.rooms)
		})
		defer stopProgress()
		return postEach(ctx, o.rooms, &made, fillAtOnce, func(ctx context.Context, client *http.Client, i int) error {
			return post(ctx, client, fmt.Sprintf("http://%s/fill/bench-%d", t.addr, i))
		})
	})
	return float64(o.rooms) / time.Since(begin).Seconds(), err
}

// postEach makes n requests, some at a time, and counts those that were made.
func postEach(ctx context.Context, n int, made *atomic.Int64, atOnce int, one func(context.Context, *http.Client, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	transport := &http.Transport{MaxIdleConnsPerHost: atOnce}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, Timeout: requestTimeout}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := one(ctx, &client, i); err != nil {
					cancel(err)
				}
				made.Add(1)
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// post makes a request without a body, which must be answered with 200.
func post(ctx context.Context, client *http.Client, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s is answered with %s", url, response.Status)
	}
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// start starts the chat once, and notes what it took.
func (r *startResult) start(ctx context.Context, s server) error {
	begin := time.Now()
	return s.with(ctx, func(t target) error {
		limited, cancel := context.WithTimeout(ctx, listenLimit)
		defer cancel()
		err := poll(limited, healthzEvery, func() bool {
			status, err := t.page(limited, "/healthz", func(*http.Response) error { return nil })
			return err == nil && status == http.StatusOK
		})
		if err != nil {
			return fmt.Errorf("/healthz does not answer: %w", err)
		}
		r.times = append(r.times, milliseconds(time.Since(begin)))
		memory, err := residentMemory(t.pid)
		if err != nil {
			return err
		}
		r.memory = append(r.memory, memory)
		if r.Rooms == 0 {
			return nil
		}
		begin := time.Now()
		if err := r.check(ctx, t); err != nil {
			return err
		}
		r.pages = append(r.pages, milliseconds(time.Since(begin)))
		return nil
	})
}

// check reads a room's messages: they must all be there.
func (r *startResult) check(ctx context.Context, t target) error {
	path := fmt.Sprintf("/rooms/bench-%d/messages", r.Rooms/2)
	var messages []struct{}
	status, err := t.page(ctx, path, func(response *http.Response) error {
		return json.NewDecoder(response.Body).Decode(&messages)
	})
	if err == nil && (status != http.StatusOK || len(messages) != perRoom) {
		err = fmt.Errorf("%s is answered with %d and %d messages", path, status, len(messages))
	}
	return err
}

func (r startResult) evaluate() startResult {
	r.Worst = slices.Max(r.times)
	r.Ready, r.Memory = median(r.times), median(r.memory)
	if len(r.pages) > 0 {
		r.First = median(r.pages)
	}
	return r
}

// median is the middle one of some numbers; of two the larger.
func median[N int64 | float64](all []N) N {
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// size is the bytes of all files in a folder.
func size(folder string) (bytes int64, err error) {
	err = filepath.WalkDir(folder, func(_ string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, os.ErrNotExist) {
			return nil
		} else if err != nil {
			return err
		}
		bytes += info.Size()
		return nil
	})
	return bytes, err
}

func (r *startReport) print(w io.Writer) error {
	title := fmt.Sprintf("starts with rooms of %d messages on disk, which were made at %.0f a second", perRoom, r.Filled)
	return printTable(w, title, r.Results, []row[startResult]{
		figure("rooms", "%.0f", func(r *startResult) float64 { return float64(r.Rooms) }),
		figure("data on disk, MiB", "%.1f", func(r *startResult) float64 { return mebibytes(r.Disk) }),
		figure("until /healthz answers, ms", "%.0f", func(r *startResult) float64 { return r.Ready }),
		figure("the same at most, ms", "%.0f", func(r *startResult) float64 { return r.Worst }),
		figure("resident then, MiB", "%.1f", func(r *startResult) float64 { return mebibytes(r.Memory) }),
		known("first page of a room, ms", "%.1f", func(r *startResult) float64 { return r.First }),
	})
}
