package sweep

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
)

// Report is a finished sweep.
type Report struct {
	Axes    []Axis
	Columns []string // measurements that are shown, the first of which chooses the best
	Falling bool     // of the first less is better
	Rows    []Row
	Best    int // of the rows; -1: none has a value
}

// Row is a cell of the grid with what its points have measured.
type Row struct {
	Cell     []string
	Outcomes []Outcome // a seed each
}

// report puts the outcomes of cells together.
func report(axes []Axis, cells [][]string, jobs []job, outcomes []Outcome, columns []string, falling bool) *Report {
	r := &Report{Axes: axes, Columns: columns, Falling: falling, Best: -1, Rows: make([]Row, len(cells))}
	for i, c := range cells {
		r.Rows[i].Cell = c
	}
	for i, j := range jobs {
		r.Rows[j.cell].Outcomes = append(r.Rows[j.cell].Outcomes, outcomes[i])
	}
	best := math.Inf(1)
	for i, row := range r.Rows {
		mean, _, n := row.mean(columns[0])
		if n < len(row.Outcomes) || n == 0 {
			continue // a setting that fails with one of the seeds is none to choose
		}
		if !falling {
			mean = -mean
		}
		if mean < best {
			best, r.Best = mean, i
		}
	}
	return r
}

// mean is that of a measurement over the points that have it, with its standard error, sqrt(sum (x - mean)² / (n (n - 1))); NaN of one.
func (r Row) mean(name string) (mean, standardError float64, n int) {
	var all []float64
	for _, o := range r.Outcomes {
		if x, ok := o.Value(name); ok {
			all = append(all, x)
		}
	}
	return MeanError(all)
}

// MeanError is the mean of values, and its standard error, which is NaN of fewer than two.
func MeanError(x []float64) (mean, standardError float64, n int) {
	n = len(x)
	for _, v := range x {
		mean += v / float64(n)
	}
	var squares float64
	for _, v := range x {
		squares += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(squares / float64(n*(n-1))), n
}

// WriteTable writes the report as a table of Markdown, the best row marked.
func (r *Report) WriteTable(w io.Writer) error {
	rows := [][]string{{}}
	for _, a := range r.Axes {
		rows[0] = append(rows[0], short(a.Key))
	}
	for _, c := range r.Columns {
		rows[0] = append(rows[0], strings.ReplaceAll(c, "_", " "))
	}
	rows[0] = append(rows[0], "seconds", "")
	for i, row := range r.Rows {
		line := slices.Clone(row.Cell)
		for _, c := range r.Columns {
			line = append(line, row.text(c))
		}
		var took []float64
		for _, o := range row.Outcomes {
			took = append(took, o.Seconds)
		}
		seconds, _, _ := MeanError(took)
		line = append(line, fmt.Sprintf("%.0f", seconds))
		rows = append(rows, append(line, r.remark(i)))
	}
	var b strings.Builder
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for i, row := range rows {
		for j, cell := range row {
			fmt.Fprintf(&b, "| %-*s ", widths[j], cell)
		}
		b.WriteString("|\n")
		if i == 0 {
			for _, n := range widths {
				b.WriteString("|" + strings.Repeat("-", n+2))
			}
			b.WriteString("|\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// text is a mean with its standard error, as digits as that has.
func (r Row) text(name string) string {
	mean, e, n := r.mean(name)
	switch {
	case n == 0:
		return "–"
	case math.IsNaN(e):
		return number(mean)
	}
	return number(mean) + " ± " + number(e)
}

// number is a value with as many digits as one looks at.
func number(x float64) string {
	if x == math.Trunc(x) && math.Abs(x) < 1e9 {
		return fmt.Sprintf("%.0f", x)
	}
	if math.Abs(x) >= 1000 {
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.4f", x)
}

// remark is what stands at the end of a row.
func (r *Report) remark(i int) string {
	failed := map[string]int{}
	for _, o := range r.Rows[i].Outcomes {
		if o.Failed != "" {
			failed[o.Failed]++
		}
	}
	var all []string
	if i == r.Best {
		all = append(all, "best")
	}
	for _, why := range slices.Sorted(maps.Keys(failed)) {
		all = append(all, fmt.Sprintf("%d of %d: %s", failed[why], len(r.Rows[i].Outcomes), why))
	}
	return strings.Join(all, "; ")
}
