package report

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"path/filepath"
	"strings"

	"sparrow/checkpoints"
	"sparrow/compress"
)

//go:embed report.gohtml
var reportText string

var reportTemplate = template.Must(template.New("report").Parse(reportText))

// valueBytes is the size of a value in float32.
const valueBytes = 4

// page is what the template of the report reads.
type page struct {
	Title, From, Parent string
	Facts               [][4]string // what, before, after, fine-tuned
	Tuned               bool        // the last column of the facts has something
	Headline, Warning   string
	Samples             []compress.Sample
	Timed               bool // verify has been run
	Promises            []compress.Promise
	Summary             string
	Frontier, Shares    template.HTML
	Layers              []pageLayer
	Measure             string
	Config              string
}

type pageLayer struct {
	Name, Shape, Becomes, Bytes, Kept, Predicted, Stored, Relative, Energy string
	Spectrum, Curve                                                        template.HTML
	Plain                                                                  bool // the spectrum is the layer's own
}

// Write explains the compression in dir by one HTML file without any reference to the network, at file ("":
// DIR/report.html), and returns its path.
func Write(dir, file string) (string, error) {
	r, err := compress.Read(dir)
	if err != nil {
		return "", err
	}
	if file == "" {
		file = filepath.Join(dir, "report.html")
	}
	spectra, err := r.Spectra(context.Background())
	if err != nil {
		return "", err
	}
	p := newPage(r, spectra)
	var out bytes.Buffer
	if err := reportTemplate.Execute(&out, p); err != nil {
		return "", fmt.Errorf("report: %w", err)
	}
	return file, checkpoints.WriteFileAtomic(file, out.Bytes())
}

// newPage has of layers whose method kept no spectrum the one in spectra.
func newPage(r *compress.Record, spectra map[string][]float64) page {
	plan := r.Plan
	p := page{
		Title: filepath.Base(r.Dir), From: plan.From, Parent: plan.Parent[:12], Config: r.Config,
		Measure: "Predicted losses are second-order: half the Fisher information of each weight times its squared error, in nats a target.",
	}
	if plan.Measure != "fisher" {
		p.Measure = "No Fisher information was needed: losses are squared relative errors."
	}
	b := plan.Budget
	p.Summary = fmt.Sprintf("%d layers, allocated by %s: %s of %s bytes kept (%.1f%% removed). Budget: %s %s.", len(plan.Layers), plan.Allocation,
		grouped(plan.After.Bytes), grouped(plan.Before.Bytes), 100-100*float64(plan.After.Bytes)/float64(plan.Before.Bytes), grouped(b.Limit), b.Unit)
	if v := r.Found; v != nil {
		p.Timed, p.Promises, p.Samples = v.Before != nil && v.After != nil, v.Promises, v.Samples
	}
	p.Facts, p.Tuned = facts(r, p.Timed), r.Result.Tuned != nil || r.Result.Changed != nil
	p.Headline = headline(r)
	p.Warning = r.Result.Doubt()
	p.Frontier = frontierChart(r)
	p.Shares = shareChart(plan.Layers)
	for i, l := range plan.Layers {
		p.Layers = append(p.Layers, layerOf(r, l, r.Result.Layers[i], spectra[l.Name]))
	}
	return p
}

// facts are the rows of the first table.
func facts(x *compress.Record, timed bool) [][4]string {
	plan, r := x.Plan, x.Result
	rows := [][4]string{
		{"compressed layers, parameters", grouped(plan.Before.Params), grouped(plan.After.Params)},
		{"compressed layers, bytes", grouped(plan.Before.Bytes), grouped(plan.After.Bytes)},
		{"whole model, parameters", grouped(plan.Whole[0].Params), grouped(plan.Whole[1].Params)},
		{"whole model, bytes", grouped(plan.Whole[0].Bytes), grouped(plan.Whole[1].Bytes)},
	}
	if r.Before != nil && r.Compressed != nil {
		for i, m := range r.Before.Values {
			row := [4]string{strings.ReplaceAll(m.Name, "_", " "), fmt.Sprintf("%.4f", m.Value), fmt.Sprintf("%.4f", r.Compressed.Values[i].Value)}
			if r.Tuned != nil {
				row[3] = fmt.Sprintf("%.4f", r.Tuned.Values[i].Value)
			}
			rows = append(rows, row)
		}
	}
	if r.Changed != nil {
		rows = append(rows, [4]string{"atoms changed in each tenth of fine-tuning", "", "", r.Changed.String()})
	}
	if timed {
		v := x.Found
		rows = append(rows, speed(r.Tuned != nil, v.Before.Quality.Unit+" a second", grouped(int(v.Before.PerSecond)), grouped(int(v.After.PerSecond))),
			speed(r.Tuned != nil, "ms per "+v.Before.LatencyOf, fmt.Sprintf("%.3f", v.Before.Latency), fmt.Sprintf("%.3f", v.After.Latency)),
			speed(r.Tuned != nil, "weights in memory, bytes", grouped(v.Before.Weights), grouped(v.After.Weights)),
			speed(r.Tuned != nil, "model.npz, bytes", grouped(int(v.Before.Disk)), grouped(int(v.After.Disk))))
	}
	return rows
}

// speed is a row of what verify measured of the source and of the result, which is the fine-tuned model where there is one.
func speed(tuned bool, name, before, after string) [4]string {
	if tuned {
		return [4]string{name, before, "", after}
	}
	return [4]string{name, before, after}
}

// headline is what came of it, in a sentence or two.
func headline(x *compress.Record) string {
	plan, r := x.Plan, x.Result
	text := fmt.Sprintf("%.1f%% of the bytes of %d layers are gone, %.1f%% of the model's", 100-100*float64(plan.After.Bytes)/float64(plan.Before.Bytes),
		len(plan.Layers), 100-100*float64(plan.Whole[1].Bytes)/float64(plan.Whole[0].Bytes))
	if r.Before == nil || r.Compressed == nil {
		return text + "; what that does to its quality has not been measured."
	}
	change := func(q *compress.Quality) string {
		var all []string
		for i, v := range q.Values[:min(2, len(q.Values))] {
			all = append(all, fmt.Sprintf("%s from %.4g to %.4g (%+.2g)", strings.ReplaceAll(v.Name, "_", " "), r.Before.Values[i].Value, v.Value, v.Value-r.Before.Values[i].Value))
		}
		return strings.Join(all, ", ")
	}
	text += ": " + change(r.Compressed)
	if r.Tuned != nil {
		text += "; after fine-tuning " + change(r.Tuned)
	}
	return text + "."
}

// layerOf is a row of the table of layers and its charts.
func layerOf(x *compress.Record, l compress.LayerPlan, r compress.LayerResult, spectrum []float64) pageLayer {
	values, _ := x.Known[l.Name+".values"].Data.([]float64)
	costs, _ := x.Known[l.Name+".bytes"].Data.([]float64)
	losses, _ := x.Known[l.Name+".losses"].Data.([]float64)
	dense := valueBytes * l.Out * l.In
	p := pageLayer{
		Name: l.Name, Shape: fmt.Sprintf("%d × %d", l.Out, l.In), Becomes: l.Option.Describe(), Bytes: grouped(l.Option.Bytes),
		Kept: fmt.Sprintf("%.1f%%", 100*float64(l.Option.Bytes)/float64(dense)), Predicted: fmt.Sprintf("%.3g", l.Option.Loss),
		Stored: fmt.Sprintf("%.3g", r.Quality.Loss), Relative: fmt.Sprintf("%.3f", r.Quality.Relative), Energy: "–",
	}
	if len(values) > 0 {
		if l.Option.Rank > 0 {
			p.Energy = fmt.Sprintf("%.1f%%", 100*energy(values, l.Option.Rank))
		}
		p.Spectrum = spectrumChart(values, l.Option.Rank)
	} else if len(spectrum) > 0 {
		p.Spectrum, p.Plain = spectrumChart(spectrum, 0), true
	}
	p.Curve = curveChart(costs, losses, l.Option, dense)
	return p
}

// energy is the share of the squared singular values that the first r have.
func energy(values []float64, r int) float64 {
	kept, all := 0.0, 0.0
	for i, s := range values {
		if all += s * s; i < r {
			kept += s * s
		}
	}
	if all == 0 {
		return 1
	}
	return kept / all
}

// grouped writes a number with thin spaces between its thousands.
func grouped(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + " " + text[i:]
	}
	return text
}

// frontierChart shows predicted losses over budgets, and what was measured of this one.
func frontierChart(x *compress.Record) template.HTML {
	c := chart{width: 940, height: 340, legend: 190, xLabel: "bytes of the layers kept, %", yLabel: "increase of the loss"}
	line := series{name: "predicted", color: colorMain}
	for _, f := range x.Plan.Frontier {
		line.x, line.y = append(line.x, 100*f.Share), append(line.y, f.Loss)
	}
	c.series = append(c.series, line)
	at := 100 * float64(x.Plan.After.Bytes) / float64(x.Plan.Before.Bytes)
	c.series = append(c.series, series{name: "this plan, predicted", color: colorMain, x: []float64{at}, y: []float64{x.Plan.Loss}, points: true})
	top := 2 * x.Plan.Loss
	if r := x.Result; x.Plan.Measure == "fisher" && r.Before != nil && r.Compressed != nil {
		measured := r.Compressed.Loss() - r.Before.Loss()
		c.series = append(c.series, series{name: "this plan, measured", color: colorSecond, x: []float64{at}, y: []float64{measured}, points: true})
		top = max(top, 1.3*measured)
		if r.Tuned != nil {
			tuned := r.Tuned.Loss() - r.Before.Loss()
			c.series = append(c.series, series{name: "fine-tuned, measured", color: colorThird, x: []float64{at}, y: []float64{tuned}, points: true})
		}
	}
	c.xMin, c.xMax = 0, 100
	c.yMax = max(top, 1e-9)
	return c.svg()
}

// shareChart shows how much of each layer is kept, as bars.
func shareChart(layers []compress.LayerPlan) template.HTML {
	const row, left, wide = 16, 300, 540
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %d %d" width="%d" role="img" aria-label="share of each layer kept">`, left+wide+80, row*len(layers)+8, left+wide+80)
	for i, l := range layers {
		y := 4 + row*i
		share := float64(l.Option.Bytes) / float64(valueBytes*l.Out*l.In)
		color := colorMain
		if l.Option.Untouched() {
			color = colorQuiet
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" class="r">%s</text><rect x="%d" y="%d" width="%d" height="%d" fill="#eef1f4"/><rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/><text x="%d" y="%d">%.0f%%</text>`,
			left-8, y+11, template.HTMLEscapeString(shorten(l.Name, 46)), left, y+2, wide, row-4, left, y+2, wide*math.Min(1, share), row-4, color, left+wide+6, y+11, 100*share)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) // of numbers and escaped names
}

// shorten cuts a long name at its front, which layers share.
func shorten(name string, n int) string {
	if len(name) <= n {
		return name
	}
	return "…" + name[len(name)-n+1:]
}

// spectrumChart shows singular values, with the rank that is kept.
func spectrumChart(values []float64, rank int) template.HTML {
	c := chart{width: 300, height: 150, xLabel: "i", yLabel: "singular value", logY: true, xMin: 1, xMax: float64(max(2, len(values)))}
	s := series{color: colorMain}
	for i, v := range values {
		if v > values[0]*1e-6 {
			s.x, s.y = append(s.x, float64(i+1)), append(s.y, v)
		}
	}
	c.series = []series{s}
	if rank > 0 {
		c.mark = float64(rank)
	}
	return c.svg()
}

// curveChart shows the predicted loss of each option of a layer.
func curveChart(costs, losses []float64, chosen compress.Option, dense int) template.HTML {
	c := chart{width: 300, height: 150, xLabel: "% of the layer's bytes", yLabel: "predicted loss", xMin: 0, xMax: 100}
	s := series{color: colorMain}
	for i := range costs {
		s.x, s.y = append(s.x, 100*costs[i]/float64(dense)), append(s.y, losses[i])
	}
	c.series = []series{s}
	c.mark = 100 * float64(chosen.Bytes) / float64(dense)
	return c.svg()
}
