package page

import (
	"fmt"
	"html/template"
	"io"
	"slices"

	"sparrow/task"
)

// Write writes one HTML page, complete in itself, that shades each word of each text by the weight that each
// head gives it, as the figures of LAMA's paper do: white for the head's smallest weight in that text, the strongest blue
// for its largest. What these are, in shares of what even attention would give, stands at the end of the row, because
// LAMA's bounded scores keep the weights of a text within a factor of e²; the weight itself is the word's tooltip. Above
// the heads stands their mean.
func Write(w io.Writer, title string, predictions []task.Prediction, seen []task.Attention) error {
	page := attentionPage{Title: title}
	for i, p := range seen {
		text := attentionText{Number: i + 1, Label: predictions[i][0].Name, Value: predictions[i][0].X}
		if len(p.Heads) > 1 {
			text.Rows = append(text.Rows, shadedRow("mean", p.Tokens, meanOf(p.Heads)))
		}
		for h, weights := range p.Heads {
			text.Rows = append(text.Rows, shadedRow(fmt.Sprintf("head %d", h+1), p.Tokens, weights))
		}
		page.Texts = append(page.Texts, text)
	}
	if err := attentionTemplate.Execute(w, page); err != nil {
		return fmt.Errorf("train: attention page: %w", err)
	}
	return nil
}

type attentionPage struct {
	Title string
	Texts []attentionText
}

type attentionText struct {
	Number int
	Label  string
	Value  float64 // probability of the label, or the score
	Rows   []attentionRow
}

type attentionRow struct {
	Name  string
	Words []shadedWord
	Range string // the smallest and the largest weight, over an even one
}

type shadedWord struct {
	Text   string
	Weight string
	Shade  string // of the background, 0 to 1
	Dark   bool   // the background is: the letters must be light
}

func shadedRow(name string, tokens []string, weights []float64) attentionRow {
	low, high := slices.Min(weights), slices.Max(weights)
	n := float64(len(weights))
	row := attentionRow{Name: name, Range: fmt.Sprintf("%.3f to %.3f", low*n, high*n)}
	for i, token := range tokens {
		shade := 0.0 // of even attention
		if high > low {
			shade = (weights[i] - low) / (high - low)
		}
		row.Words = append(row.Words, shadedWord{token, fmt.Sprintf("%.4f", weights[i]), fmt.Sprintf("%.3f", shade), shade > 0.6})
	}
	return row
}

func meanOf(heads [][]float64) []float64 {
	out := make([]float64, len(heads[0]))
	for _, weights := range heads {
		for i, x := range weights {
			out[i] += x / float64(len(heads))
		}
	}
	return out
}

var attentionTemplate = template.Must(template.New("attention").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
<style>
body { font: 15px/1.7 system-ui, sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; color: #262626; background: #fff; }
h1 { font-size: 1.3em; } h2 { font-size: 1.05em; margin-top: 2em; }
table { border-spacing: 0 0.5em; width: 100%; }
th { font-weight: normal; color: #666; text-align: left; vertical-align: top; width: 5.5em; white-space: nowrap; }
td span { padding: 0.1em 0.2em; border-radius: 3px; } .dark { color: #fff; }
th.words { width: auto; } th.end { text-align: right; width: 10em; } td + td { color: #666; font-size: 0.85em; text-align: right; vertical-align: top; width: 7em; white-space: nowrap; }
.legend { display: flex; gap: .6em; align-items: center; color: #444; } .scale { width: 16em; height: 1em; border: 1px solid #c6d2de; border-radius: 3px; background: linear-gradient(to right, rgba(27,102,174,0), rgba(27,102,174,1)); }
.note { color: #555; }
</style>
</head>
<body>
<h1>{{.Title}}</h1>
<p class="legend"><span>a row's smallest weight</span><span class="scale"></span><span>its largest</span></p>
<p class="note">Each row is a head; above them stands their mean. At the right of a row: its smallest and its largest weight in multiples of an even share, so that 1.000 to 1.000 would be attention to all words alike. A word's weight shows when you point at it.</p>
{{range .Texts}}<h2>{{.Number}}. {{.Label}} {{printf "%.4f" .Value}}</h2>
<table>
<tr><th scope="col">head</th><th scope="col" class="words">words</th><th scope="col" class="end">smallest to largest</th></tr>
{{range .Rows}}<tr><th scope="row">{{.Name}}</th><td>{{range .Words}}<span{{if .Dark}} class="dark"{{end}} title="{{.Weight}}" style="background:rgba(27,102,174,{{.Shade}})">{{.Text}}</span> {{end}}</td><td>{{.Range}}</td></tr>
{{end}}</table>
{{end}}
</body>
</html>
`))
