package compress

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/factor"
	"sparrow/internal/rng"
	"sparrow/metrics/progress"
	"sparrow/model"
	"sparrow/nn"
	"sparrow/recipe"
	"sparrow/task"
)

// InterpolativeConfig is the [compress.interpolative] table.
type InterpolativeConfig struct {
	Choose string    `toml:"choose" doc:"which neurons stay: by strong rank-revealing QR of what they hold, by the size of their weights, or by chance" choices:"rrqr|weights|chance"`
	Fold   bool      `toml:"fold" doc:"give the next weight what the others held, by least squares"`
	Ridge  float64   `toml:"ridge" doc:"of the least squares, over the mean square of what stays"`
	Keep   []float64 `toml:"keep" doc:"share of the neurons of each layer that stays; none: 1 - ratio of all"`
}

// SetDefaults implements configs.Defaulter.
func (c *InterpolativeConfig) SetDefaults() {
	*c = InterpolativeConfig{Choose: "rrqr", Fold: true, Ridge: 1e-4}
}

// Validate reports what no pruning can be.
func (c InterpolativeConfig) Validate(r *configs.Report) {
	r.OneOf("choose")
	r.Within("ridge", c.Ridge >= 0 && !math.IsInf(c.Ridge, 0), "0 or more")
	for _, k := range c.Keep {
		r.Within("keep", k > 0 && k <= 1, "more than 0, at most 1")
	}
}

// Interpolative makes MLPs narrower: of what an MLP holds inside, S [tokens, h], it keeps the columns J that strong rank-revealing QR
// of S diag(||w_j||) chooses, w_j being what neuron j writes, and gives the next weight what the others held,
//
//	T = argmin ||S - S_J T||,  W' = W Tᵀ,
//
// the interpolative decomposition of S (Chee et al. 2022). Layers follow each other, each on what the narrower ones before it give.
// Weights stay dense; the network is a smaller one of the same kind.
type Interpolative struct {
	Choose string  // which neurons stay: rrqr, weights or chance
	Fold   bool    // the next weight makes up for the others
	Ridge  float64 // of the least squares
}

func newInterpolative(c Settings) Method {
	var of InterpolativeConfig
	if of.SetDefaults(); c.Interpolative != nil {
		of = *c.Interpolative
	}
	return Interpolative{of.Choose, of.Fold, of.Ridge}
}

// narrower is a method that changes widths, which layers share, and not layers one by one.
type narrower interface {
	Method
	narrow(ctx context.Context, s *compression, i int, held *factor.Matrix, out *factor.Matrix, size []float64, width int) (kept []int, next *factor.Matrix, err error)
}

// Needs implements Method.
func (Interpolative) Needs() Needs { return Needs{} }

// Options implements Method: widths are shared by layers, so that no layer alone has any.
func (Interpolative) Options(context.Context, Target, *Statistics) ([]Option, *factor.SVD, error) {
	return nil, nil, refusef("this method makes MLPs narrower, layer after layer, and has no plan beforehand: name it as the method of [compress] alone, and start it by compress run")
}

// Linear implements Method.
func (Interpolative) Linear(t Target, _ Option) (nn.Rule, error) {
	return nn.Rule{}, fmt.Errorf("%s stays dense: its width is what changes", t.Name)
}

// Apply implements Method.
func (m Interpolative) Apply(ctx context.Context, t Target, s *Statistics, _ Option) (*Form, error) {
	_, _, err := m.Options(ctx, t, s)
	return nil, err
}

// narrow implements narrower. held are the values inside an MLP [tokens, h], out is what reads them [D, h] and size how large the
// weights are that make each.
func (m Interpolative) narrow(ctx context.Context, s *compression, i int, held, out *factor.Matrix, size []float64, width int) (kept []int, next *factor.Matrix, err error) {
	norms := make([]float64, out.Cols)
	for d := range out.Rows {
		for j, x := range out.Row(d) {
			norms[j] += x * x
		}
	}
	for j := range norms {
		norms[j] = math.Sqrt(norms[j])
	}
	switch m.Choose {
	case "rrqr":
		scaled := held.Clone()
		for t := range scaled.Rows {
			for j := range norms {
				scaled.Row(t)[j] *= norms[j]
			}
		}
		const bound = 2 // of the coefficients: less costs swaps, and least squares follow anyway
		chosen, err := factor.StrongRRQR(ctx, scaled, width, bound, nil)
		if err != nil {
			return nil, nil, err
		}
		kept = chosen.Index
	case "weights":
		for j := range norms {
			norms[j] *= size[j]
		}
		kept = make([]int, len(norms))
		for j := range kept {
			kept[j] = j
		}
		slices.SortStableFunc(kept, func(a, b int) int { return cmp.Compare(norms[b], norms[a]) })
		kept = kept[:width]
	default:
		r := rng.New(s.cfg.Seed, "compress/interpolative", uint64(i)<<32)
		kept = make([]int, len(norms))
		for j := range kept {
			at := r.Intn(j + 1)
			kept[j], kept[at] = kept[at], j
		}
		kept = kept[:width]
	}
	kept = slices.Clone(kept)
	slices.Sort(kept)
	next = factor.NewMatrix(out.Rows, width)
	if !m.Fold {
		for d := range out.Rows {
			for t, j := range kept {
				next.Row(d)[t] = out.Row(d)[j]
			}
		}
		return kept, next, nil
	}
	fitted, err := factor.Interpolate(held, kept, m.Ridge)
	if err != nil {
		return nil, nil, err
	}
	return kept, out.Mul(fitted.Coeff.Transpose()), nil
}

// narrowing is the method of all layers if it changes widths.
func (c Settings) narrowing() (narrower, bool) {
	for _, m := range c.methods(c.Method) {
		if n, ok := m.Method.(narrower); ok {
			return n, true
		}
	}
	return nil, false
}

// narrow makes all MLPs narrower and writes the checkpoint.
func (s *compression) narrow(ctx context.Context, m narrower, dir string) (*Result, error) {
	switch c := s.cfg.Compress; {
	case c.Finetune != nil || c.Quantize != nil || len(c.Layer) > 0:
		return nil, refusef("a method that changes widths takes neither [[compress.layer]] nor [compress.quantize] nor [compress.finetune]; train the result by init_from, or compress it again")
	case c.Ratio == 0 && (c.Interpolative == nil || len(c.Interpolative.Keep) == 0):
		return nil, refusef("a method that changes widths counts neurons; want [compress] ratio, or keep of each layer")
	}
	body, ok := s.loaded.Config.Model.Body().(model.Narrowed)
	if !ok {
		return nil, refusef("a network of kind %s has no MLPs whose widths can change; want a decoder or an encoder", s.loaded.Config.Model.Name)
	}
	widths := body.Widths()
	kept := slices.Clone(widths)
	for i, w := range widths {
		share := 1 - s.cfg.Compress.Ratio
		if c := s.cfg.Compress.Interpolative; c != nil && len(c.Keep) > 0 {
			if len(c.Keep) != len(widths) {
				return nil, refusef("[compress.interpolative] keep has %d shares for %d layers", len(c.Keep), len(widths))
			}
			share = c.Keep[i]
		}
		kept[i] = max(1, int(math.Round(share*float64(w))))
	}
	final := checkpoints.StepDir(dir, 0)
	if _, err := checkpoints.Open(final); err != nil { // else it is done: the config is the same
		if err := s.data.Read(ctx); err != nil {
			return nil, err
		}
		network, store := s.loaded.Config.Model, s.loaded.Session.Store()
		shown := progress.New(s.out, len(widths), 0)
		shown.Plain()
		for i := range widths {
			if kept[i] == widths[i] {
				continue
			}
			var err error
			if network, store, err = s.narrowLayer(ctx, m, network, store, body, i, kept[i]); err != nil {
				return nil, fmt.Errorf("compress: layer %d: %w", i, err)
			}
			shown.Step(i+1, 0, 0)
		}
		shown.Close()
		by := &checkpoints.Calibration{Examples: s.samples(s.momentBatch()), Seed: s.cfg.Seed, Data: s.data.Facts().Hash}
		if err := s.loaded.DeriveFresh(final, network, store, by); err != nil {
			return nil, err
		}
	}
	r := &Result{}
	if err := s.quality(ctx, final, r); err != nil {
		return nil, err
	}
	rel, err := filepath.Rel(dir, final)
	if err != nil {
		return nil, err
	}
	r.Checkpoint = filepath.ToSlash(rel)
	return r, checkpoints.WriteFileAtomic(filepath.Join(dir, resultFile), indented(r))
}

// narrowLayer makes one MLP narrower, by what it holds in the network as it is so far.
func (s *compression) narrowLayer(ctx context.Context, m narrower, network recipe.Model, store *nn.Store, body model.Narrowed, i, width int) (recipe.Model, *nn.Store, error) {
	b := body.Block(i)
	held, err := s.held(ctx, network, store, b.Down+siteSuffix)
	if err != nil {
		return network, nil, err
	}
	down := store.Layer(b.Down)
	out := &factor.Matrix{Rows: down.Out, Cols: down.In, Data: store.DenseWeight(b.Down)}
	size := make([]float64, down.In)
	for _, name := range b.Up {
		w, in := store.DenseWeight(name), store.Layer(name).In
		for j := range size {
			for _, x := range w[j*in : (j+1)*in] {
				size[j] += x * x
			}
		}
	}
	for j := range size {
		size[j] = math.Sqrt(size[j])
	}
	kept, next, err := m.narrow(ctx, s, i, held, out, size, width)
	if err != nil {
		return network, nil, err
	}
	changed := map[string]nn.Array{b.Down + ".weight": {Shape: []int{next.Rows, next.Cols}, Data: float32s(next.Data)}}
	for _, name := range b.Up {
		in := store.Layer(name).In
		changed[name+".weight"] = rowsOf(store.Get(name+".weight").Float32s(), in, kept)
		if bias := store.Get(name + ".bias"); bias != nil {
			a := rowsOf(bias.Float32s(), 1, kept)
			a.Shape = []int{len(kept)}
			changed[name+".bias"] = a
		}
	}
	widths := network.Body().(model.Narrowed).Widths()
	widths[i] = width
	network.Of = network.Body().(model.Narrowed).Narrow(widths)
	store, err = s.reshaped(network, store, changed)
	return network, store, err
}

// rowsOf are some rows of a matrix.
func rowsOf(x []float32, cols int, rows []int) nn.Array {
	out := make([]float32, 0, len(rows)*cols)
	for _, i := range rows {
		out = append(out, x[i*cols:(i+1)*cols]...)
	}
	return nn.Array{Shape: []int{len(rows), cols}, Data: out}
}

// reshaped is a store of a network with some arrays in place of a store's, whose memory it shares.
func (s *compression) reshaped(network recipe.Model, old *nn.Store, changed map[string]nn.Array) (*nn.Store, error) {
	store := nn.NewStore(tensor.Float32)
	n, err := network.Network(s.loaded.Dims)
	if err == nil {
		err = model.Declare(n, store, network.Represented(model.Options{Packed: true}))
	}
	if err != nil {
		return nil, err
	}
	arrays := map[string]nn.Array{}
	for _, name := range store.Names() {
		if a, ok := changed[name]; ok {
			arrays[name] = a
		} else if d := old.Get(name); d != nil {
			arrays[name] = nn.Array{Shape: d.Shape(), Data: d.Data()}
		}
	}
	missing, _, err := store.Fill(arrays)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("%s has no values, or of another shape", missing[0])
	}
	return store, err
}

// held is what a layer reads of the calibration data, at most twice as many rows as it has inputs.
func (s *compression) held(ctx context.Context, network recipe.Model, store *nn.Store, site string) (*factor.Matrix, error) {
	session, err := network.NewSession(s.loaded.Dims, store, model.Options{Sites: []string{site}})
	if err != nil {
		return nil, err
	}
	batches, err := task.Batches(ctx, s.data, session, task.Feed{Mode: model.Score, Split: task.Training, Rows: s.momentBatch(), Seed: s.cfg.Seed})
	if err != nil {
		return nil, err
	}
	var x []float64
	rows, width := 0, 0
	for seen := 0; seen < s.samples(s.momentBatch()); seen += s.momentBatch() {
		p, _, err := batches.Next()
		if err != nil {
			break // the data has ended
		}
		if err := p.Run(); err != nil {
			return nil, err
		}
		values := p.Site(site)
		width = values.Width
		part := values.Float64s()
		n := valid(part, values.Count, width, batches.Lengths())
		x, rows = append(x, part[:n*width]...), rows+n
		if rows >= 2*width {
			break
		}
	}
	if rows < width {
		return nil, refusef("the calibration data gives %d tokens for %d neurons; want as many at least: raise [compress.calibration] examples", rows, width)
	}
	return &factor.Matrix{Rows: rows, Cols: width, Data: x}, nil
}
