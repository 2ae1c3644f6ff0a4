package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// soakSample is what a server took at one moment.
type soakSample struct {
	At            float64 `json:"seconds"`
	Messages      int64   `json:"messages"`
	Memory        int64   `json:"memory"` // resident, in bytes
	Heap          int64   `json:"heap"`   // in use, in bytes
	Goroutines    int     `json:"goroutines"`
	Descriptors   int     `json:"descriptors"`
	ServerSockets int     `json:"sockets"`
	Awake         int     `json:"objects_awake"`
	Wakes         int64   `json:"wakes"`
	Database      int64   `json:"database"` // bytes; 0 is unknown, as is that of the WAL
	WAL           int64   `json:"wal"`
}

// soakVerdict says of one measure whether it is flat: the median of the last third
// of the samples is not above that of the second third by more than the bound. The
// first third does not count.
type soakVerdict struct {
	What   string  `json:"what"`
	Unit   string  `json:"unit"`
	Second float64 `json:"median_of_second_third"`
	Last   float64 `json:"median_of_last_third"`
	Bound  float64 `json:"bound"` // of the difference
	Flat   bool    `json:"flat"`
}

// soakReport is what the soak command prints.
type soakReport struct {
	Rooms           int           `json:"rooms"`
	Sockets         int           `json:"sockets"`
	Rate            float64       `json:"rate"`
	Samples         []soakSample  `json:"samples"`
	Verdicts        []soakVerdict `json:"verdicts"`
	BytesPerMessage float64       `json:"bytes_per_message"` // of the database, after the first third; 0 is unknown
	Troubles        []string      `json:"troubles,omitempty"`
}

// soakMeasures are what must be flat. A bound is a share and a number: the share is
// what medians of equal thirds differed by, rounded up, and the number is what
// comes and goes by chance in a small server.
var soakMeasures = []struct {
	what, unit    string
	scale         float64
	share, number float64
	of            func(*soakSample) float64
}{
	{"resident memory", "MiB", 1 << 20, 0.05, 4, func(s *soakSample) float64 { return float64(s.Memory) }},
	{"heap in use", "MiB", 1 << 20, 0.10, 4, func(s *soakSample) float64 { return float64(s.Heap) }},
	{"goroutines", "", 1, 0.05, 10, func(s *soakSample) float64 { return float64(s.Goroutines) }},
	{"descriptors", "", 1, 0.02, 10, func(s *soakSample) float64 { return float64(s.Descriptors) }},
	// It grows to what one commit needs, and is written from its beginning again.
	{"write-ahead log", "MiB", 1 << 20, 0.05, 4, func(s *soakSample) float64 { return float64(s.WAL) }},
}

// judge decides what is flat.
func (r *soakReport) judge() {
	n := len(r.Samples)
	if n < 3 {
		return
	}
	second, last := r.Samples[n/3:2*n/3], r.Samples[2*n/3:]
	for _, m := range soakMeasures {
		v := soakVerdict{What: m.what, Unit: m.unit, Second: medianOf(second, m.of) / m.scale, Last: medianOf(last, m.of) / m.scale}
		v.Bound = v.Second*m.share + m.number
		v.Flat = v.Last-v.Second <= v.Bound
		r.Verdicts = append(r.Verdicts, v)
	}
	from, to := r.Samples[n/3], r.Samples[n-1]
	if messages := to.Messages - from.Messages; messages > 0 {
		r.BytesPerMessage = float64(to.Database-from.Database) / float64(messages)
	}
}

func medianOf(samples []soakSample, of func(*soakSample) float64) float64 {
	values := make([]float64, len(samples))
	for i := range samples {
		values[i] = of(&samples[i])
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// failed says what was not as it has to be, if anything.
func (r *soakReport) failed() error {
	var errs []error
	if len(r.Verdicts) == 0 {
		errs = append(errs, errors.New("there are too few samples to judge by"))
	}
	for _, v := range r.Verdicts {
		if !v.Flat {
			errs = append(errs, fmt.Errorf("not flat: %s", v))
		}
	}
	if len(r.Troubles) > 0 {
		errs = append(errs, fmt.Errorf("not all went well: %s", strings.Join(r.Troubles, "; ")))
	}
	return errors.Join(errs...)
}

func (v soakVerdict) String() string {
	unit := v.Unit
	if unit != "" {
		unit = " " + unit
	}
	return fmt.Sprintf("%s: %.1f%s, then %.1f (%+.1f, at most %+.1f)", v.What, v.Second, unit, v.Last, v.Last-v.Second, v.Bound)
}

// soakLines is how many lines the table has at most: each has the medians of as
// many samples.
const soakLines = 15

func (r *soakReport) print(w io.Writer) error {
	fmt.Fprintf(w, "%d rooms, %d sockets that stay, %g messages/s\n\n", r.Rooms, r.Sockets, r.Rate)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "s\tmessages\tresident, MiB\theap, MiB\tgoroutines\tdescriptors\tsockets\tawake\twakes\tdatabase, MiB\tWAL, MiB\t")
	each := max(1, (len(r.Samples)+soakLines-1)/soakLines)
	for some := range slices.Chunk(r.Samples, each) {
		last := some[len(some)-1]
		median := func(of func(*soakSample) float64) float64 { return medianOf(some, of) }
		fmt.Fprintf(t, "%.0f\t%d\t%.1f\t%.1f\t%.0f\t%.0f\t%d\t%d\t%d\t%.1f\t%.1f\t\n", last.At, last.Messages,
			median(soakMeasures[0].of)/(1<<20), median(soakMeasures[1].of)/(1<<20), median(soakMeasures[2].of), median(soakMeasures[3].of),
			last.ServerSockets, last.Awake, last.Wakes, mebibytes(last.Database), mebibytes(last.WAL))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w, "\nmedians of the second third, and of the last:")
	for _, v := range r.Verdicts {
		word := "flat"
		if !v.Flat {
			word = "NOT FLAT"
		}
		fmt.Fprintf(w, "  %s: %s\n", v, word)
	}
	if r.BytesPerMessage > 0 {
		fmt.Fprintf(w, "  the database grows by %.0f bytes a message, all that goes with it included\n", r.BytesPerMessage)
	}
	for _, text := range r.Troubles {
		fmt.Fprintf(w, "  trouble: %s\n", text)
	}
	return nil
}
