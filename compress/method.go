package compress

import (
	"context"
	"fmt"
	"math"

	"sparrow/checkpoints"
	"sparrow/factor"
	"sparrow/nn"
)

// Option is something that a layer can become.
type Option struct {
	Method     string  `json:"method"`                // dense: the layer stays as it is
	Rank       int     `json:"rank,omitempty"`        // of low rank
	Atoms      int     `json:"atoms,omitempty"`       // of dsformer: K
	Blocks     int     `json:"blocks,omitempty"`      // of dsformer, of the cut side
	Nonzeros   int     `json:"nonzeros,omitempty"`    // of magnitude: N of N:M; of dsformer: of a vector in all blocks together
	Params     int     `json:"params"`                // values
	Quantize   string  `json:"quantize,omitempty"`    // int8 or int4: how a checkpoint holds the values; none: float32
	QuantBlock int     `json:"quant_block,omitempty"` // of them share a scale
	Bytes      int     `json:"bytes"`                 // of values and indices
	Loss       float64 `json:"loss"`                  // predicted increase, by the layer's measure
}

// Form is a layer in another representation.
type Form struct {
	Linear nn.LinearConfig     // without the name
	Arrays []checkpoints.Array // its parameters, under names that follow the layer's (".down.weight")
}

// method makes layers smaller. Its options for a layer are in ascending order of bytes, each step the smallest that the
// method can take, and end with the dense layer. A decomposition for the report comes with them, nil if there is none.
type method interface {
	needs() needs
	options(ctx context.Context, t Target, w *factor.Matrix, s *Statistics) ([]Option, *factor.SVD, error)
	// apply makes the layer an option, which is not dense.
	apply(ctx context.Context, t Target, w *factor.Matrix, s *Statistics, o Option) (*Form, error)
}

// newMethod returns the method of that name, which Validate knows, under [compress.quantize].
func newMethod(name string, cfg Settings) method {
	m := float32Method(name, cfg)
	if cfg.Quantize == nil || name == "auto" {
		return m // those of auto are under it each
	}
	return quantized{m, cfg}
}

func float32Method(name string, cfg Settings) method {
	switch name {
	case "svd":
		return lowRank{name: name, decompose: plainSVD}
	case "fwsvd":
		return lowRank{name: name, uses: needs{fisher: true}, decompose: fisherSVD(cfg)}
	case "tfwsvd":
		return entrywise{lowRank{name: name, uses: needs{fisher: true, entries: true}, decompose: fisherSVD(cfg)}, cfg}
	case "svd_llm":
		return lowRank{name: name, uses: needs{moments: true}, decompose: whitenedSVD(cfg)}
	case "asvd":
		return lowRank{name: name, uses: needs{moments: true}, decompose: scaledSVD(cfg)}
	case "magnitude":
		return magnitude{group: cfg.Group}
	case "dsformer":
		return dsformer{cfg}
	case "quantize", "dense": // "dense" of an option in few bits
		return keep{cfg}
	case "auto":
		return auto{[]method{newMethod("svd", cfg), newMethod("fwsvd", cfg), newMethod("dsformer", cfg)}, cfg}
	}
	panic(fmt.Sprintf("compress: method %q was validated and is unknown", name))
}

// dense is the option to leave a layer as it is.
func dense(t Target) Option {
	return Option{Method: "dense", Params: t.DenseParams(), Bytes: valueBytes * t.DenseParams()}
}

// float32s rounds once.
func float32s(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

// product is the weight [out, in] that a form stands for.
func (f *Form) product(t Target) *factor.Matrix {
	switch f.Linear.Kind {
	case "low_rank":
		return f.matrix(1).Mul(f.matrix(0))
	case "dense_sparse":
		return f.denseSparse(t).Product()
	}
	return f.matrix(0)
}

// matrix is one of the parameters.
func (f *Form) matrix(i int) *factor.Matrix {
	a := f.Arrays[i]
	m := factor.NewMatrix(a.Shape[0], a.Shape[1])
	for k, v := range a.Data.([]float32) {
		m.Data[k] = float64(v)
	}
	return m
}

// linear is how a layer is represented that becomes an option; ok is false if it stays dense.
func (c Settings) linear(o Option) (linear nn.LinearConfig, ok bool) {
	linear.Kind = "dense"
	switch {
	case o.Rank > 0:
		linear = nn.LinearConfig{Kind: "low_rank", Rank: o.Rank}
	case o.Atoms > 0:
		linear = c.DSFormer.linear(o)
	case o.Method == "magnitude":
		linear = magnitude{group: c.Group}.linear(o.Nonzeros)
	}
	linear.Quantize, linear.QuantBlock = o.Quantize, o.QuantBlock
	return linear, !o.untouched()
}

// quality is how far a form is from its layer.
type quality struct {
	Loss     float64 `json:"loss"`     // by the layer's measure
	Relative float64 `json:"relative"` // ||W - product|| / ||W||
}

func (m importance) quality(w, product *factor.Matrix) quality {
	e := difference(w, product)
	q := quality{Loss: m.of(e)}
	if n := w.Norm(); n > 0 {
		q.Relative = e.Norm() / n
	}
	return q
}

// auto takes for each size the method with the least predicted loss.
type auto struct {
	methods []method
	cfg     Settings
}

func (a auto) needs() needs {
	var n needs
	for _, m := range a.methods {
		n = n.or(m.needs())
	}
	return n
}

// options merges those of all methods, of which it leaves out what another betters at no more bytes. Of equal ones the
// first method's stays.
func (a auto) options(ctx context.Context, t Target, w *factor.Matrix, s *Statistics) ([]Option, *factor.SVD, error) {
	var all []Option
	var shown *factor.SVD
	for i, m := range a.methods {
		if q, ok := m.(quantized); ok {
			m = q.method
		}
		if d, ok := m.(dsformer); ok && !d.divides(t) {
			continue
		}
		options, d, err := a.methods[i].options(ctx, t, w, s)
		if err != nil {
			return nil, nil, err
		}
		if d != nil {
			shown = d
		}
		all = mergeOptions(all, options, a.cfg.cost)
	}
	return all, shown, nil
}

// mergeOptions joins two lists in ascending order of cost to the best of both.
func mergeOptions(a, b []Option, cost func(Option) int) []Option {
	var out []Option
	best := math.Inf(1)
	for len(a)+len(b) > 0 {
		var o Option
		if len(b) == 0 || len(a) > 0 && (cost(a[0]) < cost(b[0]) || cost(a[0]) == cost(b[0]) && a[0].Loss <= b[0].Loss) {
			o, a = a[0], a[1:]
		} else {
			o, b = b[0], b[1:]
		}
		if o.Loss < best || len(out) == 0 || o.Method == "dense" && out[len(out)-1].Method != "dense" {
			out, best = append(out, o), min(best, o.Loss)
		}
	}
	return out
}

func (a auto) apply(ctx context.Context, t Target, w *factor.Matrix, s *Statistics, o Option) (*Form, error) {
	return newMethod(o.Method, a.cfg).apply(ctx, t, w, s, o)
}
