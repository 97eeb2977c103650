package compress

import (
	"context"
	"fmt"
	"io"
	"time"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/internal/machine"
	"sparrow/model"
	"sparrow/nn"
)

// Plan is what a compression will do.
type Plan struct {
	From       string      `json:"from"`       // the checkpoint's folder
	Parent     string      `json:"parent"`     // SHA-256 of its manifest
	Kind       string      `json:"kind"`       // of its network
	Allocation string      `json:"allocation"` // loss | uniform
	Measure    string      `json:"measure"`    // of losses: "fisher", nats a target; "frobenius", squared relative errors
	Budget     Budget      `json:"budget"`
	Layers     []LayerPlan `json:"layers"`
	Before     Size        `json:"before"` // the layers in the plan
	After      Size        `json:"after"`
	Whole      [2]Size     `json:"whole"`   // all that a checkpoint stores of the model, before and after
	Loss       float64     `json:"loss"`    // predicted increase, by the measure
	Removed    float64     `json:"removed"` // share of what the measure predicts for a loss of all these weights; see [Plan.Mild]
	Frontier   []Point     `json:"frontier"`

	spectra map[string]spectrum
}

// mild is the share of the weighted energy that may go for a prediction to be about right: of small decoders of Go source
// the loss rose by 0.6 to 1.5 times the prediction as long as at most 7% went, by twice as much at 10% and five times at 40%.
const mild = 0.1

// Mild tells whether the predicted loss is in the range of its measure, whose second order in the error of the weights is
// all there is to the loss only near the trained ones. Beyond, the loss rises faster, and only an order of plans is left.
func (p *Plan) Mild() bool { return p.Removed <= mild }

// Size is a number of values and of the bytes that they and their indices take.
type Size struct {
	Params int `json:"params"`
	Bytes  int `json:"bytes"`
}

// LayerPlan is what one layer becomes.
type LayerPlan struct {
	Name        string `json:"name"`
	Out         int    `json:"out"`
	In          int    `json:"in"`
	Option      Option `json:"option"`
	Group       int    `json:"group,omitempty"`        // M of N:M
	FlooredRows int    `json:"floored_rows,omitempty"` // outputs and inputs whose Fisher information is below the floor
	FlooredCols int    `json:"floored_cols,omitempty"`
}

func (l LayerPlan) target() Target {
	return Target{Name: l.Name, Out: l.Out, In: l.In, Method: l.Option.Method}
}

// Point is a budget with what it is predicted to cost.
type Point struct {
	Share float64 `json:"share"` // of the dense layers' budget that is kept
	Loss  float64 `json:"loss"`
}

// spectrum is what the report shows of a layer.
type spectrum struct {
	Values  []float64 `json:"values"` // singular values under the method's weighting, descending; nil: none
	Options []Option  `json:"options"`
}

// MakePlan chooses what each layer becomes. It writes nothing but the cache of statistics; messages and progress go to out.
func MakePlan(ctx context.Context, cfg Config, out io.Writer) (*Plan, error) {
	s, err := open(cfg, out)
	if err != nil {
		return nil, err
	}
	defer machine.LimitGarbage(s.loaded.Session.Store().Bytes())()
	return s.plan(ctx, journal{})
}

func (s *compression) plan(ctx context.Context, j journal) (*Plan, error) {
	cfg := s.cfg.Compress
	p := &Plan{
		From: s.loaded.Dir, Parent: s.loaded.Files.Manifest().SHA256, Kind: s.loaded.Config.Model.Name,
		Allocation: cfg.Allocation, Measure: "frobenius", Budget: cfg.budget(s.targets), spectra: map[string]spectrum{},
	}
	if err := s.calibrate(ctx); err != nil {
		return nil, err
	}
	if s.needs().Fisher {
		p.Measure = "fisher"
	}
	options := make([][]Option, len(s.targets))
	shown, done := newLayerProgress(s.out, "options", s.targets), 0
	for i, t := range s.targets {
		x, err := s.options(ctx, j, t)
		if err != nil {
			return nil, err
		}
		options[i], p.spectra[t.Name] = x.Options, x
		done += t.DenseParams()
		shown.layer(i+1, done)
	}
	uniform, whole := cfg.Allocation == "uniform", 0.0
	chosen, err := allocate(options, p.Budget, uniform)
	if err != nil {
		return nil, err
	}
	for i, t := range s.targets {
		o := options[i][chosen[i]]
		l := LayerPlan{Name: t.Name, Out: t.Out, In: t.In, Option: o}
		if g, ok := cfg.grouped(o); ok {
			l.Group = g.GroupSize()
		}
		if p.Measure == "fisher" {
			l.FlooredRows, l.FlooredCols = floored(s.stats[t.Name], cfg.Floor)
		}
		p.Layers = append(p.Layers, l)
		p.Before = p.Before.plus(dense(t))
		p.After = p.After.plus(o)
		p.Loss += o.Loss
		if t, err = t.of(s.loaded.Session.Store()); err != nil {
			return nil, err
		}
		whole += importanceOf(t.Weight, s.stats[t.Name]).of(t.Weight)
	}
	if whole > 0 {
		p.Removed = p.Loss / whole
	}
	p.Frontier = frontier(options, p.Budget, uniform)
	p.Whole, err = s.whole(p)
	return p, err
}

// patience is how long something may take before it shows its progress.
const patience = 5 * time.Second

// layerProgress tells now and then how many layers something has done, and when it will have done all, by their weights.
type layerProgress struct {
	out          io.Writer
	what         string
	layers, all  int
	began, shown time.Time
}

func newLayerProgress(out io.Writer, what string, ts []Target) *layerProgress {
	p := &layerProgress{out: out, what: what, layers: len(ts), began: time.Now(), shown: time.Now()}
	for _, t := range ts {
		p.all += t.DenseParams()
	}
	return p
}

// layer is told that so many layers are done, which have so many weights.
func (p *layerProgress) layer(n, weights int) {
	switch {
	case n == p.layers:
		fmt.Fprintf(p.out, "%s: %d of %d layers\n", p.what, n, p.layers)
	case time.Since(p.shown) > patience:
		p.shown = time.Now()
		left := time.Duration(float64(time.Since(p.began)) * float64(p.all-weights) / float64(weights))
		fmt.Fprintf(p.out, "%s: %d of %d layers, %s left\n", p.what, n, p.layers, left.Round(time.Second))
	}
}

func (s Size) plus(o Option) Size { return Size{s.Params + o.Params, s.Bytes + o.Bytes} }

// frontier is the predicted loss of other budgets.
func frontier(options [][]Option, b Budget, uniform bool) []Point {
	const points = 24
	var out []Point
	for i := 1; i <= points; i++ {
		other := b
		share := float64(i) / points
		other.Limit = int(share * float64(b.Dense))
		chosen, err := allocate(options, other, uniform)
		if err != nil {
			continue // smaller than anything
		}
		x := Point{Share: share}
		for l, c := range chosen {
			x.Loss += options[l][c].Loss
		}
		out = append(out, x)
	}
	return out
}

// options are those of a layer, from the journal if they are there.
func (s *compression) options(ctx context.Context, j journal, t Target) (spectrum, error) {
	var x spectrum
	key, err := s.layerKey("options", t, t.Method)
	if err != nil {
		return x, err
	}
	err = j.do(key, func(c *checkpoints.Checkpoint) error { return x.read(c) }, func() (checkpoints.Contents, error) {
		t, err := t.of(s.loaded.Session.Store())
		if err != nil {
			return checkpoints.Contents{}, err
		}
		options, d, err := s.cfg.Compress.options(ctx, t, s.stats[t.Name])
		if err != nil {
			return checkpoints.Contents{}, err
		}
		x = spectrum{Options: options}
		if d != nil {
			x.Values = d.S
		}
		return x.contents(), nil
	})
	return x, err
}

// whole counts the model before and after.
func (s *compression) whole(p *Plan) ([2]Size, error) {
	chosen := map[string]nn.Rule{}
	for _, l := range p.Layers {
		if l.Option.Untouched() {
			continue
		}
		var err error
		if chosen[l.Name], err = s.cfg.Compress.linear(l.target(), l.Option); err != nil {
			return [2]Size{}, err
		}
	}
	before := s.loaded.Session.Store()
	cfg := represented(s.loaded.Config.Model, before, chosen)
	after := nn.NewStore(tensor.Float32)
	after.Virtual = true
	if _, err := cfg.NewSession(s.loaded.Dims, after, model.Options{}); err != nil {
		return [2]Size{}, fmt.Errorf("compress: %w", err)
	}
	size := func(s *nn.Store) Size { return Size{s.Parameters(), s.StoredBytes()} }
	return [2]Size{size(before), size(after)}, nil
}
