package main

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// result is what the picture takes of a claim's result, docs/claims/NAME.json.
type result struct {
	PerSeed []struct {
		Arm   string
		Ratio float64 // share of the layers' bytes that is removed
		Runs  []struct{ Loss float64 }
	} `json:"per_seed"`
	Seeds   []int
	Machine struct {
		Go             string
		InstructionSet string `json:"instruction_set"`
	}
}

// A curve is what one arm of the claim becomes in the picture.
type curve struct {
	arm, label, color string
	dashed            bool
	dx, dy            float64 // of the label, from the last point
}

var curves = []curve{
	{arm: "svd", label: "SVD", color: "#8a8a8a", dx: 8, dy: 4},
	{arm: "fwsvd", label: "FWSVD", color: "#d98c0e", dx: 8, dy: 4},
	{arm: "svd-llm", label: "whitened SVD", color: "#b04a8f", dx: 8, dy: 18},
	{arm: "fwsvd-both", label: "FWSVD, both sides", color: "#c1440e", dx: 8, dy: 4},
	{arm: "magnitude", label: "N:8 pruning", color: "#3a8f5c", dx: 8, dy: 4},
	{arm: "dsformer", label: "DSFormer", color: "#1b66ae", dx: -50, dy: -12},
	{arm: "dsformer-int8", label: "DSFormer, 8 bits", color: "#1b66ae", dashed: true, dx: -86, dy: -12},
}

// The picture, pixels.
const (
	width, height                  = 760.0, 400.0
	left, right, top, bottom       = 58.0, 20.0, 46.0, 52.0
	lowest, highest, mostRemoved   = 1.5, 6.0, 0.95
	plotWidth, plotHeight          = width - left - right, height - top - bottom
	fontFamily                     = "'Liberation Sans', Arial, Helvetica, sans-serif"
	ink, faint, grid, picturedFile = "#262626", "#6a6a6a", "#e6e6e6", "docs/claims/dsformer-quality.json"
)

func atX(removed float64) float64 { return left + removed/mostRemoved*plotWidth }
func atY(loss float64) float64 {
	return top + (highest-loss)/(highest-lowest)*plotHeight
}

// picture draws the loss of compressed networks over the bytes that are removed: means over seeds of the claim
// dsformer-quality, without fine-tuning.
func picture() ([]byte, error) {
	text, err := os.ReadFile(picturedFile)
	if err != nil {
		return nil, err
	}
	var r result
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", picturedFile, err)
	}
	parent := r.points("parent")
	if len(parent) != 1 {
		return nil, fmt.Errorf("%s: %d points of the network that is compressed, want 1", picturedFile, len(parent))
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="%s" font-size="13">`+"\n", width, height, fontFamily)
	fmt.Fprintf(&b, `<rect width="%g" height="%g" fill="#ffffff"/>`+"\n", width, height)
	label(&b, left, 20, ink, `font-size="15" font-weight="bold"`, "Smaller layers, without any training after: what each method costs")
	label(&b, left, 37, faint, "", fmt.Sprintf("byte decoder of Go source, loss in nats on held-out text, mean of %d seeds; indices counted", len(r.Seeds)))
	for loss := 2.0; loss <= highest; loss++ {
		fmt.Fprintf(&b, `<line x1="%g" y1="%.1f" x2="%g" y2="%.1f" stroke="%s"/>`+"\n", left, atY(loss), width-right, atY(loss), grid)
		label(&b, left-8, atY(loss)+4, ink, `text-anchor="end"`, fmt.Sprintf("%g", loss))
	}
	for _, removed := range []float64{0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9} {
		x := atX(removed)
		fmt.Fprintf(&b, `<line x1="%.1f" y1="%g" x2="%.1f" y2="%g" stroke="%s"/>`+"\n", x, height-bottom, x, height-bottom+5, ink)
		label(&b, x, height-bottom+20, ink, `text-anchor="middle"`, fmt.Sprintf("%.0f%%", removed*100))
	}
	fmt.Fprintf(&b, `<line x1="%g" y1="%g" x2="%g" y2="%g" stroke="%s"/>`+"\n", left, height-bottom, width-right, height-bottom, ink)
	label(&b, left+plotWidth/2, height-12, ink, `text-anchor="middle"`, "share of the layers' bytes that is removed")
	fmt.Fprintf(&b, `<line x1="%g" y1="%.1f" x2="%g" y2="%.1f" stroke="%s" stroke-dasharray="2 4"/>`+"\n", left, atY(parent[0][1]), width-right, atY(parent[0][1]), faint)
	label(&b, left+6, atY(parent[0][1])-8, faint, "", fmt.Sprintf("not compressed: %.2f", parent[0][1]))
	for _, c := range curves {
		points := r.points(c.arm)
		if len(points) < 2 {
			return nil, fmt.Errorf("%s: %d points of %s", picturedFile, len(points), c.arm)
		}
		dash := ""
		if c.dashed {
			dash = ` stroke-dasharray="6 4"`
		}
		var line []string
		for _, p := range points {
			line = append(line, fmt.Sprintf("%.1f,%.1f", atX(p[0]), atY(p[1])))
		}
		fmt.Fprintf(&b, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"%s/>`+"\n", strings.Join(line, " "), c.color, dash)
		for _, p := range points {
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", atX(p[0]), atY(p[1]), c.color)
		}
		last := points[len(points)-1]
		label(&b, atX(last[0])+c.dx, atY(last[1])+c.dy, c.color, "", c.label)
	}
	b.WriteString("</svg>\n")
	return []byte(b.String()), nil
}

// label writes a text of the picture.
func label(b *strings.Builder, x, y float64, color, more, text string) {
	if more != "" {
		more = " " + more
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" fill="%s"%s>%s</text>`+"\n", x, y, color, more, text)
}

// points are shares removed and mean losses of an arm, by share.
func (r result) points(arm string) [][2]float64 {
	var all [][2]float64
	for _, a := range r.PerSeed {
		if a.Arm != arm || len(a.Runs) == 0 {
			continue
		}
		sum := 0.0
		for _, run := range a.Runs {
			sum += run.Loss
		}
		all = append(all, [2]float64{a.Ratio, sum / float64(len(a.Runs))})
	}
	slices.SortFunc(all, func(a, b [2]float64) int {
		if a[0] < b[0] {
			return -1
		}
		return 1
	})
	return all
}
