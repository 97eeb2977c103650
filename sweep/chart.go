package sweep

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"sparrow/metrics/chart"
)

// WriteFrontier draws a sweep of compressions to an SVG: the loss over the size of the model, a line for each value of the first axis, and
// the parent. Points that no other beats in both are filled, the rest hollow.
func (r *Report) WriteFrontier(w io.Writer) error {
	type point struct {
		x, y   float64
		hollow bool
	}
	lines := map[string][]point{}
	var names []string
	var parent *point
	frontier := r.Frontier()
	for i, row := range r.Rows {
		x, _, n := row.mean(megabytes)
		y, _, m := row.mean(r.Columns[0])
		if n == 0 || m == 0 {
			continue
		}
		name := ""
		if len(row.Cell) > 0 {
			name = row.Cell[0]
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		lines[name] = append(lines[name], point{x, y, !slices.Contains(frontier, i)})
		px, _, k := row.mean(parentMB)
		py, _, l := row.mean(parentLoss)
		if k > 0 && l > 0 && parent == nil {
			parent = &point{px, py, false}
		}
	}
	if len(names) == 0 {
		return fmt.Errorf("sweep: no point has been measured, there is nothing to draw")
	}
	c := chart.Chart{Title: "Loss over size", XLabel: "size of the arrays, MB", YLabel: strings.ReplaceAll(r.Columns[0], "_", " ")}
	for i, name := range names {
		points := lines[name]
		slices.SortStableFunc(points, func(a, b point) int {
			if a.x < b.x {
				return -1
			}
			return 1
		})
		l := chart.Line{Name: name, Look: i, Dash: i % 4}
		for _, p := range points {
			l.X, l.Y, l.Hollow = append(l.X, p.x), append(l.Y, p.y), append(l.Hollow, p.hollow)
		}
		c.Lines = append(c.Lines, l)
	}
	if parent != nil {
		c.Lines = append(c.Lines, chart.Line{Name: "the model itself", X: []float64{parent.x}, Y: []float64{parent.y}, Look: chart.Ink, Dash: chart.None})
	}
	c.Notes = []string{"filled: none smaller is as good"}
	return c.Write(w)
}
