package compress

import (
	"context"
	"math"

	"sparrow/factor"
)

// blocks is a weight as vectors with what their errors count.
type blocks struct {
	cut        *factor.Matrix // [V, G b]: W or, of axis "out", its transpose
	width      int            // b
	row, col   []float64      // [V] and [G b], roots of the weights
	rows, cols []float64      // the same sides in the layer's measure
	scale      float64        // of the measure
}

func (x *blocks) count() int { return x.cut.Cols / x.width }

func (d dsformer) blocks(t Target, w *factor.Matrix, s *Statistics) (*blocks, error) {
	if !d.divides(t) {
		return nil, refusef("%s: [compress.dsformer] block = %d does not divide the %d %sputs of [%d, %d]; choose a divisor, the other axis, or another method for this layer by a [[compress.layer]] table",
			t.Name, d.cfg.DSFormer.Block, d.side(t), d.cfg.DSFormer.Axis, t.Out, t.In)
	}
	weights := factor.Weights{}
	if d.cfg.DSFormer.Weights == "fisher" {
		weights = fisherWeights(d.cfg, s)
	}
	row, col, err := weights.Scales(w.Rows, w.Cols)
	if err != nil {
		return nil, err
	}
	m := importanceOf(w, s)
	x := &blocks{cut: w, width: d.cfg.DSFormer.Block, row: row, col: col, rows: m.rows, cols: m.cols, scale: m.scale}
	if d.cfg.DSFormer.Axis == "out" {
		x.cut, x.row, x.col, x.rows, x.cols = w.Transpose(), col, row, m.cols, m.rows
	}
	x.row, x.rows = complete(x.row, x.rows, x.cut.Rows)
	x.col, x.cols = complete(x.col, x.cols, x.cut.Cols)
	return x, nil
}

// complete returns a side's roots of weights and its weights in the measure, 1 where there are none.
func complete(factors, weights []float64, n int) (f, w []float64) {
	f, w = make([]float64, n), make([]float64, n)
	for i := range n {
		f[i], w[i] = 1, 1
		if factors != nil {
			f[i] = factors[i]
		}
		if weights != nil {
			w[i] = weights[i]
		}
	}
	return f, w
}

// learn returns the atoms of each block, or those that all share, of unit norm.
func (d dsformer) learn(ctx context.Context, x *blocks, atoms int) ([]*factor.Matrix, error) {
	cfg := d.cfg.DSFormer
	scaled := x.cut.Clone()
	col := x.col
	if cfg.Shared {
		col = make([]float64, len(x.col)) // the root of the block's mean weight
		for g := range x.count() {
			sum := 0.0
			for _, c := range x.col[g*x.width : (g+1)*x.width] {
				sum += c * c
			}
			for j := range x.width {
				col[g*x.width+j] = math.Sqrt(sum / float64(x.width))
			}
		}
	}
	for i := range scaled.Rows {
		row := scaled.Row(i)
		for j := range row {
			row[j] *= x.row[i] * col[j]
		}
	}
	f, err := factor.DenseSparse(ctx, scaled, factor.DenseSparseConfig{Block: x.width, Atoms: atoms, Axis: factor.AxisIn, Nonzeros: []int{cfg.learnAt(atoms)},
		Shared: cfg.Shared, Sweeps: cfg.Sweeps, Update: factor.KSVD, Seed: 1}, nil, nil)
	if err != nil {
		return nil, err
	}
	if !cfg.Shared {
		for g, dictionary := range f.Dictionaries {
			over := make([]float64, x.width)
			for j, c := range x.col[g*x.width : (g+1)*x.width] {
				over[j] = 1 / c
			}
			f.Dictionaries[g], _ = scaleAtoms(dictionary, over)
		}
	}
	return f.Dictionaries, nil
}

// scaleAtoms multiplies each column of a dictionary by a factor and returns it with atoms of unit norm again, and what
// their norms were.
func scaleAtoms(d *factor.Matrix, by []float64) (*factor.Matrix, []float64) {
	out, norms := d.Clone(), make([]float64, d.Rows)
	for k := range out.Rows {
		sum := 0.0
		atom := out.Row(k)
		for j := range atom {
			atom[j] *= by[j]
			sum += atom[j] * atom[j]
		}
		if norms[k] = math.Sqrt(sum); sum > 0 {
			for j := range atom {
				atom[j] /= norms[k]
			}
		}
	}
	return out, norms
}
