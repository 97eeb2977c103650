package factor

import (
	"math"
	"slices"

	"sparrow/kernel"
)

// secularGrain is how many roots or columns a task of the pool takes.
const secularGrain = 16

// join solves the secular equation of the kept eigenpairs and writes the merged block, in ascending order.
func (c *conquest) join(lo, mid, hi, keep int, rho float64, d, z []float64, kind []int8, kept, deflated []int) {
	n, k := hi-lo, len(kept)
	poles, weights := make([]float64, k), make([]float64, k)
	for i, at := range kept {
		poles[i], weights[i] = d[at], z[at]
	}
	values := make([]float64, k, n)
	s := kernel.Large[float64](k * k) // row i: poles - root i
	kernel.Ranges(k, secularGrain, func(from, to int) {
		for i := from; i < to; i++ {
			values[i] = secularRoot(poles, weights, rho, i, s[i*k:(i+1)*k])
		}
	})
	exact := lowner(poles, weights, s)

	// The new order: roots and deflated values together.
	for _, at := range deflated {
		values = append(values, d[at])
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case values[a] < values[b]:
			return -1
		case values[a] > values[b]:
			return 1
		}
		return 0
	})
	for i, at := range order {
		c.d[lo+i] = values[at]
	}

	// Columns of the small problem in the order first half, both, second half: each half's product reads a range of them.
	column := make([]int, k) // place of each kept pole
	place := 0
	var start [4]int
	for _, want := range []int8{inFirst, inBoth, inSecond} {
		start[want] = place
		for i, at := range kept {
			if kind[at] == want {
				column[i] = place
				place++
			}
		}
	}
	start[3] = k
	split := mid - lo
	first, second := start[inSecond], k-start[inBoth] // kept rows with parts in each half
	left, right := make([]float64, first*split), make([]float64, second*(n-split))
	for i, at := range kept {
		row := c.z[(lo+at)*c.n+lo : (lo+at)*c.n+hi]
		if p := column[i]; p < first {
			copy(left[p*split:(p+1)*split], row[:split])
		}
		if p := column[i] - start[inBoth]; p >= 0 {
			copy(right[p*(n-split):(p+1)*(n-split)], row[split:])
		}
	}

	// Vectors of the small problem, of the wanted roots only, and the products.
	var wanted []int // places in order that are roots
	for i := n - keep; i < n; i++ {
		if order[i] < k {
			wanted = append(wanted, i)
		}
	}
	small := make([]float64, len(wanted)*k)
	kernel.Ranges(len(wanted), secularGrain, func(from, to int) {
		for w := from; w < to; w++ {
			delta := s[order[wanted[w]]*k:][:k]
			out := small[w*k : (w+1)*k]
			norm := 0.0
			for i, x := range delta {
				v := exact[i] / x
				out[column[i]] = v
				norm += v * v
			}
			kernel.Scale(1/math.Sqrt(norm), out)
		}
	})
	product := make([]float64, len(wanted)*n)
	kernel.Gemm(false, false, len(wanted), split, first, 1, small, k, left, split, 0, product, n)
	kernel.Gemm(false, false, len(wanted), n-split, second, 1, small[min(start[inBoth], len(small)):], k, right, n-split, 0, product[min(split, len(product)):], n)
	// Deflated rows move first, out of the way of those they might be overwritten by.
	var moved []float64
	for i := n - keep; i < n; i++ {
		if at := order[i]; at >= k {
			from := lo + deflated[at-k]
			moved = append(moved, c.z[from*c.n+lo:from*c.n+hi]...)
		}
	}
	for i := n - keep; i < n; i++ {
		row := c.z[(lo+i)*c.n+lo : (lo+i)*c.n+hi]
		if order[i] < k {
			product = product[copy(row, product[:n]):]
		} else {
			moved = moved[copy(row, moved[:n]):]
		}
	}
}

// lowner returns the weights for which the computed roots are exact (Gu and Eisenstat 1995, equation 3.3): with them the
// small problem's vectors are orthogonal to rounding, however close the roots are.
//
//	z_j² = prod_i (root_i - d_j) / prod_(i != j) (d_i - d_j)
func lowner(poles, weights, s []float64) []float64 {
	k := len(poles)
	exact := make([]float64, k)
	kernel.Ranges(k, secularGrain, func(from, to int) {
		for j := from; j < to; j++ {
			exact[j] = -s[j*k+j]
		}
		for i := range k {
			row := s[i*k : (i+1)*k]
			for j := from; j < to; j++ {
				if i != j {
					exact[j] *= row[j] / (poles[j] - poles[i])
				}
			}
		}
		for j := from; j < to; j++ {
			exact[j] = math.Copysign(math.Sqrt(math.Abs(exact[j])), weights[j])
		}
	})
	return exact
}
