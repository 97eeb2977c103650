package recommend

import (
	"fmt"

	"sparrow/kernel"
)

// Factors score by products of vectors: s(u, i) = h_u . v_i + b_i, with what Vector says h_u is.
type Factors struct {
	D      int
	Vector func(dst []float32, who Who) error // fills h [D]
	N      int
	V      []float32 // [items, D]
	Bias   []float32 // [items]; nil: none
	Fold   *Fold     // how vectors come from clicks, for Why; nil: they are sums
}

// Items implements Scorer.
func (f Factors) Items() int { return f.N }

// Score implements Scorer.
func (f Factors) Score(dst []float32, who []Who) error {
	h := make([]float32, len(who)*f.D)
	errs := make([]error, len(who))
	kernel.Parallel(len(who), func(i int) { errs[i] = f.Vector(h[i*f.D:(i+1)*f.D], who[i]) })
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	kernel.Gemm(false, true, len(who), f.N, f.D, 1, h, f.D, f.V, f.D, 0, dst, f.N)
	if f.Bias != nil {
		kernel.AddRow(dst, len(who), f.N, f.Bias)
	}
	return nil
}

// Popular scores each item by the same number for all.
type Popular struct{ Counts []float32 }

// Items implements Scorer.
func (p Popular) Items() int { return len(p.Counts) }

// Score implements Scorer.
func (p Popular) Score(dst []float32, who []Who) error {
	for i := range who {
		copy(dst[i*len(p.Counts):], p.Counts)
	}
	return nil
}

// ItemWeights score by what a user has clicked: s = x B, with x the row of zeros and ones of his clicks.
type ItemWeights struct {
	N int
	B []float32 // [N, N]
}

// Items implements Scorer.
func (w ItemWeights) Items() int { return w.N }

// Score implements Scorer.
func (w ItemWeights) Score(dst []float32, who []Who) error {
	kernel.Parallel(len(who), func(i int) {
		row := dst[i*w.N : (i+1)*w.N]
		clear(row)
		for _, item := range who[i].Clicks {
			kernel.Axpy(1, w.B[int(item)*w.N:(int(item)+1)*w.N], row)
		}
	})
	return nil
}

// Neighbours score by what a user has clicked, each item by those of its K nearest that are among it: s_i = Σ_j sim(i, j).
type Neighbours struct {
	N, K    int
	Nearest []int32   // [N, K]; below 0: none
	Similar []float32 // [N, K]
}

// Items implements Scorer.
func (n Neighbours) Items() int { return n.N }

// Score implements Scorer.
func (n Neighbours) Score(dst []float32, who []Who) error {
	for _, w := range who {
		if err := checkClicks(w.Clicks, n.N); err != nil {
			return err
		}
	}
	kernel.Parallel(len(who), func(u int) {
		clicked := make([]bool, n.N)
		for _, item := range who[u].Clicks {
			clicked[item] = true
		}
		for i := range n.N {
			var sum float32
			for k := i * n.K; k < (i+1)*n.K; k++ {
				if j := n.Nearest[k]; j >= 0 && clicked[j] {
					sum += n.Similar[k]
				}
			}
			dst[u*n.N+i] = sum
		}
	})
	return nil
}

// checkClicks refuses items that there are not.
func checkClicks(clicks []int32, items int) error {
	for _, i := range clicks {
		if i < 0 || int(i) >= items {
			return fmt.Errorf("recommend: item %d of %d", i, items)
		}
	}
	return nil
}

// Projection scores s = x V Vᵀ for v [items, d].
func Projection(v []float32, d int) Factors {
	items := len(v) / d
	return Factors{D: d, N: items, V: v, Vector: func(dst []float32, who Who) error {
		clear(dst)
		if err := checkClicks(who.Clicks, items); err != nil {
			return err
		}
		for _, i := range who.Clicks {
			kernel.Axpy(1, v[int(i)*d:(int(i)+1)*d], dst)
		}
		return nil
	}}
}
