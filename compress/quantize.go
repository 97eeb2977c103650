package compress

import (
	"context"
	"fmt"
	"math"
	"slices"

	"sparrow/configs"
	"sparrow/factor"
	"sparrow/kernel"
	"sparrow/nn"
)

// QuantizeConfig is the [compress.quantize] table: what every layer of the budget becomes is stored in few bits, those that
// stay dense too. See kernel.Quantized.
type QuantizeConfig struct {
	Bits  int `toml:"bits" doc:"of a value: 8 | 4"`
	Block int `toml:"block" doc:"values that share a scale of 4 bytes"`

	Rounding string `toml:"rounding" doc:"plain: each value to the nearest; gptq: of dense weights and low-rank factors, one input after the other, so that later ones make up for what earlier ones lose on the calibration inputs, where blocks are parts of rows" choices:"plain|gptq"`
}

// SetDefaults implements configs.Defaulter.
func (c *QuantizeConfig) SetDefaults() { c.Bits, c.Block, c.Rounding = 8, 64, "plain" }

// Validate reports bits that there are not and blocks that are none.
func (c QuantizeConfig) Validate(r *configs.Report) {
	if c.Rounding != "" { // plain
		r.OneOf("rounding")
	}
	r.Within("bits", c.Bits == 8 || c.Bits == 4, "8 or 4")
	r.Within("block", c.Block >= 8 && c.Block <= 1<<16, "8 to 65536 values")
}

// storage is what the table asks for; none: float32.
func (c *QuantizeConfig) storage() Storage {
	if c == nil {
		return Storage{}
	}
	return Storage{fmt.Sprintf("int%d", c.Bits), c.Block}
}

// asked is what a layer's form depends on.
func (c *QuantizeConfig) asked() any {
	if c.compensates() {
		return *c
	}
	return c.storage()
}

// compensates tells whether values are rounded by the calibration inputs.
func (c *QuantizeConfig) compensates() bool { return c != nil && c.Rounding == "gptq" }

// damping is added to the diagonal of a moment over its mean, as in the paper.
const damping = 0.01

// compensate rounds a form's matrices by GPTQ (Frantar et al. 2023), given the moment H = mean of x xᵀ of what the layer reads: a weight
// so that |(W - W') X|² is small, and of two factors the lower one so, and then the upper one with what the rounded lower one gives. Values
// that come from it are their own roundings. Forms of other kinds, and rows that are no whole number of blocks, stay as they are.
func (f *Form) compensate(moment *factor.Matrix, o Option) {
	q := nn.Storage{Quantize: o.Quantize, QuantBlock: o.QuantBlock}.Quantization()
	if _, ok := f.Linear.Of.(nn.LowRank); !f.Linear.Dense() && !ok {
		return
	}
	for i := range f.Arrays {
		w := f.matrix(i)
		if w.Cols%q.Block == 0 {
			f.Arrays[i].Data = compensated(w, moment, q)
			w = f.matrix(i)
		}
		moment = w.Mul(moment).Mul(w.Transpose())
	}
}

// compensated are the values of w [out, in] in few bits, in blocks that are parts of rows. With Uᵀ U = H⁻¹, U upper triangular, column j of a
// row becomes q, and (w_j - q) U_jk / U_jj is taken from each later column k: the least squares of the rest. The scale of a block is
// chosen when it comes, from 1 down to 0.7 of its largest magnitude at 4 bits, by the errors that it starts with.
func compensated(w, moment *factor.Matrix, q nn.Quantization) []float32 {
	u := inverseRoot(moment)
	out := make([]float32, len(w.Data))
	kernel.Ranges(w.Rows, 1, func(first, last int) {
		for i := first; i < last; i++ {
			r := rounded{q: q, u: u, w: slices.Clone(w.Row(i)), out: out[i*w.Cols : (i+1)*w.Cols]}
			for lo := 0; lo < w.Cols; lo += q.Block {
				r.block(lo)
			}
		}
	})
	return out
}

// inverseRoot is U.
func inverseRoot(moment *factor.Matrix) *factor.Matrix {
	n := moment.Rows
	h, mean := moment.Clone(), 0.0
	for i := range n {
		mean += moment.Data[i*n+i] / float64(n)
	}
	if mean == 0 {
		mean = 1 // no input was ever anything but 0
	}
	for i := range n {
		h.Data[i*n+i] += damping * mean
	}
	// H = R Rᵀ with R upper triangular, from the last column on.
	for j := n - 1; j >= 0; j-- {
		tail := h.Data[j*n+j+1 : (j+1)*n]
		root := math.Sqrt(h.Data[j*n+j] - kernel.Dot(tail, tail))
		h.Data[j*n+j] = root
		kernel.Ranges(j, 64, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				h.Data[i*n+j] = (h.Data[i*n+j] - kernel.Dot(h.Data[i*n+j+1:(i+1)*n], tail)) / root
			}
		})
	}
	u := factor.NewMatrix(n, n) // R⁻¹
	kernel.Ranges(n, 8, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			row := u.Row(i)
			row[i] = 1
			for k := i; k < n; k++ {
				row[k] /= h.Data[k*n+k]
				kernel.Axpy(-row[k], h.Data[k*n+k+1:(k+1)*n], row[k+1:])
			}
		}
	})
	return u
}

// rounded is a row under way.
type rounded struct {
	q   nn.Quantization
	u   *factor.Matrix
	w   []float64 // what is left of it
	out []float32
}

// tries bounds how often a block is rounded until one of its codes is the largest that there is: only then are its values their own
// roundings.
const tries = 8

// block rounds the block that begins at column lo.
func (r *rounded) block(lo int) {
	hi := lo + r.q.Block
	top := float64(int(1)<<(r.q.Bits-1) - 1)
	a, forced := r.scale(lo, hi, top), -1
	var lost []float64
	for try := range tries {
		w := slices.Clone(r.w[lo:hi])
		lost = lost[:0]
		most, at := 0.0, 0
		for k := range w {
			j, code := lo+k, 0.0
			if a > 0 {
				code = max(-top, min(top, math.RoundToEven(top*w[k]/float64(a))))
			}
			if k == forced {
				code = math.Copysign(top, w[k])
			}
			if math.Abs(code) > most {
				most, at = math.Abs(code), k
			}
			r.out[j] = float32(code * (float64(a) / top))
			e := (w[k] - float64(r.out[j])) / r.u.Data[j*r.u.Cols+j]
			lost = append(lost, e)
			kernel.Axpy(-e, r.u.Data[j*r.u.Cols+j+1:j*r.u.Cols+hi], w[k+1:])
		}
		if most == top || most == 0 {
			break
		}
		if a = float32(float64(a) * most / top); try == tries-2 {
			forced = at
		}
	}
	for k, e := range lost {
		j := lo + k
		kernel.Axpy(-e, r.u.Data[j*r.u.Cols+hi:(j+1)*r.u.Cols], r.w[hi:])
	}
}

// scale chooses the largest magnitude of a block.
func (r *rounded) scale(lo, hi int, top float64) float32 {
	var most float64
	for _, x := range r.w[lo:hi] {
		most = max(most, math.Abs(x))
	}
	best, least := float32(most), math.Inf(1)
	shares := 7
	if r.q.Bits == 8 {
		shares = 1
	}
	for s := range shares {
		a := float32(most * (1 - 0.05*float64(s)))
		sum := 0.0
		for k, x := range r.w[lo:hi] {
			if a > 0 {
				x -= max(-top, min(top, math.RoundToEven(top*x/float64(a)))) * (float64(a) / top)
			}
			x /= r.u.Data[(lo+k)*r.u.Cols+lo+k]
			sum += x * x
		}
		if sum < least {
			best, least = a, sum
		}
	}
	return best
}

// Quantize leaves layers dense, which [compress.quantize] then stores in few bits; without that table it offers 4 bits, 8
// bits and float32, so that the budget decides over each layer's bits.
type Quantize struct{}

func newQuantize(Settings) Method { return Quantize{} }

// Needs implements Method.
func (Quantize) Needs() Needs { return Needs{} }

// Decided implements Decided: a layer whose bits are told has no other.
func (Quantize) Decided(t Target) bool { return t.Storage != (Storage{}) }

// Options implements Method.
func (Quantize) Options(_ context.Context, t Target, s *Statistics) ([]Option, *factor.SVD, error) {
	if t.Storage != (Storage{}) {
		return nil, nil, nil
	}
	var out []Option
	for _, bits := range []int{4, 8} {
		var c QuantizeConfig
		c.SetDefaults()
		c.Bits = bits
		o := Option{Method: stays, Storage: c.storage()}
		var err error
		if o.Loss, err = roundedLoss(t, s, DenseForm(t), o); err != nil {
			return nil, nil, err
		}
		out = append(out, o)
	}
	return out, nil, nil
}

// Linear implements Method.
func (Quantize) Linear(Target, Option) (nn.Rule, error) {
	return nn.Rule{OneOf: nn.As(nn.Dense{})}, nil
}

// Apply implements Method.
func (Quantize) Apply(_ context.Context, t Target, _ *Statistics, _ Option) (*Form, error) {
	return DenseForm(t), nil
}
