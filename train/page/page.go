package page

import (
	"bytes"
	"fmt"
	"html/template"

	"sparrow/metrics"
)

// Run is what a page shows.
type Run struct {
	Name     string
	Status   string // "step 300 of 2000", "finished"
	Facts    []Fact // in lines above the curves
	Records  []metrics.Record
	Sample   string // what the model wrote; "": nothing
	Classes  string // a table of classes as text; "": none
	Config   string // TOML
	Underway bool   // the page loads itself again
}

// Fact is a line of the page's head.
type Fact struct{ Name, Text string }

// shown are the curves of a page, each with what is drawn in it; those without a value are left out.
var shown = []struct {
	title string
	names []string
}{
	{"loss", []string{"loss", "validation_loss"}},
	{"score on the validation split", []string{"accuracy", "macro_f1", "f1", "matthews", "pearson", "spearman"}},
	{"learning rate", []string{"learning_rate"}},
	{"norm of the gradient", []string{"grad_norm"}},
	{"throughput a second", []string{"tokens_per_second", "examples_per_second"}},
}

var layout = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
{{if .Underway}}<meta http-equiv="refresh" content="10">
{{end}}<title>{{.Name}}: {{.Status}}</title>
<style>
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:64rem;padding:0 1rem;color:#1f2328}
h1{font-size:1.5rem;margin-bottom:0}h2{font-size:1.05rem;margin:1.6rem 0 .2rem}
.status{color:#57606a;margin-top:.2rem}table{border-collapse:collapse}td{padding:.15rem 1rem .15rem 0;vertical-align:top}td:first-child{color:#57606a}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(28rem,1fr));gap:.5rem 2rem}svg{width:100%;height:auto;font-size:12px}
pre{background:#f6f8fa;padding:.8rem;overflow:auto;white-space:pre-wrap}
</style></head><body>
<h1>{{.Name}}</h1><p class="status">{{.Status}}{{if .Underway}}; this page loads itself again every 10 seconds{{end}}</p>
<table>{{range .Facts}}<tr><td>{{.Name}}</td><td>{{.Text}}</td></tr>
{{end}}</table>
<div class="charts">{{range .Charts}}<div><h2>{{.Title}}</h2>{{.SVG}}</div>
{{end}}</div>
{{if .Classes}}<h2>classes of the validation split</h2><pre>{{.Classes}}</pre>{{end}}
{{if .Sample}}<h2>a sample</h2><pre>{{.Sample}}</pre>{{end}}
<h2>config</h2><details><summary>all keys</summary><pre>{{.Config}}</pre></details>
</body></html>
`))

// picture is a chart with its title.
type picture struct {
	Title string
	SVG   template.HTML
}

// Write writes the page to a file, which is replaced in one step.
func Write(path string, r Run) error {
	var charts []picture
	for _, s := range shown {
		var lines []line
		for _, name := range s.names {
			if l := lineOf(r.Records, name); len(l.points) > 0 {
				lines = append(lines, l)
			}
		}
		if len(lines) > 0 {
			charts = append(charts, picture{s.title, draw(lines)})
		}
	}
	var b bytes.Buffer
	if err := layout.Execute(&b, struct {
		Run
		Charts []picture
	}{r, charts}); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	return metrics.WriteFile(path, b.Bytes())
}
