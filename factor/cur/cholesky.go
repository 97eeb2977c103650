package cur

import (
	"fmt"
	"math"

	"sparrow/factor"
	"sparrow/kernel"
)

// Cholesky is the factor L of a symmetric positive definite matrix A = L Lᵀ that grows by a row and a column, or by the square of a
// vector, without being computed anew. The zero value is that of a matrix of size 0.
type Cholesky struct {
	rows [][]float64 // row i of L has i+1 values
}

// Scaled is the factor of value times the unit matrix of size n.
func Scaled(n int, value float64) *Cholesky {
	c := &Cholesky{}
	for i := range n {
		row := make([]float64, i+1)
		row[i] = math.Sqrt(value)
		c.rows = append(c.rows, row)
	}
	return c
}

// Size is that of A.
func (c *Cholesky) Size() int { return len(c.rows) }

// Clone is a copy that grows on its own by Append. It shares the rows there are, which Update changes in place.
func (c *Cholesky) Clone() *Cholesky {
	return &Cholesky{rows: append([][]float64(nil), c.rows...)}
}

// Append borders A: column are its values with those before it, diagonal its own. Cost: size². A border that leaves A without a
// factor is ErrConverge, and changes nothing.
func (c *Cholesky) Append(column []float64, diagonal float64) error {
	n := len(c.rows)
	if len(column) != n {
		panic(fmt.Sprintf("factor: cholesky: a border of %d values for a matrix of size %d", len(column), n))
	}
	row := make([]float64, n+1)
	copy(row, column)
	c.forward(row[:n])
	rest := diagonal - kernel.SumSquares(row[:n])
	if !(rest > 0) || math.IsInf(rest, 0) {
		return fmt.Errorf("factor: cholesky: %w: row %d depends on those before it; give a larger ridge", factor.ErrConverge, n)
	}
	row[n] = math.Sqrt(rest)
	c.rows = append(c.rows, row)
	return nil
}

// Update makes the factor that of A + x xᵀ, by rotations (Golub and Van Loan, section 6.5.4). Cost: 2 size². x is lost.
func (c *Cholesky) Update(x []float64) {
	if len(x) != len(c.rows) {
		panic(fmt.Sprintf("factor: cholesky: a vector of %d values for a matrix of size %d", len(x), len(c.rows)))
	}
	for k, row := range c.rows {
		h := math.Hypot(row[k], x[k])
		cos, sin := h/row[k], x[k]/row[k]
		row[k] = h
		for i := k + 1; i < len(c.rows); i++ {
			l := (c.rows[i][k] + sin*x[i]) / cos
			x[i] = cos*x[i] - sin*l
			c.rows[i][k] = l
		}
	}
}

// Solve replaces b by the solution of A x = b.
func (c *Cholesky) Solve(b []float64) {
	if len(b) != len(c.rows) {
		panic(fmt.Sprintf("factor: cholesky: %d values for a matrix of size %d", len(b), len(c.rows)))
	}
	c.forward(b)
	for i := len(c.rows) - 1; i >= 0; i-- {
		row := c.rows[i]
		b[i] /= row[i]
		kernel.Axpy(-b[i], row[:i], b[:i])
	}
}

// forward solves L y = b.
func (c *Cholesky) forward(b []float64) {
	for i := range b {
		row := c.rows[i]
		b[i] = (b[i] - kernel.Dot(row[:i], b[:i])) / row[i]
	}
}
