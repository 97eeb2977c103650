package compress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/internal/rng"
	"sparrow/kernel"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/saved"
	"sparrow/task"
)

// occupancy reads the indices of all dense-sparse layers from a checkpoint's file and returns those whose vectors do not have
// exactly as many different atoms as planned. Other numbers of indices than planned are a matter of sizes.
func (v *verifier) occupancy(dir string) ([]string, error) {
	c, err := checkpoints.Open(dir)
	if err != nil {
		return nil, err
	}
	arrays, err := c.Arrays("model.npz")
	if err != nil {
		return nil, err
	}
	packed := map[string][]uint8{}
	for _, a := range arrays {
		if index, ok := a.Data.([]uint8); ok {
			packed[a.Name] = index
		}
	}
	var broken []string
	for _, l := range v.Plan.Layers {
		layer, err := v.planned(l)
		if err != nil {
			return nil, fmt.Errorf("%w: plan.json: %w", checkpoints.ErrCheckpoint, err)
		}
		if layer.IndexBytes() == 0 {
			continue
		}
		if index := packed[l.Name+".sparse.indices"]; len(index) == layer.IndexBytes() {
			if err := layer.CheckPacked(index); err != nil {
				broken = append(broken, fmt.Sprintf("%s: %s.sparse.indices: %v", dir, l.Name, err))
			}
		}
	}
	return broken, nil
}

// planned is the layer that the plan wants.
func (v *verifier) planned(l LayerPlan) (nn.Layer, error) {
	c, err := v.cfg.Compress.linear(l.target(), l.Option)
	return nn.Layer{Out: l.Out, In: l.In, Rule: c}, err
}

// stored are the shapes that a layer's values must have, and the bytes of its indices.
func (v *verifier) stored(l LayerPlan) (shapes map[string][]int, indexBytes int) {
	layer, _ := v.planned(l) // of which the occupancy was read before
	shapes = map[string][]int{}
	for _, a := range layer.Layout().Arrays {
		if a.Places == 0 && a.Atoms == nil { // values, not an index
			shapes["."+a.Name] = a.Shape
		}
	}
	return shapes, layer.IndexBytes()
}

// inBits are the arrays that a checkpoint holds of values of a shape, with their bytes.
func inBits(suffix string, shape []int, o Option) (arrays map[string][]int, bytes int) {
	n := tensor.Shape(shape).TotalSize()
	if o.Quantize == "" {
		return map[string][]int{suffix: shape}, valueBytes * n
	}
	codes, scales := n, (n+max(o.QuantBlock, 1)-1)/max(o.QuantBlock, 1)
	if o.Quantize == "int4" {
		codes = (n + 1) / 2
		shape = []int{codes}
	}
	return map[string][]int{suffix + ".codes": shape, suffix + ".absmax": {scales}}, codes + valueBytes*scales
}

// count: shapes, values and bytes of each layer are the plan's, and all together are within the budget; so are values and
// bytes of the whole model. After fine-tuning both checkpoints are counted.
func (v *verifier) count() {
	wrong, crowded, total := v.recount(v.oneoff)
	counted := "as planned"
	if v.tuned() {
		more, others, after := v.recount(v.final)
		wrong, crowded = append(wrong, more...), append(crowded, others...)
		counted = "as planned, before and after fine-tuning"
		total = Size{max(total.Params, after.Params), max(total.Bytes, after.Bytes)}
	}
	v.promise("sizes", fmt.Sprintf("%d layers have %d values in %d bytes, %s", len(v.Plan.Layers), total.Params, total.Bytes, counted), wrong)
	v.promise("occupancy", "no group has more weights than planned, and each vector exactly its atoms", crowded)
	used, b := total.Bytes, v.Plan.Budget
	if b.Unit == "params" {
		used = total.Params
	}
	var over []string
	if used > b.Limit {
		over = append(over, fmt.Sprintf("%d %s, want at most %d", used, b.Unit, b.Limit))
	}
	v.promise("budget", fmt.Sprintf("%d of %d %s", used, b.Limit, b.Unit), over)
}

// recount counts the layers in a checkpoint. Shapes are those of the manifest, which the reading has compared with the bytes.
func (v *verifier) recount(c *saved.Model) (wrong, crowdedGroups []string, total Size) {
	shapes := map[string][]int{}
	stored := 0
	for _, f := range c.Files.Manifest().Files {
		for _, e := range f.Entries {
			if f.Name == "model.npz" {
				shapes[e.Name] = e.Shape
				n := map[string]int{"uint8": 1}[e.DType]
				if n == 0 {
					n = valueBytes
				}
				for _, d := range e.Shape {
					n *= d
				}
				stored += n
			}
		}
	}
	for _, l := range v.Plan.Layers {
		want, indexBytes := v.stored(l)
		n, bytes := 0, indexBytes
		for suffix, shape := range want {
			arrays, size := inBits(suffix, shape, l.Option)
			for name, shape := range arrays {
				if got := shapes[l.Name+name]; !slices.Equal(got, shape) {
					wrong = append(wrong, fmt.Sprintf("%s%s has shape %v, want %v, in %s", l.Name, name, got, shape, c.Dir))
				}
			}
			n, bytes = n+tensor.Shape(shape).TotalSize(), bytes+size
		}
		if got := shapes[l.Name+".sparse.indices"]; indexBytes > 0 && !slices.Equal(got, []int{indexBytes}) {
			wrong = append(wrong, fmt.Sprintf("%s.sparse.indices has shape %v, want [%d], in %s", l.Name, got, indexBytes, c.Dir))
		}
		if m, ok := v.cfg.Compress.grouped(l.Option); ok {
			if i, g, ok := crowded(v.weight(c, l), l.Option.Nonzeros, m.GroupSize()); ok {
				crowdedGroups = append(crowdedGroups, fmt.Sprintf("%s, output %d, group %d has more than %d of %d weights, in %s", l.Name, i, g, l.Option.Nonzeros, m.GroupSize(), c.Dir))
			}
		}
		if n != l.Option.Params || bytes != l.Option.Bytes {
			wrong = append(wrong, fmt.Sprintf("%s has %d values in %d bytes, want %d in %d", l.Name, n, bytes, l.Option.Params, l.Option.Bytes))
		}
		total = Size{total.Params + n, total.Bytes + bytes}
	}
	slices.Sort(wrong)
	if n, want := c.Session.Store().Parameters(), v.Plan.Whole[1]; n != want.Params || stored != want.Bytes {
		wrong = append(wrong, fmt.Sprintf("the whole model has %d values in %d bytes, want %d in %d, in %s", n, stored, want.Params, want.Bytes, c.Dir))
	}
	return wrong, crowdedGroups, total
}

// Fisher information is summed again of so many batches of calibration data, and of so many layers.
const (
	sampleBatches = 32
	sampleLayers  = 12
)

// Tolerances of Fisher information that is summed again.
const (
	sameFisher    = 1e-4 // relative to the largest, where the sample is all that there was
	likeFisher    = 0.5  // cosine of the sample's sums and those of all, of one side of a layer: sums of other numbers are at random
	sampledFisher = 10.0 // factor between their totals: a sample of few texts has its outliers
)

// fisher: the sums of squared gradients that the plan rests on are those of the source on its calibration data, each on its own side.
// They are summed again over the first batches, of some layers, entry by entry from whole gradients and not by what summed them
// for the plan. Where those are all that were read the sums must agree; of a part, each side must
// be like its own, and over all square layers more like its own than like the other side, which catches a matrix that was turned.
func (v *verifier) fisher(ctx context.Context, out io.Writer) error {
	if v.Known[v.Plan.Layers[0].Name+".rows"].Data == nil {
		return nil // of a plan without gradients
	}
	s, err := open(v.cfg, io.Discard)
	if err != nil {
		return err
	}
	all := s.samples(v.cfg.Compress.Calibration.FisherBatch) / v.cfg.Compress.Calibration.FisherBatch
	exact := all <= sampleBatches
	s.cfg.Compress.Calibration.Examples = min(all, sampleBatches) * v.cfg.Compress.Calibration.FisherBatch
	sampled := s.targets
	if n := len(s.targets); n > sampleLayers {
		sampled = nil
		for i := range sampleLayers {
			sampled = append(sampled, s.targets[i*n/sampleLayers])
		}
	}
	sums := map[string]*Statistics{}
	for _, t := range sampled {
		sums[t.Name+".weight"] = &Statistics{Rows: make([]float64, t.Out), Cols: make([]float64, t.In)}
	}
	grads := nn.NewGradients(s.loaded.Session.Store())
	c := &collector{ctx: ctx, s: s, kind: "fisher", batch: v.cfg.Compress.Calibration.FisherBatch}
	targets, err := c.run(model.Options{Sink: grads, Frozen: func(name string) bool { return sums[name] == nil }}, func(*model.Program, []int) error {
		for _, t := range sampled {
			x, g := sums[t.Name+".weight"], grads.Get(t.Name+".weight").Float32s()
			for i := range t.Out {
				for j := range t.In {
					square := float64(g[i*t.In+j]) * float64(g[i*t.In+j])
					x.Rows[i] += square
					x.Cols[j] += square
				}
			}
		}
		return nil
	})
	if errors.Is(err, task.ErrUsage) {
		fmt.Fprintf(out, "Fisher information not summed again: %v\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	for _, x := range sums {
		kernel.Scale(1/float64(targets), x.Rows)
		kernel.Scale(1/float64(targets), x.Cols)
	}
	var broken []string
	straight, crossed, layers := 0.0, 0.0, 0
	for _, l := range v.Plan.Layers {
		got := sums[l.Name+".weight"]
		if got == nil {
			continue
		}
		layers++
		rows, _ := v.Known[l.Name+".rows"].Data.([]float64)
		cols, _ := v.Known[l.Name+".cols"].Data.([]float64)
		for _, side := range []struct {
			name       string
			want, have []float64
		}{{"outputs", got.Rows, rows}, {"inputs", got.Cols, cols}} {
			if why := unlike(side.have, side.want, exact); why != "" {
				broken = append(broken, fmt.Sprintf("%s, by %s: %s", l.Name, side.name, why))
			}
		}
		if l.In == l.Out && len(rows) == l.Out && len(cols) == l.In {
			straight += cosine(rows, got.Rows) + cosine(cols, got.Cols)
			crossed += cosine(rows, got.Cols) + cosine(cols, got.Rows)
		}
	}
	if crossed > straight {
		broken = append(broken, "the sums of inputs are like those of outputs, and the reverse: want them by the sides of W [out, in]")
	}
	how := fmt.Sprintf("like that of all %d", all)
	if exact {
		how = "the same"
	}
	v.promise("fisher", fmt.Sprintf("Fisher information of %d layers, summed again over %d batches, is %s", layers, min(all, sampleBatches), how), broken)
	return nil
}

// unlike says how recorded sums differ from those of the sample, or of all data; "": they do not.
func unlike(have, want []float64, exact bool) string {
	if len(have) != len(want) {
		return fmt.Sprintf("%d sums are recorded, want %d", len(have), len(want))
	}
	if exact {
		largest := slices.Max(want)
		for i := range want {
			if !(math.Abs(have[i]-want[i]) <= sameFisher*largest) {
				return fmt.Sprintf("sum %d is recorded as %g, and is %g", i, have[i], want[i])
			}
		}
		return ""
	}
	if c := cosine(have, want); !(c >= likeFisher) {
		return fmt.Sprintf("the recorded sums have a cosine of %.3f to those of a sample, want at least %g", c, likeFisher)
	}
	if r := total(have) / total(want); !(r <= sampledFisher && r >= 1/sampledFisher) {
		return fmt.Sprintf("the recorded sums are %.3g times those of a sample, want a factor of %g at most", r, sampledFisher)
	}
	return ""
}

// cosine is that of the angle between two vectors; 0 if one is 0.
func cosine(a, b []float64) float64 {
	size := math.Sqrt(kernel.Dot(a, a) * kernel.Dot(b, b))
	if size == 0 {
		return 0
	}
	return kernel.Dot(a, b) / size
}

func total(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v
	}
	return sum
}

// integerRows is how many inputs the products of integers are tried with.
const integerRows = 4

// integers: with --compute int8 an output of each layer of the result is off by no more than roundings to 8 bits allow. Of inputs
// within a the bound is a times the sum over a row of |w - w'| + |w'| / 254, for the weights w' that the product reads. It is tried with
// drawn inputs, and told as a share of a times the sum of |w|, the largest output that such inputs give.
func (v *verifier) integers() {
	store := v.final.Session.Store()
	var broken []string
	worst, share, tried := "", 0.0, 0.0
	names := store.ByIntegers()
	for _, name := range names {
		w := store.Integers(name)
		values := store.Get(name).Float32s()
		x, y := make([]float32, integerRows*w.In), make([]float32, integerRows*w.Out)
		rng.FillNormal(rng.New(1, "compress/integers/"+name, 0), x, 0, 1)
		kernel.GemmIntegers(integerRows, x, w.In, w, nil, y, w.Out)
		row := make([]float32, w.In)
		for j := range w.Out {
			w.Row(row, j)
			whole := values[j*w.In : (j+1)*w.In]
			var bound, sum float64
			for k, u := range row {
				bound += math.Abs(float64(whole[k]-u)) + math.Abs(float64(u))/254
				sum += math.Abs(float64(whole[k]))
			}
			if sum > 0 && bound/sum > share {
				worst, share = name, bound/sum
			}
			for i := range integerRows {
				var want, top float64
				for k, u := range x[i*w.In : (i+1)*w.In] {
					want, top = want+float64(u)*float64(whole[k]), max(top, math.Abs(float64(u)))
				}
				d := math.Abs(float64(y[i*w.Out+j]) - want)
				if limit := top * (bound + 1e-5*sum); !(d <= limit) {
					broken = append(broken, fmt.Sprintf("output %d of %s is off by %g, want at most %g", j, name, d, limit))
				}
				if top*sum > 0 {
					tried = max(tried, d/(top*sum))
				}
			}
		}
	}
	v.promise("int8", fmt.Sprintf("with --compute int8 an output of %d matrices is off by at most %.2f%% of the largest that its inputs could give (%s); drawn inputs: %.3f%%", len(names), 100*share, worst, 100*tried), broken)
}
