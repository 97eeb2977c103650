package compress

import (
	"fmt"

	"sparrow/factor"
)

// Statistics are what calibration data tell of one layer y = W x, W [out, in]. Each part is nil unless it was asked for.
type Statistics struct {
	// Fisher information of the weights, summed over the inputs of each output [out] and over the outputs of each input
	// [in]: the squared gradients of the loss, a sum over targets (tokens or texts), divided by the number of targets.
	Rows, Cols []float64
	// Entries is the same for each weight [out * in].
	Entries []float64
	// Moment is the mean of x xᵀ [in, in], Size that of |x| [in].
	Moment Triangle
	Size   []float64
}

// Triangle is the lower triangle of a symmetric matrix [n, n], row by row: n (n + 1) / 2 values. The moments of all layers of a
// model are more than its weights even so.
type Triangle []float64

func newTriangle(n int) Triangle { return make(Triangle, n*(n+1)/2) }

// unpack writes the whole matrix to dst [n * n].
func (t Triangle) unpack(dst []float64, n int) {
	at := 0
	for i := range n {
		copy(dst[i*n:], t[at:at+i+1])
		for j, x := range t[at : at+i] {
			dst[j*n+i] = x
		}
		at += i + 1
	}
}

// pack takes the lower triangle of src [n * n].
func (t Triangle) pack(src []float64, n int) {
	at := 0
	for i := range n {
		at += copy(t[at:], src[i*n:i*n+i+1])
	}
}

// Square is the whole matrix, of n rows.
func (t Triangle) Square(n int) *factor.Matrix {
	m := factor.NewMatrix(n, n)
	t.unpack(m.Data, n)
	return m
}

// Needs says which statistics a method reads: Fisher information by rows and columns; that of each weight, which is there only
// when a layer is made an option, so that options are predicted without; and moments of inputs.
type Needs struct{ Fisher, Entries, Moments bool }

func (n Needs) or(m Needs) Needs {
	return Needs{n.Fisher || m.Fisher, n.Entries || m.Entries, n.Moments || m.Moments}
}

// importance is the measure by which losses are predicted:
//
//	dL(E) = 1/2 sum_ij F_ij E_ij²,  F_ij = Rows_i Cols_j / sum(Rows)
//
// for an error E of a weight: the second-order change of the loss where the Fisher information stands for its second
// derivatives, off-diagonal ones are left out, and F is known by its margins only. Without Fisher information F is
// 2/||W||², and the measure is the squared relative error.
type importance struct {
	rows, cols []float64 // factors of F/2; nil: all 1
	scale      float64   // another factor
}

func importanceOf(w *factor.Matrix, s *Statistics) importance {
	if s.Rows == nil {
		n := w.Norm()
		if n == 0 {
			return importance{scale: 0}
		}
		return importance{scale: 1 / n / n}
	}
	total := 0.0
	for _, x := range s.Rows {
		total += x
	}
	if total == 0 {
		return importance{scale: 0}
	}
	return importance{rows: s.Rows, cols: s.Cols, scale: 0.5 / total}
}

// of measures an error.
func (m importance) of(e *factor.Matrix) float64 {
	sum := 0.0
	for i := range e.Rows {
		row := 0.0
		for j, x := range e.Row(i) {
			if m.cols != nil {
				row += m.cols[j] * x * x
			} else {
				row += x * x
			}
		}
		if m.rows != nil {
			row *= m.rows[i]
		}
		sum += row
	}
	return m.scale * sum
}

// difference is a - b.
func difference(a, b *factor.Matrix) *factor.Matrix {
	e := a.Clone()
	for i, x := range b.Data {
		e.Data[i] -= x
	}
	return e
}

// tails measures what each truncation of a decomposition leaves out: tails[r] is the measure of the terms from r on,
//
//	sum over k, l >= r of s_k s_l (u_kᵀ diag(rows) u_l) (v_kᵀ diag(cols) v_l)
//
// so tails[0] is that of the whole matrix and the last, tails[len(S)], is 0.
func (m importance) tails(d *factor.SVD) []float64 {
	n := len(d.S)
	left, right := weightedGram(d.U.Transpose(), m.rows), weightedGram(d.Vt, m.cols)
	tails := make([]float64, n+1)
	for r := n - 1; r >= 0; r-- {
		cross := 0.0
		for k := r + 1; k < n; k++ {
			cross += d.S[k] * left.Data[r*n+k] * right.Data[r*n+k]
		}
		added := d.S[r] * (d.S[r]*left.Data[r*n+r]*right.Data[r*n+r] + 2*cross)
		tails[r] = max(0, tails[r+1]+m.scale*added) // a squared norm, but for rounding
	}
	return tails
}

// weightedGram is A diag(w) Aᵀ.
func weightedGram(a *factor.Matrix, w []float64) *factor.Matrix {
	scaled := a.Clone()
	if w != nil {
		for i := range a.Rows {
			row := scaled.Row(i)
			for j := range row {
				row[j] *= w[j]
			}
		}
	}
	return scaled.Mul(a.Transpose())
}

// floored counts the rows and columns whose importance is below the floor, so that the floor decides over them.
func floored(s *Statistics, floor float64) (rows, cols int) {
	return factor.Weights{Rows: s.Rows, Cols: s.Cols, Floor: floor}.Floored()
}

// check refuses Fisher information of which a layer has none at all: its gradients are 0 on all calibration data.
func (s *Statistics) check(layer string) error {
	if s.Rows == nil {
		return nil
	}
	for _, x := range s.Rows {
		if x > 0 {
			return nil
		}
	}
	return fmt.Errorf("compress: %s has no Fisher information: its gradients on the calibration data are all 0; leave it dense, or calibrate on other data", layer)
}
