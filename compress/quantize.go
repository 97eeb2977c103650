package compress

import (
	"context"
	"fmt"

	"gorgonia.org/tensor"

	"sparrow/checkpoints"
	"sparrow/configs"
	"sparrow/factor"
	"sparrow/nn"
)

// QuantizeConfig is the [compress.quantize] table: what every layer of the budget becomes is stored in few bits, those that
// stay dense too. See kernel.Quantized.
type QuantizeConfig struct {
	Bits  int `toml:"bits"`  // of a value: 8 | 4
	Block int `toml:"block"` // values that share a scale of 4 bytes
}

// SetDefaults implements configs.Defaulter.
func (c *QuantizeConfig) SetDefaults() { c.Bits, c.Block = 8, 64 }

// Validate reports bits that there are not and blocks that are none.
func (c QuantizeConfig) Validate(r *configs.Report) {
	if c.Bits != 8 && c.Bits != 4 {
		r.Errorf("bits", "is out of range; want 8 or 4")
	}
	if c.Block < 8 || c.Block > 1<<16 {
		r.Errorf("block", "is out of range; want 8 to 65536 values")
	}
}

// stored is an option whose values are held in few bits, with its bytes, but with the loss of values in float32.
func (c QuantizeConfig) stored(o Option, t Target, s Settings) Option {
	o.Quantize, o.QuantBlock = fmt.Sprintf("int%d", c.Bits), c.Block
	layer, _ := s.linear(o)
	o.Bytes = nn.Layer{Kind: layer.Kind, Out: t.Out, In: t.In, Config: layer}.StoredBytes(tensor.Float32)
	return o
}

// quantized is a method whose forms are stored in few bits.
type quantized struct {
	method
	cfg Settings
}

// Measurements of the loss that rounding adds, of which others are interpolated: each costs a product, and without a
// decomposition a factorization.
const roundedPoints, factorizedPoints = 12, 4

// options are those of the method that are smaller than the rounded dense layer, which is the last. Their losses are those
// of the rounded forms: measured for some options, and for those between them with what rounding adds interpolated.
func (q quantized) options(ctx context.Context, t Target, w *factor.Matrix, s *Statistics) ([]Option, *factor.SVD, error) {
	plain, d, err := q.method.options(ctx, t, w, s)
	if err != nil {
		return nil, nil, err
	}
	last := q.cfg.Quantize.stored(dense(t), t, q.cfg)
	var out []Option
	for _, o := range plain {
		if o = q.cfg.Quantize.stored(o, t, q.cfg); o.Method != "dense" && o.Bytes < last.Bytes {
			out = append(out, o)
		}
	}
	added := func(o Option) (float64, error) {
		form, err := q.formOf(ctx, t, w, s, d, o)
		if err != nil {
			return 0, err
		}
		if err := form.round(o); err != nil {
			return 0, fmt.Errorf("compress: %s: %w", t.Name, err)
		}
		return importanceOf(w, s).quality(w, form.product(t)).Loss - o.Loss, nil
	}
	points := roundedPoints
	if _, few := q.method.(dsformer); few {
		points = factorizedPoints
	}
	points = min(points, len(out))
	at, extra := -1, 0.0
	for p := range points {
		next := len(out) - 1
		if points > 1 {
			next = p * (len(out) - 1) / (points - 1)
		}
		e, err := added(out[next])
		if err != nil {
			return nil, nil, err
		}
		for i := at + 1; i <= next; i++ {
			share := 1.0
			if at >= 0 {
				share = float64(i-at) / float64(next-at)
			}
			out[i].Loss = max(0, out[i].Loss+extra+share*(e-extra))
		}
		at, extra = next, e
	}
	if last.Loss, err = added(last); err != nil {
		return nil, nil, err
	}
	return append(out, last), d, nil
}

// formOf is what a layer becomes in float32, of low rank from a decomposition.
func (q quantized) formOf(ctx context.Context, t Target, w *factor.Matrix, s *Statistics, d *factor.SVD, o Option) (*Form, error) {
	switch {
	case o.Method == "dense":
		return keep{}.apply(ctx, t, w, s, o)
	case d != nil && o.Rank > 0:
		part, err := d.Truncate(o.Rank)
		if err != nil {
			return nil, fmt.Errorf("compress: %s: %w", t.Name, err)
		}
		up, down := part.Split()
		return lowRankForm(up, down), nil
	}
	return q.apply(ctx, t, w, s, o)
}

// round replaces a form's values by those that come back from a checkpoint in the option's bits. Values that are no numbers
// are an error.
func (f *Form) round(o Option) error {
	if o.Quantize == "" {
		return nil
	}
	f.Linear.Quantize, f.Linear.QuantBlock = o.Quantize, o.QuantBlock
	for _, a := range f.Arrays {
		if x, ok := a.Data.([]float32); ok {
			if err := f.Linear.Quantization().Round(x); err != nil {
				return fmt.Errorf("%s: %w", a.Name, err)
			}
		}
	}
	return nil
}

// keep leaves layers dense, which [compress.quantize] then stores in few bits; without that table it offers 4 bits, 8 bits
// and float32, so that the budget decides over each layer's bits.
type keep struct{ cfg Settings }

func (keep) needs() needs { return needs{} }

func (k keep) options(ctx context.Context, t Target, w *factor.Matrix, s *Statistics) ([]Option, *factor.SVD, error) {
	if k.cfg.Quantize != nil {
		return []Option{dense(t)}, nil, nil
	}
	var out []Option
	for _, bits := range []int{4, 8} {
		cfg := k.cfg
		cfg.Quantize = &QuantizeConfig{}
		cfg.Quantize.SetDefaults()
		cfg.Quantize.Bits = bits
		o, _, err := quantized{keep{cfg}, cfg}.options(ctx, t, w, s)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, o...)
	}
	return append(out, dense(t)), nil, nil
}

func (keep) apply(_ context.Context, t Target, w *factor.Matrix, _ *Statistics, _ Option) (*Form, error) {
	return &Form{
		Linear: nn.LinearConfig{Kind: "dense"},
		Arrays: []checkpoints.Array{{Name: ".weight", Shape: []int{t.Out, t.In}, Data: float32s(w.Data)}},
	}, nil
}

// untouched tells whether a layer stays as it is, bit by bit.
func (o Option) untouched() bool { return o.Method == "dense" && o.Quantize == "" }
