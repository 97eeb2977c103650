package atlas

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"sparrow/factor"
	"sparrow/task/discovery"
)

// Limits of what a page shows, so that it opens at once.
const (
	mostPoints  = 2000
	mostDomains = 60
	mostLetters = 280 // of a text
)

// Colours of classes, told apart also by those who see few colours (Okabe and Ito); later classes begin again, paler.
var colours = []string{"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9", "#7f6a00", "#4d4d4d"}

func colour(y int) string { return colours[y%len(colours)] }

type page struct {
	Title   string
	Facts   []fact
	Notes   []string
	Points  []point
	Corners []point
	Legend  []class
	Left    int // points that are not drawn
	Domains []domain
	More    int // domains that are not drawn
	Classes []class
}

type fact struct{ Name, Value string }

type point struct {
	X, Y   string
	Colour string
	Name   string
}

type domain struct {
	Name string
	Bars []bar
}

type bar struct {
	X, Width string // percent
	Colour   string
	Text     string
}

type class struct {
	Name, Colour, Truth, Share, Purity string
	Examples                           []example
}

type example struct {
	Text   string
	Image  template.URL // of data
	Domain string
	P      string
}

// Write writes the page. each is how many examples stand for a class.
func Write(ctx context.Context, w io.Writer, title string, c *discovery.Classes, each int) error {
	p := page{Title: title, Notes: c.Notes}
	p.facts(c)
	if err := p.simplex(ctx, c); err != nil {
		return err
	}
	p.shares(c)
	p.examples(c, each)
	return layout.Execute(w, p)
}

func (p *page) facts(c *discovery.Classes) {
	add := func(name, format string, args ...any) {
		p.Facts = append(p.Facts, fact{name, fmt.Sprintf(format, args...)})
	}
	add("examples", "%d of %d domains", len(c.Examples), len(c.Model.Domains))
	add("cells", "%d", c.Cells)
	add("loss of the domain", "%.4f, calibrated %.4f (sizes alone: %.4f)", c.Loss, c.Calibrated, c.Chance)
	add("temperature", "%.3f", c.Model.Temperature)
	add("singular values", "%s", Spectrum(c.Rank.Spectrum, c.Rank.Chance))
	add("condition of the corners", "%.3g", c.Condition)
	add("spread of the shares", "%.3f; domains permuted: %.3f at most", c.Spread, c.Control)
	if c.Truths != nil {
		add("accuracy", "%.4f, L1 error of the shares %.4f", c.Accuracy, c.Distance)
	}
}

// Spectrum lists singular values with a bar where chance begins.
func Spectrum(s []float64, chance float64) string {
	const most = 12
	var b strings.Builder
	passed := false
	for i, v := range s[:min(len(s), most)] {
		if !passed && v <= chance {
			fmt.Fprintf(&b, " | chance %.2f |", chance)
			passed = true
		}
		if i > 0 || passed {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%.2f", v)
	}
	if len(s) > most {
		b.WriteString(" ...")
	}
	if !passed {
		fmt.Fprintf(&b, " | chance %.2f", chance)
	}
	return strings.TrimSpace(b.String())
}

// simplex places the points in a square of 100 by 100 with a margin.
func (p *page) simplex(ctx context.Context, c *discovery.Classes) error {
	plane, err := c.Plane(ctx)
	if err != nil {
		return err
	}
	low, high := [2]float64{math.Inf(1), math.Inf(1)}, [2]float64{math.Inf(-1), math.Inf(-1)}
	for _, m := range []*factor.Matrix{plane.Points, plane.Corners} {
		for i := range m.Rows {
			for a, v := range m.Row(i) {
				low[a], high[a] = min(low[a], v), max(high[a], v)
			}
		}
	}
	size := max(high[0]-low[0], high[1]-low[1], 1e-9)
	at := func(row []float64, y int, name string) point {
		place := func(a int) string { return fmt.Sprintf("%.2f", 6+88*(row[a]-(low[a]+high[a]-size)/2)/size) }
		return point{X: place(0), Y: place(1), Colour: colour(y), Name: name}
	}
	step := 1
	if n := plane.Points.Rows; n > mostPoints {
		step = (n + mostPoints - 1) / mostPoints
	}
	for i := 0; i < plane.Points.Rows; i += step {
		p.Points = append(p.Points, at(plane.Points.Row(i), c.Label[i], c.Examples[i].Label))
	}
	p.Left = plane.Points.Rows - len(p.Points)
	for y, name := range c.Model.Classes {
		p.Corners = append(p.Corners, at(plane.Corners.Row(y), y, name))
	}
	return nil
}

// shares are bars of p(y|d).
func (p *page) shares(c *discovery.Classes) {
	for d, name := range c.Model.Domains {
		if d == mostDomains {
			p.More = len(c.Model.Domains) - d
			break
		}
		row := domain{Name: name}
		x := 0.0
		for y, class := range c.Model.Classes {
			share := c.Model.Prior[y][d]
			row.Bars = append(row.Bars, bar{X: percent(x), Width: percent(share), Colour: colour(y), Text: fmt.Sprintf("%s %.3f ± %.3f", class, share, c.Error.Row(y)[d])})
			x += share
		}
		p.Domains = append(p.Domains, row)
	}
}

func percent(x float64) string { return fmt.Sprintf("%.3f%%", 100*x) }

// examples are those of each class whose p(y|x) is largest, one of each text or image.
func (p *page) examples(c *discovery.Classes, each int) {
	for y, name := range c.Model.Classes {
		one := class{Name: name, Colour: colour(y), Purity: fmt.Sprintf("%.3f", c.Purity[y])}
		n := 0
		for _, label := range c.Label {
			if label == y {
				n++
			}
		}
		one.Share = fmt.Sprintf("%.1f%%", 100*float64(n)/float64(len(c.Label)))
		if c.Of != nil && c.Of[y] >= 0 {
			one.Truth = c.Truths[c.Of[y]]
		}
		for _, i := range Representative(c, y, each) {
			x := c.Examples[i]
			e := example{Text: cut(x.Text), Domain: x.Label, P: fmt.Sprintf("%.3f", c.Posterior.Row(i)[y])}
			if x.Image != nil {
				e.Image = template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(x.Image))
			}
			one.Examples = append(one.Examples, e)
		}
		p.Classes = append(p.Classes, one)
	}
	p.Legend = p.Classes
}

// Representative are the examples of class y with the largest p(y|x), at most so many, the first of equal ones; of equal texts one.
func Representative(c *discovery.Classes, y, most int) []int {
	var mine []int
	for i, label := range c.Label {
		if label == y {
			mine = append(mine, i)
		}
	}
	slices.SortStableFunc(mine, func(a, b int) int { return cmp.Compare(c.Posterior.Row(b)[y], c.Posterior.Row(a)[y]) })
	var out []int
	seen := map[string]bool{}
	for _, i := range mine {
		if key := c.Examples[i].Text + string(c.Examples[i].Image); !seen[key] && len(out) < most {
			seen[key] = true
			out = append(out, i)
		}
	}
	return out
}

func cut(text string) string {
	if utf8.RuneCountInString(text) <= mostLetters {
		return text
	}
	return string([]rune(text)[:mostLetters]) + " …"
}
