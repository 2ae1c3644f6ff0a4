package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// row is one measure of a table: of each result what stands in its column.
type row[R any] struct {
	label string
	cell  func(r *R) string
}

// figure makes a row of figures.
func figure[R any](label, format string, value func(r *R) float64) row[R] {
	return row[R]{label, func(r *R) string { return fmt.Sprintf(format, value(r)) }}
}

// known makes a row of figures of which 0 is unknown.
func known[R any](label, format string, value func(r *R) float64) row[R] {
	return row[R]{label, func(r *R) string {
		if v := value(r); v != 0 {
			return fmt.Sprintf(format, v)
		}
		return "-"
	}}
}

// printTable writes a title, and a table with a line for each measure and a
// column for each result.
func printTable[R any](w io.Writer, title string, results []R, rows []row[R]) error {
	fmt.Fprintf(w, "%s\n\n", title)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, row := range rows {
		fmt.Fprintf(t, "%s\t", row.label)
		for i := range results {
			fmt.Fprintf(t, "%s\t", row.cell(&results[i]))
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }
