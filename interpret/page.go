package interpret

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strings"
)

// WritePage writes one HTML page, complete in itself: of each layer how well its features explain it, and of each feature how much
// it is used, its strongest contexts with the tokens shaded by the coefficients, its largest neurons, the tokens that follow, and
// those that it promotes and suppresses; the tree of features of features; and which features share neurons. methods are those
// shown; none: all.
func (f *Folder) WritePage(w io.Writer, methods []string) error {
	p := page{Title: "Features of " + f.Parent.Path, Folder: f.Dir}
	for _, s := range f.Sets {
		if len(methods) == 0 || slices.Contains(methods, s.Method) {
			p.Sets = append(p.Sets, s.page())
		}
	}
	if err := pageTemplate.Execute(w, p); err != nil {
		return fmt.Errorf("interpret: page: %w", err)
	}
	return nil
}

type page struct {
	Title, Folder string
	Sets          []setPage
}

type setPage struct {
	Name, Line string
	Features   []featurePage
	Tree       []levelPage
	Overlap    [][]cell
}

type featurePage struct {
	ID, Anchor, Line, Description string
	Neurons                       []Neuron
	Contexts                      [][]word
	Next, Promoted, Suppressed    string
	Dead                          bool
	Near                          []string
}

type word struct {
	Text  string
	Value float64
	Shade string
	At    bool
}

type levelPage struct {
	Name  string
	Nodes []nodePage
}

type nodePage struct {
	ID       int
	Children []childPage
	More     int // that are left out
}

type childPage struct {
	ID     int
	Anchor string // "": a feature of a level in between
	Weight float64
	Hint   string
}

type cell struct {
	Shade string
	Title string
}

// shownChildren are those of a feature of features that the page has at most.
const shownChildren = 12

// overlapped is how many features the picture of shared neurons has at most.
const overlapped = 60

// page is what the page shows of a set.
func (s *Set) page() setPage {
	p := setPage{Name: fmt.Sprintf("Layer %d, %s by %s", s.Layer, s.Site, s.Method)}
	p.Line = fmt.Sprintf("%d features of %d tokens; %d dead", len(s.Features), s.Tokens, s.Dead)
	if s.Error > 0 {
		p.Line += fmt.Sprintf("; relative error %.4f after %d iterations, %d restarts", s.Error, s.Iterations, s.Restarts)
	}
	anchor := func(i int) string { return fmt.Sprintf("l%d-%s-%d", s.Layer, s.Method, i) }
	shares := s.overlaps()
	for i, x := range s.Features {
		q := featurePage{ID: fmt.Sprint(i), Anchor: anchor(i), Description: x.Description, Neurons: x.Neurons, Dead: x.Usage == 0}
		q.Line = fmt.Sprintf("used by %.1f%% of the tokens, %.1f%% of the squares", 100*x.Usage, 100*x.Share)
		q.Next, q.Promoted, q.Suppressed = list(x.Next, "%s ×%.3g"), list(x.Promoted, "%s %+.2f"), list(x.Suppressed, "%s %+.2f")
		for _, c := range x.Contexts {
			q.Contexts = append(q.Contexts, c.words())
		}
		order := top(shares[i], 4)
		for _, j := range order {
			if j != i && shares[i][j] >= 0.1 {
				q.Near = append(q.Near, fmt.Sprintf("%d (%.0f%%)", j, 100*shares[i][j]))
			}
		}
		p.Features = append(p.Features, q)
	}
	for n, level := range s.Tree {
		l := levelPage{Name: fmt.Sprintf("%d features, relative error %.4f", level.Features, level.Error)}
		for id, children := range level.Children() {
			node := nodePage{ID: id}
			for i, e := range children {
				if i == shownChildren {
					node.More = len(children) - i
					break
				}
				c := childPage{ID: e.Below, Weight: e.Weight}
				if n == 0 && e.Below < len(s.Features) {
					c.Anchor = anchor(e.Below)
					if next := s.Features[e.Below].Next; len(next) > 0 {
						c.Hint = strings.TrimSpace(next[0].Text)
					}
				}
				node.Children = append(node.Children, c)
			}
			l.Nodes = append(l.Nodes, node)
		}
		p.Tree = append(p.Tree, l)
	}
	n := min(overlapped, len(shares))
	for i := range n {
		var row []cell
		for j := range n {
			row = append(row, cell{fmt.Sprintf("%.3f", shares[i][j]), fmt.Sprintf("%d and %d: %.0f%%", i, j, 100*shares[i][j])})
		}
		p.Overlap = append(p.Overlap, row)
	}
	return p
}

// overlaps are the shares of the neurons of one feature, the largest ones, that another has among its own (Jaccard).
func (s *Set) overlaps() [][]float64 {
	own := make([]map[int]bool, s.Z.Rows)
	for i := range own {
		own[i] = map[int]bool{}
		sizes := make([]float64, s.Z.Cols)
		for j, x := range s.Z.Row(i) {
			sizes[j] = math.Abs(x)
		}
		for _, j := range top(sizes, max(keptNeurons, s.Z.Cols/100)) {
			own[i][j] = true
		}
	}
	all := make([][]float64, len(own))
	for i := range own {
		all[i] = make([]float64, len(own))
		for j := range own {
			both := 0
			for n := range own[i] {
				if own[j][n] {
					both++
				}
			}
			if union := len(own[i]) + len(own[j]) - both; union > 0 {
				all[i][j] = float64(both) / float64(union)
			}
		}
	}
	return all
}

// words are the tokens of a context, shaded by its largest coefficient.
func (c Context) words() (all []word) {
	most := slices.Max(append([]float64{0}, c.Values...))
	for i, t := range c.Tokens {
		w := word{Text: visible(t), Value: c.Values[i], Shade: "0", At: i == c.At}
		if most > 0 {
			w.Shade = fmt.Sprintf("%.3f", c.Values[i]/most)
		}
		all = append(all, w)
	}
	return all
}

// visible shows the ends of lines.
func visible(token string) string {
	return strings.NewReplacer("\n", "⏎", "\t", "⇥", "\r", "").Replace(token)
}

// list writes tokens with their values.
func list(tokens []Token, format string) string {
	var all []string
	for _, t := range tokens {
		all = append(all, fmt.Sprintf(format, "“"+visible(t.Text)+"”", t.Value))
	}
	return strings.Join(all, "  ")
}

var pageTemplate = template.Must(template.New("features").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>
body { font: 15px/1.6 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; color: #262626; background: #fff; }
h1 { font-size: 1.3em; } h2 { font-size: 1.15em; margin-top: 2.5em; } h3 { font-size: 1em; margin: 0; }
section { border: 1px solid #ddd; border-radius: 6px; padding: 0.7em 1em; margin: 0.8em 0; }
.note, dt { color: #666; font-size: 0.9em; } dl { display: grid; grid-template-columns: 8em 1fr; gap: 0.1em 1em; margin: 0.5em 0; } dd { margin: 0; }
.text { white-space: pre-wrap; border-left: 3px solid #ddd; padding-left: 0.6em; margin: 0.25em 0; font-size: 0.95em; }
.text b { font-weight: 600; outline: 1px solid #1b66ae; }
.dead { color: #a33; } .overlap { border-collapse: collapse; } .overlap td { width: 9px; height: 9px; padding: 0; }
ul { margin: 0.3em 0; padding-left: 1.4em; } a { color: #1b66ae; } details { margin: 0.6em 0; }
</style>
</head>
<body>
<h1>{{.Title}}</h1>
<p class="note">A feature is a group of neurons; what the model holds at a token is a sum of few of them. Tokens are shaded by how much of the feature they have, the strongest one outlined. “Next” are tokens that follow the strongest ones more often than others, and how many times as often.</p>
{{range .Sets}}<h2>{{.Name}}</h2>
<p>{{.Line}}</p>
{{if .Tree}}<details><summary>Features of features</summary>
{{range .Tree}}<p>{{.Name}}</p><ul>{{range .Nodes}}{{if .Children}}<li>{{.ID}}: {{range .Children}}{{if .Anchor}}<a href="#{{.Anchor}}">{{.ID}}</a>{{else}}{{.ID}}{{end}}{{with .Hint}} “{{.}}”{{end}} <span class="note">{{printf "%.2f" .Weight}}</span> {{end}}{{with .More}}and {{.}} more{{end}}</li>{{end}}{{end}}</ul>
{{end}}</details>{{end}}
<details><summary>Neurons that features share</summary>
<table class="overlap">{{range .Overlap}}<tr>{{range .}}<td title="{{.Title}}" style="background:rgba(27,102,174,{{.Shade}})"></td>{{end}}</tr>{{end}}</table>
</details>
{{range .Features}}<section id="{{.Anchor}}"><h3>{{.ID}}{{with .Description}}: {{.}}{{end}}</h3>
<span class="note">{{.Line}}</span>{{if .Dead}} <span class="dead">dead</span>{{end}}
{{range .Contexts}}<div class="text">{{range .}}<span title="{{.Value}}" style="background:rgba(27,102,174,calc({{.Shade}} * 0.5))">{{if .At}}<b>{{.Text}}</b>{{else}}{{.Text}}{{end}}</span>{{end}}</div>
{{end}}<dl><dt>neurons</dt><dd>{{range .Neurons}}{{.Index}} <span class="note">{{printf "%+.2f" .Weight}}</span> {{end}}</dd>
{{with .Next}}<dt>next</dt><dd>{{.}}</dd>{{end}}
{{with .Promoted}}<dt>promoted</dt><dd>{{.}}</dd>{{end}}
{{with .Suppressed}}<dt>suppressed</dt><dd>{{.}}</dd>{{end}}
{{if .Near}}<dt>shares neurons</dt><dd>{{range .Near}}{{.}} {{end}}</dd>{{end}}</dl></section>
{{end}}{{end}}<footer class="note">From {{.Folder}}</footer>
</body>
</html>
`))
