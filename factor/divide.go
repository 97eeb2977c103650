package factor

import (
	"fmt"
	"math"
	"slices"

	"sparrow/kernel"
)

// leafSize is the largest tridiagonal matrix that is solved by QL instead of being divided.
const leafSize = 32

// tridiagonalEigen diagonalises the symmetric tridiagonal matrix with diagonal d and off-diagonal e (both destroyed) and
// returns its eigenvalues in descending order with the eigenvectors of the first `top` of them as rows [top, n].
//
// Divide and conquer (Cuppen 1981; Gu and Eisenstat 1995, as in LAPACK's dlaed1 to dlaed4): T is two halves and a
// correction of rank one; the halves' solutions are merged by a secular equation, and most of the work is the product of
// the halves' vectors with those of the small problem.
func tridiagonalEigen(j *job, d, e []float64, top int) (values []float64, rows []float64, err error) {
	n := len(d)
	c := &conquest{j: j, n: n, d: d, e: e, z: kernel.Large[float64](n * n)}
	bounds := []int{0, n}
	for bounds[1]-bounds[0] > leafSize {
		next := make([]int, 0, 2*len(bounds))
		for i := range len(bounds) - 1 {
			next = append(next, bounds[i], (bounds[i]+bounds[i+1]+1)/2)
		}
		bounds = append(next, n)
	}
	// Each cut takes |e| off the diagonal on both its sides.
	for _, at := range bounds[1 : len(bounds)-1] {
		d[at-1] -= math.Abs(e[at-1])
		d[at] -= math.Abs(e[at-1])
	}
	failed := make([]error, len(bounds)-1)
	kernel.Parallel(len(bounds)-1, func(i int) { failed[i] = c.leaf(bounds[i], bounds[i+1]) })
	for _, err := range failed {
		if err != nil {
			return nil, nil, err
		}
	}
	for len(bounds) > 2 {
		if err := j.ctx.Err(); err != nil {
			return nil, nil, err
		}
		merges := (len(bounds) - 1) / 2
		keep := n
		if merges == 1 {
			keep = top
		}
		merge := func(i int) { c.merge(bounds[2*i], bounds[2*i+1], bounds[2*i+2], keep) }
		if merges >= 4 {
			kernel.Parallel(merges, merge)
		} else { // few and large: their products use all threads
			for i := range merges {
				merge(i)
			}
		}
		for i := range merges + 1 {
			bounds[i] = bounds[2*i]
		}
		bounds = bounds[:merges+1]
	}
	// Ascending to descending.
	slices.Reverse(d)
	rows = make([]float64, top*n)
	for i := range top {
		copy(rows[i*n:(i+1)*n], c.z[(n-1-i)*n:(n-i)*n])
	}
	return d, rows, nil
}

// conquest is the state of one divide-and-conquer solve. For a solved block [lo, hi) d holds its eigenvalues, ascending,
// and row i of z, columns lo to hi, the eigenvector of d[i].
type conquest struct {
	j    *job
	n    int
	d, e []float64
	z    []float64
}

// leaf solves one small block by implicit QL (Wilkinson shift), with eigenvectors as rows.
func (c *conquest) leaf(lo, hi int) error {
	n := hi - lo
	d, e := c.d[lo:hi], make([]float64, n)
	copy(e, c.e[lo:hi-1])
	row := func(i int) []float64 { return c.z[(lo+i)*c.n+lo : (lo+i)*c.n+hi] }
	for i := range n {
		row(i)[i] = 1
	}
	for l := range n {
		for sweep := 0; ; sweep++ {
			m := l
			for ; m < n-1; m++ {
				if math.Abs(e[m]) <= epsilon/2*math.Sqrt(math.Abs(d[m]))*math.Sqrt(math.Abs(d[m+1])) || math.Abs(e[m]) < 1e-290 {
					e[m] = 0
					break
				}
			}
			if m == l {
				break
			}
			if sweep == 60 {
				return fmt.Errorf("factor: eigenvalues: %w: value %d of a block of %d after %d sweeps", ErrConverge, l, n, sweep)
			}
			g := (d[l+1] - d[l]) / (2 * e[l])
			r := math.Hypot(g, 1)
			g = d[m] - d[l] + e[l]/(g+math.Copysign(r, g))
			s, co, p := 1.0, 1.0, 0.0
			i := m - 1
			for ; i >= l; i-- {
				f, b := s*e[i], co*e[i]
				r = math.Hypot(f, g)
				e[i+1] = r
				if r == 0 {
					d[i+1] -= p
					e[m] = 0
					break
				}
				s, co = f/r, g/r
				g = d[i+1] - p
				r = (d[i]-g)*s + 2*co*b
				p = s * r
				d[i+1] = g + p
				g = co*r - b
				rotate(row(i), row(i+1), co, -s)
			}
			if r == 0 && i >= l {
				continue
			}
			d[l] -= p
			e[l] = g
			e[m] = 0
		}
	}
	// Selection sort: at most leafSize swaps of rows.
	for i := range n - 1 {
		k := i
		for m := i + 1; m < n; m++ {
			if d[m] < d[k] {
				k = m
			}
		}
		if k != i {
			d[i], d[k] = d[k], d[i]
			a, b := row(i), row(k)
			for t := range a {
				a[t], b[t] = b[t], a[t]
			}
		}
	}
	return nil
}

// rotate replaces (x, y) by (c x + s y, c y - s x).
func rotate(x, y []float64, c, s float64) {
	y = y[:len(x)]
	for i, v := range x {
		w := y[i]
		x[i] = c*v + s*w
		y[i] = c*w - s*v
	}
}

// Where the rows of the two halves have nonzeros.
const (
	inFirst = iota
	inBoth
	inSecond
)

// merge joins the solved blocks [lo, mid) and [mid, hi) and leaves the eigenvectors of the `keep` largest eigenvalues.
func (c *conquest) merge(lo, mid, hi, keep int) {
	n := hi - lo
	keep = min(keep, n)
	coupling := c.e[mid-1]
	rho := 2 * math.Abs(coupling) // of the unit vector u/sqrt(2)
	// z = Qᵀ u: the last components of the first half's vectors, the first ones of the second's.
	kind := make([]int8, n)
	z, d := make([]float64, n), make([]float64, n)
	for i := range n {
		at := mid - 1
		sign := math.Sqrt2 / 2
		if lo+i >= mid {
			kind[i] = inSecond
			at = mid
			sign = math.Copysign(sign, coupling)
		}
		z[i] = sign * c.z[(lo+i)*c.n+at]
		d[i] = c.d[lo+i]
	}
	order := mergeOrder(d, mid-lo)
	largest := 0.0
	for i := range n {
		largest = max(largest, math.Abs(d[i]), math.Abs(z[i]))
	}
	tolerance := 8 * epsilon * largest
	row := func(i int) []float64 { return c.z[(lo+i)*c.n+lo : (lo+i)*c.n+hi] }

	// Deflation: components of z that are negligible, and pairs of close eigenvalues, of which a rotation clears one.
	var kept, deflated []int
	last := -1
	for _, i := range order {
		if rho*math.Abs(z[i]) <= tolerance {
			deflated = append(deflated, i)
			continue
		}
		if last >= 0 {
			s, co := z[last], z[i]
			r := math.Hypot(co, s)
			gap := d[i] - d[last]
			co /= r
			s = -s / r
			if math.Abs(gap*co*s) <= tolerance {
				z[i], z[last] = r, 0
				if kind[i] != kind[last] {
					kind[i], kind[last] = inBoth, inBoth
				}
				rotate(row(last), row(i), co, s)
				d[last], d[i] = d[last]*co*co+d[i]*s*s, d[last]*s*s+d[i]*co*co
				deflated = append(deflated, last)
				last = i
				continue
			}
			kept = append(kept, last)
		}
		last = i
	}
	if last >= 0 {
		kept = append(kept, last)
	}
	c.join(lo, mid, hi, keep, rho, d, z, kind, kept, deflated)
}

// mergeOrder returns the indices of d in ascending order, given that [0, mid) and [mid, n) are each ascending.
func mergeOrder(d []float64, mid int) []int {
	order := make([]int, 0, len(d))
	i, k := 0, mid
	for i < mid || k < len(d) {
		if k == len(d) || i < mid && d[i] <= d[k] {
			order = append(order, i)
			i++
		} else {
			order = append(order, k)
			k++
		}
	}
	return order
}
