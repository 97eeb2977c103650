package recommend

import (
	"slices"

	"sparrow/kernel"
)

// Explained is a scorer that tells which of the clicks speak for an item, and how much.
type Explained interface {
	Scorer
	// Why gives the clicks of who a number each, the largest first. Where the scorer is linear in the clicks, they add up to the
	// item's score, but for what it owes to none of them.
	Why(who Who, item int32) []Scored
}

// because orders the shares of clicks.
func because(clicks []int32, item int32, share func(click int32) float32) []Scored {
	var all []Scored
	for _, c := range clicks {
		if x := share(c); c != item && x != 0 {
			all = append(all, Scored{c, x})
		}
	}
	slices.SortFunc(all, compare)
	return all
}

// Why implements Explained: B_ji.
func (w ItemWeights) Why(who Who, item int32) []Scored {
	return because(who.Clicks, item, func(j int32) float32 { return w.B[int(j)*w.N+int(item)] })
}

// Why implements Explained: sim(i, j).
func (n Neighbours) Why(who Who, item int32) []Scored {
	return because(who.Clicks, item, func(j int32) float32 {
		for k := int(item) * n.K; k < (int(item)+1)*n.K; k++ {
			if n.Nearest[k] == j {
				return n.Similar[k]
			}
		}
		return 0
	})
}

// Why implements Explained: B_ji = -P_ji / P_ii, with P = (I - Xᵀ A X) / λ.
func (e easeByUsers) Why(who Who, item int32) []Scored {
	users := e.x.Transpose()
	n := e.x.Rows()
	return because(who.Clicks, item, func(j int32) float32 {
		var sum float32
		for _, u := range users.Row(int(j)) {
			for _, v := range users.Row(int(item)) {
				sum += e.Matrix[int(u)*n+int(v)]
			}
		}
		return sum / (float32(e.Lambda) * e.Diagonal[item])
	})
}

// Why implements Explained. Of vectors that are folded in, the score is v_iᵀ W Σ_j (1 + α) v_j with W the inverse of the equations'
// matrix, so that each click has its share (Hu, Koren and Volinsky 2008, section 5); of others the share is v_i . v_j.
func (f Factors) Why(who Who, item int32) []Scored {
	v := func(i int32) []float32 { return f.V[int(i)*f.D : (int(i)+1)*f.D] }
	at, scale := v(item), float32(1)
	if f.Fold != nil {
		b := f.Fold.buffer()
		if b.solve(who.Clicks, nil) != nil {
			return nil
		}
		at = slices.Clone(at)
		substitute(b.a, at, f.D)
		scale = 1 + float32(f.Fold.w.Alpha)
	}
	return because(who.Clicks, item, func(j int32) float32 { return scale * kernel.Dot(at, v(j)) })
}
