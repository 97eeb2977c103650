package attention_test

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sbinet/npyio/npz"
	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"

	"sparrow/attention"
	"sparrow/nn"
	"sparrow/nn/nntest"
	"sparrow/op"
)

// fasaCase is one layer and the maps that it sees.
type fasaCase struct {
	attention.FaSA
	attention.MapLayer
	op.Map
}

func fasaOf(m op.Map, c, heads, reduction, window int, fusion, pad string) fasaCase {
	return fasaCase{
		attention.FaSA{Fusion: fusion, Groups: "all", Pad: pad},
		attention.MapLayer{DModel: c, NHead: heads, Reduction: reduction, Window: window, Bias: true, Init: nn.Normal(0.02)}, m,
	}
}

func (c fasaCase) localOnly() fasaCase {
	c.Groups = "local"
	return c
}

// mapLayer is a layer over maps in a graph of its own, its input a parameter "x".
type mapLayer struct {
	store *nn.Store
	grads *nn.Gradients
	tape  *op.Tape
	out   *G.Node
}

func onMaps(build func(b *nn.Builder) *G.Node) mapLayer {
	store := nn.NewStore(tensor.Float64)
	l := mapLayer{store: store, grads: nn.NewGradients(store), tape: op.NewTape(tensor.Float64, true)}
	l.out = build(nn.NewBuilder(l.tape, store, nn.Options{Seed: 1, Sink: l.grads}))
	return l
}

func (c fasaCase) build(b *nn.Builder) *G.Node {
	return c.New(b, c.MapLayer, c.Height, c.Width).Forward(nntest.Input(b, "x", c.Rows(), c.DModel), c.Map)
}

// run runs the layer into a cross entropy, which counts the rows whose target is
// not op.Ignored.
func (l mapLayer) run(t *testing.T, targets []int) []float64 {
	t.Helper()
	loss := op.CrossEntropy(l.tape, l.out, l.tape.Input("targets", tensor.New(tensor.WithBacking(targets), tensor.WithShape(len(targets)))))
	if err := l.tape.Backward(loss); err != nil {
		t.Fatal(err)
	}
	plan, err := l.tape.Plan(true, l.out, loss)
	if err != nil {
		t.Fatal(err)
	}
	plan.Bind(&op.Arena{})
	if err := l.tape.Run(G.NewTapeMachine(l.tape.Graph)); err != nil {
		t.Fatal(err)
	}
	return l.out.Value().(*tensor.Dense).Float64s()
}

// TestFaSA compares the layer with its equations, pixel by pixel, and its
// gradients with central differences.
func TestFaSA(t *testing.T) {
	for name, c := range map[string]fasaCase{
		"one head":           fasaOf(op.Map{Batch: 2, Height: 4, Width: 4}, 16, 1, 2, 2, "mean", "reflect"),
		"heads of one":       fasaOf(op.Map{Batch: 1, Height: 4, Width: 2}, 16, 7, 2, 2, "mean", "replicate"),
		"reference":          fasaOf(op.Map{Batch: 1, Height: 4, Width: 4}, 16, 1, 2, 2, "reference", "reflect"),
		"no second group":    fasaOf(op.Map{Batch: 2, Height: 3, Width: 2}, 16, 2, 1, 2, "reference", "reflect"),
		"larger than a map":  fasaOf(op.Map{Batch: 1, Height: 2, Width: 2}, 16, 1, 2, 3, "mean", "replicate"),
		"reduction to a key": fasaOf(op.Map{Batch: 1, Height: 3, Width: 3}, 16, 1, 3, 2, "mean", "reflect"),
		"local groups":       fasaOf(op.Map{Batch: 2, Height: 4, Width: 4}, 8, 2, 2, 2, "mean", "reflect").localOnly(),
		"one local group":    fasaOf(op.Map{Batch: 1, Height: 3, Width: 2}, 6, 3, 1, 2, "mean", "reflect").localOnly(),
	} {
		t.Run(name, func(t *testing.T) {
			if err := c.Check(c.MapLayer, c.Height, c.Width); err != nil {
				t.Fatal(err)
			}
			nntest.Check(t, nntest.Layer{Build: c.build, Naive: c.naive, Shape: []int{c.Rows(), c.DModel}})
			if got, want := onMaps(c.build).store.Parameters()-c.Rows()*c.DModel, c.Shape(c.MapLayer, c.Height, c.Width).Parameters; got != want {
				t.Errorf("%d parameters, by the formula %d", got, want)
			}
		})
	}
}

// naive is the layer by coordinates.
func (c fasaCase) naive(v map[string][]float64) []float64 {
	r, n, m := c.Reduction, c.NHead, c.Window
	unit := c.DModel / 16
	widths, dilations := []int{2 * unit, 7 * unit, 7 * unit}, []int{0, 1, r}
	if r == 1 {
		unit = c.DModel / 8
		widths, dilations = []int{unit, 7 * unit}, []int{0, 1}
	}
	if c.Groups == "local" {
		widths[0] = 0
		for i := range widths[1:] {
			widths[1+i] = c.DModel / (len(widths) - 1)
		}
	}
	g, l := widths[0], c.DModel-widths[0]
	q := project(v["x"], v["q.weight"], v["q.bias"], c.DModel)
	var out []float64
	for b := range c.Batch {
		x := v["x"][b*c.Pixels()*c.DModel:][:c.Pixels()*c.DModel]
		// The global group: patches, norm, keys and values. Without channels it has nothing.
		high, wide := c.Height/r, c.Width/r
		var patches []float64
		for p := range high * wide {
			for o := range g {
				sum := v["sr.bias"][o]
				for i := range g {
					for k := range r * r {
						at := (p/wide*r+k/r)*c.Width + p%wide*r + k%r
						sum += v["sr.weight"][(o*g+i)*r*r+k] * x[at*c.DModel+i]
					}
				}
				patches = append(patches, sum)
			}
		}
		kv := project(normed(patches, v["norm.weight"], v["norm.bias"], 1e-5), v["kv_g.weight"], v["kv_g.bias"], g)
		keys, values := halves(kv, g)
		keySets, valueSets := [][]float64{keys}, [][]float64{withNeighbours(values, v["local_conv_g.weight"], v["local_conv_g.bias"], high, wide)}
		// The local groups: separable convolution, windows, fusion, keys and values.
		var rest []float64
		for p := range c.Pixels() {
			rest = append(rest, x[p*c.DModel+g:(p+1)*c.DModel]...)
		}
		smooth := neighbours(rest, v["kv_l.depth_conv.weight"], v["kv_l.depth_conv.bias"], c.Height, c.Width)
		kvMap := project(smooth, v["kv_l.point_conv.weight"], v["kv_l.point_conv.bias"], l)
		at := 0
		for i := 1; i < len(widths); i++ {
			a := widths[i] / n
			fused := c.fused(kvMap, at, widths[i], dilations[i])
			name := fmt.Sprint(i - 1)
			keys, values := halves(project(project(fused, v["fcs."+name+".weight"], v["fcs."+name+".bias"], a),
				v["single_heads."+name+".weight"], v["single_heads."+name+".bias"], a), a)
			keySets = append(keySets, keys)
			valueSets = append(valueSets, withNeighbours(values, v["local_convs."+name+".weight"], v["local_convs."+name+".bias"], m, m))
			at += widths[i]
		}
		// Attention: the queries of the local groups are side by side within a head.
		for p := range c.Pixels() {
			query := q[(b*c.Pixels()+p)*c.DModel:][:c.DModel]
			row := attended(query[:g], keySets[0], valueSets[0], g, 0)
			start := 0
			for i := 1; i < len(widths); i++ {
				a := widths[i] / n
				for h := range n {
					from := g + h*(l/n) + start
					row = append(row, attended(query[from:from+a], keySets[i], valueSets[i], widths[i], h*a)...)
				}
				start += a
			}
			out = append(out, row...)
		}
	}
	return project(out, v["proj.weight"], v["proj.bias"], c.DModel)
}

// fused cuts channels [at, at+width) of a map into windows and makes one of them.
func (c fasaCase) fused(x []float64, at, width, dilation int) []float64 {
	stride := dilation*(c.Window-1) + 1
	place := func(i, n int) int {
		switch {
		case i < n:
			return i
		case c.Pad == "replicate":
			return n - 1
		}
		return 2*n - 2 - i
	}
	all := len(x) / c.Pixels()
	var y []float64
	for k := range c.Window {
		for l := range c.Window {
			var entries [][]float64
			for top := 0; top < c.Height; top += stride {
				for left := 0; left < c.Width; left += stride {
					p := place(top+k*dilation, c.Height)*c.Width + place(left+l*dilation, c.Width)
					entries = append(entries, x[p*all+at:][:width])
				}
			}
			for ch := range width {
				a, sum := width/c.NHead, 0.0
				for w := range entries {
					if c.Fusion == "mean" {
						sum += entries[w][ch]
						continue
					}
					e := ch%a*len(entries) + w
					sum += entries[e/a][ch/a*a+e%a]
				}
				y = append(y, sum/float64(len(entries)))
			}
		}
	}
	return y
}

// normed is a layer norm of rows as wide as w.
func normed(x, w, b []float64, eps float64) []float64 {
	y := slices.Clone(x)
	for row := 0; row < len(y); row += len(w) {
		v := y[row : row+len(w)]
		var mean, variance float64
		for _, e := range v {
			mean += e / float64(len(w))
		}
		for _, e := range v {
			variance += (e - mean) * (e - mean) / float64(len(w))
		}
		for i, e := range v {
			v[i] = (e-mean)/math.Sqrt(variance+eps)*w[i] + b[i]
		}
	}
	return y
}

// halves splits rows [k, v] of width each.
func halves(x []float64, width int) (k, v []float64) {
	for row := 0; row < len(x); row += 2 * width {
		k, v = append(k, x[row:row+width]...), append(v, x[row+width:row+2*width]...)
	}
	return k, v
}

// neighbours is a 3x3 depthwise convolution of one image; withNeighbours adds the
// image.
func neighbours(x, w, b []float64, height, width int) []float64 {
	c := len(b)
	y := make([]float64, len(x))
	for p := range height * width {
		for ch := range c {
			y[p*c+ch] = b[ch]
			for k := range 9 {
				if i, j := p/width+k/3-1, p%width+k%3-1; i >= 0 && i < height && j >= 0 && j < width {
					y[p*c+ch] += w[ch*9+k] * x[(i*width+j)*c+ch]
				}
			}
		}
	}
	return y
}

func withNeighbours(x, w, b []float64, height, width int) []float64 {
	y := neighbours(x, w, b, height, width)
	for i := range y {
		y[i] += x[i]
	}
	return y
}

// attended is one query's softmax over the keys at columns at.. of rows of width.
func attended(q, k, v []float64, width, at int) []float64 {
	y, sum := make([]float64, len(q)), 0.0
	for row := at; row < len(k); row += width {
		var score float64
		for d := range q {
			score += q[d] * k[row+d]
		}
		p := math.Exp(score / math.Sqrt(float64(len(q))))
		sum += p
		for d := range y {
			y[d] += p * v[row+d]
		}
	}
	for d := range y {
		y[d] /= sum
	}
	return y
}

// TestFaSAGolden compares the layer and its gradients with PyTorch.
func TestFaSAGolden(t *testing.T) {
	f, err := npz.Open(filepath.Join("testdata", "fasa.npz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for name, c := range map[string]fasaCase{
		"mean":      fasaOf(op.Map{Batch: 2, Height: 6, Width: 6}, 16, 1, 2, 3, "mean", "reflect"),
		"padded":    fasaOf(op.Map{Batch: 1, Height: 8, Width: 10}, 32, 2, 2, 4, "mean", "reflect"),
		"reference": fasaOf(op.Map{Batch: 1, Height: 8, Width: 8}, 32, 2, 2, 3, "reference", "reflect"),
		"replicate": fasaOf(op.Map{Batch: 1, Height: 4, Width: 4}, 16, 7, 2, 4, "mean", "replicate"),
		"last":      fasaOf(op.Map{Batch: 2, Height: 4, Width: 4}, 16, 2, 1, 4, "mean", "reflect"),
	} {
		t.Run(name, func(t *testing.T) {
			l := onMaps(c.build)
			for _, p := range l.store.Names() {
				for i, x := range read[float32](t, f, name+"/"+p) {
					l.store.Get(p).Float64s()[i] = float64(x)
				}
			}
			var targets []int
			for _, target := range read[int32](t, f, name+"/targets") {
				targets = append(targets, int(target))
			}
			near(t, "y", l.run(t, targets), read[float64](t, f, name+"/y"))
			for _, p := range l.store.Names() {
				near(t, "gradient of "+p, l.grads.Get(p).Float64s(), read[float64](t, f, name+"/d "+p))
			}
		})
	}
}

func read[T any](t *testing.T, f *npz.Reader, key string) []T {
	t.Helper()
	var v []T
	if err := f.Read(key+".npy", &v); err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	return v
}

// near compares with PyTorch's float64: rounding in another order.
func near(t *testing.T, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s has %d values, want %d", what, len(got), len(want))
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= 1e-10*(1+math.Abs(want[i]))) {
			t.Fatalf("%s[%d] = %.15g, PyTorch %.15g", what, i, got[i], want[i])
		}
	}
}

// seen says which pixels a layer's output at one pixel depends on.
func seen(t *testing.T, l mapLayer, pixel, rows int) []bool {
	t.Helper()
	targets := make([]int, rows)
	for i := range targets {
		targets[i] = op.Ignored
	}
	targets[pixel] = 0
	l.run(t, targets)
	dx := l.grads.Get("x").Float64s()
	depends := make([]bool, rows)
	for i := range depends {
		for _, g := range dx[i*len(dx)/rows : (i+1)*len(dx)/rows] {
			depends[i] = depends[i] || g != 0
		}
	}
	return depends
}

// Every pixel of FaSA's output depends on every pixel of its image in one layer,
// a window's only on those of the window, shifted by turns.
func TestReach(t *testing.T) {
	m := op.Map{Batch: 2, Height: 6, Width: 6}
	corner := m.Pixels() // the first pixel of the second image
	for i, s := range seen(t, onMaps(fasaOf(m, 16, 1, 2, 3, "mean", "reflect").build), corner, m.Rows()) {
		if want := i >= m.Pixels(); s != want {
			t.Errorf("FaSA: the corner depends on pixel %d: %v, want %v", i, s, want)
		}
	}
	for _, shifted := range []bool{false, true} {
		window := windowCase{attention.MapLayer{DModel: 16, NHead: 2, Window: 3, Bias: true, Init: nn.Normal(0.02)}, m}
		side := 3
		if shifted {
			window.Block = 1
			side = 1 // the corner's window is cut at 1 = 3/2 by the mask
		}
		for i, s := range seen(t, onMaps(window.build), corner, m.Rows()) {
			p := i - m.Pixels()
			if want := p >= 0 && p/6 < side && p%6 < side; s != want {
				t.Errorf("window, shifted %v: the corner depends on pixel %d: %v, want %v", shifted, i, s, want)
			}
		}
	}
}

// At 224 pixels the products cost in every stage what those of 7x7 windows cost.
func TestFaSACost(t *testing.T) {
	for i, width := range []int{64, 128, 256, 512} {
		side := 56 >> i
		l := attention.MapLayer{DModel: width, NHead: 1 << i, Reduction: 8 >> i, Window: 7}
		if got, want := attention.DefaultFaSA().Shape(l, side, side).Products, (attention.Window{}).Shape(l, side, side).Products; got != want {
			t.Errorf("stage %d: %d multiply-adds, windows %d", i+1, got, want)
		}
	}
	if got := attention.DefaultFaSA().Shape(attention.MapLayer{DModel: 64, NHead: 1, Reduction: 8, Window: 7}, 56, 56).Products; got != 19_668_992 {
		t.Errorf("first stage: %d multiply-adds, want 19,668,992", got)
	}
}

// The fusions give one layer for one window and two for several.
func TestFaSAFusions(t *testing.T) {
	for _, side := range []int{2, 4} {
		m := op.Map{Batch: 1, Height: side, Width: side}
		targets := make([]int, m.Rows())
		mean := onMaps(fasaOf(m, 16, 2, 1, 2, "mean", "reflect").build).run(t, targets)
		reference := onMaps(fasaOf(m, 16, 2, 1, 2, "reference", "reflect").build).run(t, targets)
		if slices.Equal(mean, reference) != (side == 2) {
			t.Errorf("map of %dx%d, windows of 2x2: the fusions agree: %v", side, side, side != 2)
		}
	}
}

func TestFaSACheck(t *testing.T) {
	valid := func() fasaCase {
		return fasaOf(op.Map{Batch: 1, Height: 56, Width: 56}, 64, 1, 8, 7, "mean", "reflect")
	}
	for _, tc := range []struct {
		name   string
		change func(c *fasaCase)
		want   string // of the error; "": none
	}{
		{"valid", func(*fasaCase) {}, ""},
		{"a width of 72 for r = 1", func(c *fasaCase) { c.DModel, c.Reduction = 72, 1 }, ""},
		{"a width of 72", func(c *fasaCase) { c.DModel = 72 }, "width 72 with reduction 8; want a multiple of 16"},
		{"heads", func(c *fasaCase) { c.NHead = 5 }, "5 heads for a local group of 28 channels (width 64 less 8 of the global group); want a divisor"},
		{"reduction", func(c *fasaCase) { c.Height = 60 }, "reduction 8 for a map of 60x56 pixels; want a divisor of both sides"},
		{"fusion", func(c *fasaCase) { c.Fusion = "max" }, `fusion "max"; want one of mean, reference`},
		{"pad", func(c *fasaCase) { c.Pad = "zeros" }, `pad "zeros"; want one of reflect, replicate`},
		{"window", func(c *fasaCase) { c.Window = 0 }, "window of 0 pixels; want at least 1"},
		{"reflection", func(c *fasaCase) { c.Height, c.Width, c.Reduction = 8, 8, 8 },
			`windows of 7 pixels, dilation 8, extend over 49: a map of 8x8 pixels cannot be mirrored to 49x49, only to less than twice its side; want pad = "replicate", a smaller window or a smaller reduction`},
		{"replication", func(c *fasaCase) { c.Height, c.Width, c.Pad = 8, 8, "replicate" }, ""},
		{"the paper's small image", func(c *fasaCase) { c.Height, c.Width, c.Reduction = 1, 1, 1 }, "cannot be mirrored to 7x7"},
	} {
		c := valid()
		tc.change(&c)
		err := c.Check(c.MapLayer, c.Height, c.Width)
		switch {
		case tc.want == "" && err != nil:
			t.Errorf("%s: %v", tc.name, err)
		case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want) || !strings.HasPrefix(err.Error(), "fasa: ")):
			t.Errorf("%s: error %v, want fasa: %s", tc.name, err, tc.want)
		}
	}
}
